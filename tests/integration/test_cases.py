"""Cases are found by what a person knows of them, without opening payloads; one page tells everything; an undo widens no right."""

from __future__ import annotations

import json
import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from healing import case_marks, case_search, keys_admin
from healing.case_marks import mark_new, marks_of, wanted
from healing.gateway.seal import seal
from healing.live_schema import latest_snapshot
from healing.models import Decision, Receipt, Rule
from tests.integration.control_rows import RENAME, USERS, capture, keep, onlooker, reviewer
from tests.integration.test_admin_pages import enter

LIST, CASE = "admin:healing_receipt_changelist", "admin:healing_receipt_change"
CANARY = "canary-0815"


def healed(sent: dict[str, Any], stored: dict[str, Any] | None = None, fixes: Any = (), **more: Any) -> Receipt:
    """A receipt of an insert into users that landed."""
    facts = {"sent": [sent], "stored": [stored or sent], "changes": []}
    place = {"outcome": "committed", "schema": "public", "table": "users", "operation": "insert", "role": "service_role"}
    fields = {**place, "fixes": list(fixes), "sealed": seal(json.dumps(facts).encode()), **more}
    return Receipt.objects.create(id=fields.pop("id", uuid.uuid4()), **fields)


def listed(browser: Client, asked: str) -> set[str]:
    """The ids in the list for that search; an id leads to its case at once."""
    answer = browser.get(reverse(LIST), {"q": asked})
    if answer.status_code == 302:
        return {re.search(r"receipt/([^/]+)/change", answer["Location"])[1]}  # type: ignore[index]
    return set(re.findall(r"receipt/([0-9a-f-]{36})/change", answer.content.decode()))


@pytest.fixture
def rita(postgres: Any, db: None) -> Client:
    capture()
    return enter(reviewer())


@pytest.mark.parametrize("marked", [False, True])
def test_a_case_is_found_by_its_keys_value_its_caller_table_and_ids(rita: Client, marked: bool) -> None:
    _, key = keys_admin.create_key("checkout-fn", "anon")
    ours = healed({"id": 4711, "email": CANARY}, {"id": 4711, "email_address": CANARY}, key=key.pk, subject="user-9")
    other = healed({"id": 4712, "email": "x"}, table="orders")
    item = keep({"id": 99, "email": CANARY})
    if marked:
        assert mark_new() == 3
        assert not case_marks.unmarked().exists()
    assert listed(rita, "4711") == {str(ours.pk)}
    assert listed(rita, "checkout") == {str(ours.pk)} == listed(rita, "user-9") == listed(rita, str(ours.pk))
    assert listed(rita, "public.orders") == {str(other.pk)} == listed(rita, "orders")
    assert listed(rita, "users 99") == {str(item.receipt)} == listed(rita, str(item.pk)) == listed(rita, str(item.receipt))
    assert listed(rita, "users 4712") == set() == listed(rita, str(uuid.uuid4()))
    assert listed(rita, CANARY) == set(), "it is no key's value"
    assert CANARY not in rita.get(reverse(LIST)).content.decode()


def test_a_renamed_key_is_found_under_the_name_it_was_sent_by(rita: Client) -> None:
    case = healed({"uid": "Ab-1"}, {"id": "Ab-1"}, [{"op": "rename_column", "from": "uid", "to": "id", "source": "lineage"}])
    mark_new()
    assert listed(rita, "ab-1") == {str(case.pk)}


def test_marks_tell_nothing_without_the_secret(rita: Client, settings: Any) -> None:
    case = healed({"id": 5, "email": CANARY})
    _, snapshot = latest_snapshot()
    before = marks_of(case, snapshot)
    assert len(before) == 1 and before == wanted("5")
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another secret that is long enough for all"
    assert wanted("5")[0] not in before
    assert before[0] in wanted("5"), "what was marked under the old secret is found"


def test_a_search_opens_no_payload_that_is_marked(rita: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        healed({"id": number})
    mark_new()
    monkeypatch.setattr(case_marks, "receipt_facts", lambda _: pytest.fail("opened"))
    with CaptureQueriesContext(connection) as queries:
        assert len(listed(rita, "3")) == 1
    assert not [q for q in queries if '"sealed"' in q["sql"] and "marks" not in q["sql"]]


def test_a_whole_page_of_text_is_looked_for_once(rita: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    monkeypatch.setattr("healing.case_search.wanted", lambda text: looked.append(text) or [])
    assert rita.get(reverse("admin:healing_receipt_changelist"), {"q": "a " * 1000}).status_code == 200
    assert 0 < len(looked) <= 2


def test_what_cannot_be_opened_stops_nothing(rita: Client) -> None:
    broken = healed({"id": 7})
    Receipt.objects.filter(pk=broken.pk).update(sealed=b"\x01 no seal of ours")
    fine = healed({"id": 8})
    assert mark_new() == 2
    assert listed(rita, "8") == {str(fine.pk)} and listed(rita, "7") == set()


def test_a_list_of_many_counts_no_further_than_people_read(rita: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healing.admin.bounded.MOST", 60)
    Receipt.objects.bulk_create(
        Receipt(outcome="committed", schema="public", table="users", operation="insert", role="anon", marks=[]) for _ in range(70)
    )
    text = rita.get(reverse(LIST)).content.decode()
    assert len(listed(rita, "users")) == 50 and "70" not in re.findall(r"(\d+) cases|(\d+) receipts", text)


def test_one_page_tells_what_was_done_by_whose_leave_and_what_happened(rita: Client) -> None:
    _, key = keys_admin.create_key("checkout-fn", "anon")
    person = reviewer("paula")
    rule = Rule.objects.create(
        schema="public", table="users", signature="unknown_column:email", fix=RENAME, sentence="email goes to email_address",
        state="active", approved_by=person, approved_at=timezone.now() + timedelta(seconds=1), content_hash="h",
    )  # fmt: skip
    item = keep({"email": CANARY}, key=key)
    final = healed(
        {"email": CANARY}, {"id": 1, "email_address": CANARY}, [{**RENAME[0], "source": "person", "rule": str(rule.pk), "rows": [0]}],
        outcome="replayed",
    )  # fmt: skip
    item.state, item.replay_receipt, item.replayed_at = "replayed", final.pk, timezone.now()
    item.save()
    text = rita.get(reverse(CASE, args=[item.receipt])).content.decode()
    for said in (
        "`email` is written to `email_address`.", "paula approved: email goes to email_address", "The replay stored it", "checkout-fn",
        "Could not find the &#x27;email&#x27; column", "Sent ↔ stored", CANARY, "moved", "Take the write back", "Call it wrong",
    ):  # fmt: skip
        assert said in text, said
    assert listed(rita, "users") == {str(item.receipt)}, "the replay's own receipt is told by the case"
    assert "The replay stored it" in rita.get(reverse(CASE, args=[final.pk])).content.decode()


def test_a_kept_write_that_landed_is_a_case_still_and_its_replay_is_none(rita: Client) -> None:
    kept = healed({"id": 71}, outcome="replayed", quarantine=uuid.uuid4(), fixes=[])
    healed({"id": 71}, outcome="replayed")
    assert listed(rita, "") == {str(kept.pk)} == listed(rita, "71")


def test_who_may_only_look_takes_nothing_back_and_judges_nothing(rita: Client) -> None:
    case = healed({"id": 1}, fixes=[{**RENAME[0], "source": "lineage"}])
    otto = enter(onlooker())
    text = otto.get(reverse(CASE, args=[case.pk])).content.decode()
    assert "Take the write back" not in text and "Call it wrong" not in text
    for door in ("undo", "judge"):
        assert otto.post(reverse(f"admin:healing_{door}", args=[case.pk]), {"why": "no", "right": "no"}).status_code == 403
        assert rita.get(reverse(f"admin:healing_{door}", args=[case.pk])).status_code == 405
    assert not Decision.objects.exists()


def test_a_heal_that_a_person_calls_wrong_counts_against_its_rule_once(rita: Client) -> None:
    rule = Rule.objects.create(
        schema="public", table="users", signature="unknown_column:email", fix=RENAME, sentence="…", content_hash="h"
    )  # fmt: skip
    case = healed({"email": "a"}, {"email_address": "a"}, [{**RENAME[0], "source": "person", "rule": str(rule.pk)}])
    for _ in range(2):
        rita.post(reverse("admin:healing_judge", args=[case.pk]), {"right": "no", "comment": "that is the billing address"})
    rule.refresh_from_db()
    assert rule.reversals == 1
    assert [(d.action, d.why) for d in Decision.objects.filter(kind="receipt")] == [("wrong", "that is the billing address")] * 2
    assert "that is the billing address" in rita.get(reverse(CASE, args=[case.pk])).content.decode()


def test_a_write_by_a_users_token_is_not_taken_back_with_other_rights(rita: Client) -> None:
    case = healed({"id": 1}, subject="user-9", role="authenticated", writer="123")
    text = rita.get(reverse(CASE, args=[case.pk])).content.decode()
    assert "Only the caller can take this back" in text and "Take the write back" not in text
    answer = rita.post(reverse("admin:healing_undo", args=[case.pk]), {"why": "wrong person"}, follow=True)
    assert "Only the caller can take this back" in answer.content.decode() or answer.status_code == 403


def test_relations_that_are_gone_have_no_keys(rita: Client) -> None:
    case = healed({"id": 6}, table="dropped")
    mark_new()
    case.refresh_from_db()
    assert case.marks == [] and case_search.by_id("no id") is None and USERS.name == "users"
