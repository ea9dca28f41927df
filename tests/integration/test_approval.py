"""Decisions about proposals, on a real Postgres."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from healing import approval, rules
from healing.models import Decision, Policy, Proposal, QuarantineItem, Replay, Rule
from healing.refusals import AlreadyDecided, DoesNotFit, NeedsReason, NotAllowed, PolicyForbids
from tests.integration.control_rows import DROP, RENAME, approved, capture, keep, onlooker, propose, reviewer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres")]


def test_approving_makes_an_active_rule_and_orders_the_replay_of_what_waits() -> None:
    capture()
    rita, waiting, other = reviewer(), keep(), keep(signature="unknown_column:other")
    rule = approved(propose(), rita)
    assert (rule.state, rule.fix, rule.approved_by) == ("active", RENAME, rita)
    assert rule.relation_fingerprint == "f1"
    waiting.refresh_from_db()
    other.refresh_from_db()
    assert waiting.replay is not None
    assert waiting.replay.total == 1
    assert other.replay is None


def test_siblings_of_an_approved_proposal_are_superseded_and_cannot_be_approved() -> None:
    capture()
    rita, sibling = reviewer(), propose(DROP, 0.2)
    approval.approve(propose(), rita)
    sibling.refresh_from_db()
    assert sibling.state == "superseded"
    with pytest.raises(AlreadyDecided):
        approval.approve(sibling, rita)


def test_two_approvers_at_once_have_one_effect() -> None:
    capture()
    keep()
    people, proposal, results = [reviewer("ann"), reviewer("bob")], propose(), []

    def run(user: Any) -> None:
        results.append(approved(proposal, user).pk)
        connection.close()

    threads = [threading.Thread(target=run, args=(user,)) for user in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1
    assert Rule.objects.count() == 1
    assert Replay.objects.count() == 1
    assert Decision.objects.filter(action="approve").count() == 1


def test_two_approvers_of_two_siblings_leave_one_rule() -> None:
    capture()
    people, proposals, failed = [reviewer("ann"), reviewer("bob")], [propose(), propose(DROP, 0.2)], []

    def run(user: Any, proposal: Proposal) -> None:
        try:
            approval.approve(proposal, user)
        except AlreadyDecided as error:
            failed.append(error)
        connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in zip(people, proposals, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failed) == 1
    assert Rule.objects.filter(state="active").count() == 1


@pytest.mark.parametrize("who", [None, "an-api-key", object()])
def test_only_a_person_can_approve(who: Any) -> None:
    capture()
    with pytest.raises(NotAllowed):
        approval.approve(propose(), who)
    assert not Rule.objects.exists()


def test_read_only_staff_cannot_decide() -> None:
    capture()
    otto, proposal = onlooker(), propose()
    for act in (
        lambda: approval.approve(proposal, otto),
        lambda: approval.reject(proposal, otto, "no"),
        lambda: approval.edit(proposal, DROP, otto),
    ):
        with pytest.raises(NotAllowed):
            act()
    assert not Decision.objects.exists()


def test_a_fix_that_does_not_fit_the_live_schema_is_not_approved() -> None:
    capture()
    wrong = propose([{"op": "rename_column", "from": "email", "to": "nowhere"}])
    with pytest.raises(DoesNotFit, match="nowhere"):
        approval.approve(wrong, reviewer())
    wrong.refresh_from_db()
    assert wrong.state == "open"


def test_without_a_captured_schema_nothing_can_be_approved() -> None:
    with pytest.raises(DoesNotFit, match="captured"):
        approval.approve(propose(), reviewer())


@pytest.mark.parametrize("level", ["off", "exact"])
def test_a_table_whose_policy_uses_no_rules_says_so(level: str) -> None:
    capture()
    Policy.objects.create(table="users", healing=level)
    with pytest.raises(PolicyForbids, match=level) as refused:
        approval.approve(propose(), reviewer())
    assert "set_policy" in (refused.value.hint or "")


def test_rejecting_needs_a_reason_and_is_final() -> None:
    capture()
    rita, proposal = reviewer(), propose()
    with pytest.raises(NeedsReason):
        approval.reject(proposal, rita, "  ")
    approval.reject(proposal, rita, "another meaning")
    with pytest.raises(AlreadyDecided):
        approval.approve(proposal, rita)


def test_an_edited_fix_is_a_new_proposal_by_a_person() -> None:
    capture()
    rita, proposal = reviewer(), propose(DROP, 0.4)
    edited = approval.edit(proposal, RENAME, rita)
    proposal.refresh_from_db()
    assert (edited.source, edited.author, edited.state) == ("person", "rita", "open")
    assert proposal.state == "superseded"
    with pytest.raises(DoesNotFit):
        approval.edit(edited, [{"op": "rename_column", "from": "email", "to": "nowhere"}], rita)
    with pytest.raises(DoesNotFit):
        approval.edit(edited, [{"op": "drop table"}], rita)


def test_a_new_rule_for_the_same_cause_replaces_the_old_one() -> None:
    capture()
    rita = reviewer()
    old = approved(propose(), rita)
    new = approved(propose(DROP, 0.5), rita)
    old.refresh_from_db()
    assert (old.state, new.state) == ("retired", "active")


def test_a_rule_is_retired_with_a_reason_and_demoted_by_evidence() -> None:
    capture()
    rita = reviewer()
    rule = approved(propose(), rita)
    with pytest.raises(NeedsReason):
        rules.retire(rule, rita, "")
    with pytest.raises(NotAllowed):
        rules.retire(rule, onlooker(), "why not")
    rules.demote(rule, "optimizer", "3 reversals")
    rule.refresh_from_db()
    assert rule.state == "demoted"
    rules.retire(rule, rita, "gone")
    rule.refresh_from_db()
    assert rule.state == "retired"


def test_a_decision_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    capture()
    keep()
    proposal = propose()
    monkeypatch.setattr(approval, "order_for_cause", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        approval.approve(proposal, reviewer())
    proposal.refresh_from_db()
    assert proposal.state == "open"
    assert not Rule.objects.exists()
    assert not Decision.objects.exists()
    assert QuarantineItem.objects.get().replay is None


def test_the_commands_decide_as_a_named_person(capsys: pytest.CaptureFixture[str]) -> None:
    capture()
    reviewer()
    proposal, other = propose(), propose(DROP, 0.1)
    with pytest.raises(CommandError, match="no user"):
        call_command("approve", str(proposal.pk), user="nobody")
    call_command("reject", str(other.pk), user="rita", why="loses data")
    call_command("approve", str(proposal.pk), user="rita")
    assert "is active" in capsys.readouterr().out
    assert Rule.objects.get().approved_by.username == "rita"  # type: ignore[union-attr]
    onlooker()
    with pytest.raises(CommandError, match="may not"):
        call_command("approve", str(proposal.pk), user="otto")


def test_a_fix_whose_rule_was_retired_can_be_written_and_approved_again() -> None:
    capture()
    rita, proposal = reviewer(), propose()
    rule = approved(proposal, rita)
    rules.retire(rule, rita, "for a while")
    with pytest.raises(AlreadyDecided):
        approval.approve(proposal, rita)
    again = approval.write("public", "users", "unknown_column:email", RENAME, rita)
    assert (again.pk, again.state) == (proposal.pk, "open")
    assert approved(again, rita).state == "active"
