"""The pages of alerts: an address is written and never shown, tests and retries at the press of a button, rights kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from healing.models import Decision
from schema_monitor.alerts.models import AlertMessage, SchemaSubscription
from schema_monitor.alerts.sealed import open_text
from schema_monitor.alerts.signing import secrets_of
from tests.integration.alert_rows import RENAMED, stored, subscribed
from tests.integration.far_end import Answer, FarEnd, listening

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("postgres")]
LIST, ADD = "admin:schema_monitor_schemasubscription_changelist", "admin:schema_monitor_schemasubscription_add"
CHANGE = "admin:schema_monitor_schemasubscription_change"


@pytest.fixture
def far() -> Iterator[FarEnd]:
    with listening() as far:
        yield far


@pytest.fixture
def onlooker() -> Client:
    nina = User.objects.create_user("nina", is_staff=True)
    rights = ("view_schemasubscription", "view_alertmessage", "view_alertdelivery")
    nina.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client = Client()
    client.force_login(nina)
    return client


def form(**given: str) -> dict[str, str]:
    return {"name": "ops", "channel": "webhook", "minimum": "high", "enabled": "on", "schemas": "", "tables": "", "kinds": "", **given}


def test_a_subscription_is_made_tested_and_edited_and_its_address_is_not_shown(admin_client: Client, far: FarEnd) -> None:
    answer = admin_client.post(reverse(ADD), form(destination=far.url, tables="orders\n user_* \n\n"))
    assert answer.status_code == 302
    made = SchemaSubscription.objects.get()
    assert (made.tables, open_text(made.address)) == (["orders", "user_*"], far.url)
    answer = admin_client.post(reverse("admin:alerts_test", args=[made.pk]), follow=True)
    assert "The test arrived (status 204" in answer.content.decode()
    assert admin_client.post(reverse(CHANGE, args=[made.pk]), form(minimum="low")).status_code == 302
    made.refresh_from_db()
    assert (made.minimum, open_text(made.address)) == ("low", far.url)
    for page in (reverse(LIST), reverse(CHANGE, args=[made.pk])):
        text = admin_client.get(page).content.decode()
        assert "top-secret" not in text
        assert "whsec_" not in text
    assert [row.action for row in Decision.objects.filter(kind="subscription").order_by("pk")] == ["create", "change"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"destination": ""}, "Enter the whole URL"),
        ({"destination": "ftp://example.com"}, "Enter the whole URL"),
        ({"channel": "email", "destination": "no address"}, "valid email address"),
        ({"channel": "email", "destination": ""}, "Enter at least one address"),
        ({"channel": "pigeon", "destination": "x"}, "not one of the available choices"),
    ],
)
def test_what_cannot_be_an_address_is_said_at_the_field(admin_client: Client, given: dict[str, str], said: str) -> None:
    assert said in admin_client.post(reverse(ADD), form(**given)).content.decode()
    assert not SchemaSubscription.objects.exists()


def test_a_test_that_fails_says_why(admin_client: Client, far: FarEnd) -> None:
    far.answers.append(Answer(403, body="no_service"))
    row = subscribed(far.url, "slack")
    page = admin_client.post(reverse("admin:alerts_test", args=[row.pk]), follow=True).content.decode()
    assert "The test did not arrive: HTTP 403 no_service" in page


def test_the_secret_is_shown_on_request_and_that_is_on_record(admin_client: Client) -> None:
    row = subscribed("https://example.com/hook")
    admin_client.post(reverse("admin:alerts_rotate", args=[row.pk]))
    row.refresh_from_db()
    page = admin_client.post(reverse("admin:alerts_reveal", args=[row.pk]))
    assert all(secret in page.content.decode() for secret in secrets_of(row))
    assert "no-store" in page["Cache-Control"]
    admin_client.post(reverse("admin:alerts_retire", args=[row.pk]))
    row.refresh_from_db()
    assert len(secrets_of(row)) == 1
    assert [each.action for each in Decision.objects.filter(kind="subscription").order_by("pk")] == ["rotate", "reveal", "retire"]


def test_what_was_given_up_is_seen_and_tried_again(admin_client: Client, far: FarEnd) -> None:
    subscribed(far.url)
    version = stored(RENAMED)
    AlertMessage.objects.update(state="failed", last_error="HTTP 500", attempts=12)
    message = AlertMessage.objects.get()
    page = reverse("admin:schema_monitor_alertmessage_change", args=[message.pk])
    text = admin_client.get(page).content.decode()
    assert "given up" in text
    assert version.changes.get().sentence in text
    admin_client.post(reverse("admin:alerts_retry", args=[message.pk]))
    message.refresh_from_db()
    assert (message.state, message.attempts) == ("waiting", 0)
    assert "Schema version 2, 1 change" in admin_client.get(reverse("admin:schema_monitor_alertmessage_changelist")).content.decode()


def test_actions_of_the_list(admin_client: Client, far: FarEnd) -> None:
    row = subscribed(far.url)
    for action, on in (("switch_off", False), ("switch_on", True), ("test_chosen", True)):
        admin_client.post(reverse(LIST), {"action": action, "_selected_action": [row.pk]})
        row.refresh_from_db()
        assert row.enabled is on
    assert len(far.heard) == 1


def test_who_may_only_look_sees_no_secret_and_changes_nothing(onlooker: Client, far: FarEnd) -> None:
    row = subscribed(far.url)
    stored(RENAMED)
    message = AlertMessage.objects.get()
    pages = [reverse(LIST), reverse(CHANGE, args=[row.pk]), reverse("admin:schema_monitor_alertmessage_changelist")]
    for page in [*pages, reverse("admin:schema_monitor_alertmessage_change", args=[message.pk])]:
        answer = onlooker.get(page)
        assert answer.status_code == 200, page
        assert "top-secret" not in answer.content.decode()
    doors = [reverse(f"admin:alerts_{name}", args=[row.pk]) for name in ("test", "rotate", "retire", "reveal")]
    for door in [*doors, reverse("admin:alerts_retry", args=[message.pk]), reverse(ADD), reverse(CHANGE, args=[row.pk])]:
        assert onlooker.post(door, form()).status_code == 403, door
    for door in doors:
        assert onlooker.get(door).status_code == 405
    assert far.heard == []


def test_the_dashboard_says_whose_alerts_do_not_arrive(admin_client: Client, far: FarEnd) -> None:
    subscribed(far.url, name="fine")
    subscribed(far.url, name="deaf")
    stored(RENAMED)
    assert "Alerts do not arrive" not in admin_client.get(reverse("admin:index")).content.decode()
    AlertMessage.objects.filter(subscription__name="deaf").update(state="failed")
    assert "Alerts do not arrive: deaf" in admin_client.get(reverse("admin:index")).content.decode()
