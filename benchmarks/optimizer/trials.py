"""Simulated experiments, seeded: two arms of events with a peek after every few, and pairs of time blocks with noise that is no bell.

What is simulated is the traffic; what judges it is ``optimizer.core`` as it is.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from math import inf

from msgspec import Struct

from optimizer.core import bounds
from optimizer.core.balance import uneven
from optimizer.core.harm import Arm, Harm
from optimizer.core.pairs import Turns
from optimizer.core.ramp import LEASE, LEAST_EVENTS, SHARES, Seen, Standing, Verdict, decide

START = datetime(2026, 1, 5, tzinfo=UTC)
PEEK = timedelta(minutes=30)
MOST = timedelta(days=15)


class Ended(Struct, frozen=True):
    """How an experiment ended: its last word and reason, events of both arms until then, hours."""

    word: str
    why: str
    events: int
    hours: float

    @property
    def harmed(self) -> bool:
        return self.word == "revert" and self.why.startswith("It does harm")


def by_event(rng: random.Random, good: float, candidate: float, per_peek: int) -> Ended:
    """A rule or a prompt: events are split by hash. ``good`` and ``candidate`` are the true shares of events that end well."""
    standing, harm, now, stage_events = _begin(), Harm(), START, 0
    while True:
        now += PEEK
        dealt = _binomial(rng, per_peek, SHARES[standing.stage])
        control = Arm(per_peek - dealt, _binomial(rng, per_peek - dealt, good))
        arm = Arm(dealt, _binomial(rng, dealt, candidate))
        harm, stage_events = harm.see(control, arm), stage_events + dealt
        seen = Seen(
            control=harm.control.all, candidate=harm.candidate.all, stage_events=stage_events, harmed=harm.found(),
            lower=bounds.difference(harm.control, harm.candidate)[0] if _asks(standing, harm, now) else -inf,
            uneven=uneven(control.all, arm.all, SHARES[standing.stage]),
        )  # fmt: skip
        verdict = decide(standing, seen, now)
        if (ended := _ended(verdict, harm.control.all + harm.candidate.all, now)) is not None:
            return ended
        if verdict.word == "advance":
            stage_events = 0
        standing = _next(standing, verdict, now)


def by_time(rng: random.Random, slower: float, noise: float, writes: int) -> Ended:
    """A shared setting: pairs of time blocks. ``slower``: by how much the candidate changes the (log) time of a write; the noise of a block
    has heavy tails, neighbouring blocks share the hour's load. ``writes`` in a measured minute."""
    standing, now, stage_pairs, hour = _begin(), START, 0, 0.0
    turns = Turns()
    while True:
        cycle = timedelta(minutes=2) * max(2, round(1 / SHARES[standing.stage] / 2) * 2)
        now += cycle
        hour = 0.9 * hour + rng.gauss(0, 0.1)
        both = [hour + noise * rng.gauss(0, 1) / max(0.3, rng.random()) for _ in range(2)]
        turns = turns.see(both[0] + slower - both[1])
        stage_pairs += 1
        events = turns.count * writes
        asks = standing.stage >= 2 and turns.count % 10 == 0
        seen = Seen(
            control=events, candidate=events, stage_events=stage_pairs * writes, harmed=turns.found(),
            lower=-turns.interval()[1] if asks else -inf,
        )  # fmt: skip
        verdict = decide(standing, seen, now)
        if (ended := _ended(verdict, 2 * events, now)) is not None:
            return ended
        if verdict.word == "advance":
            stage_pairs = 0
        standing = _next(standing, verdict, now)


def _begin() -> Standing:
    return Standing(stage=0, since=START, stage_since=START, until=START + LEASE)


def _next(standing: Standing, verdict: Verdict, now: datetime) -> Standing:
    moved = verdict.word == "advance"
    return Standing(
        stage=standing.stage + moved, since=standing.since, stage_since=now if moved else standing.stage_since, until=now + LEASE,
        extended=standing.extended or verdict.word == "extend",
    )  # fmt: skip


def _ended(verdict: Verdict, events: int, now: datetime) -> Ended | None:
    if verdict.word in ("promote", "revert"):
        return Ended(verdict.word, verdict.why, events, (now - START) / timedelta(hours=1))
    return None


def _asks(standing: Standing, harm: Harm, now: datetime) -> bool:
    """The bound is dear; it is asked for where it could matter, every sixth hour."""
    return standing.stage >= 2 and harm.candidate.all >= LEAST_EVENTS and int((now - START) / PEEK) % 12 == 0


def _binomial(rng: random.Random, n: int, p: float) -> int:
    return sum(rng.random() < p for _ in range(n))
