"""How many people a rule takes, and that no door goes round them: model layer, bulk, raw ORM, raw SQL."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from msgspec.structs import replace

from healing import approval, binding, case_acts, certification, people, review_rules, rules
from healing.feedback import give_feedback
from healing.models import Approval, Decision, Doubt, Policy, Proposal, Receipt, Replay, ReviewRules, Rule
from healing.refusals import FourEyes, NotAllowed, Stale, TouchesHealthy
from optimizer import facts_of_rules
from schema_monitor.core.snapshot import Column, Relation
from tests.integration.control_rows import DROP, RENAME, USERS, approved, capture, keep, onlooker, propose, reviewer, status_table, traffic

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("postgres")]


def ask(**given: Any) -> None:
    """The target's rules of review."""
    ReviewRules.objects.update_or_create(id=1, defaults=given)


def raw_rule(**fields: Any) -> Rule:
    """An active rule by another door than the model layer's functions."""
    facts = {"schema": "public", "table": "users", "signature": "unknown_column:email", "fix": RENAME, "state": "active"}
    return Rule.objects.create(**{**facts, "content_hash": "x", **fields})


def refused(act: Any, constraint: str) -> None:
    """The database says no, by that name."""
    with pytest.raises(IntegrityError) as error, transaction.atomic():
        act()
    assert error.value.__cause__.diag.constraint_name == constraint  # type: ignore[union-attr]


def test_with_four_eyes_the_author_cannot_approve_and_another_can() -> None:
    ask(four_eyes=True)
    capture()
    rita = reviewer()
    edited = approval.edit(propose(DROP, 0.4), RENAME, rita)
    with pytest.raises(FourEyes, match="rita wrote"):
        approval.approve(edited, rita)
    done = approval.approve_many([(edited.pk, "")], rita)
    assert [why for _, why in done.refused] == ["rita wrote this fix."]
    assert approved(edited, reviewer("sam")).state == "active"


def test_four_eyes_hold_against_raw_orm_and_sql() -> None:
    ask(four_eyes=True)
    capture()
    rita, sam = reviewer(), reviewer("sam")
    mine = approval.write("public", "users", "unknown_column:email", RENAME, rita)
    bond = binding.bond_of(mine)
    own = {"proposal": mine, "approver": rita, "seal": bond.seal, "fingerprint": bond.fingerprint}
    refused(lambda: Approval.objects.create(**own, author="somebody else"), "author_is_not_approver")
    refused(lambda: Approval.objects.bulk_create([Approval(**own)]), "author_is_not_approver")
    refused(lambda: raw_rule(approved_by=rita), "rules_have_enough_people")
    refused(lambda: raw_rule(approved_by=sam), "rules_have_enough_people")  # a name alone is no approval
    refused(lambda: raw_rule(approved_by=sam, source="builtin"), "rules_have_enough_people")
    waiting = raw_rule(state="proposed")
    refused(lambda: Rule.objects.filter(pk=waiting.pk).update(state="active", approved_by=sam), "rules_have_enough_people")
    Approval.objects.create(proposal=mine, approver=sam, seal=bond.seal, fingerprint=bond.fingerprint)
    refused(lambda: raw_rule(approved_by=sam, fix=DROP), "rules_have_enough_people")  # sam approved another fix
    assert raw_rule(approved_by=sam).state == "active"


def test_a_new_name_makes_no_second_pair_of_eyes() -> None:
    ask(four_eyes=True)
    capture()
    rita = reviewer()
    mine = approval.write("public", "users", "unknown_column:email", RENAME, rita)
    rita.username = "margherita"
    rita.save()
    with pytest.raises(FourEyes, match="margherita wrote"):
        approval.approve(mine, rita)
    bond = binding.bond_of(mine)
    own = {"proposal": mine, "approver": rita, "seal": bond.seal, "fingerprint": bond.fingerprint}
    refused(lambda: Approval.objects.create(**own), "author_is_not_approver")
    ask(four_eyes=False)
    Approval.objects.create(**own)
    ask(four_eyes=True)
    refused(lambda: raw_rule(approved_by=rita), "rules_have_enough_people")


def test_an_active_rule_keeps_being_counted_and_its_fix_cannot_be_swapped() -> None:
    ask(four_eyes=True)
    capture()
    rule = approved(propose(), reviewer())
    Rule.objects.filter(pk=rule.pk).update(successes=7, last_used_at=timezone.now())
    refused(lambda: Rule.objects.filter(pk=rule.pk).update(fix=DROP), "rules_have_enough_people")


def test_an_approval_is_taken_back_and_never_changed() -> None:
    capture()
    approved(propose(), reviewer())
    given = Approval.objects.get()
    for change in ({"seal": "other"}, {"approver_name": "eve"}, {"revoked_at": timezone.now(), "note": "x"}):
        with pytest.raises(Exception, match="taken back"), transaction.atomic():
            Approval.objects.filter(pk=given.pk).update(**change)
    Approval.objects.filter(pk=given.pk).update(revoked_at=timezone.now(), why_revoked="never mind")


def test_two_people_are_asked_for_and_the_second_makes_the_rule() -> None:
    ask(people=2)
    capture()
    keep()
    rita, proposal = reviewer(), propose()
    assert approval.approve(proposal, rita) is None
    assert approval.approve(proposal, rita) is None  # saying it twice is one yes
    assert people.missing(proposal, binding.bond_of(proposal)) == 1
    assert not Rule.objects.exists() and not Replay.objects.exists()
    rule = approved(proposal, reviewer("sam"))
    assert rule.state == "active"
    assert [d.action for d in Decision.objects.filter(kind="proposal").order_by("number")] == ["agree", "agree", "approve"]


def test_an_edit_a_change_of_the_table_and_new_doubts_take_approvals_back() -> None:
    ask(people=2)
    capture()
    rita, proposal = reviewer(), propose()
    approval.approve(proposal, rita)
    Proposal.objects.filter(pk=proposal.pk).update(evidence={"for": ["more"], "against": ["two words differ"]})
    proposal.refresh_from_db()
    assert people.missing(proposal, binding.bond_of(proposal)) == 1  # what speaks for it may grow
    Proposal.objects.filter(pk=proposal.pk).update(evidence={"against": ["two words differ", "another meaning"]})
    proposal.refresh_from_db()
    assert people.missing(proposal, binding.bond_of(proposal)) == 2
    assert approval.approve(proposal, rita) is None
    capture(replace(USERS, fingerprint="f2"), epoch=2)
    assert people.missing(proposal, binding.bond_of(proposal)) == 2
    assert approval.approve(proposal, rita) is None
    edited = approval.edit(proposal, DROP, rita)
    assert people.missing(edited, binding.bond_of(edited)) == 2
    assert not Approval.objects.filter(proposal=proposal, revoked_at=None).exists()


def test_a_stale_page_decides_nothing_and_says_what_changed() -> None:
    capture()
    rita, proposal = reviewer(), propose()
    seen = binding.bond_of(proposal).token
    Proposal.objects.filter(pk=proposal.pk).update(evidence={"against": ["it was taken back once"]})
    with pytest.raises(Stale, match="what speaks against it changed since this page was shown"):
        approval.approve(proposal, rita, seen=seen)
    proposal.refresh_from_db()
    seen = binding.bond_of(proposal).token
    capture(replace(USERS, fingerprint="f2"), epoch=2)
    with pytest.raises(Stale, match=r"table public\.users changed"):
        approval.approve(proposal, rita, seen=seen)
    assert not Decision.objects.exists()
    assert approval.approve(proposal, rita, seen=binding.bond_of(proposal).token) is not None


def test_a_rule_that_would_touch_healthy_writes_is_not_approved() -> None:
    capture(status_table())
    traffic("email_address", requests=12)
    proposal = propose([{"op": "fill", "column": "status", "value": "open"}], signature="missing_value:status")
    with pytest.raises(TouchesHealthy, match="12 of 12 healthy writes"):
        approval.approve(proposal, reviewer())
    assert not Rule.objects.exists()


def test_only_exact_and_likely_fixes_are_approved_in_bulk() -> None:
    capture()
    rita, exact, lossy = reviewer(), propose(), propose(DROP, 0.9, signature="unknown_column:other")
    idea = propose(probability=0.06, signature="unknown_column:idea")
    done = approval.approve_many([(exact.pk, binding.bond_of(exact).token), (lossy.pk, ""), (idea.pk, "")], rita)
    assert [rule.fix for rule in done.rules] == [RENAME]
    assert "not exact" in done.refused[0][1] and "6 % only" in done.refused[1][1]
    with pytest.raises(NotAllowed):
        approval.approve_many([(lossy.pk, "")], onlooker())


def test_the_rules_of_review_are_changed_by_who_may_with_a_reason() -> None:
    with pytest.raises(NotAllowed):
        review_rules.change(onlooker(), "because", four_eyes=True)
    with pytest.raises(ValidationError):
        review_rules.change(reviewer(), "because", people=9)
    review_rules.change(reviewer("sam"), "audit asks for it", four_eyes=True, people=2)
    assert (review_rules.current().four_eyes, review_rules.current().people) == (True, 2)
    assert "audit asks for it" in Decision.objects.get(kind="review rules").why


def test_a_reversal_demotes_a_rule_at_once_and_asks_again() -> None:
    capture()
    proposal = propose()
    rule = approved(proposal, reviewer())
    rules.count_reversal([str(rule.pk)], "a write that it healed was undone (receipt 1)")
    rule.refresh_from_db()
    proposal.refresh_from_db()
    assert (rule.state, rule.reversals, proposal.state) == ("demoted", 1, "open")
    assert "a write that it healed was undone (receipt 1)" in proposal.evidence["against"]
    assert not Approval.objects.filter(revoked_at=None).exists()
    assert Decision.objects.filter(action="demote", who="reversal").count() == 1
    rules.count_reversal([str(rule.pk)], "again")
    assert Decision.objects.filter(action="demote").count() == 1
    assert approved(proposal, reviewer("sam")).state == "active"  # a person may know better


def test_one_senders_word_stops_a_rule_for_that_sender_and_asks_people_again() -> None:
    ask(people=1)
    capture()
    rita, proposal = reviewer(), propose()
    rule = approved(proposal, rita)
    ask(people=2)  # whatever is asked for since, a sender's word is kept
    for _ in range(2):
        rules.count_reversal([str(rule.pk)], "a write that it healed was called wrong by its sender (receipt 1)", "k:anon:")
    rule.refresh_from_db()
    proposal.refresh_from_db()
    assert (rule.state, rule.reversals, proposal.state) == ("active", 2, "open")
    assert "for others until somebody decides" in proposal.evidence["against"][-1]
    assert Decision.objects.filter(action="doubt").count() == 1
    assert [each.reversals for each in facts_of_rules.active()] == [0]  # nor does the optimizer end it
    ask(people=1)
    assert approved(proposal, rita, "that sender is mistaken").pk == rule.pk
    assert not Doubt.objects.exists()


@pytest.mark.parametrize("second", ["k:authenticated:u2", ""])
def test_a_second_sender_or_a_person_stops_it_for_all(second: str) -> None:
    capture()
    rule = approved(propose(), reviewer())
    rules.count_reversal([str(rule.pk)], "called wrong (receipt 1)", "k:anon:")
    rules.count_reversal([str(rule.pk)], "called wrong (receipt 2)", second)
    rule.refresh_from_db()
    assert (rule.state, Proposal.objects.get().state) == ("demoted", "open")


def test_a_person_who_agrees_with_the_only_sender_about_the_same_write_stops_it_for_all() -> None:
    capture()
    rita = reviewer()
    rule = approved(propose(), rita)
    done = [{**RENAME[0], "rule": str(rule.pk), "source": "matcher", "rows": [0]}]
    receipt = Receipt.objects.create(outcome="committed", schema="public", table="users", operation="insert", role="anon", fixes=done)
    give_feedback(receipt, False, "no", "k:anon:")
    assert Rule.objects.get().state == "active"
    case_acts.judge(rita, receipt, False, "they are right")
    assert Rule.objects.get().state == "demoted"


def test_a_person_who_says_no_after_a_senders_word_ends_the_rule() -> None:
    capture()
    rita = reviewer()
    rule = approved(propose(), rita)
    rules.count_reversal([str(rule.pk)], "called wrong", "k:anon:")
    approval.reject(Proposal.objects.get(), rita, "they are right")
    assert Rule.objects.get().state == "rejected"


def test_any_change_of_the_table_sends_a_rule_to_review_where_the_target_asks_for_it() -> None:
    capture()
    rule = approved(propose(), reviewer())
    wider = Relation(
        oid=100, schema="public", name="users", kind="r", fingerprint="f2", columns=(*USERS.columns, Column(9, "age", "integer", "int4"))
    )
    capture(wider, epoch=2)
    rule.refresh_from_db()
    assert rule.state == "active"
    ask(whole_relation=True)
    capture(wider, epoch=3)
    rule.refresh_from_db()
    assert (rule.state, rule.why) == ("review", "Its table changed since it was approved.")
    assert Proposal.objects.get().state == "open"


def test_a_name_that_became_a_column_ends_the_rule_for_it() -> None:
    capture()
    rule = approved(propose(), reviewer())
    capture(
        Relation(oid=100, schema="public", name="users", kind="r", columns=(*USERS.columns, Column(9, "email", "text", "text"))), epoch=2
    )
    rule.refresh_from_db()
    assert rule.state == "review"
    assert "email is there now" in rule.why


@pytest.mark.django_db(transaction=True)
def test_two_who_are_both_needed_and_come_at_once_make_one_rule() -> None:
    ask(people=2)
    capture()
    keep()
    proposal, results = propose(), list[Rule | None]()

    def run(user: Any) -> None:
        try:
            results.append(approval.approve(proposal, user))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(user,)) for user in (reviewer("ann"), reviewer("bob"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(rule is not None for rule in results) == 1
    assert (Rule.objects.count(), Replay.objects.count(), Approval.objects.filter(revoked_at=None).count()) == (1, 1, 2)


def test_a_rule_without_a_click_needs_a_policy_and_an_exact_fix_whatever_the_door() -> None:
    by_itself = {"certified_at": timezone.now(), "source": "ai"}
    refused(lambda: raw_rule(**by_itself), "certified_rules_are_asked_for")
    refused(lambda: Policy.objects.create(auto_certify=True), "rules_by_themselves_are_asked_for_by_table")
    Policy.objects.create(table="users", auto_certify=True)
    refused(lambda: raw_rule(**by_itself, fix=DROP), "certified_rules_are_exact")
    refused(lambda: raw_rule(**by_itself, reversals=1), "certified_rules_are_exact")
    refused(lambda: raw_rule(**{**by_itself, "source": "person"}), "certified_rules_are_found")
    assert raw_rule(**by_itself).state == "active"
    assert certification.asked_for("public", "users")
