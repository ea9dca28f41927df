"""Rules without a click: where a table asks for it, on evidence, never for what is not exact, and one reversal ends them."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import pytest

from healing import approval, certification, rules
from healing.checked_fix import content_hash, parsed
from healing.gateway.seal import seal
from healing.jobs import sweep
from healing.models import Decision, Policy, Proposal, Receipt, Rule
from healing.policy import set_policy
from tests.integration.control_rows import DROP, RENAME, capture, keep, propose, reviewer, traffic

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("postgres")]


def healed(count: int, fix: list[dict[str, Any]] = RENAME, *, same: bool = False, **fields: Any) -> None:
    """Writes that landed with the fix while no rule did it; ``same``: one write, sent so often."""
    told = [{**op, "source": "ai", "rule": None, "rows": [0], "certified": {"bucket": "b"}} for op in fix]
    facts = {"outcome": "committed", "schema": "public", "table": "users", "operation": "insert", "role": "anon", "fixes": told, **fields}
    sent = ({"sent": [{"email": "ann" if same else str(uuid.uuid4())}], "stored": [], "changes": []} for _ in range(count))
    Receipt.objects.bulk_create([Receipt(id=uuid.uuid4(), sealed=seal(msgspec.json.encode(each)), **facts) for each in sent])


def asked(**fields: Any) -> Policy:
    """A policy of users that asks for rules by themselves."""
    return set_policy("users", schema="public", auto_certify=True, **fields)


def test_nothing_is_certified_unless_its_table_asks_for_it() -> None:
    capture()
    healed(200)
    propose(source="ai")
    assert certification.certify_due() == 0
    asked()
    assert certification.certify_due() == 1
    rule = Rule.objects.get()
    assert (rule.state, rule.approved_by, rule.certified_at is not None) == ("active", None, True)
    said = Decision.objects.get(action="certify")
    assert said.who == "certification" and "Wilson: 200 landed, 0 taken back" in said.why
    assert rule.proof["felt"]["touched"] == 0


@pytest.mark.parametrize(("source", "landed"), [("ai", 73), ("matcher", 58)])
@pytest.mark.parametrize("short", [1, 0])
def test_the_bound_is_wilsons_for_what_an_ai_found_and_the_posteriors_else(source: str, landed: int, short: int) -> None:
    capture()
    asked()
    healed(landed - short)
    propose(source=source)
    assert certification.certify_due() == 1 - short


def test_reversals_count_against_it() -> None:
    capture()
    asked()
    healed(100)
    healed(3, outcome="undone")
    proposal = propose(source="ai")
    assert certification.standing_of(proposal).reversed == 3
    assert certification.certify_due() == 0
    healed(3, feedback={"ever_wrong": True})
    assert certification.standing_of(proposal).reversed == 6


def test_what_is_not_exact_is_never_certified() -> None:
    capture()
    asked()
    healed(300, DROP)
    propose(DROP, source="ai")
    assert certification.certify_due() == 0
    assert certification.why_not(Proposal.objects.get()) == ["drop_key is not exact"]


def test_what_would_touch_healthy_writes_or_leaves_a_case_unhealed_waits_for_a_person() -> None:
    capture()
    asked()
    healed(100)
    propose(source="ai")
    other = keep({"email": "a", "email_address": "b"})
    traffic("email_address")
    assert certification.certify_due() == 0
    other.delete()
    keep()
    assert certification.certify_due() == 1


def test_a_fix_that_a_person_rejected_is_not_certified() -> None:
    capture()
    asked()
    healed(100)
    propose(source="ai")
    propose(signature="unknown_column:mail", state="rejected")
    assert certification.certify_due() == 0


def test_what_is_about_rights_waits_for_a_person() -> None:
    capture()
    asked()
    fix = [{"op": "rename_column", "from": "is_admin", "to": "details"}]
    healed(100, fix)
    propose(fix, source="ai", signature="unknown_column:is_admin")
    assert certification.certify_due() == 0


def test_an_exact_spelling_needs_no_cases() -> None:
    capture()
    asked()
    fix = [{"op": "cast", "column": "id", "to": "integer", "format": "whole_number"}]
    propose(fix, signature="invalid_value:id")
    assert certification.certify_due() == 1
    assert "exact kind" in Decision.objects.get(action="certify").why


def test_one_reversal_ends_it_and_it_never_comes_back_by_itself() -> None:
    capture()
    asked()
    healed(300)
    propose(source="ai")
    certification.certify_due()
    rule = Rule.objects.get()
    rules.count_reversal([str(rule.pk)], "a write that it healed was called wrong by its sender (receipt 1)")
    rule.refresh_from_db()
    assert (rule.state, Proposal.objects.get().state) == ("demoted", "open")
    assert certification.certify_due() == 0
    assert content_hash(parsed(RENAME)) == rule.content_hash


def test_a_policy_that_no_longer_asks_sends_its_rules_to_review() -> None:
    capture()
    asked()
    healed(100)
    propose(source="ai")
    certification.certify_due()
    set_policy("users", schema="public", auto_certify=False)
    assert Rule.objects.get().state == "review"
    assert Proposal.objects.get().state == "open"


def test_the_sweep_does_it_and_a_waiting_write_is_replayed() -> None:
    capture()
    asked()
    healed(100)
    item = keep()
    propose(source="ai")
    sweep()
    item.refresh_from_db()
    assert item.replay is not None and item.replay.asked_by == "certification"


def test_one_write_sent_again_and_again_is_one_case() -> None:
    capture()
    asked()
    healed(300, same=True)
    Receipt.objects.bulk_create([Receipt(**{**_facts(each), "id": uuid.uuid4(), "sealed": None}) for each in Receipt.objects.all()[:100]])
    proposal = propose(source="ai")
    assert certification.standing_of(proposal).landed == 2
    assert certification.certify_due() == 0


def _facts(receipt: Receipt) -> dict[str, Any]:
    return {name: getattr(receipt, name) for name in ("outcome", "schema", "table", "operation", "role", "fixes")}


def test_whatever_was_taken_back_once_is_for_people_however_long_ago_and_however_exact() -> None:
    capture()
    asked()
    spelling = [{"op": "cast", "column": "id", "to": "integer", "format": "whole_number"}]
    healed(1, spelling, outcome="undone")
    propose(spelling, signature="invalid_value:id")
    healed(1, feedback={"ever_wrong": True})
    healed(certification.MOST_RECEIPTS + 1)
    propose(source="ai")
    assert certification.certify_due() == 0
    assert {why for each in Proposal.objects.all() for why in certification.why_not(each)} == {
        "a write that landed with it was taken back, or called wrong"
    }


def test_what_a_person_wrote_is_not_certified_past_other_people() -> None:
    capture()
    asked()
    fix = [{"op": "cast", "column": "id", "to": "integer", "format": "whole_number"}]
    written = approval.write("public", "users", "invalid_value:id", fix, reviewer())
    assert certification.certify_due() == 0
    written.refresh_from_db()
    assert written.state == "open"
