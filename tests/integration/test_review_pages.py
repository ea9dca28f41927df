"""The pages of the review: what a reviewer is told, and what the doors of decisions do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from healing import approval, audit_check, binding, keys_admin
from healing.audit_check import read
from healing.models import Decision, Policy, Proposal, QuarantineItem, ReviewRules, Rule
from tests.integration.control_rows import DROP, approved, capture, keep, onlooker, propose, reviewer, status_table, traffic

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("postgres")]
QUEUE = "/admin/healing/proposal/queue/"


@pytest.fixture(autouse=True)
def redis_away(settings: Any) -> None:
    """No page needs Redis."""
    settings.RQ_QUEUES = {"default": {"URL": "redis://127.0.0.1:1/0", "SERIALIZER": "rq.serializers.JSONSerializer"}}


def enter(user: User) -> Client:
    """A browser with that user logged in."""
    client = Client()
    client.force_login(user)
    return client


def text(client: Client, path: str) -> str:
    """A page, its blanks made single."""
    answer = client.get(path)
    assert answer.status_code == 200, path
    return " ".join(answer.content.decode().split())


def test_a_card_says_what_it_would_do_whom_it_reaches_and_what_speaks_against_it() -> None:
    capture()
    client = enter(reviewer())
    keep()
    counter = keep({"email": "a", "email_address": "b"})
    traffic("email_address", requests=700)
    traffic("email", requests=14, misfits=14, caller="old app", role="authenticated")
    propose()
    page = text(client, QUEUE)
    for words in (
        "heal <strong>1 of 2</strong> stored cases", "touch <strong>0 of 700</strong> healthy writes", "2 rows wait</strong> in 2 writes",
        "`email_address` is already in the payload", str(counter.pk), "102 writes a day, 2 of them did not fit",
        "old app: 2 a day, 2 misfit",
        "means something else than `email_address`", "bound to schema version 1", "type-safe", "reversible",
    ):  # fmt: skip
        assert words in page, words


def test_what_would_touch_healthy_writes_shows_and_cannot_be_chosen_or_approved() -> None:
    capture(status_table())
    client = enter(reviewer())
    traffic("email_address", requests=12)
    proposal = propose([{"op": "fill", "column": "status", "value": "open"}], signature="missing_value:status")
    page = text(client, QUEUE)
    assert "touch 12 of 12 healthy writes" in page and "data-mg-choose" not in page
    answer = client.post(reverse("admin:healing_approve", args=[proposal.pk]), follow=True)
    assert "It would change 12 of 12 healthy writes" in answer.content.decode()


def test_a_page_that_went_stale_decides_nothing() -> None:
    capture()
    client, proposal = enter(reviewer()), propose()
    seen = binding.bond_of(proposal).token
    assert seen in text(client, QUEUE)
    Proposal.objects.update(evidence={"against": ["something new"]})
    answer = client.post(reverse("admin:healing_approve", args=[proposal.pk]), {"seen": seen}, follow=True)
    assert "changed since this page was shown" in answer.content.decode()
    assert not Rule.objects.exists()


def test_several_exact_ones_are_approved_at_once_and_the_last_is_taken_back() -> None:
    capture()
    client, one, two = enter(reviewer()), propose(), propose(signature="unknown_column:mail", fix=None)
    lossy = propose(DROP, signature="unknown_column:else")
    chosen = [f"{p.pk}|{binding.bond_of(p).token}" for p in (one, two, lossy)] + ["nonsense|"]
    answer = client.post(reverse("admin:healing_approve_many"), {"chosen": chosen}, follow=True).content.decode()
    assert "2 approved." in answer and "It is not exact" in answer and "It is gone" in answer
    answer = client.post(reverse("admin:healing_undo_decision"), follow=True).content.decode()
    assert "Taken back (approve)" in answer
    assert Rule.objects.filter(state="active").count() == 1


def test_it_says_how_many_people_are_missing_and_an_author_has_no_button() -> None:
    ReviewRules.objects.create(people=2, four_eyes=True)
    capture()
    rita, sam = reviewer(), reviewer("sam")
    mine = approval.write("public", "users", "unknown_column:email", DROP, rita)
    page = text(enter(rita), QUEUE)
    assert "You wrote this fix" in page and "data-mg-approve" not in page
    approval.approve(mine, sam)
    assert "sam said yes. Approval needs <strong>1 more person</strong> of 2." in text(enter(reviewer("kim")), QUEUE)


def test_rules_stand_in_lanes_with_their_evidence_and_a_page_of_their_own() -> None:
    capture()
    rita = reviewer()
    rule = approved(propose(), rita, "looks right")
    Rule.objects.filter(pk=rule.pk).update(successes=99, reversals=1)
    propose(DROP, signature="unknown_column:else", sentence="else is left out")
    page = text(enter(rita), "/admin/healing/rule/")
    for words in ("else is left out", "99 healed · 0 failed · 1 taken back", "of cases", "No rule was stopped."):
        assert words in page, words
    own = text(enter(rita), f"/admin/healing/rule/{rule.pk}/change/")
    for words in (
        "Proof, as it was when it became active",
        "touched 0 of 0 healthy writes",
        "looks right",
        "Who said yes",
        "rita approve proposal",
    ):
        assert words in own, words
    pack = json.loads(b"".join(enter(rita).get(reverse("admin:healing_rule_proof_file", args=[rule.pk])).streaming_content))  # type: ignore[attr-defined]
    assert pack["content_hash"] == rule.content_hash and pack["broken"] == []


def test_the_chain_is_checked_and_exported_from_its_page() -> None:
    capture()
    rita = reviewer()
    approved(propose(), rita)
    client = enter(onlooker())
    assert audit_check.head()[1] in text(client, "/admin/healing/decision/")
    assert "none altered, removed or moved" in client.get(reverse("admin:healing_audit_check"), follow=True).content.decode()
    lines = b"".join(client.get(reverse("admin:healing_audit_export")).streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert audit_check.faults(read(lines)) == [] and len(lines) == Decision.objects.count()
    Proposal.objects.create(
        schema="s", table="t", signature="x", fix=DROP, probability=1, source="ai", sentence="s", content_hash="h", state="rejected",
        decided_by=rita,
    )  # fmt: skip
    assert "no decision says so" in client.get(reverse("admin:healing_audit_check"), follow=True).content.decode()


def test_the_rules_of_review_are_set_on_their_page_with_a_reason() -> None:
    client = enter(reviewer())
    path = "/admin/healing/reviewrules/1/change/"
    assert client.get("/admin/healing/reviewrules/", follow=True).redirect_chain == [(path, 302)]
    client.post(path, {"people": "2", "four_eyes": "on", "why": ""})
    assert not ReviewRules.objects.exists()
    client.post(path, {"people": "2", "four_eyes": "on", "why": "two pairs of eyes"})
    assert (ReviewRules.objects.get().people, ReviewRules.objects.get().four_eyes) == (2, True)
    assert "two pairs of eyes" in Decision.objects.get(kind="review rules").why
    assert enter(onlooker()).post(path, {"people": "1", "why": "mine"}).status_code == 403


def test_a_policy_for_rules_by_themselves_names_its_table() -> None:
    client = enter(reviewer())
    form = {"schema": "", "key": "", "healing": "approved", "quarantine": "error", "auto_certify": "on"}
    assert "name the table" in client.post("/admin/healing/policy/add/", {**form, "table": ""}).content.decode()
    client.post("/admin/healing/policy/add/", {**form, "table": "users"})
    assert Policy.objects.get().auto_certify
    assert "rules by themselves" in Decision.objects.get(kind="policy").why


def test_a_cause_is_approved_watched_and_exported_from_the_quarantine() -> None:
    capture()
    rita = reviewer()
    client = enter(rita)
    keep({"email": "ann@example.com"})
    proposal = propose()
    page = text(client, "/admin/healing/quarantineitem/causes/")
    assert "Approve and replay" in page and "ann@example.com" not in page
    cause = {"schema": "public", "table": "users", "signature": "unknown_column:email"}
    exported = client.post(reverse("admin:healing_cause_export"), cause)
    line = json.loads(b"".join(exported.streaming_content))  # type: ignore[attr-defined]
    assert line["payload"] == [{"email": "ann@example.com"}]
    assert Decision.objects.get(action="export").why == "1 writes, unknown_column:email"
    back = {"seen": binding.bond_of(proposal).token, "next": "/admin/healing/quarantineitem/causes/"}
    page = client.post(reverse("admin:healing_approve", args=[proposal.pk]), back, follow=True).content.decode()
    assert "Replay: approved" in page and "Cancel the rest" in page
    assert QuarantineItem.objects.get().replay is not None


def test_no_key_opens_a_door() -> None:
    capture()
    key, _ = keys_admin.create_key("edge", "service_role")
    proposal, client = propose(), Client(headers={"apikey": key, "authorization": f"Bearer {key}"})
    for name, args in (("healing_approve", [proposal.pk]), ("healing_approve_many", []), ("healing_undo_decision", [])):
        answer = client.post(reverse(f"admin:{name}", args=args), {"chosen": f"{proposal.pk}|"})
        assert answer.status_code == 302 and "/login/" in answer["location"]
    assert not Rule.objects.exists()
