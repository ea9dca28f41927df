"""Which detector is chosen, and why not a better one."""

from __future__ import annotations

import pytest

from schema_monitor.core.detectors import Facts, judge

BEST = Facts(monitor="on", readable=True, notifies=True, hears=True)


def test_the_best_has_nothing_to_excuse() -> None:
    said = judge(BEST)
    assert (said.detector, said.why_not, said.bound) == ("listen", (), 1.0)


@pytest.mark.parametrize(
    ("facts", "detector", "reason"),
    [
        (Facts(monitor="on", readable=True, notifies=True, pooled=True), "log", "transaction pooler"),
        (Facts(monitor="on", readable=True, notifies=True, standby=True), "log", "standby"),
        (Facts(monitor="on", readable=True, hears=True), "log", "can be prepared"),
        (Facts(monitor="on", readable=True, notifies=True), "log", "did not come back"),
        (Facts(notifies=True, hears=True), "counters", "not installed"),
        (Facts(removed=True), "counters", "removed on purpose"),
        (Facts(monitor="on"), "counters", "may not read"),
        (Facts(monitor="on", readable=True, notifies=True, hears=True, alive=False), "counters", "takes no entries"),
        (Facts(monitor="disabled", readable=True), "counters", "disabled"),
        (Facts(monitor="dropped", readable=True), "counters", "are gone"),
        (Facts(standby=True), "fingerprint", "standby"),
        (Facts(counts=False), "fingerprint", "track_counts"),
    ],
)
def test_each_obstacle_leads_to_the_next_best(facts: Facts, detector: str, reason: str) -> None:
    said = judge(facts)
    assert said.detector == detector
    assert reason in " ".join(said.why_not)
    assert said.bound > 0 and "within" in said.text


def test_a_dear_fingerprint_makes_a_longer_promise() -> None:
    small, large = (judge(Facts(standby=True, interval=seconds, moved=seconds / 10)).bound for seconds in (1, 23))
    assert (small, large) == (2, 24)
    assert judge(Facts(interval=23, moved=2.3)).bound == pytest.approx(13.3)
