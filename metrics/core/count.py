"""What is counted of an observation: (metric, labels) and how much. One function a kind; ``METRICS`` names what each label is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct, field

from metrics.core import observation as o
from metrics.core.sketch import Sketch

Series = tuple[str, ...]
"""A metric's name and the values of its labels, in its order."""

MOST_SERIES = 20_000
"""in one process between two flushes; what comes beyond is counted under ``OTHER`` labels."""
OTHER = "(other)"


class Tally:
    """Counters and sketches since the last flush. Not for several threads at once."""

    __slots__ = ("counters", "sketches")

    def __init__(self) -> None:
        self.counters: dict[Series, float] = {}
        self.sketches: dict[Series, Sketch] = {}

    def __bool__(self) -> bool:
        return bool(self.counters or self.sketches)

    @property
    def size(self) -> int:
        """How many series it holds."""
        return len(self.counters) + len(self.sketches)

    def observe(self, seen: o.Observation) -> None:
        """Counts one observation."""
        _COUNT[type(seen)](self, seen)

    def observe_all(self, seen: Iterable[o.Observation]) -> list[Exception]:
        """Counts many; what went wrong with those that could not be counted. Writes and reads that differ in nothing but times and callers
        are counted together, which costs a third, however many callers there are."""
        alike: dict[Alike, Group] = {}
        faults: list[Exception] = []
        for each in seen:
            try:
                if isinstance(each, o.Wrote | o.Read) and (key := _alike(each)) is not None:
                    group = alike.get(key)
                    if group is None:
                        group = alike[key] = Group(each)
                    group.add(each)
                else:
                    self.observe(each)
            except Exception as fault:
                faults.append(fault)
        for group in alike.values():
            group.count_in(self)
        return faults

    def add(self, amount: float, *series: str) -> None:
        """Adds to a counter."""
        counters = self.counters
        known = counters.get(series)
        if known is None and len(counters) >= MOST_SERIES:
            series = _folded(series)
            known = counters.get(series)
        counters[series] = amount + (known or 0.0)

    def time(self, seconds: float, *series: str, times: int = 1) -> None:
        """Adds to a histogram, so many times."""
        self._sketch(series).add(seconds, times)

    def times(self, spread: Sketch, *series: str) -> None:
        """Adds many to a histogram."""
        self._sketch(series).merge(spread)

    def _sketch(self, series: Series) -> Sketch:
        sketch = self.sketches.get(series)
        if sketch is None:
            if len(self.sketches) >= MOST_SERIES:
                series = _folded(series)
            sketch = self.sketches.setdefault(series, Sketch())
        return sketch


class Group(Struct):
    """Observations that are counted together: all are like this one, but for their times and callers."""

    like: o.Wrote | o.Read
    times: Sketch = field(default_factory=Sketch)
    callers: dict[str, int] = field(default_factory=dict)

    def add(self, seen: o.Wrote | o.Read) -> None:
        """One more."""
        self.times.add(max(0.0, seen.seconds))  # first: it raises where that is no number
        self.callers[seen.caller] = self.callers.get(seen.caller, 0) + 1

    def count_in(self, tally: Tally) -> None:
        """Adds them to a tally."""
        if isinstance(self.like, o.Wrote):
            _writes(tally, self.like, self.callers, self.times, self.times)
        else:
            _reads(tally, self.like, self.callers, self.times)


def _folded(series: Series) -> Series:
    return (series[0], *(OTHER for _ in series[1:]))


def _one(seconds: float) -> Sketch:
    times = Sketch()
    times.add(max(0.0, seconds))
    return times


def _wrote(tally: Tally, seen: o.Wrote) -> None:
    _writes(tally, seen, {seen.caller: 1}, _one(seen.seconds - seen.waited), _one(seen.seconds))


def _writes(tally: Tally, like: o.Wrote, callers: Mapping[str, int], writing: Sketch, healing: Sketch) -> None:
    """``callers``: how many are each one's."""
    for caller, count in callers.items():
        tally.add(count, "mendgate_writes_total", like.table, like.operation, like.outcome, caller)
        for fix, source in like.heals:
            tally.add(count, "mendgate_heals_total", like.table, fix, source, caller)
    tally.add(writing.count * like.rows, "mendgate_write_rows_total", like.table, like.outcome)
    tally.times(writing, "mendgate_write_seconds", like.table, like.operation, like.outcome)
    tally.times(writing, "db_client_operation_duration_seconds", like.operation)
    if like.heals:
        tally.times(healing, "mendgate_healing_seconds", like.heals[0][1])
    if like.changed:
        tally.add(writing.count, "mendgate_changed_total", like.table)


def _read(tally: Tally, seen: o.Read) -> None:
    _reads(tally, seen, {seen.caller: 1}, _one(seen.seconds))


def _reads(tally: Tally, like: o.Read, callers: Mapping[str, int], times: Sketch) -> None:
    for caller, count in callers.items():
        tally.add(count, "mendgate_reads_total", like.table, _yes(like.ok), caller)
    tally.times(times, "db_client_operation_duration_seconds", "select")


def _replayed(tally: Tally, seen: o.Replayed) -> None:
    tally.add(1, "mendgate_replays_total", seen.table, seen.outcome, seen.source)


def _reversed(tally: Tally, seen: o.Reversed) -> None:
    tally.add(1, "mendgate_reversals_total", seen.table, seen.source, seen.by)


def _decided(tally: Tally, seen: o.Decided) -> None:
    tally.add(1, "mendgate_decisions_total", seen.kind, seen.action)


def _breaker_moved(tally: Tally, seen: o.BreakerMoved) -> None:
    tally.add(1, "mendgate_breaker_transitions_total", seen.breaker, seen.into)


def _saved(tally: Tally, seen: o.Saved) -> None:
    tally.add(seen.calls, "mendgate_breaker_saved_total", seen.breaker)
    tally.add(seen.fallbacks, "mendgate_breaker_fallbacks_total", seen.breaker)


def _asked(tally: Tally, seen: o.Asked) -> None:
    tally.add(1, "mendgate_ai_requests_total", seen.model, seen.provider, seen.purpose, seen.outcome)
    tally.time(seen.seconds, "gen_ai_client_operation_duration_seconds", seen.model, seen.provider)
    if seen.first_token is not None:
        tally.time(seen.first_token, "gen_ai_server_time_to_first_token_seconds", seen.model, seen.provider)
    tally.add(seen.input_tokens, "gen_ai_client_token_usage_total", seen.model, "input")
    tally.add(seen.output_tokens, "gen_ai_client_token_usage_total", seen.model, "output")
    tally.add(seen.cost, "mendgate_ai_cost_dollars_total", seen.model, seen.purpose)
    tally.add(seen.saved, "mendgate_ai_saved_dollars_total", seen.model, seen.purpose)


def _schema_moved(tally: Tally, seen: o.SchemaMoved) -> None:
    tally.add(seen.changes, "mendgate_schema_changes_total", seen.severity)


def _invalidated(tally: Tally, seen: o.Invalidated) -> None:
    tally.add(1, "mendgate_cache_invalidations_total", seen.cache)


def _job_ran(tally: Tally, seen: o.JobRan) -> None:
    tally.add(1, "mendgate_jobs_total", seen.job, _yes(seen.ok))
    tally.time(seen.seconds, "mendgate_job_seconds", seen.job)


def _edge_timed(tally: Tally, seen: o.EdgeTimed) -> None:
    tally.add(seen.calls - seen.errors, "mendgate_edge_calls_total", seen.name, "yes")
    tally.add(seen.errors, "mendgate_edge_calls_total", seen.name, "no")
    for seconds, times in seen.spread:
        tally.time(seconds, "mendgate_edge_seconds", seen.name, times=times)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


Alike = tuple[object, ...]
"""Everything of an observation but its time and caller."""


def _alike(seen: o.Wrote | o.Read) -> Alike | None:
    if isinstance(seen, o.Read):
        return seen.table, seen.ok
    if seen.waited:
        return None
    return seen.table, seen.operation, seen.outcome, seen.rows, seen.heals, seen.changed


_COUNT: dict[type, Callable[[Tally, Any], None]] = {
    o.Wrote: _wrote,
    o.Read: _read,
    o.Replayed: _replayed,
    o.Reversed: _reversed,
    o.Decided: _decided,
    o.BreakerMoved: _breaker_moved,
    o.Saved: _saved,
    o.Asked: _asked,
    o.SchemaMoved: _schema_moved,
    o.Invalidated: _invalidated,
    o.JobRan: _job_ran,
    o.EdgeTimed: _edge_timed,
}
