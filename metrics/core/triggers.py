"""When the figures call for a person, or for the optimizer: judged with enough cases and in two windows, never by a plain comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from metrics.core.evidence import BURN_RULES, BurnRule, Share, burn_rate, burns, surely_above, surely_below, wilson
from metrics.core.figures import Figures
from metrics.core.summary import BY_RULE

HOUR = 3_600.0
WINDOWS = tuple(sorted({HOUR, 6 * HOUR, *(window for rule in BURN_RULES for window in (rule.long, rule.short))}))
"""Seconds; ``judge`` wants the figures of each."""
Stretches = Mapping[float, Figures]


class Limit(Struct, frozen=True):
    """A trigger's threshold; people may edit ``bound`` and ``least`` (the fewest cases that count). ``unit``: of the bound."""

    name: str
    title: str
    bound: float
    unit: str
    least: int = 100
    on: bool = True


class Finding(Struct, frozen=True):
    """A trigger that fires. ``about`` tells several of one kind apart (a breaker's name). ``evidence`` holds the figures."""

    name: str
    about: str
    sentence: str
    evidence: dict[str, Any]


LIMITS = (
    Limit("healing_success", "Healing success falls below", 0.90, "share"),
    Limit("ai_fix_rate", "AI fixes more than", 0.30, "share"),
    Limit("breaker_trips", "A breaker opens at least, in an hour", 5, "times", 1),
    Limit("cache_invalidations", "Things known are thrown away more than, in an hour", 10, "times", 1),
    Limit("slow_healing", "Healing takes longer, on average, than", 200, "ms"),
    Limit("growing_quarantine", "More writes are kept than land again, in an hour and in six, by", 50, "writes", 1),
    Limit("burn_rate", "Writes fail: the error budget of this objective burns", 0.999, "share"),
)


def judge(stretches: Stretches, limits: Mapping[str, Limit]) -> list[Finding]:
    """Every trigger that fires now. ``limits`` by name; one that is missing or off is not judged."""
    found: list[Finding] = []
    for name, look in _LOOKS.items():
        limit = limits.get(name)
        if limit is not None and limit.on:
            found += look(stretches, limit)
    return found


def _success(stretches: Stretches, limit: Limit) -> Iterator[Finding]:
    shares = tuple(_healed(stretches[window]) for window in (HOUR, 6 * HOUR))
    if surely_below(shares, limit.bound, limit.least):
        yield Finding(limit.name, "", f"Healing succeeds in {_percent(shares[0])} of cases, below {limit.bound:.0%}.", _evidence(shares))


def _ai(stretches: Stretches, limit: Limit) -> Iterator[Finding]:
    shares = tuple(_by_ai(stretches[window]) for window in (HOUR, 6 * HOUR))
    if surely_above(shares, limit.bound, limit.least):
        sentence = f"{_percent(shares[0])} of fixes need the AI, above {limit.bound:.0%}: rules are missing."
        yield Finding(limit.name, "", sentence, _evidence(shares))


def _trips(stretches: Stretches, limit: Limit) -> Iterator[Finding]:
    for (breaker,), count in stretches[HOUR].by("mendgate_breaker_transitions_total", "breaker", into="open").items():
        if count >= limit.bound:
            yield Finding(limit.name, breaker, f"Breaker {breaker} opened {count:.0f} times within an hour.", {"openings": count})


def _invalidations(stretches: Stretches, limit: Limit) -> Iterator[Finding]:
    count = stretches[HOUR].total("mendgate_cache_invalidations_total")
    if count > limit.bound:
        sentence = f"What is known of the schema was thrown away {count:.0f} times within an hour: is a migration running in a loop?"
        yield Finding(limit.name, "", sentence, {"invalidations": count})


def _slow(stretches: Stretches, limit: Limit) -> Iterator[Finding]:
    sketches = [stretches[window].sketch("mendgate_healing_seconds") for window in (HOUR, 6 * HOUR)]
    if all(sketch.count >= limit.least and (sketch.mean or 0) * 1000 > limit.bound for sketch in sketches):
        mean = (sketches[0].mean or 0) * 1000
        evidence = {"mean_ms": mean, "p99_ms": (sketches[0].quantile(0.99) or 0) * 1000, "n": sketches[0].count}
        yield Finding(limit.name, "", f"Healing takes {mean:.0f} ms on average, longer than {limit.bound:.0f} ms.", evidence)


def _growing(stretches: Stretches, limit: Limit) -> Iterator[Finding]:
    grown = [_kept(stretches[window]) - _landed(stretches[window]) for window in (HOUR, 6 * HOUR)]
    if min(grown) >= limit.bound:
        evidence = {"hour": grown[0], "six_hours": grown[1]}
        yield Finding(limit.name, "", f"{grown[0]:.0f} more writes were kept than landed again within an hour.", evidence)


def _burning(stretches: Stretches, limit: Limit) -> Iterator[Finding]:
    for rule in BURN_RULES:
        long, short = _not_failed(stretches[rule.long]), _not_failed(stretches[rule.short])
        if long.all >= limit.least and burns(long, short, limit.bound, rule):
            yield _burn(rule, long, short, limit)
            return


def _burn(rule: BurnRule, long: Share, short: Share, limit: Limit) -> Finding:
    rate = burn_rate(long, limit.bound)
    failed = f"{long.all - long.good:.0f} of {long.all:.0f} writes failed in {rule.long / HOUR:.0f} h"
    sentence = f"{failed}: the error budget burns {rate:.1f} times too fast."
    return Finding(limit.name, f"{rule.factor:g}×", sentence, {"burn_rate": rate, **_evidence((long, short))})


def _healed(figures: Figures) -> Share:
    healed, kept = figures.total("mendgate_writes_total", outcome="healed"), _kept(figures)
    return Share(healed + min(kept, _landed(figures)), healed + kept)


def _by_ai(figures: Figures) -> Share:
    by_ai = figures.total("mendgate_heals_total", source="ai")
    return Share(by_ai, by_ai + figures.total("mendgate_heals_total", source=BY_RULE))


def _not_failed(figures: Figures) -> Share:
    writes = figures.total("mendgate_writes_total")
    return Share(writes - figures.total("mendgate_writes_total", outcome="failed"), writes)


def _kept(figures: Figures) -> float:
    return figures.total("mendgate_writes_total", outcome="kept")


def _landed(figures: Figures) -> float:
    return figures.total("mendgate_replays_total", outcome="landed")


def _percent(share: Share) -> str:
    return "nothing" if share.value is None else f"{share.value:.1%}"


def _evidence(shares: tuple[Share, ...]) -> dict[str, Any]:
    bounds = [wilson(int(share.good), int(share.all)) for share in shares]
    return {"good": [s.good for s in shares], "of": [s.all for s in shares], "bounds": [[round(b, 4) for b in pair] for pair in bounds]}


_LOOKS: dict[str, Callable[[Stretches, Limit], Iterator[Finding]]] = {
    "healing_success": _success,
    "ai_fix_rate": _ai,
    "breaker_trips": _trips,
    "cache_invalidations": _invalidations,
    "slow_healing": _slow,
    "growing_quarantine": _growing,
    "burn_rate": _burning,
}
