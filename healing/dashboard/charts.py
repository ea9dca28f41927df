"""The charts by name: each reads what it needs for the stretch, table and caller that are asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from healing.dashboard import flow, said
from healing.dashboard.asked import Asked
from healing.dashboard.chart import Cell, Chart, Trace, table
from healing.dashboard.lanes import lanes
from healing.dashboard.made_of import made_of
from healing.dashboard.markers import markers
from healing.dashboard.misfits import top
from healing.dashboard.numbers import reaches
from metrics import timelines
from metrics.core.figures import Figures
from metrics.core.summary import NUMBERS, Number

PERCENTILES = (("p50", 0.5, "good"), ("p95", 0.95, "warn"), ("p99", 0.99, "bad"))
SOURCES = (
    ("lineage", "rename followed", "lineage"), ("builtin", "coerced", "builtin"), ("rule", "approved rule", "rule"),
    ("matcher", "certified", "matcher"), ("ai", "AI", "ai"),
)  # fmt: skip
OUTCOMES = (
    ("healthy", "healthy", "good"), ("healed", "healed", "heal"), ("kept", "kept", "warn"),
    ("refused", "refused", "quiet"), ("failed", "failed", "bad"),
)  # fmt: skip
_SUCCEEDED = ("healthy", "healed")
_ALL_CALLERS = "Durations are not told apart by caller: these are all callers."
Steps = list[timelines.Slice]


def latency(asked: Asked) -> Chart:
    """How long writes that landed took: three percentiles, in milliseconds."""
    slices = _steps(asked, "mendgate_write_seconds")
    sketches = [each.figures.sketch("mendgate_write_seconds", outcome=_SUCCEEDED) for each in slices]
    times = [each.at for each in slices]
    values = {name: [_ms(sketch.quantile(q)) for sketch in sketches] for name, q, _ in PERCENTILES}
    counts = [sketch.count for sketch in sketches]
    columns, rows = table(times, ["writes", *(f"{name} ms" for name in values)], counts, *values.values())
    worst = max((v for v in values["p99"] if v is not None), default=None)
    return Chart(
        title="How long writes take", unit="ms", **_frame(asked, times), columns=columns, rows=rows, markers=markers(asked),
        traces=[Trace(name=name, values=values[name], colour=colour) for name, _, colour in PERCENTILES],
        sentence=f"Writes that landed, {asked.window.said}: {sum(counts):,} writes; the worst p99 of a step {said.said(worst, 'ms')}.",
        note=_ALL_CALLERS if asked.caller else "", empty="" if sum(counts) else "No write landed in this stretch.",
    )  # fmt: skip


def heals(asked: Asked) -> Chart:
    """Fixes by who found them, and the share that needed the AI."""
    slices = _steps(asked, "mendgate_heals_total")
    times = [each.at for each in slices]
    found = {name: [_by(each.figures, name) for each in slices] for name, _, _ in SOURCES}
    sums = [sum(step) for step in zip(*found.values(), strict=True)]
    rates = [ai / whole if whole else None for ai, whole in zip(found["ai"], sums, strict=True)]
    columns, rows = table(times, [*(word for _, word, _ in SOURCES), "AI share"], *found.values(), rates)
    whole, ai = sum(sums), sum(found["ai"])
    return Chart(
        title="How it was healed", unit="count", right_unit="share", stacked=True, **_frame(asked, times), columns=columns, rows=rows,
        markers=markers(asked), target=None,
        traces=[
            *(Trace(name=word, values=found[name], colour=colour, kind="bar") for name, word, colour in SOURCES if any(found[name])),
            Trace(name="AI share", values=rates, colour="text", kind="dash", right=True),
        ],
        sentence=f"{whole:,} fixes, {asked.window.said}; {said.said(ai / whole if whole else None, 'share')} of them by AI.",
        empty="" if whole else "Nothing had to be healed in this stretch.",
    )  # fmt: skip


def outcomes(asked: Asked) -> Chart:
    """What became of the writes, over time."""
    slices = _steps(asked, "mendgate_writes_total")
    times = [each.at for each in slices]
    found = {name: [round(each.figures.total("mendgate_writes_total", outcome=name)) for each in slices] for name, _, _ in OUTCOMES}
    columns, rows = table(times, [word for _, word, _ in OUTCOMES], *found.values())
    totals = {name: sum(values) for name, values in found.items()}
    said_ = ", ".join(f"{totals[name]:,} {word}" for name, word, _ in OUTCOMES if totals[name])
    return Chart(
        title="Writes over time", unit="count", stacked=True, **_frame(asked, times), columns=columns, rows=rows, markers=markers(asked),
        traces=[Trace(name=word, values=found[name], colour=colour, kind="bar") for name, word, colour in OUTCOMES if totals[name]],
        sentence=f"Writes, {asked.window.said}: {said_ or 'none'}.", empty="" if said_ else "No write came in this stretch.",
    )  # fmt: skip


def number(asked: Asked, name: str) -> Chart:
    """One number of the targets table, with its target."""
    found = next(number for number in NUMBERS if number.name == name)
    within = reaches(name, asked)
    slices = _steps(asked if within else Asked(asked.now, asked.last), *made_of(found))
    times = [each.at for each in slices]
    values = [_shown(found, each.figures) for each in slices]
    columns, rows = table(times, [f"{found.title}, {found.unit}"], values)
    known = [value for value in values if value is not None]
    last = said.said(known[-1] if known else None, found.unit)
    goal = said.target(found)
    return Chart(
        title=found.title, unit=found.unit, target=found.target, **_frame(asked, times), columns=columns, rows=rows, markers=markers(asked),
        traces=[Trace(name=found.title, values=values, colour="heal", kind="bar" if found.unit in ("count", "dollars") else "line")],
        sentence=f"{found.title}, {asked.window.said}: last {last}{f', target {goal}' if goal else ''}.",
        note="" if within else "The filter does not reach this number: it is of all tables and callers.",
        empty="" if known else "Nothing was seen that this number could be made of.",
    )  # fmt: skip


def written(asked: Asked) -> Chart:
    """The flow's table: what became of every write."""
    with_callers = ("mendgate_writes_total", "mendgate_heals_total")
    names = with_callers if asked.caller else (*with_callers, "mendgate_replays_total")
    found = flow.stages(timelines.whole(timelines.asked(names, asked.only), asked.since))
    total = sum(stage.count for stage in found)
    rows: list[list[Cell]] = [[stage.words, stage.count, round(stage.count / total, 6), stage.end] for stage in found]
    columns = ["what became of it", "writes", "share", "ended"]
    return Chart(
        title="What became of every write", sentence="", unit="count", start=asked.since, end=asked.now, columns=columns, rows=rows
    )


def misfits(asked: Asked) -> Chart:
    """The misfits' table."""
    rows: list[list[Cell]] = [[each.place, each.what, each.state, each.count, each.callers] for each in top(asked)]
    columns = ["where", "what did not fit", "state", "writes", "callers"]
    return Chart(title="Top misfits", sentence="", unit="count", start=asked.since, end=asked.now, columns=columns, rows=rows)


CHARTS: dict[str, Callable[[Asked], Chart]] = {
    "latency": latency, "heals": heals, "outcomes": outcomes, "breakers": lanes, "flow": written, "misfits": misfits,
}  # fmt: skip


def find(name: str) -> Callable[[Asked], Chart] | None:
    """The chart of that name; ``number-<name>`` is one of a number."""
    kind, _, rest = name.partition("-")
    if kind == "number" and any(each.name == rest for each in NUMBERS):
        return lambda asked: number(asked, rest)
    return CHARTS.get(name)


def _steps(asked: Asked, *names: str) -> Steps:
    return timelines.steps(timelines.asked(names, asked.only), asked.since, asked.now, asked.window.step)


def _frame(asked: Asked, times: list[datetime]) -> dict[str, Any]:
    return {"start": times[0], "end": asked.now, "times": times, "step": asked.window.step.total_seconds()}


def _by(figures: Figures, source: str) -> int:
    return round(figures.total("mendgate_heals_total", source=("person", "learned") if source == "rule" else source))


def _shown(number: Number, figures: Figures) -> float | None:
    """A share or duration of an empty step is nothing; a count is 0."""
    value = number.of(figures)
    return None if value is None else round(value, 6)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 4)
