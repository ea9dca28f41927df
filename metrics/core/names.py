"""Every metric by name: what it counts, in what, with which labels. Names follow Prometheus; OpenTelemetry's where it has one."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class Metric(Struct, frozen=True):
    """``kind``: counter or histogram. ``help`` says what one unit is."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


_ALL = (
    Metric("mendgate_writes_total", "counter", ("table", "operation", "outcome", "caller"), "Writes that came to their end."),
    Metric("mendgate_write_rows_total", "counter", ("table", "outcome"), "Rows of those writes."),
    Metric("mendgate_write_seconds", "histogram", ("table", "operation", "outcome"), "From the request to its answer."),
    Metric("mendgate_heals_total", "counter", ("table", "fix", "source", "caller"), "Fixes that were applied to writes that landed."),
    Metric("mendgate_healing_seconds", "histogram", ("source",), "From the request to the answer, of writes that were healed."),
    Metric("mendgate_changed_total", "counter", ("table",), "Writes that Postgres stored differently from what was sent."),
    Metric("mendgate_reads_total", "counter", ("table", "ok", "caller"), "Reads and function calls."),
    Metric("db_client_operation_duration_seconds", "histogram", ("operation",), "Database operations by kind, as OpenTelemetry names it."),
    Metric("mendgate_replays_total", "counter", ("table", "outcome", "source"), "Kept writes that were tried again."),
    Metric("mendgate_reversals_total", "counter", ("table", "source", "by"), "Heals that a person or a caller called wrong."),
    Metric("mendgate_decisions_total", "counter", ("kind", "action"), "Interventions of people."),
    Metric("mendgate_breaker_transitions_total", "counter", ("breaker", "into"), "Breakers that came into a state."),
    Metric("mendgate_breaker_saved_total", "counter", ("breaker",), "Calls that a breaker spared."),
    Metric("mendgate_breaker_fallbacks_total", "counter", ("breaker",), "Of those, answered by a fallback."),
    Metric("mendgate_ai_requests_total", "counter", ("model", "provider", "purpose", "outcome"), "Questions to an AI."),
    Metric("gen_ai_client_operation_duration_seconds", "histogram", ("model", "provider"), "How long answers of an AI took."),
    Metric("gen_ai_server_time_to_first_token_seconds", "histogram", ("model", "provider"), "Until a stream's first content."),
    Metric("gen_ai_client_token_usage_total", "counter", ("model", "type"), "Tokens, input and output."),
    Metric("mendgate_ai_cost_dollars_total", "counter", ("model", "purpose"), "What answers cost."),
    Metric("mendgate_ai_saved_dollars_total", "counter", ("model", "purpose"), "What was not spent, thanks to cache and fallbacks."),
    Metric("mendgate_schema_changes_total", "counter", ("severity",), "Changes of the target's schema."),
    Metric("mendgate_cache_invalidations_total", "counter", ("cache",), "Things known that were thrown away."),
    Metric("mendgate_jobs_total", "counter", ("job", "ok"), "Background jobs that ended."),
    Metric("mendgate_job_seconds", "histogram", ("job",), "How long they took."),
    Metric("mendgate_edge_calls_total", "counter", ("call", "ok"), "What edge functions measured, by their own names."),
    Metric("mendgate_edge_seconds", "histogram", ("call",), "How long that took, within a factor of two."),
    Metric("mendgate_observations_dropped_total", "counter", (), "Observations that found the buffer full."),
)
METRICS = {metric.name: metric for metric in _ALL}


def is_known(series: Sequence[str]) -> bool:
    """Whether this version counts such a series: another may have named it otherwise, or given it other labels.

    >>> is_known(("mendgate_jobs_total", "sweep", "yes")), is_known(("mendgate_jobs_total", "sweep")), is_known(("from_the_future",))
    (True, False, False)
    """
    metric = METRICS.get(series[0])
    return metric is not None and len(metric.labels) == len(series) - 1
