"""What an experiment brought so far, from the sums of the metrics: pairs of time blocks, or the parts of a split.

Of a block only its second half is looked at, as whole minutes; a pair counts once, when both of its blocks are surely stored.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf, log
from typing import Any

import msgspec
from msgspec import Struct

from healing.core.tuned import BLOCK, Trial, pairs
from metrics import timelines
from metrics.core.figures import Figures
from optimizer.core import bounds
from optimizer.core.harm import Arm, Harm
from optimizer.core.pairs import Turns

LAG = timedelta(seconds=90)
"""until what a minute counted is surely stored."""
FRESH = timedelta(minutes=15)
_SLOWEST = 0.05
"""the part by which a write or an answer may be slower at most, surely, for a change to be promoted."""


class Sums(Struct, kw_only=True):
    """Everything that was measured, small enough to be a row. ``until``: blocks that begin before it are in here (Unix seconds)."""

    until: float = 0.0
    turns: Turns = Turns()
    harm: Harm = Harm()
    stage_events: int = 0
    last_at: float = 0.0

    @property
    def harmed(self) -> bool:
        """Slower, or failing more."""
        return self.turns.found() or self.harm.found()

    @property
    def lower(self) -> float:
        """The lower bound of what is gained: of the shares of good events in points; minus infinity while it may be slower by too much."""
        if self.turns.count and self.turns.interval()[1] > log(1 + _SLOWEST):
            return -inf
        return bounds.difference(self.harm.control, self.harm.candidate)[0]


def sums_of(seen: dict[str, Any]) -> Sums:
    """From a row."""
    return msgspec.convert(seen, Sums) if seen else Sums()


def plain(sums: Sums) -> dict[str, Any]:
    """For a row."""
    found: dict[str, Any] = msgspec.to_builtins(sums)
    return found


def take_turns(sums: Sums, trial: Trial, group: str, place: str, now: datetime) -> Sums:
    """After the pairs that ended since the last look."""
    since, until = max(sums.until, trial.begins), (now - LAG).timestamp()
    ready = sorted(pairs(trial, since, until), key=max)
    if not ready:
        return sums
    minutes = _minutes(group, place, min(map(min, ready)), max(map(max, ready)) + BLOCK)
    for candidate, control in ready:
        theirs, ours = minutes.get(candidate + BLOCK / 2), minutes.get(control + BLOCK / 2)
        sums.until = max(candidate, control)
        if theirs is None or ours is None or not theirs.events or not ours.events:
            continue
        sums.harm = sums.harm.see(Arm(ours.events, ours.good), Arm(theirs.events, theirs.good))
        if theirs.mean and ours.mean:
            sums.turns = sums.turns.see(log(theirs.mean) - log(ours.mean))
        sums.stage_events += theirs.events
        sums.last_at = max(candidate, control) + BLOCK
    return sums


class Minute(Struct, frozen=True):
    """Events, those that ended well, their mean time."""

    events: int
    good: int
    mean: float | None


def _minutes(group: str, place: str, since: float, until: float) -> dict[float, Minute]:
    """By the minute's beginning (Unix seconds)."""
    read = _ANSWERS if group == "ai answers" else _WRITES
    only = timelines.Only(table=place) if place else timelines.EVERYTHING
    with timelines.one_moment():
        places = timelines.asked(read.metrics, only)
        steps = timelines.steps(places, _at(since), _at(until), timedelta(minutes=1))
    return {each.at.timestamp(): read.of(each.figures) for each in steps}


class _Writes:
    metrics = ("mendgate_writes_total", "mendgate_write_seconds")

    @staticmethod
    def of(figures: Figures) -> Minute:
        every = int(figures.total("mendgate_writes_total"))
        failed = int(figures.total("mendgate_writes_total", outcome="failed"))
        return Minute(every, every - failed, figures.sketch("mendgate_write_seconds", outcome=("healthy", "healed")).mean)


class _Answers:
    metrics = ("mendgate_ai_requests_total", "gen_ai_client_operation_duration_seconds")

    @staticmethod
    def of(figures: Figures) -> Minute:
        every = int(figures.total("mendgate_ai_requests_total"))
        failed = int(figures.total("mendgate_ai_requests_total", outcome="failed"))
        return Minute(every, every - failed, figures.sketch("gen_ai_client_operation_duration_seconds").mean)


_WRITES, _ANSWERS = _Writes(), _Answers()


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
