"""The pages of breakers: what they say, and that nobody acts who may not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from breakers import asked, events, registry, stored, where
from breakers.core.types import Outcome, Settings
from breakers.models import BreakerConfig, BreakerEvent
from healing.admin import breakers_facts
from healing.models import Decision
from resilience_site.embedded_state import free_port
from tests.integration.control_rows import onlooker, reviewer
from tests.integration.test_admin_pages import enter, redis_away  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres", "redis_away", "alone")]
BOARD = "admin:breakers_breakerconfig_changelist"


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[registry.Registry]:
    """A process of its own, whose Valkey is away."""
    mine, before = registry.Registry(), where.current()
    monkeypatch.setattr(registry, "default", mine)
    monkeypatch.setattr(registry, "get", mine.get)
    monkeypatch.setattr(breakers_facts, "_watching", None)
    monkeypatch.setattr(events, "_silent_until", 0.0)
    asked.forget_noted()
    stored.made.clear()
    place = where.Where(f"redis://127.0.0.1:{free_port()}/0", "test")
    where.configure(place)
    mine.connect(place.redis_url, namespace="test")
    yield mine
    where.configure(before)
    mine.close()
    if breakers_facts._watching is not None:
        breakers_facts._watching.close()


@pytest.fixture
def rita() -> Client:
    return enter(reviewer())


@pytest.fixture
def row() -> BreakerConfig:
    asked.note_asked("lovable-ai", Settings(), "The assistant's model.")
    registry.get("lovable-ai")
    return BreakerConfig.objects.get()


def shown(client: Client, view: str, *args: Any, **query: Any) -> str:
    answer = client.get(reverse(view, args=args), query)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def act(client: Client, row: BreakerConfig, to: str, why: str = "Because.") -> str:
    answer = client.post(reverse("admin:breakers_override", args=[row.pk]), {"to": to, "why": why}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def fail(name: str = "lovable-ai") -> None:
    for _ in range(5):
        registry.get(name).acquire().settle(Outcome.FAILURE, error="HTTP 503")


def test_the_board_lists_what_is_protected_from_the_start(rita: Client) -> None:
    text = shown(rita, BOARD)
    for name in ("target-database", "ai-gateway", "healing-ai", "alerts:email"):
        assert f">{name}</a>" in text
    assert "Every breaker is closed" in text
    assert "Nothing yet: no breaker has opened." in text
    assert "Valkey is away" in text


def test_an_open_breaker_comes_first_with_its_why_and_on_the_dashboard(rita: Client, row: BreakerConfig) -> None:
    fail()
    text = shown(rita, BOARD)
    assert "breakers is open: lovable-ai." in text
    assert "5 of 5 calls failed. The next try is in" in text
    assert "HTTP 503" in text
    assert text.index(">lovable-ai</a>") < text.index(">ai-gateway</a>")
    assert "Breaker lovable-ai is open" in shown(rita, "admin:index")


def test_the_moving_parts_come_as_html_by_region(rita: Client, row: BreakerConfig) -> None:
    regions = rita.get(reverse("admin:breakers_live")).json()
    assert {"head", "lanes", "recent", f"card-{row.pk}"} <= regions.keys()
    one = rita.get(reverse("admin:breakers_live"), {"one": row.pk}).json()
    assert [key for key in one if key.startswith("card-")] == [f"card-{row.pk}"]


def test_an_override_is_in_force_here_pending_elsewhere_and_on_record(rita: Client, row: BreakerConfig) -> None:
    text = act(rita, row, "forced_open", "The provider asked us to stop.")
    assert "lovable-ai is forced open: every call is refused. Valkey is away" in text
    assert ">pending<" in text
    decision = Decision.objects.get()
    assert (decision.who, decision.action, decision.kind, decision.subject) == ("rita", "force open", "breaker", str(row.pk))
    assert registry.get("lovable-ai").view().state == "forced_open"
    assert "rita did it" in shown(rita, "admin:breakers_breakerconfig_change", row.pk)
    assert "is forced open already" in act(rita, row, "forced_open")
    assert "back to normal" in act(rita, row, "")
    assert registry.get("lovable-ai").view().state == "closed"


@pytest.mark.parametrize(("to", "why", "said"), [("forced_open", " ", "A reason is required."), ("sideways", "x", "is none of")])
def test_an_override_without_a_reason_or_meaning_is_refused(rita: Client, row: BreakerConfig, to: str, why: str, said: str) -> None:
    assert said in act(rita, row, to, why)
    assert not Decision.objects.exists()


def test_who_may_only_look_changes_nothing(row: BreakerConfig) -> None:
    otto = enter(onlooker())
    text = shown(otto, BOARD)
    assert "Override…" not in text
    assert "lovable-ai" in text
    for name, args in (("override", [row.pk]), ("follow", [row.pk]), ("restore", [row.pk, 1])):
        link = reverse(f"admin:breakers_{name}", args=args)
        assert otto.post(link, {"to": "forced_open", "why": "x"}).status_code == 403
        assert otto.get(link).status_code == 405
    assert otto.post(reverse("admin:breakers_breakerconfig_change", args=[row.pk]), {"permits": 1}).status_code == 403
    row.refresh_from_db()
    assert row.version == 1


def test_the_right_to_override_is_apart_from_the_right_to_configure(row: BreakerConfig) -> None:
    user = onlooker("carl")
    user.user_permissions.add(Permission.objects.get(codename="override_breaker"))
    carl = enter(User.objects.get(pk=user.pk))
    assert "is disabled" in act(carl, row, "disabled")
    assert carl.post(reverse("admin:breakers_follow", args=[row.pk])).status_code == 403


def test_staff_without_any_right_see_nothing_of_it() -> None:
    nobody = enter(User.objects.create_user("nina", password="pw", is_staff=True))
    for name in (BOARD, "admin:breakers_live", "admin:breakers_breakerevent_changelist"):
        assert nobody.get(reverse(name)).status_code == 403
    assert Client().get(reverse("admin:breakers_live")).status_code == 302


def form(row: BreakerConfig, **changes: Any) -> dict[str, Any]:
    """What the page's form sends."""
    fields = {name: value for name, value in row.settings().items() if value is not None and name != "shadow"}
    percents = {"failure_rate": "50", "slow_rate": "50", "ramp": "10, 25, 50"}
    return {**fields, **percents, "description": row.description, "why": "Calmer.", "seen": row.version, **changes}


def test_an_edit_in_percents_is_a_version_with_its_difference_and_can_be_taken_back(rita: Client, row: BreakerConfig) -> None:
    link = reverse("admin:breakers_breakerconfig_change", args=[row.pk])
    answer = rita.post(link, form(row, failure_rate="75 %", ramp="", timeout="20", _continue="1"), follow=True)
    text = answer.content.decode()
    row.refresh_from_db()
    assert (row.failure_rate, row.ramp, row.timeout, row.version) == (0.75, [], 20.0, 2), text[-3000:]
    assert "The code asks for something else" in text
    assert "failure rate <del>0.5</del> → <ins>0.75</ins>" in text
    assert Decision.objects.get().why == "lovable-ai: failure_rate 0.5 → 0.75, timeout 60 → 20, ramp 10% → 25% → 50% → none. Calmer."
    rita.post(reverse("admin:breakers_restore", args=[row.pk, 1]))
    row.refresh_from_db()
    assert (row.failure_rate, row.ramp, row.version) == (0.5, [0.1, 0.25, 0.5], 3)
    rita.post(reverse("admin:breakers_follow", args=[row.pk]))
    row.refresh_from_db()
    assert not row.edited


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"failure_rate": "300"}, "less than or equal to 100"),
        ({"ramp": "ten, twenty"}, "Enter percents with commas between"),
        ({"ramp": "50, 20"}, "must grow"),
        ({"timeout": "900"}, "no shorter than the first"),
        ({"window_calls": "3"}, "It could never open"),
        ({"permits": "0"}, "Enter 1 to 1,000 calls at a time."),
        ({"why": ""}, "This field is required"),
        ({"seen": "7"}, "Somebody else changed this breaker"),
    ],
)
def test_a_wrong_entry_is_said_at_its_field_and_changes_nothing(
    rita: Client, row: BreakerConfig, changes: dict[str, str], said: str
) -> None:
    answer = rita.post(reverse("admin:breakers_breakerconfig_change", args=[row.pk]), form(row, **changes))
    assert answer.status_code == 200
    assert said in answer.content.decode()
    row.refresh_from_db()
    assert row.version == 1


def test_the_lanes_tell_an_hour_and_a_day(rita: Client, row: BreakerConfig) -> None:
    now = timezone.now()
    BreakerConfig.objects.update(created_at=now - timedelta(hours=20))
    for minutes, before, after in ((600, "closed", "open"), (590, "open", "closed"), (20, "closed", "open"), (10, "open", "closed")):
        at = now - timedelta(minutes=minutes)
        BreakerEvent.objects.create(
            stream_id=f"{minutes}-0", at=at, name=row.name, from_state=before, to_state=after, sentence="It failed."
        )
    hour, day = (shown(rita, BOARD, span=span).count("mg-seg mg-seg-open") for span in ("hour", "day"))
    assert (hour, day) == (2, 3)  # one of each is the legend's


def test_hostile_names_and_errors_are_text(rita: Client) -> None:
    name = "<script>alert(1)</script>"
    asked.note_asked(name, Settings())
    for _ in range(5):
        registry.get(name).acquire().settle(Outcome.FAILURE, error="<img src=x>")
    text = shown(rita, BOARD) + str(rita.get(reverse("admin:breakers_live")).json())
    assert "<script>alert" not in text
    assert "<img src=x>" not in text


def test_hundreds_of_breakers_are_found_by_name_and_shown_within_a_second(rita: Client) -> None:
    for number in range(100):
        asked.note_asked(f"edge-{number}", Settings())
        registry.get(f"edge-{number}")
    asked.note_all()
    began = time.perf_counter()
    text = shown(rita, BOARD)
    assert time.perf_counter() - began < 2.0
    assert "60 of 106 shown" in text
    assert "1 of 106 shown" in shown(rita, BOARD, q="EDGE-99")
    assert "No breaker has “nothing” in its name." in shown(rita, BOARD, q="nothing")
