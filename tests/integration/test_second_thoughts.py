"""Later, and never mind."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from healing import approval, audit_check, quarantine, rules, second_thoughts
from healing.certified.models import MatchVerdict
from healing.models import Approval, Proposal, QuarantineItem, Replay, ReviewRules, Rule
from healing.refusals import NotAllowed, NotFound, WrongState
from healing.review import queue
from tests.integration.control_rows import DROP, RENAME, approved, capture, keep, onlooker, propose, reviewer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("postgres")]


def test_what_is_put_off_leaves_the_queue_and_comes_back() -> None:
    capture()
    rita, proposal = reviewer(), propose()
    second_thoughts.snooze(proposal, timezone.now() + timedelta(hours=1), rita)
    assert (len(queue(rita).cards), queue(rita).snoozed, len(queue(rita, snoozed=True).cards)) == (0, 1, 1)
    assert second_thoughts.undo_last(rita).action == "snooze"
    assert len(queue(rita).cards) == 1
    Proposal.objects.update(snoozed_until=timezone.now() - timedelta(seconds=1))
    assert len(queue(rita).cards) == 1
    for until in (timezone.now(), timezone.now() + timedelta(days=31)):
        with pytest.raises(WrongState):
            second_thoughts.snooze(proposal, until, rita)
    with pytest.raises(NotAllowed):
        second_thoughts.snooze(proposal, timezone.now() + timedelta(hours=1), onlooker())


def test_an_approval_is_taken_back_with_its_rule_its_replay_and_its_siblings() -> None:
    capture()
    rita, waiting, proposal, sibling = reviewer(), keep(), propose(), propose(DROP, 0.2)
    rule = approved(proposal, rita)
    undone = second_thoughts.undo_last(rita)
    for row in (rule, waiting, proposal, sibling):
        row.refresh_from_db()
    assert (undone.action, rule.state, proposal.state, sibling.state) == ("approve", "rejected", "open", "open")
    assert (waiting.state, waiting.replay, Replay.objects.get().state) == ("waiting", None, "cancelled")
    assert not Approval.objects.filter(revoked_at=None).exists()
    assert audit_check.faults() + audit_check.unrecorded() == []
    assert approved(proposal, rita).pk == rule.pk  # and it may be approved again


def test_a_rejection_and_an_edit_are_taken_back_last_first() -> None:
    capture()
    rita, proposal = reviewer(), propose(DROP, 0.4)
    edited = approval.edit(proposal, RENAME, rita)
    approval.reject(edited, rita, "no")
    assert [second_thoughts.undo_last(rita).action for _ in range(2)] == ["reject", "edit"]
    proposal.refresh_from_db()
    edited.refresh_from_db()
    assert (proposal.state, edited.state) == ("open", "superseded")
    with pytest.raises(NotFound):
        second_thoughts.undo_last(rita)


def test_a_yes_that_waits_for_others_is_taken_back() -> None:
    ReviewRules.objects.create(people=2)
    capture()
    rita, proposal = reviewer(), propose()
    approval.approve(proposal, rita)
    assert second_thoughts.undo_last(rita).action == "agree"
    assert approval.approve(proposal, reviewer("sam")) is None


def test_nobody_takes_back_what_somebody_else_decided_since_or_another_decided() -> None:
    capture()
    rita, sam, proposal = reviewer(), reviewer("sam"), propose()
    approval.reject(proposal, rita, "no")
    second_thoughts.undo_last(rita)
    approval.reject(proposal, sam, "still no")
    with pytest.raises(NotFound):
        second_thoughts.undo_last(rita)
    with pytest.raises(NotAllowed):
        second_thoughts.undo_last(onlooker())
    Proposal.objects.update(state="open")
    rule = approved(proposal, rita)
    Rule.objects.filter(pk=rule.pk).update(state="retired")
    with pytest.raises(WrongState):
        second_thoughts.undo_last(rita)


def test_what_is_taken_back_says_nothing_about_the_matcher_any_more() -> None:
    capture()
    rita = reviewer()
    proposal = propose(evidence={"for": [], "against": [], "bucket": "b"})
    for decide in (lambda: approved(proposal, rita), lambda: approval.reject(proposal, rita, "no")):
        decide()
        assert MatchVerdict.objects.count() == 1
        second_thoughts.undo_last(rita)
        assert not MatchVerdict.objects.exists()


def test_a_rule_that_was_replaced_is_in_force_again() -> None:
    capture()
    rita = reviewer()
    former = approved(propose(), rita)
    approved(propose(DROP, 0.5), rita)
    second_thoughts.undo_last(rita)
    former.refresh_from_db()
    assert (former.state, Rule.objects.filter(state="active").count()) == ("active", 1)
    assert audit_check.unrecorded() == []


def test_a_rule_that_was_replaced_and_then_called_wrong_stays_over() -> None:
    capture()
    rita = reviewer()
    former = approved(propose(), rita)
    approved(propose(DROP, 0.5), rita)
    rules.count_reversal([str(former.pk)], "an older write of it was taken back")
    second_thoughts.undo_last(rita)
    former.refresh_from_db()
    assert (former.state, former.reversals) == ("retired", 1)
    assert not Rule.objects.filter(state="active").exists()


def test_a_write_that_was_under_way_when_its_order_was_cancelled_is_not_forgotten() -> None:
    capture()
    rita, item, proposal = reviewer(), keep(automatic=True), propose()
    approved(proposal, rita)
    (claimed,) = quarantine.claim(1)
    second_thoughts.undo_last(rita)
    QuarantineItem.objects.filter(pk=item.pk).update(lease_until=timezone.now() - timedelta(seconds=1))  # its worker dies
    assert quarantine.claim(1) == []
    assert list(quarantine.due_automatic()) == [QuarantineItem.objects.get(pk=claimed.id)]
