"""In what order to move functions: traffic × failure × criticality, each factor told in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import Struct

from healing.core.sources.cover import Function, State

_FLOOR = 0.02
"""the part of calls that is taken to fail where nothing is known: else what never failed yet would never be moved."""
_AI_FAILS = 0.05
"""AI services fail about so often: overload, limits, outages."""


class Traffic(Struct, frozen=True):
    """What is known of one function: calls in the time looked at, and how many of them failed."""

    calls: int
    failures: int = 0
    source: str = "measured"


class Step(Struct, frozen=True):
    """One function's turn. ``score`` only ranks; ``why`` says the three factors."""

    name: str
    score: float
    why: tuple[str, ...]


def by_tables(found: Iterable[Function], requests: Mapping[str, tuple[int, int]]) -> dict[str, Traffic]:
    """What is known of functions from their tables: ``requests`` are (all, those that did not fit) of each table, shared by the functions
    that write to it. A function of whose tables nothing is known is left out."""
    functions = list(found)
    writers = Counter(table for function in functions for table in function.tables)
    traffic = {}
    for function in functions:
        known = [(requests[table], writers[table]) for table in function.tables if table in requests]
        calls, failures = (sum(counts[n] // count for counts, count in known) for n in (0, 1))
        if calls:
            traffic[function.name] = Traffic(calls, failures, "its share of what reached Mendgate for its tables in 7 days")
    return traffic


def order(found: Iterable[Function], traffic: Mapping[str, Traffic], weights: Mapping[str, int]) -> tuple[Step, ...]:
    """Functions that still have something to move, the most urgent first. ``weights``: how many foreign keys lead to each table."""
    steps = [_step(f, traffic.get(f.name), weights) for f in found if f.state in (State.DIRECT, State.PARTLY)]
    return tuple(sorted(steps, key=lambda step: (-step.score, step.name)))


def _step(function: Function, traffic: Traffic | None, weights: Mapping[str, int]) -> Step:
    volume, says_volume = _volume(function, traffic)
    failing, says_failing = _failing(function, traffic)
    critical, says_critical = _critical(function, weights)
    return Step(function.name, round(volume * failing * critical, 4), (says_volume, says_failing, says_critical))


def _volume(function: Function, traffic: Traffic | None) -> tuple[float, str]:
    if traffic is not None:
        return float(traffic.calls), f"{traffic.calls} calls ({traffic.source})"
    return float(function.direct), f"{function.direct} direct call{'s' * (function.direct != 1)} in its source (no traffic known)"


def _failing(function: Function, traffic: Traffic | None) -> tuple[float, str]:
    if traffic is not None and traffic.calls and traffic.failures:
        share = min(1.0, traffic.failures / traffic.calls)
        return max(share, _FLOOR), f"{share:.1%} of its calls fail"
    wrong = min(1.0, function.errors / max(1, function.calls))
    if wrong:
        return max(wrong, _FLOOR), f"{function.errors} place{'s' * (function.errors != 1)} in it cannot work"
    return (_AI_FAILS, "asks an AI service") if function.ai else (_FLOOR, "nothing wrong is seen")


def _critical(function: Function, weights: Mapping[str, int]) -> tuple[float, str]:
    factor, says = 1.0, []
    if function.webhook:
        factor, says = factor + 2, ["nobody repeats its calls by hand (webhook, queue or clock)"]
    if function.writes:
        factor, says = factor + 1, [*says, "it writes"]
    heavy = max(((weights.get(table, 0), table) for table in function.tables), default=(0, ""))
    if heavy[0]:
        factor, says = factor + min(2.0, heavy[0] / 4), [*says, f"{heavy[0]} table{'s' * (heavy[0] != 1)} depend on {heavy[1]}"]
    return factor, ", ".join(says) or "it only reads"
