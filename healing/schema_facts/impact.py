"""An impact check's outcome as a picture: what each caller would meet, shape by shape."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from schema_monitor.core.impact import Judged, Verdict
from schema_monitor.core.verdicts import Reason
from schema_monitor.impact.check import Impact
from schema_monitor.impact.trial import Refusal

MOST_SHAPES, MOST_CALLERS = 60, 12
WORDS = {
    Verdict.FITS: ("fits", "plain"), Verdict.HEALS: ("heals", "active"), Verdict.DEPENDS: ("depends on values", "medium"),
    Verdict.NEEDS_RULE: ("needs a rule", "waiting"), Verdict.BREAKS: ("breaks", "critical"),
}  # fmt: skip
_HEADLINES = {
    Verdict.FITS: ("success", "No recorded caller would notice."),
    Verdict.HEALS: ("success", "No recorded caller would notice: what does not fit any more is healed."),
    Verdict.DEPENDS: ("info", "Some requests depend on their values; what does not fit is kept, not lost."),
    Verdict.NEEDS_RULE: ("warning", "Some writes would be kept until a person approves a rule."),
    Verdict.BREAKS: ("danger", "Some requests would fail."),
}
Who = tuple[str | None, str]


class Cell(Struct, frozen=True):
    """What one caller's requests of one shape would meet."""

    requests: int
    word: str
    state: str
    worse: bool


class Row(Struct, frozen=True):
    """One shape, over all callers."""

    title: str
    keys: str
    cells: tuple[Cell | None, ...]
    reasons: tuple[Reason, ...]
    requests: int


class Line(Struct, frozen=True):
    """A line of the DDL; ``bad`` where a refused statement is."""

    number: int
    text: str
    bad: bool


class Outcome(Struct, frozen=True):
    """What the page shows."""

    impact: Impact
    colour: str
    headline: str
    callers: tuple[str, ...]
    rows: tuple[Row, ...]
    left_out: int
    lines: tuple[Line, ...] = ()


def outcome(impact: Impact, ddl: str) -> Outcome:
    """The picture, worst rows first."""
    if impact.refusal is not None:
        return Outcome(impact, "danger", "The database would refuse this.", (), (), 0, tuple(_lines(ddl, impact.refusal)))
    colour, headline = _HEADLINES[impact.verdict]
    if not impact.changes:
        colour, headline = "info", "This changes nothing of the schema."
    elif colour == "success" and any(each.change.severity == "critical" for each in impact.changes):
        colour, headline = "warning", f"{headline} But a change is critical: whoever was not recorded may fail."
    callers: list[Who] = [(caller.key, caller.role) for caller in impact.callers][:MOST_CALLERS]
    names = tuple(f"{caller.name}" for caller in impact.callers)[:MOST_CALLERS]
    rows = _rows(impact.judged, callers)
    return Outcome(impact, colour, headline, names, rows[:MOST_SHAPES], max(0, len(rows) - MOST_SHAPES))


def _rows(judged: Iterable[Judged], callers: Sequence[Who]) -> tuple[Row, ...]:
    shapes: dict[tuple[str, str, str, str], list[Judged]] = {}
    for each in judged:
        s = each.shape
        shapes.setdefault((s.schema, s.name, s.operation, s.shape), []).append(each)
    return tuple(_row(alike, callers) for alike in shapes.values())


def _row(alike: Sequence[Judged], callers: Sequence[Who]) -> Row:
    shape = alike[0].shape
    by_caller = {(each.shape.key, each.shape.role): _cell(each) for each in alike}
    reasons = {reason.sentence: reason for each in alike for reason in each.reasons}
    said = ", ".join(dict.fromkeys((*shape.keys, *shape.named)))
    title = f"{shape.operation} {shape.schema}.{shape.name}"
    total = sum(each.shape.requests for each in alike)
    return Row(title, said, tuple(by_caller.get(who) for who in callers), tuple(reasons.values()), total)


def _cell(judged: Judged) -> Cell:
    word, state = WORDS[judged.verdict]
    return Cell(judged.shape.requests, word if judged.worse or judged.verdict is Verdict.FITS else f"{word}, as today", state, judged.worse)


def _lines(ddl: str, refusal: Refusal) -> Iterable[Line]:
    """The DDL with the refused statement's lines marked."""
    last = refusal.line + refusal.statement.strip().count("\n")
    for number, text in enumerate(ddl.splitlines(), 1):
        yield Line(number, text, refusal.line <= number <= last)
