"""Each rule of a breaker, by values."""

from __future__ import annotations

import time

import pytest

from breakers.core import names, redact, rules
from breakers.core.types import Counts, Outcome, Settings, State
from breakers.core.window import CallWindow, TimeWindow, resized

FIVE = Settings()
MANY = Settings(minimum_calls=10)
SLOW = Settings(slow_after=1.0)
THREE = Settings(permits=3)


@pytest.mark.parametrize(
    ("settings", "counts", "run", "rule"),
    [
        (FIVE, Counts(0, 1), 1, None),  # 1 of 1 is not 100 %
        (FIVE, Counts(0, 4), 4, None),
        (FIVE, Counts(0, 5), 5, "failure rate"),
        (FIVE, Counts(5, 5), 0, "failure rate"),
        (FIVE, Counts(6, 5), 0, None),  # enough failures, too many successes
        (FIVE, Counts(1000, 50), 0, None),
        (MANY, Counts(0, 9), 9, None),
        (MANY, Counts(1, 9), 0, "failure rate"),
        (Settings(consecutive=3), Counts(90, 3), 3, "consecutive"),
        (Settings(consecutive=3), Counts(90, 3), 2, None),
        (FIVE, Counts(0, 0, 50), 0, None),  # slow counts only where a limit is set
        (SLOW, Counts(5, 0, 5), 0, "slow rate"),
        (SLOW, Counts(6, 0, 5), 0, None),
        (SLOW, Counts(1, 0, 3), 0, None),  # fewer than minimum_calls
        (SLOW, Counts(), 0, None),
        (Settings(failure_rate=0.0, minimum_calls=1), Counts(99_999, 5), 0, "failure rate"),
    ],
)
def test_what_opens_it(settings: Settings, counts: Counts, run: int, rule: str | None) -> None:
    assert rules.broken(settings, counts, run) == rule
    if rule:
        assert rules.sentence(rule, settings, counts, run).endswith(".")


@pytest.mark.parametrize(
    ("trips", "chance", "seconds"),
    [
        (0, 0.5, 60.0),
        (1, 0.5, 120.0),
        (2, 0.5, 240.0),
        (3, 0.5, 480.0),
        (4, 0.5, 600.0),
        (10_000, 0.5, 600.0),
        (0, 0.0, 48.0),
        (0, 1.0, 72.0),
    ],
)
def test_open_times_double_up_to_a_cap_give_or_take_a_fifth(trips: int, chance: float, seconds: float) -> None:
    assert rules.open_seconds(FIVE, trips, chance) == pytest.approx(seconds)


def test_trips_are_forgiven_after_as_long_as_it_was_open_and_a_window_at_least() -> None:
    assert not rules.forgiven(FIVE, 59.0, 10.0)
    assert rules.forgiven(FIVE, 60.0, 10.0)
    assert not rules.forgiven(FIVE, 60.0, 100.0)


@pytest.mark.parametrize(("elapsed", "share"), [(None, 1.0), (0.0, 0.1), (9.9, 0.1), (10.0, 0.25), (25.0, 0.5), (30.0, 1.0), (1e9, 1.0)])
def test_it_comes_back_by_steps(elapsed: float | None, share: float) -> None:
    assert rules.share(FIVE, elapsed) == share


@pytest.mark.parametrize(
    ("settings", "trials", "verdict"),
    [
        (THREE, Counts(2), None),
        (THREE, Counts(3), State.CLOSED),
        (THREE, Counts(0, 1), None),
        (THREE, Counts(2, 1), State.CLOSED),  # 1 of 3 is below 50 %
        (THREE, Counts(0, 2), State.OPEN),  # the third can change nothing
        (Settings(permits=1), Counts(0, 1), State.OPEN),
        (Settings(permits=4), Counts(0, 2), State.OPEN),
        (Settings(permits=3, failure_rate=1.0), Counts(0, 2), None),
        (Settings(permits=3, failure_rate=0.1), Counts(0, 1), State.OPEN),
        (Settings(permits=2, slow_after=1.0), Counts(0, 0, 1), State.OPEN),
        (THREE, Counts(0, 0, 3), State.CLOSED),
        (Settings(permits=3, failure_rate=0.0), Counts(3), State.CLOSED),
    ],
)
def test_trials_close_it_or_open_it_as_soon_as_success_is_impossible(settings: Settings, trials: Counts, verdict: State | None) -> None:
    assert rules.verdict(settings, trials) is verdict


def test_a_time_window_forgets_what_is_old_without_whole_seconds() -> None:
    window = TimeWindow(0.5, 100.0)
    window.add(Outcome.FAILURE, 1, 100.0)
    window.add(Outcome.OK, 2, 100.26)
    assert window.counts(100.44) == Counts(2, 1)
    assert window.counts(100.51) == Counts(2, 0)
    assert window.counts(100.9) == Counts()


def test_a_window_of_calls_keeps_the_last_ones() -> None:
    window = CallWindow(4)
    for outcome in (Outcome.FAILURE, Outcome.FAILURE, Outcome.OK, Outcome.OK, Outcome.OK):
        window.add(outcome, 1, 0.0)
    assert window.counts(1e9) == Counts(3, 1)
    window.add(Outcome.SLOW, 1_000_000, 0.0)
    assert window.counts(0.0) == Counts(0, 0, 4)


def test_another_window_takes_over_what_was_counted() -> None:
    window = TimeWindow(10.0, 0.0)
    window.add(Outcome.FAILURE, 3, 1.0)
    window.add(Outcome.OK, 1, 5.0)
    for settings in (Settings(window=20.0), Settings(window_calls=10)):
        assert resized(window, settings, 6.0).counts(6.0) == Counts(1, 3)


@pytest.mark.parametrize(
    "wrong", [{"failure_rate": 1.5}, {"window": 0}, {"permits": 0}, {"ramp": (0.5, 1.0)}, {"timeout": -1}, {"slow_rate": 0.0}]
)
def test_settings_without_sense_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


@pytest.mark.parametrize("name", ["lovable-ai", "ai:openai", "webhooks:https://example.com/hook?a=1", "alerts:Slack #ops", "Größe"])
def test_names_that_may_be(name: str) -> None:
    assert names.check(name) == name


@pytest.mark.parametrize("name", ["", " a", "a ", "{a}", "a}", "a\n", "a\x00", "x" * 121])
def test_names_that_may_not_be(name: str) -> None:
    with pytest.raises(ValueError, match="breaker's name"):
        names.check(name)


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ConnectionRefusedError("Connect call failed ('10.1.2.3', 5432)"), "ConnectionRefusedError: Connect call failed (…, …)"),
        ("Refused: postgres://ann:pa/ss@db/x is down", "Refused: postgres://…db/x is down"),
        ("Key (email)=(ann@example.com) exists", "Key (email)=(…) exists"),
        ("Incorrect API key provided: sk-abcdef123456.", "Incorrect API key provided: …"),
        ("GET https://api.example.com/v1?token=abc failed: 503", "GET https://api.example.com/v1?… failed: 503"),
        ('invalid input syntax for type integer: "Ann\'s secret"', "invalid input syntax for type integer: …"),
        ("a\n  b" + "c " * 500, "a b" + ("c " * 500)[:197]),
        ("password=hunter2 host=db", "password=… host=db"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer …"),
        ("401 for bearer abc, api_key: k1", "401 for bearer …, api_key: …"),
        ("no such file: \ud800.csv", r"no such file: \ud800.csv"),
    ],
)
def test_sample_errors_show_their_shape_and_nobodys_values(error: str | Exception, shown: str) -> None:
    assert redact.redact(error) == shown


@pytest.mark.parametrize("part", ["a.", "é", "://", "a@b", "\"'", "password:"])
def test_a_sample_error_is_read_in_a_moment_whatever_it_says(part: str) -> None:
    took = []
    for _ in range(20):
        began = time.process_time()
        redact.redact(part * (2_000 // len(part)))
        took.append(time.process_time() - began)
    assert min(took) < 0.02, "a pattern that goes over it again at every place takes longer, however fast the machine"
