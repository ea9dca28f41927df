"""Who is asked, in which order, how often: keys × fallback chain × one retry loop, under one deadline and a retry budget.

A generator: it yields what to do (``Try`` or ``Wait``), is sent what came of it, and returns how it ended. It does no I/O and has no
clock; ``chance`` gives numbers from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence

from msgspec import Struct

from breakers.core.ai.standing import Standing
from breakers.core.ai.verdict import Kind, Verdict

BACKOFF = 0.1
"""Seconds before the first retry; doubled, and times 0.5 to 1."""
REST = 30.0
"""Seconds that a key rests which may be good or not."""
LEAST = 0.02
"""Seconds below which nothing is begun any more."""


class Deployment(Struct, frozen=True, kw_only=True):
    """A model at its provider. ``keys`` are ids; ``wants_key``: without one it is not asked. ``context`` in tokens, 0 = unknown."""

    model: str
    provider: str
    keys: tuple[str, ...] = ()
    wants_key: bool = False
    context: int = 0
    first_token: float = 30.0


class Try(Struct, frozen=True, kw_only=True):
    """Ask this one, for valid content within ``patience`` seconds."""

    deployment: Deployment
    key: str
    patience: float


class Wait(Struct, frozen=True):
    """Wait, before a retry."""

    seconds: float


class Report(Struct, frozen=True):
    """What came of a step, and the time now."""

    verdict: Verdict | None
    now: float


class Served(Struct, frozen=True):
    """The last step was answered."""

    step: Try
    fallback: bool


class GaveUp(Struct, frozen=True):
    """Nobody answered: the most telling verdict, and when somebody may (seconds, None = unknown)."""

    verdict: Verdict
    retry_after: float | None


Plan = Generator[Try | Wait, Report, Served | GaveUp]

# What a caller is told of several: what only he can mend, then what really happened, then what was not even tried.
_TELLING = (Kind.CALLER, Kind.FILTER, Kind.LARGER, Kind.TIMEOUT, Kind.FAILURE, Kind.THROTTLED, Kind.REFUSED, Kind.MISSING, Kind.KEY)
_FINAL = frozenset({Kind.CALLER, Kind.FILTER})
NO_KEY = Verdict(kind=Kind.KEY, reason="no usable key")
COOLING = "cooling"


def cooling(seconds: float) -> Verdict:
    """The provider was not asked: it wants a pause."""
    return Verdict(kind=Kind.THROTTLED, reason=COOLING, status=429, retry_after=seconds)


class Terms(Struct, frozen=True, kw_only=True):
    """What holds for one request."""

    deadline: float
    streamed: bool
    may_retry: Callable[[float], bool]
    """whether the budget has one more, at this time."""
    chance: Callable[[], float]


def plan(deployments: Sequence[Deployment], standing: Standing, terms: Terms, now: float) -> Plan:
    """Tries one deployment after the other."""
    verdicts: list[Verdict] = []
    outgrown: int | None = None
    for index, deployment in enumerate(deployments):
        if outgrown is not None and 0 < deployment.context <= outgrown:
            continue
        more = index + 1 < len(deployments)
        step, verdict, now = yield from _one(deployment, standing, terms, now, more=more)
        if step is not None:
            return Served(step, index > 0)
        verdicts.append(verdict)
        if verdict.kind in _FINAL:
            break
        if verdict.kind is Kind.LARGER:
            outgrown = max(outgrown or 0, deployment.context)
        if terms.deadline - now < LEAST:
            break
    return _gave_up(verdicts)


_Result = tuple[Try | None, Verdict, float]


def _one(deployment: Deployment, standing: Standing, terms: Terms, now: float, *, more: bool) -> Generator[Try | Wait, Report, _Result]:
    """Asks one deployment: each key that may be used, and again after a failure."""
    failures = 0
    spent: set[str] = set()
    while True:
        key, verdict = _key(deployment, standing, now, spent)
        if key is None:
            return None, verdict, now
        step = Try(deployment=deployment, key=key, patience=_patience(deployment, terms, now, more=more))
        report = yield step
        now, verdict = report.now, report.verdict or NO_KEY
        if verdict.kind is Kind.OK:
            return step, verdict, now
        _note(standing, step, verdict, now)
        if verdict.kind is Kind.FAILURE:
            failures += 1
            pause = BACKOFF * 2.0 ** (failures - 1) * (0.5 + terms.chance() / 2)
            out_of_time = now + pause + LEAST > terms.deadline
            if failures > (1 if more else 2) or verdict.retry_after or out_of_time or not terms.may_retry(now):
                return None, verdict, now
            now = (yield Wait(pause)).now
        elif verdict.kind not in (Kind.THROTTLED, Kind.KEY) or not deployment.keys or terms.deadline - now < LEAST:
            return None, verdict, now
        else:
            spent.add(key)


def place(deployment: Deployment, key: str) -> tuple[str, str]:
    """What a 429 is about."""
    return (key or deployment.provider, deployment.model)


def _key(deployment: Deployment, standing: Standing, now: float, spent: Collection[str]) -> tuple[str | None, Verdict]:
    """The first key that may be used now; else why there is none. ``spent`` keys were refused in this request."""
    keys = deployment.keys or (() if deployment.wants_key else ("",))
    usable = [key for key in keys if not standing.is_retired(key)]
    waits = [standing.wait(place(deployment, key), now) for key in usable]
    for key, wait in zip(usable, waits, strict=True):
        if wait <= 0 and key not in spent:
            return key, NO_KEY
    return None, cooling(min(waits)) if waits else NO_KEY


def _note(standing: Standing, step: Try, verdict: Verdict, now: float) -> None:
    if verdict.kind is Kind.THROTTLED or (verdict.kind is Kind.FAILURE and verdict.retry_after):
        news = verdict.reason != COOLING  # else it is what others have told
        standing.cool(place(step.deployment, step.key), verdict.retry_after, now, tell=news)
    elif verdict.kind is Kind.KEY and step.key and verdict.sure:
        standing.retire(step.key)
    elif verdict.kind is Kind.KEY and step.key:
        standing.cool(place(step.deployment, step.key), REST, now)


def _patience(deployment: Deployment, terms: Terms, now: float, *, more: bool) -> float:
    """A whole answer may take long; while there is another to ask, it takes at most half of what is left."""
    left = max(0.0, terms.deadline - now)
    if terms.streamed:
        return min(deployment.first_token, left)
    return min(left, max(deployment.first_token, left / 2)) if more else left


def _gave_up(verdicts: list[Verdict]) -> GaveUp:
    if not verdicts:
        return GaveUp(NO_KEY, None)
    verdict = min(verdicts, key=lambda each: _TELLING.index(each.kind))
    waits = [each.retry_after for each in verdicts if each.retry_after is not None]
    return GaveUp(verdict, min(waits) if waits else None)
