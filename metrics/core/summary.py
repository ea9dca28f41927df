"""The numbers that Mendgate is judged by, their targets, and whether they are reached. Durations in milliseconds, shares from 0 to 1.

>>> summarize(Figures())["healing_success_rate"] is None
True
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from metrics.core.figures import Figures

BY_RULE = ("lineage", "builtin", "matcher", "person", "learned")
"""Sources whose fixes need no model: exact, certified or approved."""


BY_HAND = ("proposal", "rule", "quarantine", "replay", "breaker", "receipt", "alias")
"""Kinds of decisions that the running of writes asked for; keys, policies and other setting up are none of them."""


class Number(Struct, frozen=True):
    """``better``: which way is good: up, down, or '' where it only informs. ``target`` is reached at that value or beyond it."""

    name: str
    title: str
    unit: str
    of: Callable[[Figures], float | None]
    target: float | None = None
    better: str = ""

    def reached(self, value: float | None) -> bool | None:
        """Whether the target is reached; None where there is none, or nothing to judge."""
        if value is None or self.target is None:
            return None
        return value >= self.target if self.better == "up" else value <= self.target


def _mean(operation: str) -> Callable[[Figures], float | None]:
    def of(figures: Figures) -> float | None:
        return _ms(figures.sketch("db_client_operation_duration_seconds", operation=operation).mean)

    return of


def _quantile(q: float) -> Callable[[Figures], float | None]:
    def of(figures: Figures) -> float | None:
        return _ms(figures.sketch("mendgate_write_seconds", outcome=("healthy", "healed")).quantile(q))

    return of


def _success(figures: Figures) -> float | None:
    healed = figures.total("mendgate_writes_total", outcome="healed")
    kept = figures.total("mendgate_writes_total", outcome="kept")
    landed = min(kept, figures.total("mendgate_replays_total", outcome="landed"))
    return _share(healed + landed, healed + kept)


def _healing(figures: Figures) -> float | None:
    return _ms(figures.sketch("mendgate_healing_seconds").mean)


def _known_healing_p99(figures: Figures) -> float | None:
    return _ms(figures.sketch("mendgate_healing_seconds", source=BY_RULE).quantile(0.99))


def _fixes(figures: Figures) -> dict[str, float]:
    found = {source: count for (source,), count in figures.by("mendgate_heals_total", "source").items()}
    for (source,), count in figures.by("mendgate_replays_total", "source", outcome="landed").items():
        if source:
            found[source] = found.get(source, 0.0) + count
    return found


def _deterministic(figures: Figures) -> float | None:
    found = _fixes(figures)
    return _share(sum(found.get(source, 0.0) for source in BY_RULE), sum(found.values()))


def _by_ai(figures: Figures) -> float | None:
    found = _fixes(figures)
    return _share(found.get("ai", 0.0), sum(found.values()))


def _reversed(figures: Figures) -> float | None:
    healed = figures.total("mendgate_writes_total", outcome="healed") + figures.total("mendgate_replays_total", outcome="landed")
    return _share(figures.total("mendgate_reversals_total"), healed)


def _fallbacks(figures: Figures) -> float | None:
    asked = figures.total("mendgate_ai_requests_total")
    return _share(figures.total("mendgate_ai_requests_total", outcome=("fallback", "canned")), asked)


def _sum(name: str, **labels: str | tuple[str, ...]) -> Callable[[Figures], float | None]:
    return lambda figures: figures.total(name, **labels)


def _share(part: float, whole: float) -> float | None:
    return min(1.0, part / whole) if whole else None


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


NUMBERS = (
    Number("healing_success_rate", "Healing success", "share", _success, 0.99, "up"),
    Number("wrong_heal_rate", "Wrong heals", "share", _reversed, 0.0001, "down"),
    Number("deterministic_fix_rate", "Fixed without AI", "share", _deterministic, 0.85, "up"),
    Number("ai_fix_rate", "Fixed by AI", "share", _by_ai, 0.15, "down"),
    Number("avg_healing_duration", "Healing time, mean", "ms", _healing, 200.0, "down"),
    Number("p99_known_healing_duration", "Healing time of known fixes, p99", "ms", _known_healing_p99, 5.0, "down"),
    Number("avg_insert_duration", "Insert, mean", "ms", _mean("insert")),
    Number("avg_update_duration", "Update, mean", "ms", _mean("update")),
    Number("avg_select_duration", "Select, mean", "ms", _mean("select")),
    Number("write_p50", "Write, p50", "ms", _quantile(0.5)),
    Number("write_p95", "Write, p95", "ms", _quantile(0.95)),
    Number("write_p99", "Write, p99", "ms", _quantile(0.99), 500.0, "down"),
    Number("circuit_breaker_trips", "Breaker trips", "count", _sum("mendgate_breaker_transitions_total", into="open"), None, "down"),
    Number("breaker_saves", "Calls spared by breakers", "count", _sum("mendgate_breaker_saved_total")),
    Number("fallback_usage_rate", "Answered by a fallback", "share", _fallbacks, None, "down"),
    Number("ai_cost", "AI cost", "dollars", _sum("mendgate_ai_cost_dollars_total"), None, "down"),
    Number("ai_cost_saved", "AI cost saved", "dollars", _sum("mendgate_ai_saved_dollars_total"), None, "up"),
    Number("schema_changes_detected", "Schema changes", "count", _sum("mendgate_schema_changes_total")),
    Number("cache_invalidations", "Cache invalidations", "count", _sum("mendgate_cache_invalidations_total")),
    Number("manual_interventions", "Manual interventions", "count", _sum("mendgate_decisions_total", kind=BY_HAND), None, "down"),
)


def summarize(figures: Figures) -> dict[str, float | None]:
    """Every number by name; None where nothing was seen that it could be made of."""
    return {number.name: number.of(figures) for number in NUMBERS}
