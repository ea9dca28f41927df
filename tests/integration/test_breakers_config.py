"""What breakers are set to: rows, versions, overrides; told to a real Valkey until it confirms, and copied back from its log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from breakers import asked, config, events, jobs, overrides, publish, registry, stored, where
from breakers.core.types import Outcome, Settings
from breakers.models import BreakerConfig, BreakerConfigVersion, BreakerEvent
from resilience_site.embedded_state import free_port
from tests.waiting import HANGS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres")]


@pytest.fixture
def process(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., registry.Registry]]:
    """Makes this process's registry anew, as if it had just begun; the last one made is ``registry.default``."""
    made: list[registry.Registry] = []

    def begin(url: str = valkey_url) -> registry.Registry:
        mine = registry.Registry()
        monkeypatch.setattr(registry, "default", mine)
        monkeypatch.setattr(registry, "get", mine.get)
        where.configure(where.Where(url, "test"))
        mine.connect(url, namespace="test")
        asked.forget_noted()
        stored.made.clear()
        monkeypatch.setattr(events, "_silent_until", 0.0)
        made.append(mine)
        return mine

    before = where.current()
    begin()
    yield begin
    where.configure(before)
    for each in made:
        each.close()


def until(true: Callable[[], Any]) -> Any:
    """Waits until it is so."""
    ends = time.monotonic() + HANGS
    while not (found := true()):
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.01)
    return found


def row(name: str = "lovable-ai", **fields: Any) -> BreakerConfig:
    """A breaker that the code has asked for."""
    asked.note_asked(name, Settings(**fields))
    return BreakerConfig.objects.get(name=name)


def state(name: str = "lovable-ai") -> str:
    return str(registry.get(name).view().state)


def fail(name: str = "lovable-ai", times: int = 10) -> None:
    with suppress(registry.Open):
        for _ in range(times):
            registry.get(name).acquire().settle(Outcome.FAILURE, error="no answer from 10.0.0.7")


def test_the_first_wish_of_the_code_makes_the_row_with_a_version_and_nothing_to_wait_for(process: Any) -> None:
    found = row(failure_threshold=7, ramp=(0.2,))
    assert (found.failure_threshold, found.ramp, found.version, found.pending, found.edited) == (7, [0.2], 1, False, False)
    assert BreakerConfigVersion.objects.get().settings["failure_threshold"] == 7


def test_a_later_wish_changes_what_nobody_edited_and_only_that(process: Any) -> None:
    found = row(timeout=60.0)
    asked.note_asked(found.name, Settings(timeout=30.0))
    found.refresh_from_db()
    assert found.timeout == 30.0
    config.change(found.pk, {"timeout": 10.0}, who="rita")
    asked.note_asked(found.name, Settings(timeout=45.0))
    found.refresh_from_db()
    assert (found.timeout, found.asked["timeout"]) == (10.0, 45.0)
    assert asked.differs_from_code(found) == {"timeout": (45.0, 10.0)}
    asked.follow_code(found.pk, who="rita")
    found.refresh_from_db()
    assert (found.timeout, found.edited) == (45.0, False)


def test_an_edit_is_a_version_that_valkey_confirms_and_another_process_follows_without_losing_its_counts(process: Any) -> None:
    found, here = row(), registry.default
    other = registry.Registry()
    other.connect(where.current().redis_url, namespace="test")
    for _ in range(3):
        other.get("lovable-ai").acquire().settle(Outcome.FAILURE)
    until(lambda: other.get("lovable-ai").view().shared)
    changed = config.change(found.pk, {"failure_threshold": 50, "timeout": 5.0}, who="rita", why="It limps.")
    assert changed.sentence == "failure_threshold 5 → 50, timeout 60 → 5"
    found.refresh_from_db()
    assert (found.version, found.pending) == (2, False)
    assert [(v.version, v.who, v.why) for v in found.versions.all()] == [(2, "rita", "It limps."), (1, "code", "First seen.")]
    until(lambda: other.get("lovable-ai").settings.failure_threshold == 50)
    assert other.get("lovable-ai").view().failures == 3
    assert here.get("lovable-ai").settings.timeout == 5.0
    other.close()


def test_an_edit_on_top_of_somebody_elses_is_refused(process: Any) -> None:
    found = row()
    config.change(found.pk, {"permits": 1}, who="rita", seen=1)
    with pytest.raises(config.Meanwhile):
        config.change(found.pk, {"permits": 2}, who="otto", seen=1)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"failure_rate": 1.5}, "Enter 0 to 1."),
        ({"timeout": 90.0, "timeout_cap": 60.0}, "no shorter than the first"),
        ({"window_calls": 3}, "It could never open"),
        ({"ramp": [0.5, 0.2]}, "must grow"),
        ({"ramp": [0, 2]}, "a share between 0 and 1"),
        ({"permits": 0}, "Enter 1 to 1,000 calls at a time."),
    ],
)
def test_what_makes_no_sense_is_said_and_changes_nothing(process: Any, values: dict[str, Any], said: str) -> None:
    found = row()
    with pytest.raises(ValidationError, match=said):
        config.change(found.pk, values, who="rita")
    found.refresh_from_db()
    assert found.version == 1


def test_the_database_itself_refuses_bounds_and_overrides_without_a_reason(process: Any) -> None:
    found = row()
    for values in ({"failure_rate": 2.0}, {"permits": 5000}, {"override": "forced_open"}, {"override": "sometimes", "override_why": "x"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            BreakerConfig.objects.filter(pk=found.pk).update(**values)


def test_forced_open_holds_everywhere_until_it_is_withdrawn(process: Any) -> None:
    found = row()
    overrides.override(found.pk, "forced_open", who="rita", why="The provider asked us to stop.")
    with pytest.raises(registry.Open, match="A person opened it"):
        registry.get("lovable-ai").acquire()
    process()  # another process, which knows nothing
    publish.load()
    assert state() == "forced_open"
    with pytest.raises(overrides.NoChange, match="already"):
        overrides.override(found.pk, "forced_open", who="rita", why="Again.")
    overrides.override(found.pk, "", who="rita", why="They are well.")
    assert state() == "closed"
    found.refresh_from_db()
    assert (found.override, found.override_why, found.pending) == ("", "", False)


def test_closing_by_hand_happens_once_and_the_calls_decide_again(process: Any) -> None:
    found = row()
    fail()
    until(lambda: state() == "open")
    overrides.override(found.pk, "closed", who="rita", why="I looked: it is well.")
    until(lambda: state() == "closed")
    fail()
    until(lambda: state() == "open")
    assert publish.publish_rows() == 0
    assert state() == "open", "telling it again must not close it again"


def test_disabled_lets_everything_through(process: Any) -> None:
    found = row()
    overrides.override(found.pk, "disabled", who="rita", why="It is wrong today.")
    fail(times=30)
    assert state() == "disabled"


def test_an_override_needs_a_reason_and_a_known_word(process: Any) -> None:
    found = row()
    for to, why in (("forced_open", "  "), ("sideways", "because")):
        with pytest.raises(ValueError):
            overrides.override(found.pk, to, who="rita", why=why)


def test_an_override_made_while_valkey_is_away_is_pending_then_told_by_the_sweep(process: Any, valkey_url: str) -> None:
    process(f"redis://127.0.0.1:{free_port()}/0")
    found = row()
    overrides.override(found.pk, "forced_open", who="rita", why="Stop.")
    found.refresh_from_db()
    assert found.pending
    assert state() == "forced_open", "here it is in force at once"
    process(valkey_url)
    jobs.sweep()
    found.refresh_from_db()
    assert not found.pending
    process(valkey_url)
    until(lambda: state() == "forced_open")


def test_an_override_that_was_withdrawn_during_an_outage_never_resurfaces(process: Any, valkey_url: str) -> None:
    process(f"redis://127.0.0.1:{free_port()}/0")
    found = row()
    overrides.override(found.pk, "forced_open", who="rita", why="Stop.")
    overrides.override(found.pk, "", who="rita", why="Go on.")
    process(valkey_url)
    jobs.sweep()
    found.refresh_from_db()
    assert (found.pending, state()) == (False, "closed")
    process(valkey_url)
    registry.get("lovable-ai")
    until(lambda: registry.get("lovable-ai").view().config_version == found.version)
    assert state() == "closed"


def test_a_valkey_that_came_back_empty_is_told_again(process: Any, valkey_url: str) -> None:
    found = row()
    overrides.override(found.pk, "forced_open", who="rita", why="Stop.")
    with redis.Redis.from_url(valkey_url) as client:
        client.flushall()
    process(valkey_url)
    jobs.sweep()
    process(valkey_url)
    until(lambda: state() == "forced_open")


def test_the_log_is_copied_once_with_a_sentence_and_who_did_it(process: Any) -> None:
    found = row(timeout=45.0)
    fail()
    until(lambda: events.copy() or BreakerEvent.objects.exists())
    opened = BreakerEvent.objects.get(to_state="open")
    assert (opened.name, opened.from_state, opened.who) == ("lovable-ai", "closed", "")
    assert "calls failed." in opened.sentence
    assert "It stays open for" in opened.sentence
    assert events.copy() == 0
    overrides.override(found.pk, "forced_open", who="rita", why="Stop.")
    until(lambda: events.copy() or BreakerEvent.objects.filter(to_state="forced_open").exists())
    forced = BreakerEvent.objects.get(to_state="forced_open")
    assert (forced.who, forced.sentence) == ("rita", "Stop.")
    BreakerEvent.objects.all().delete()
    assert events.copy() == 2, "a control database that lost them gets them again"


def test_a_log_entry_that_makes_no_sense_is_kept_as_far_as_it_goes(process: Any, valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        client.xadd("test:breakers:log", {"name": "x" * 300, "after": "open", "why": "{no json", "cfgv": "-"})
    assert events.copy() == 1
    assert BreakerEvent.objects.get().sentence == "It is not known why."


def test_old_events_are_forgotten_but_for_the_newest_of_each_breaker(process: Any, valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        for moment, name in ((1_000, "a"), (2_000, "a"), (3_000, "b")):
            client.xadd("test:breakers:log", {"name": name, "after": "open", "why": "{}"}, id=f"{moment}-0")
    events.copy()
    assert events.prune() == 1
    assert sorted(BreakerEvent.objects.values_list("stream_id", flat=True)) == ["2000-0", "3000-0"]


def test_what_is_protected_by_default_has_rows_from_the_start_and_the_code_in_use_too(process: Any) -> None:
    registry.get("target-database", failure_threshold=10)
    asked.note_all()
    found = {each.name: each for each in BreakerConfig.objects.all()}
    assert {"target-database", "ai-gateway", "healing-ai", "alerts:email", "alerts:slack", "alerts:discord"} <= found.keys()
    assert all(each.description for each in found.values())
    assert found["target-database"].failure_threshold == 10
    assert asked.note_all() == 0


def test_processes_without_django_read_the_same_from_postgres(process: Any) -> None:
    found = row()
    BreakerConfig.objects.filter(pk=found.pk).update(applied_version=1)
    overrides.override(found.pk, "disabled", who="rita", why="Wrong today.")
    process(f"redis://127.0.0.1:{free_port()}/0")
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(stored.SQL)
        names = [column.name for column in cursor.description]
        records = [dict(zip(names, record, strict=True)) for record in cursor.fetchall()]
    assert stored.put_in_force(records) == 1
    assert stored.put_in_force(records) == 0
    assert state() == "disabled"
