"""A process of RQ's outlives Valkey being away, and ends when it is told to."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError
from rq.exceptions import StopRequested

from resilience_site import healthy, pulse
from resilience_site.config import load
from resilience_site.staying import stay


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {sign: signal.getsignal(sign) for sign in (signal.SIGINT, signal.SIGTERM)}
    yield
    for sign, handler in before.items():
        signal.signal(sign, handler)


def lives(*ends: BaseException | None) -> tuple[Callable[[], None], list[str]]:
    """A life that ends as told, one after the other; and what happened."""
    seen: list[str] = []
    left = list(ends)

    def live() -> None:
        seen.append("lived")
        if (end := left.pop(0)) is not None:
            raise end

    return live, seen


def test_it_lives_again_until_it_is_over_and_pauses_longer_each_time() -> None:
    live, seen = lives(ConnectionError("gone"), SystemExit(1), None, None)
    pauses: list[float] = []
    stay(live, lambda: len(seen) == 4, lambda: None, pauses.append)
    assert seen == ["lived"] * 4
    assert pauses == [1.0, 2.0, 5.0]


def test_each_life_leaves_a_pulse() -> None:
    live, seen = lives(ConnectionError("gone"), None)
    stay(live, lambda: seen.count("lived") == 2, lambda: seen.append("beat"), lambda _: None)
    assert seen == ["beat", "lived", "beat", "lived"]


def test_being_told_to_stop_ends_it_wherever_it_is() -> None:
    live, seen = lives(StopRequested())
    stay(live, lambda: False, lambda: None)
    assert seen == ["lived"]
    live, _ = lives(ConnectionError("gone"))
    stay(live, lambda: False, lambda: None, lambda _: signal.raise_signal(signal.SIGTERM))


def test_a_fault_of_ours_is_not_taken_for_valkeys() -> None:
    live, _ = lives(ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        stay(live, lambda: False, lambda: None)


def test_a_pulse_that_is_old_or_was_never_left_is_not_healthy(tmp_path: Path) -> None:
    config = load({"MENDGATE_HOME": str(tmp_path)})
    assert "no pulse of default" in str(healthy.beating(config, "default"))
    pulse.beat(tmp_path, "default")
    assert healthy.beating(config, "default") is None
    long_ago = (tmp_path / "pulse-default").stat().st_mtime - pulse.OLDEST - 1
    os.utime(tmp_path / "pulse-default", (long_ago, long_ago))
    assert "at most 180 are sound" in str(healthy.beating(config, "default"))


def test_a_pulse_that_cannot_be_left_costs_nothing(tmp_path: Path) -> None:
    pulse.beat(tmp_path / "nowhere", "default")


def test_a_probe_with_another_word_says_how_it_is_used() -> None:
    assert str(healthy.main(["nobody"])).startswith("usage:")


def test_web_that_does_not_answer_is_not_healthy(tmp_path: Path) -> None:
    assert "web does not answer" in str(healthy.web(load({"MENDGATE_HOME": str(tmp_path), "PORT": "1"})))
