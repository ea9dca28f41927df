"""The values of counting for callers: what was granted, what became of a report, and what goes to the shared breaker in one piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from breakers.core.redact import redact
from breakers.core.types import Outcome, State
from breakers.gateway.edge_report import Report
from breakers.registry import Breaker
from breakers.tally import Tally

COUNTED, REPEATED, LATE = "counted", "repeated", "late"


class Granted(Struct, frozen=True):
    """The answer to "may I call now?". Report with ``token`` where there is one, within ``lease_ms``."""

    allowed: bool
    state: State
    version: int
    token: str | None = None
    lease_ms: int = 0
    retry_after_ms: int = 0
    why: str = ""


class Batched(NamedTuple):
    """Reports on one breaker: ``arguments`` for the shared one, ``reports`` (outcome, seconds, error, count) to count here."""

    breaker: Breaker
    arguments: tuple[int | str, ...]
    reports: list[tuple[Outcome, float, str, int]]


NOTHING = (0, 0, 0, 0, 1, "")
"""The arguments of a report that only asks how the shared breaker stands."""


def batched(reports: Sequence[tuple[Breaker, Report]]) -> list[Batched]:
    """One piece for each breaker, in the order the reports came."""
    grouped: dict[str, tuple[Breaker, list[Report]]] = {}
    for breaker, report in reports:
        grouped.setdefault(breaker.name, (breaker, []))[1].append(report)
    return [_one(breaker, each) for breaker, each in grouped.values()]


def _one(breaker: Breaker, reports: Sequence[Report]) -> Batched:
    tally, error = Tally(), ""
    for each in reports:
        outcome = breaker.weigh(each.outcome, each.seconds)
        if outcome is not Outcome.EXCLUDED:
            tally.add(outcome, each.weight)
        if outcome is Outcome.FAILURE and each.error:
            error = each.error
    arguments = (tally.ok, tally.failures, tally.slow, tally.tail, int(tally.unbroken), redact(error))
    return Batched(breaker, arguments, [(each.outcome, each.seconds, each.error, each.weight) for each in reports])
