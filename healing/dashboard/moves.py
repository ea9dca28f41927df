"""What would move each number: the largest single cause, and the page where it is settled."""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import Count
from django.urls import NoReverseMatch, reverse

from healing.dashboard import said
from healing.dashboard.facts import Facts
from healing.dashboard.numbers import Move
from healing.models import Proposal, QuarantineItem
from metrics.core.figures import Figures
from metrics.core.summary import BY_HAND

WAITING = ("waiting", "parked")
SPOKEN = {
    "lineage": "renames followed",
    "builtin": "lossless coercion",
    "matcher": "certified fixes",
    "person": "rules",
    "learned": "approved rules",
    "ai": "AI",
}


def moves(facts: Facts) -> dict[str, Move]:
    """By the number's name; those without an idea are missing."""
    ideas: dict[str, Callable[[Facts], Move | None]] = {
        "healing_success_rate": _success, "wrong_heal_rate": _wrong, "deterministic_fix_rate": _by_ai, "ai_fix_rate": _by_ai,
        "avg_healing_duration": _slow_source, "p99_known_healing_duration": _slow_known, "write_p99": _slow_operation,
        "circuit_breaker_trips": _trips, "fallback_usage_rate": _fallbacks, "ai_cost": _cost,
        "schema_changes_detected": _schema, "cache_invalidations": _caches, "manual_interventions": _people,
    }  # fmt: skip
    return {name: idea for name, find in ideas.items() if (idea := find(facts)) is not None}


def _success(facts: Facts) -> Move | None:
    """The open proposal that most kept writes wait for."""
    groups = QuarantineItem.objects.filter(state__in=WAITING).values_list("schema", "table", "signature")
    waiting = {place: n for *place_, n in groups.annotate(n=Count("pk")).order_by() if (place := tuple(place_))}
    if not waiting:
        return None
    best = max(
        ((waiting[p.schema, p.table, p.signature], p.probability, p) for p in _open() if (p.schema, p.table, p.signature) in waiting),
        key=lambda found: found[:2],
        default=None,
    )
    if best is None:
        count = sum(waiting.values())
        return Move(f"find a fix for {_writes(count)} that wait{'s' if count == 1 else ''}", reverse("admin:healing_causes"))
    gain = _gain(facts.wide, best[0])
    more = f" (+{gain * 100:.2g} points)" if gain else ""
    if all(fix["op"] == "drop_key" for fix in best[2].fix):
        text = f"decide about {_writes(best[0])}{more}: the fix at hand loses a value"  # nobody is urged to lose something
        return Move(text, reverse("admin:healing_review"))
    return Move(f"approve “{best[2].sentence}” for {_writes(best[0])}{more}", reverse("admin:healing_review"))


def _gain(figures: Figures, landing: int) -> float:
    """By how much success rises when so many kept writes land."""
    healed = figures.total("mendgate_writes_total", outcome="healed")
    kept = figures.total("mendgate_writes_total", outcome="kept")
    open_ = max(0.0, kept - figures.total("mendgate_replays_total", outcome="landed"))
    return min(float(landing), open_) / (healed + kept) if healed + kept else 0.0


def _wrong(facts: Facts) -> Move | None:
    for (table, source), count in facts.by_table.by("mendgate_reversals_total", "table", "source").items():
        text = f"look at fixes by {SPOKEN.get(source, source)} in {table or 'any table'}: {said.said(count, 'count')} taken back"
        return Move(text, reverse("admin:healing_rule_changelist"))
    return None


def _by_ai(facts: Facts) -> Move | None:
    for (table, fix), count in facts.by_table.by("mendgate_heals_total", "table", "fix", source="ai").items():
        return Move(f"make a rule of {_plain(fix)} in {table}: {said.said(count, 'count')} by AI", reverse("admin:healing_review"))
    return None


def _slow_source(facts: Facts) -> Move | None:
    by_source = {source: facts.wide.sketch("mendgate_healing_seconds", source=source) for source in SPOKEN}
    source, sketch = max(by_source.items(), key=lambda item: item[1].total)
    if not sketch.count:
        return None
    mean = said.said((sketch.mean or 0.0) * 1000, "ms")
    return Move(f"{SPOKEN[source]}: {said.said(sketch.count, 'count')} at {mean} each", reverse("admin:healing_receipt_changelist"))


def _slow_known(facts: Facts) -> Move | None:
    by_source = {s: facts.wide.sketch("mendgate_healing_seconds", source=s).quantile(0.99) for s in SPOKEN if s != "ai"}
    known = {source: value for source, value in by_source.items() if value is not None}
    if not known:
        return None
    source = max(known, key=known.__getitem__)
    return Move(f"slowest: {SPOKEN[source]}, p99 {said.said(known[source] * 1000, 'ms')}", reverse("admin:healing_receipt_changelist"))


def _slow_operation(facts: Facts) -> Move | None:
    operations = {operation for (operation,) in facts.wide.by("mendgate_writes_total", "operation")}
    known = {o: q for o in operations if (q := facts.wide.sketch("mendgate_write_seconds", operation=o).quantile(0.99)) is not None}
    if not known:
        return None
    operation = max(sorted(known), key=known.__getitem__)
    return Move(f"slowest: {operation}, p99 {said.said(known[operation] * 1000, 'ms')}", "#chart-latency")


def _trips(facts: Facts) -> Move | None:
    for (breaker,), count in facts.wide.by("mendgate_breaker_transitions_total", "breaker", into="open").items():
        return Move(f"{breaker} opened {_times(count)}", _page("admin:breakers_breakerconfig_changelist") or "#chart-breakers")
    return None


def _fallbacks(facts: Facts) -> Move | None:
    for (model, outcome), count in facts.wide.by("mendgate_ai_requests_total", "model", "outcome", outcome=("fallback", "canned")).items():
        return Move(
            f"{model or 'no model'}: {said.said(count, 'count')} {outcome}",
            _page("admin:breakers_breakerconfig_changelist") or "#chart-breakers",
        )
    return None


def _cost(facts: Facts) -> Move | None:
    for (model, purpose), cost in facts.wide.by("mendgate_ai_cost_dollars_total", "model", "purpose").items():
        return Move(f"{model} for {purpose}: {said.said(cost, 'dollars')}", "#chart-number") if cost else None
    return None


def _schema(facts: Facts) -> Move | None:
    found = facts.wide.by("mendgate_schema_changes_total", "severity")
    text = " · ".join(f"{said.said(count, 'count')} {severity}" for (severity,), count in found.items() if count)
    return Move(text, reverse("admin:schema_timeline")) if text else None


def _caches(facts: Facts) -> Move | None:
    for (cache,), count in facts.wide.by("mendgate_cache_invalidations_total", "cache").items():
        return Move(f"{cache}: {_times(count)}", reverse("admin:schema_timeline"))
    return None


def _people(facts: Facts) -> Move | None:
    for (kind, action), count in facts.wide.by("mendgate_decisions_total", "kind", "action", kind=BY_HAND).items():
        return Move(f"{action} {kind}: {_times(count)}", reverse("admin:healing_decision_changelist"))
    return None


def _open() -> list[Proposal]:
    return list(Proposal.objects.filter(state="open").defer("evidence", "fix"))


def _page(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def _plain(fix: str) -> str:
    return fix.replace("_", " ")


def _writes(count: int) -> str:
    return f"{count:,} write{'' if count == 1 else 's'}"


def _times(count: float) -> str:
    return "once" if count == 1 else f"{said.said(count, 'count')} times"
