"""What is counted of an observation: (metric, labels) and how much. One function a kind; ``METRICS`` names what each label is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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

    def observe(self, seen: o.Observation) -> None:
        """Counts one observation."""
        _COUNT[type(seen)](self, seen)

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
        sketch = self.sketches.get(series)
        if sketch is None:
            if len(self.sketches) >= MOST_SERIES:
                series = _folded(series)
            sketch = self.sketches.setdefault(series, Sketch())
        sketch.add(seconds, times)


def _folded(series: Series) -> Series:
    return (series[0], *(OTHER for _ in series[1:]))


def _wrote(tally: Tally, seen: o.Wrote) -> None:
    tally.add(1, "mendgate_writes_total", seen.table, seen.operation, seen.outcome, seen.caller)
    tally.add(seen.rows, "mendgate_write_rows_total", seen.table, seen.outcome)
    writing = max(0.0, seen.seconds - seen.waited)
    tally.time(writing, "mendgate_write_seconds", seen.table, seen.operation, seen.outcome)
    tally.time(writing, "db_client_operation_duration_seconds", seen.operation)
    for fix, source in seen.heals:
        tally.add(1, "mendgate_heals_total", seen.table, fix, source, seen.caller)
    if seen.heals:
        tally.time(seen.seconds, "mendgate_healing_seconds", seen.heals[0][1])
    if seen.changed:
        tally.add(1, "mendgate_changed_total", seen.table)


def _read(tally: Tally, seen: o.Read) -> None:
    tally.add(1, "mendgate_reads_total", seen.table, _yes(seen.ok), seen.caller)
    tally.time(seen.seconds, "db_client_operation_duration_seconds", "select")


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
