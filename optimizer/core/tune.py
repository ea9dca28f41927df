"""Tuners of single numbers: the cache's life, retries, the watcher's interval, the size of a batch.

Each looks at what was measured and takes one step, or none where the figures do not speak surely.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from metrics.core.evidence import wilson
from optimizer.core.guard import Knob, step_towards
from optimizer.core.idea import Expected, Idea
from optimizer.core.knobs import BATCH, CACHE, RETRIES, WATCH

_FEW = 50
_BUSY = 20.0
"""writes a second from which on batches are shared at all."""


class Asked(Struct, frozen=True):
    """A question with the moment it was asked (seconds); the same ``question`` may be answered from the cache."""

    question: str
    at: float


def hits(asked: Sequence[Asked], life: float) -> int:
    """How many questions a cache with that life would have answered. An answer's life begins when it was made."""
    made: dict[str, float] = {}
    found = 0
    for each in sorted(asked, key=lambda a: a.at):
        if each.at - made.get(each.question, float("-inf")) <= life:
            found += 1
        else:
            made[each.question] = each.at
    return found


def cache(now: float, asked: Sequence[Asked]) -> Idea | None:
    """A longer life where it surely answers more questions; a shorter one where nothing is lost by it (older answers are worse)."""
    if now <= 0 or len(asked) < 4 * _FEW:
        return None
    before, total, metric = hits(asked, now), len(asked), "questions answered from the cache"
    longer, shorter = step_towards(CACHE, now, now * 1.2), step_towards(CACHE, now, now * 0.8)
    evidence = {"hits": before, "asked": total}
    more = hits(asked, longer) - before
    low, high = wilson(more, total)
    if longer > now and low > 0.005:
        why = f"{more} of {total} questions more would have been known"
        return _setting(CACHE, "cache life", now, longer, why, Expected(metric, more / total, low, high), evidence)
    if shorter < now and before and hits(asked, shorter) == before:
        why = f"all {before} answers that were given again were younger"
        return _setting(CACHE, "cache life", now, shorter, why, Expected(metric, 0.0, -wilson(0, total)[1], 0.0), evidence)
    return None


class Retried(Struct, frozen=True):
    """Retries of a provider: how many were made, how many of them answered, how many requests failed with retries left unmade."""

    requests: int
    made: int
    answered: int
    unmade: int


def retries(now: float, seen: Retried) -> Idea | None:
    """More where they help and some were not made; fewer where they surely do not help."""
    if seen.made < _FEW:
        return None
    low, high = wilson(seen.answered, seen.made)
    more, fewer = step_towards(RETRIES, now, now * 1.2), step_towards(RETRIES, now, now * 0.8)
    evidence = {"requests": seen.requests, "made": seen.made, "answered": seen.answered, "unmade": seen.unmade}
    if low > 0.5 and seen.unmade >= 10 and more > now:
        gain = seen.unmade / max(1, seen.requests)
        why = f"{seen.answered} of {seen.made} retries were answered, {seen.unmade} were not made"
        expected = Expected("requests answered", gain * (low + high) / 2, 0.0, gain * high)
        return _setting(RETRIES, "retry budget", now, more, why, expected, evidence)
    if high < 0.1 and fewer < now:
        spared = seen.made / max(1, seen.requests) * 0.2
        expected = Expected("calls per request spared", spared, spared * (1 - high), spared)
        return _setting(RETRIES, "retry budget", now, fewer, f"only {seen.answered} of {seen.made} retries helped", expected, evidence)
    return None


class Watched(Struct, frozen=True):
    """How the watcher did: its detector, seconds that a look costs, changes, and those that only a look found (no notification)."""

    detector: str
    look_seconds: float
    changes: int
    found_by_look: int


def interval(now: float, seen: Watched) -> Idea | None:
    """Rarer looks where notifications find everything; more frequent ones where looks find changes and cost next to nothing."""
    rarer, oftener = step_towards(WATCH, now, now * 1.2), step_towards(WATCH, now, now * 0.8)
    cost = seen.look_seconds / now
    evidence = {"detector": seen.detector, "look_ms": round(seen.look_seconds * 1000, 3)}
    evidence |= {"changes": seen.changes, "by_look": seen.found_by_look}
    if seen.detector == "listen" and seen.changes >= 20 and not seen.found_by_look and rarer > now:
        expected = Expected("share of a core", cost - cost / 1.2, 0.0, cost)
        return _setting(WATCH, "watching", now, rarer, f"all {seen.changes} changes were heard of; looks found none", expected, evidence)
    if seen.detector != "listen" and seen.found_by_look >= 5 and cost < 0.01 and oftener < now:
        expected = Expected("seconds until a change is seen", (now - oftener) / 2, 0.0, now - oftener, "seconds")
        why = f"{seen.found_by_look} changes were found by looks only, each up to {now:g} s late"
        return _setting(WATCH, "watching", now, oftener, why, expected, evidence)
    return None


class Batched(Struct, frozen=True):
    """Writes of lately: per second in busy minutes, their mean time (ms), and how earlier steps of the size did (direction, gain)."""

    busiest: float
    mean_ms: float
    tried: tuple[tuple[str, float], ...] = ()


def batch(now: float, seen: Batched) -> Idea | None:
    """A step in the direction that helped last, else the other one: how large a batch is best is found by trying, in turns of time."""
    bad = {way for way, gain in seen.tried if gain <= 0}
    if seen.busiest < _BUSY or bad == {"up", "down"}:
        return None
    up = "down" in bad or bool(seen.tried and seen.tried[-1][0] == "up" and "up" not in bad)
    new = step_towards(BATCH, now, now * (1.2 if up else 0.8))
    if new == now:
        return None
    why = f"{seen.busiest:.0f} writes a second in busy minutes, {seen.mean_ms:.1f} ms each"
    evidence = {"writes_a_second": seen.busiest, "mean_ms": seen.mean_ms, "tried": [list(each) for each in seen.tried]}
    return _setting(BATCH, "batch size", now, new, why, Expected("time of a write", 0.0, -0.05, 0.05, "share of it"), evidence)


def _setting(knob: Knob, proposer: str, old: float, new: float, why: str, expected: Expected, evidence: dict[str, Any]) -> Idea:
    return Idea(
        kind="setting", proposer=proposer, name=knob.name, old=old, new=new,
        sentence=f"{knob.title} {old:g} → {new:g} {knob.unit}: {why}.", evidence=evidence, expected=expected,
    )  # fmt: skip
