"""Every page of the dashboard answers; who may only look changes nothing; values stay out of lists."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from healing import approval, keys_admin, replay_orders
from healing.gateway import keytext
from healing.models import ApiKey, Decision, Policy, Proposal, QuarantineItem, Replay, Rule, SchemaFix, TakeBack
from healing.schema_fixes.offers import offers_for
from tests.integration.control_rows import DROP, RENAME, capture, keep, onlooker, propose, reviewer, rolled_back

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres", "redis_away")]
CANARY = "canary-4711@example.com"


@pytest.fixture
def redis_away(settings: Any) -> None:
    """The dashboard works without Redis."""
    settings.RQ_QUEUES = {"default": {"URL": "redis://127.0.0.1:1/0", "SERIALIZER": "rq.serializers.JSONSerializer"}}


def enter(user: User) -> Client:
    """A browser with that user logged in."""
    client = Client()
    client.force_login(user)
    return client


def world(user: User) -> dict[str, Any]:
    """One of everything."""
    capture()
    item, other = keep({"email": CANARY, "note": CANARY}), keep({"email": CANARY}, signature="unknown_column:other")
    proposal, rival = propose(), propose(DROP, 0.2)
    done = approval.approve(propose(signature="unknown_column:other"), user)
    order = Replay.objects.get()
    _, key = keys_admin.create_key("edge", "anon")
    policy = Policy.objects.create(table="orders", healing="exact")
    return {
        "item": item,
        "other": other,
        "proposal": proposal,
        "rival": rival,
        "rule": done,
        "order": order,
        "key": key,
        "policy": policy,
        "transaction": rolled_back(CANARY),
    }


def pages(made: dict[str, Any]) -> list[str]:
    """Every page a person can open."""
    lists = (
        "schemafix",
        "takeback",
        "quarantineitem",
        "proposal",
        "rule",
        "receipt",
        "replay",
        "decision",
        "apikey",
        "policy",
        "transactionlog",
    )
    ones = [
        ("quarantineitem", made["item"].pk), ("proposal", made["proposal"].pk), ("rule", made["rule"].pk),
        ("receipt", made["item"].receipt), ("transactionlog", made["transaction"].pk),
        ("replay", made["order"].pk), ("apikey", made["key"].pk), ("policy", made["policy"].pk), ("decision", Decision.objects.first().pk),
    ]  # fmt: skip
    own = [
        reverse(f"admin:{name}") for name in ("index", "healing_causes", "healing_schema_fixes", "healing_review", "healing_first_write")
    ]
    own.append(reverse("admin:healing_replay_progress", args=[made["order"].pk]))
    own += [reverse("admin:healing_rule_changelist") + "?all=1", reverse("admin:healing_rule_changelist") + "?certified=1"]
    own += [reverse("admin:healing_reviewrules_change", args=[1]), reverse("admin:healing_audit_export")]
    own += [
        reverse("admin:healing_proof_file", args=[made["proposal"].pk]),
        reverse("admin:healing_rule_proof_file", args=[made["rule"].pk]),
    ]
    return [
        *own, *(reverse(f"admin:healing_{m}_changelist") for m in lists),
        *(reverse(f"admin:healing_{m}_change", args=[pk]) for m, pk in ones),
    ]  # fmt: skip


def doors(made: dict[str, Any]) -> list[tuple[str, dict[str, str]]]:
    """Every action, with a form that would work."""
    item, proposal, key = made["item"].pk, made["proposal"].pk, made["key"].pk
    cause = {"schema": "public", "table": "users", "signature": "unknown_column:email"}
    offer = offers_for([("public", "users", "unknown_column:email")]).popitem()[1].schema[0].id
    return [
        (reverse("admin:healing_schema_fix_approve", args=[offer]), cause),
        (reverse("admin:healing_schema_fix_reject", args=[offer]), {**cause, "why": "no"}),
        (reverse("admin:healing_schema_fix_instead"), {**cause, "number": "0"}),
        (reverse("admin:healing_take_back", args=[made["rule"].pk]), {"why": "no"}),
        (reverse("admin:healing_approve", args=[proposal]), {}),
        (reverse("admin:healing_reject", args=[proposal]), {"why": "no"}),
        (reverse("admin:healing_snooze", args=[proposal]), {"hours": "1"}),
        (reverse("admin:healing_approve_many"), {"chosen": f"{proposal}|"}),
        (reverse("admin:healing_undo_decision"), {}),
        (reverse("admin:healing_cause_export"), cause),
        (reverse("admin:healing_edit", args=[proposal]), {"fix": '[{"op": "drop_key", "column": "email"}]'}),
        (reverse("admin:healing_write_fix", args=[item]), {"fix": '[{"op": "drop_key", "column": "email"}]'}),
        (reverse("admin:healing_replay_one", args=[item]), {}),
        (reverse("admin:healing_discard_one", args=[item]), {"why": "no"}),
        (reverse("admin:healing_cause_act"), {**cause, "action": "replay"}),
        (reverse("admin:healing_cause_act"), {**cause, "action": "discard", "why": "no"}),
        (reverse("admin:healing_steer_replay", args=[made["order"].pk]), {"action": "cancel"}),
        (reverse("admin:healing_retire", args=[made["rule"].pk]), {"why": "no"}),
        (reverse("admin:healing_revoke_key", args=[key]), {}),
        (reverse("admin:healing_rotate_key", args=[key]), {}),
        (reverse("admin:healing_apikey_add"), {"name": "new", "role": "service_role"}),
        (reverse("admin:healing_apikey_change", args=[key]), {"name": "new"}),
        (reverse("admin:healing_policy_add"), {"table": "users", "healing": "off", "quarantine": "error"}),
        (reverse("admin:healing_policy_change", args=[made["policy"].pk]), {"table": "users", "healing": "off", "quarantine": "error"}),
        (reverse("admin:healing_policy_delete", args=[made["policy"].pk]), {"post": "yes"}),
    ]


def body(answer: Any) -> bytes:
    """Of a page or of a file."""
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


def everything() -> list[Any]:
    """What must not change."""
    return [
        list(m.objects.order_by("pk").values())
        for m in (QuarantineItem, Proposal, Rule, Replay, ApiKey, Policy, Decision, SchemaFix, TakeBack)
    ]


def test_every_page_answers_and_escapes() -> None:
    rita = reviewer()
    made = world(rita)
    QuarantineItem.objects.filter(pk=made["other"].pk).update(table="<script>alert(1)</script>", state="waiting")
    browser = enter(rita)
    for page in pages(made):
        answer = browser.get(page)
        assert answer.status_code == 200, page
        assert b"<script>alert(1)" not in body(answer), page


def test_lists_and_the_review_queue_show_no_values() -> None:
    rita = reviewer()
    made = world(rita)
    browser = enter(rita)
    opened = {
        reverse("admin:healing_quarantineitem_change", args=[made["item"].pk]),
        reverse("admin:healing_receipt_change", args=[made["item"].receipt]),
        reverse("admin:healing_transactionlog_change", args=[made["transaction"].pk]),
    }
    for page in pages(made):
        assert (CANARY.encode() in body(browser.get(page))) == (page in opened), page


def test_who_may_only_look_sees_every_page_and_changes_nothing() -> None:
    made = world(reviewer())
    browser, before = enter(onlooker()), everything()
    for page in pages(made):
        assert browser.get(page).status_code == 200, page
    for door, form in doors(made):
        assert browser.post(door, form).status_code == 403, door
    assert everything() == before


def test_staff_without_rights_see_nothing_of_it() -> None:
    made = world(reviewer())
    browser = enter(User.objects.create_user("nina", is_staff=True))
    for page in pages(made):
        if page == reverse("admin:index"):
            assert b"waiting now" not in browser.get(page).content
        else:
            assert browser.get(page).status_code == 403, page


def test_a_visitor_is_sent_to_the_login() -> None:
    made = world(reviewer())
    for page in pages(made):
        assert Client().get(page).status_code == 302, page
    for door, form in doors(made):
        assert Client().post(door, form).status_code == 302, door


def test_a_door_opens_by_post_only_and_with_a_csrf_token() -> None:
    rita = reviewer()
    made = world(rita)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(rita)
    for door, form in doors(made)[:11]:
        assert enter(rita).get(door).status_code == 405, door
        assert strict.post(door, form).status_code == 403, door


def test_approve_reject_edit_and_replay_from_the_pages() -> None:
    rita = reviewer()
    capture()
    item, proposal, rival = keep(), propose(), propose(DROP, 0.2)
    browser = enter(rita)
    answer = browser.post(reverse("admin:healing_reject", args=[rival.pk]), {"why": "loses data"}, follow=True)
    assert "Rejected" in answer.content.decode()
    answer = browser.post(reverse("admin:healing_edit", args=[proposal.pk]), {"fix": "{nonsense"}, follow=True)
    assert "no JSON" in answer.content.decode()
    browser.post(reverse("admin:healing_write_fix", args=[item.pk]), {"fix": '[{"op": "rescue", "column": "email", "into": "details"}]'})
    assert Proposal.objects.filter(source="person", author="rita", state="open").count() == 1
    answer = browser.post(reverse("admin:healing_approve", args=[proposal.pk]), follow=True)
    assert "1 waiting writes are being replayed" in answer.content.decode()
    item.refresh_from_db()
    assert item.replay is not None
    assert Rule.objects.get().fix == RENAME


def test_a_refusal_is_a_message_with_its_way_out() -> None:
    rita = reviewer()
    proposal = propose()
    answer = enter(rita).post(reverse("admin:healing_approve", args=[proposal.pk]), follow=True)
    assert "capture_schema" in answer.content.decode()


def test_a_new_key_is_shown_once_and_not_kept_anywhere() -> None:
    rita = reviewer()
    browser = enter(rita)
    answer = browser.post(reverse("admin:healing_apikey_add"), {"name": "edge", "role": "anon", "scopes": ["data", "ai"]})
    text = answer.content.decode().split('<pre id="mg-key">')[1].split("<")[0]
    assert keytext.check(text)
    assert "no-store" in answer["Cache-Control"]
    key = ApiKey.objects.get()
    assert key.hash == keytext.digest(text)
    assert text not in str(ApiKey.objects.values().get()) + str(dict(browser.session)) + str(browser.cookies)
    again = browser.post(reverse("admin:healing_rotate_key", args=[key.pk]))
    assert keytext.check(again.content.decode().split('<pre id="mg-key">')[1].split("<")[0])
    browser.post(reverse("admin:healing_revoke_key", args=[key.pk]), {"why": "leaked"})
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_scopes_are_chosen_and_no_other_is_taken() -> None:
    browser = enter(reviewer())
    add = reverse("admin:healing_apikey_add")
    assert 'value="breakers"' in browser.get(add).content.decode()
    browser.post(add, {"name": "edge", "role": "anon", "scopes": ["data", "ai"]})
    assert ApiKey.objects.get().scopes == ["data", "ai"]
    browser.post(add, {"name": "other", "role": "anon", "scopes": ["everything"]})
    assert ApiKey.objects.count() == 1


def test_an_address_without_a_page_tells_programs_and_people_where_to_look() -> None:
    answer = Client().get("/people", headers={"accept": "*/*"})
    assert (answer.status_code, answer.json()["code"]) == (404, "MG404")
    assert answer.json()["message"] == "There is nothing at /people" and "/rest/v1/" in answer.json()["hint"]
    page = Client().get("/people", headers={"accept": "text/html,*/*"})
    assert page.status_code == 404 and 'href="/admin/"' in page.content.decode()


def test_an_empty_list_says_why_it_is_empty() -> None:
    browser = enter(reviewer())
    assert "There is nothing here yet" in browser.get(reverse("admin:healing_receipt_changelist")).content.decode()
    assert "Nothing fits what you look for" in browser.get(reverse("admin:healing_receipt_changelist"), {"q": "x"}).content.decode()


def test_a_policy_set_in_the_dashboard_is_audited() -> None:
    browser = enter(reviewer())
    browser.post(reverse("admin:healing_policy_add"), {"table": "users", "healing": "off", "quarantine": "error"})
    assert Policy.objects.get().healing == "off"
    assert Decision.objects.filter(kind="policy", who="rita").exists()
    browser.post(reverse("admin:healing_policy_delete", args=[Policy.objects.get().pk]), {"post": "yes"})
    assert Decision.objects.filter(kind="policy", action="remove").exists()


def test_nobody_is_sent_off_the_site() -> None:
    rita = reviewer()
    item = keep()
    answer = enter(rita).post(reverse("admin:healing_replay_one", args=[item.pk]), {"next": "https://evil.example/"})
    assert answer["Location"] == reverse("admin:healing_quarantineitem_change", args=[item.pk])


def test_the_dashboard_says_what_needs_a_person() -> None:
    rita = reviewer()
    browser = enter(rita)
    page = browser.get(reverse("admin:index")).content.decode()
    assert "No write has come yet" in page
    assert "Waiting for the first write" in page
    made = world(rita)
    QuarantineItem.objects.filter(pk=made["other"].pk).update(state="parked")
    page = browser.get(reverse("admin:index")).content.decode()
    assert "1 fix to approve" in page
    assert "failed three times" in page
    assert "Waiting for the first write" not in page


def test_a_pause_and_a_cancel_from_the_page() -> None:
    rita = reviewer()
    keep()
    order = replay_orders.order_all_waiting(rita)
    assert order is not None
    browser, door = enter(rita), reverse("admin:healing_steer_replay", args=[order.pk])
    for action, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        browser.post(door, {"action": action})
        order.refresh_from_db()
        assert order.state == state
    assert "no way to" in browser.post(door, {"action": "nonsense"}, follow=True).content.decode()


def test_what_is_not_there_is_404() -> None:
    browser = enter(reviewer())
    for model in ("quarantineitem", "proposal", "rule", "receipt", "replay"):
        for wrong in (uuid.uuid4(), "no-id"):
            assert browser.get(reverse(f"admin:healing_{model}_change", args=[wrong])).status_code == 404


def test_a_key_that_is_not_there_is_said() -> None:
    browser = enter(reviewer())
    for wrong in (uuid.uuid4(), "no-id"):
        assert "exist" in browser.get(reverse("admin:healing_apikey_change", args=[wrong]), follow=True).content.decode()


def test_a_nul_is_no_error() -> None:
    browser, item = enter(reviewer()), keep()
    for page in ("quarantineitem_changelist", "receipt_changelist", "decision_changelist", "schema_fixes", "causes"):
        for name in ("q", "table", "kind", "operation", "state__exact", "signature"):
            assert browser.get(reverse(f"admin:healing_{page}"), {name: "a\0b"}, follow=True).status_code == 200, (page, name)
    assert browser.get(reverse("admin:schema_timeline"), {"kind": "\0"}).status_code == 200
    discard = browser.post(reverse("admin:healing_discard_one", args=[item.pk]), "why=a%00b", "application/x-www-form-urlencoded")
    item.refresh_from_db()
    assert discard.status_code == 400 and item.state == "waiting"


def test_causes_are_told_in_words() -> None:
    keep()
    browser, place = enter(reviewer()), {"schema": "public", "table": "users", "signature": "unknown_column:email"}
    for page in ("causes", "schema_fixes"):
        assert "1 × unknown column email in public.users" in browser.get(reverse(f"admin:healing_{page}"), place).content.decode()


@pytest.mark.parametrize("place", ["/admin/django_rq/dashboard/", "/admin/queues/"])
def test_queues_are_seen_by_who_may_look_and_acted_on_by_who_may(place: str) -> None:
    otto, rita = enter(onlooker()), enter(reviewer())
    for page in ("", "queues/0/", "queues/0/failed/", "stats.json"):
        answer = otto.get(place + page)
        assert answer.status_code == 503 and b"Valkey does not answer" in answer.content, page
        assert otto.post(place + page, {"post": "yes"}).status_code == 403, page
        assert Client().get(place + page).status_code == 302, page
    for page in ("queues/0/empty/", "queues/0/requeue-all/", "queues/0/failed/clear/", "queues/actions/0/", "queues/0/job/delete/"):
        assert otto.get(place + page).status_code == otto.post(place + page, {"post": "yes"}).status_code == 403, page
        assert rita.get(place + page).status_code in (200, 302, 404, 503), page
    User.objects.get(username="otto").user_permissions.clear()
    assert enter(User.objects.get(username="otto")).get(place).status_code == 403
