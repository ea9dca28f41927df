"""The AI gateway's rows: what may stand in them, who is told, what is forgotten."""

from __future__ import annotations

import socket
import uuid
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from breakers import ai_keys, ai_retention, registry
from breakers.ai_sealed import unseal_key
from breakers.ai_trial import trial
from breakers.gateway.ai.gates import name_of
from breakers.models import AiAllowance, AiCall, AiCredential, AiFallback, AiModel, AiNotice, AiProvider, AiSettings, AiSpend
from healing.admin import ai_needs
from healing.gateway.settings import current
from healing.models import ApiKey, Decision
from resilience_site import examine
from resilience_site.config import config

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("postgres")]


@pytest.fixture
def acme() -> AiProvider:
    return AiProvider.objects.create(name="acme", base_url="http://127.0.0.1:9/v1", allow_private=True)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "Open AI", "small letters"), ("base_url", "ftp://x/v1", "Enter a URL"),
        ("base_url", "https://user:pw@x/v1", "user and password"), ("base_url", "https://x/v1/chat/completions", "without the endpoint"),
        ("base_url", "http://10.0.0.1/v1", "private network"), ("base_url", "http://[::1]/v1", "private network"),
        ("base_url", "https://x/v1?key=1", "after ?"), ("connect_seconds", 60, "no longer"), ("stall_seconds", 0, "Enter 0.1"),
        ("headers", {"Authorization": "x"}, "looks secret"), ("headers", {"api-key": "x"}, "looks secret"),
        ("headers", {"X": "a\nb"}, "no header"), ("headers", {"Host": "x"}, "set by the gateway"),
    ],
)  # fmt: skip
def test_a_provider_that_cannot_be_is_refused_with_the_way_out(field: str, value: object, said: str) -> None:
    row = AiProvider(name="x", base_url="https://api.example.com/v1/")
    row.full_clean()
    assert row.base_url == "https://api.example.com/v1"
    setattr(row, field, value)
    with pytest.raises(ValidationError) as caught:
        row.full_clean()
    assert said in str(caught.value)


def test_chains_have_one_kind_and_no_circle(acme: AiProvider) -> None:
    a, b, c = (AiModel.objects.create(name=name, provider=acme) for name in "abc")
    vectors = AiModel.objects.create(name="v", provider=acme, kind="embedding")
    for model, fallback in ((a, b), (b, c)):
        row = AiFallback(model=model, fallback=fallback)
        row.full_clean()
        row.save()
    for fallback, said in ((a, "circles: c → a → b → c"), (vectors, "is for embedding"), (c, "stand in for itself")):
        with pytest.raises(ValidationError) as caught:
            AiFallback(model=c, fallback=fallback).full_clean()
        assert said in str(caught.value)
    a.kind = "embedding"
    with pytest.raises(ValidationError, match="chain of fallbacks"):
        a.full_clean()


def test_a_form_whose_rows_make_a_circle_together_is_refused(admin_client: Client, acme: AiProvider) -> None:
    a, b = (AiModel.objects.create(name=name, provider=acme) for name in "ab")
    AiFallback.objects.create(model=b, fallback=a)
    form = {
        "name": "a", "provider": acme.pk, "upstream": "a", "kind": "chat", "context_tokens": 0, "enabled": "on", "input_price": 0,
        "output_price": 0, "fallbacks-TOTAL_FORMS": 1, "fallbacks-INITIAL_FORMS": 0, "fallbacks-0-fallback": b.pk,
        "fallbacks-0-position": 0,
    }  # fmt: skip
    answer = admin_client.post(reverse("admin:breakers_aimodel_change", args=[a.pk]), form)
    assert answer.status_code == 200 and "goes round in circles: a → b → a" in answer.content.decode()
    assert not AiFallback.objects.filter(model=a).exists()


def test_a_key_is_sealed_unreadable_and_goes_to_no_other_host(acme: AiProvider, admin_client: Client) -> None:
    row = ai_keys.add_key(acme, "team", " sk-very-secret-1234 ")
    assert b"very-secret" not in bytes(row.secret) and unseal_key(row.secret) == "sk-very-secret-1234" and row.last_four == "1234"
    with pytest.raises(ai_keys.UnfitKey):
        ai_keys.add_key(acme, "bad", "two words of it")
    acme.base_url = "https://elsewhere.example/v1"
    with pytest.raises(ValidationError, match="another host"):
        acme.full_clean()
    page = admin_client.get(reverse("admin:breakers_aicredential_change", args=[row.pk])).content.decode()
    assert "very-secret" not in page and "…1234" in page
    export = connection.cursor()
    export.execute("SELECT to_jsonb(d)::text FROM breakers_aicredential d")
    assert "very-secret" not in str(export.fetchall())


def test_keys_are_retired_and_revived_once_with_a_reason(acme: AiProvider, admin_client: Client) -> None:
    row = ai_keys.add_key(acme, "team", "sk-very-secret-1234")
    door = reverse("admin:ai_key_retire", args=[row.pk])
    assert admin_client.get(door).status_code == 405
    admin_client.post(door, {"why": " "})
    assert AiCredential.objects.get().state == "active"
    admin_client.post(door, {"why": "leaked"})
    assert (AiCredential.objects.get().state, AiCredential.objects.get().why) == ("retired", "admin: leaked")
    assert not ai_keys.retire(row, "again")
    assert Decision.objects.get().action == "retire"


def test_the_rest_of_a_key_is_shown_and_ended_by_a_person(acme: AiProvider, admin_client: Client) -> None:
    row = ai_keys.add_key(acme, "team", "sk-very-secret-1234")
    page = reverse("admin:breakers_aicredential_change", args=[row.pk])
    assert "Use it now" not in admin_client.get(page).content.decode()
    registry.default.throttle(name_of((str(row.pk), "gpt")), 86_400_000)
    shown = admin_client.get(page).content.decode()
    assert "It rests for <code>gpt</code> until" in shown and "Use it now" in shown
    admin_client.post(reverse("admin:ai_key_lift", args=[row.pk]), {"why": "the quota was raised"})
    assert AiCredential.objects.get().lifted_at is not None and Decision.objects.get().action == "lift"
    assert "It rests" not in admin_client.get(page).content.decode()


def test_a_trial_says_what_is_missing_and_what_went_wrong(acme: AiProvider) -> None:
    assert "no model yet" in trial(current().ai, "acme").said
    AiModel.objects.create(name="m", provider=acme)
    ended = trial(current().ai, "acme")
    assert not ended.ok and ended.model == "m" and ended.said
    ai_keys.retire(ai_keys.add_key(acme, "team", "sk-very-secret-1234"), "x")
    assert "retired" in trial(current().ai, "acme").said
    acme.enabled = False
    acme.save()
    assert trial(current().ai, "acme").said == "It is switched off."


def test_the_doctor_says_what_is_configured_and_whether_it_can_be_reached(acme: AiProvider) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        AiProvider.objects.create(name="there", base_url=f"http://127.0.0.1:{there.getsockname()[1]}/v1", allow_private=True)
        found = {each.part: each for each in examine.PARTS["ai"](config())}
    assert found["ai there"].ok and not found["ai acme"].ok and "does not answer" in found["ai acme"].state
    AiProvider.objects.all().delete()
    (nothing,) = examine.PARTS["ai"](config())
    assert nothing.ok and "goes on without it" in nothing.state


def test_settings_are_one_row_and_budgets_come_in_order() -> None:
    AiSettings(cache_seconds=5).save()
    AiSettings(cache_seconds=6).save()
    assert AiSettings.objects.count() == 1 and AiSettings.load().cache_seconds == 6
    with pytest.raises(ValidationError, match="before the refusal"):
        AiAllowance(key="", soft_usd=2, hard_usd=1).full_clean()
    with pytest.raises(ValidationError, match="Choose an API key"):
        AiAllowance(key="ada").full_clean()


def test_the_dashboard_says_which_keys_are_refused_and_who_has_used_up_a_budget(admin_client: Client, acme: AiProvider) -> None:
    first, second = (ai_keys.add_key(acme, name, "sk-very-secret-1234") for name in ("one", "two"))
    key = ApiKey.objects.create(name="ada", prefix="abcd1234", hash="x")
    assert not any((ai_needs.keyless(), ai_needs.refused(), ai_needs.used_up()))
    ai_keys.retire(first, "401 from acme")
    start = timezone.now().date().replace(day=1)
    AiNotice.objects.create(key=str(key.pk), kind="hard", period="month", period_start=start, spent=2, budget=1)
    page = admin_client.get(reverse("admin:index")).content.decode()
    assert "AI key one of acme was retired: 401 from acme" in page and "used up for ada (abcd1234…)" in page
    ai_keys.retire(second, "402")
    assert "No key is in use any more for AI provider acme" in admin_client.get(reverse("admin:index")).content.decode()


def a_call(key: str, days: int) -> AiCall:
    return AiCall.objects.create(at=timezone.now() - timedelta(days=days), key=key, endpoint="chat/completions", status=200, outcome="ok")


def test_calls_are_forgotten_after_their_time_and_sums_stay() -> None:
    AiSettings(retention_days=7).save()
    young, _ = a_call("", 6), a_call("", 8)
    AiSpend.objects.create(day=timezone.now().date() - timedelta(days=8), requests=1)
    assert ai_retention.prune() == 1
    assert list(AiCall.objects.all()) == [young] and AiSpend.objects.count() == 1


def test_a_caller_is_erased_and_what_it_spent_is_nobodys() -> None:
    key = ApiKey.objects.create(name="ada", prefix="abcd1234", hash="x")
    other = str(uuid.uuid4())
    User.objects.create_superuser("rita")
    for owner in (str(key.pk), str(key.pk), other):
        a_call(owner, 0)
    for model in ("m", "n"):
        AiSpend.objects.create(day=timezone.now().date(), key=str(key.pk), model=model, requests=2, cost=1)
    AiSpend.objects.create(day=timezone.now().date(), key="erased", model="m", requests=5, cost=3)
    said = StringIO()
    call_command("erase_ai", "mg_abcd1234_whatever", "--user", "rita", "--why", "asked for it", stdout=said)
    assert "2 calls" in said.getvalue() and Decision.objects.get().action == "erase"
    assert [call.key for call in AiCall.objects.all()] == [other]
    assert sorted((row.key, row.model, row.requests, float(row.cost)) for row in AiSpend.objects.all()) == [
        ("erased", "m", 7, 4.0), ("erased", "n", 2, 1.0),
    ]  # fmt: skip
