"""What a fix promises, tried on made-up rows: that what it writes fits, that it leaves the rest alone, that twice is once, and that
what is exact can be taken back.

Rows hold the keys that the fix reads, with values that fit where they go, and with anything else; a row that a precondition keeps the
fix from counts as refused, as it would be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import groupby

from msgspec import Struct

from healing.core import fixes, formats, labels
from healing.core.refusals import rejects
from healing.core.samples import Chance, anything, fitting, rows
from healing.core.types import Json, Row
from healing.core.values import same
from schema_monitor.core.snapshot import EnumType, Relation

RUNS = 200


class Property(Struct, frozen=True):
    """One promise. ``promised`` is False where the fix does not claim it (a lossy one cannot be taken back); ``keys`` are those of the
    first row that broke it."""

    name: str
    says: str
    promised: bool
    runs: int
    failed: int
    keys: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Promised, tried, and never broken."""
        return self.promised and self.failed == 0 and self.runs > 0


_SPELLED: tuple[Json, ...] = (
    "1.0", "2e3", "42", 3, 1700000000, 1700000000000, "31/12/2024", "12/31/2024", "1,234.5", "1,234", "a, b", " x ", "ABC", "",
    "2024-02-29",
    "2024-02-29 12:00", "2024-02-29T12:00:00Z", "urn:uuid:6f1c1d5e-0000-4000-8000-000000000001", '{"a": 1}', "[1, 2]", {"a": 1}, [1],
    Decimal("2.0"), Decimal("2.4"), "1.0e0", True, "0.0",
)  # fmt: skip
"""Spellings that one format or another reads."""

Enums = Mapping[int, EnumType]
_Test = Callable[[Row, Row, Mapping[str, Json]], bool]


def properties(ops: Sequence[fixes.Fix], relation: Relation, enums: Enums, chance: Chance, runs: int = RUNS) -> tuple[Property, ...]:
    """Tries every promise ``runs`` times."""
    exact = all(fixes.is_exact(op) for op in ops)
    tried = [made for _ in range(runs) if (made := _made(ops, relation, enums, chance)) is not None]
    fits: _Test = lambda row, after, claims: _fits(ops, row, after, relation, enums)  # noqa: E731
    alone: _Test = lambda row, after, claims: _confined(ops, row, after)  # noqa: E731
    again: _Test = lambda row, after, claims: _again(ops, after, claims)  # noqa: E731
    back: _Test = lambda row, after, claims: _back(ops, row, after, claims)  # noqa: E731
    return (
        _tried("type-safe", "What it writes, the column takes.", fits, tried),
        _tried("confined", "Keys that it does not name stay as they were.", alone, tried),
        _tried("idempotent", "Applied twice, it does what it does once.", again, tried),
        _tried("reversible", "What was sent can be made again from what was stored.", back, tried, promised=exact),
    )


def _tried(name: str, says: str, test: _Test, made: Sequence[tuple[Row, Row, Mapping[str, Json]]], *, promised: bool = True) -> Property:
    tried = made if promised else ()
    broken = [row for row, after, claims in tried if not test(row, after, claims)]
    return Property(name, says, promised, len(tried), len(broken), tuple(broken[0]) if broken else ())


def _made(ops: Sequence[fixes.Fix], relation: Relation, enums: Enums, chance: Chance) -> tuple[Row, Row, Mapping[str, Json]] | None:
    """A row, what the fix makes of it, and the caller's claims; None where a precondition refuses it."""
    row = rows(relation, enums, chance)
    for key, goes in _read(ops):
        column = relation.column(goes)
        spelled = _spelled(key, ops)
        if spelled and chance.random() < 0.7:
            row[key] = chance.choice(spelled)
            continue
        fits = column is not None and chance.random() < 0.7
        row[key] = fitting(column, labels.of(column, relation, enums), chance) if fits and column is not None else anything(chance)
    claims = {op.claim: _claim(op, relation, enums, chance) for op in ops if isinstance(op, fixes.Fill) and op.claim is not None}
    if fixes.blocked(ops, row, relation) is not None:
        return None
    try:
        return row, fixes.apply(ops, row, claims), claims
    except fixes.FixError:
        return None


def _spelled(key: str, ops: Iterable[fixes.Fix]) -> list[Json]:
    """What a cast of the key can read."""
    readings = [op.reading for op in ops if isinstance(op, fixes.Cast) and op.column == key]
    return [value for value in _SPELLED if readings and not isinstance(formats.read(readings[0], value), formats.Unfit)]


def _claim(op: fixes.Fill, relation: Relation, enums: Enums, chance: Chance) -> Json:
    column = relation.column(op.column)
    return fitting(column, labels.of(column, relation, enums), chance) if column is not None else "a"


def _read(ops: Iterable[fixes.Fix]) -> Iterable[tuple[str, str]]:
    """Keys that the fix reads, each with the column that it goes into."""
    for op in ops:
        match op:
            case fixes.RenameColumn(old, new) | fixes.Rescue(old, new):
                yield old, new
            case fixes.MapValue(column) | fixes.Cast(column) | fixes.Truncate(column) | fixes.DropKey(column) | fixes.UseDefault(column):
                yield column, column
            case fixes.Fill(column, from_key=str() as key):
                yield key, column


def _fits(ops: Sequence[fixes.Fix], row: Row, after: Row, relation: Relation, enums: Enums) -> bool:
    """A value that the fix leaves as it was sent is not its doing."""
    for name in {name for op in ops for name in fixes.touches(op)}:
        column = relation.column(name)
        if column is None or name not in after or (name in row and same(row[name], after[name])):
            continue
        if rejects(after[name], column, labels.of(column, relation, enums)) is not None:
            return False
    return True


def _confined(ops: Sequence[fixes.Fix], row: Row, after: Row) -> bool:
    named = {key for pair in _read(ops) for key in pair} | {name for op in ops for name in fixes.touches(op)}
    return all(key in after and same(after[key], value) for key, value in row.items() if key not in named)


def _again(ops: Sequence[fixes.Fix], after: Row, claims: Mapping[str, Json]) -> bool:
    try:
        return _equal(fixes.apply(ops, after, claims), after)
    except fixes.FixError:
        return False


def _back(ops: Sequence[fixes.Fix], row: Row, after: Row, claims: Mapping[str, Json]) -> bool:
    """Undoes step by step, the last first. What a rescue moved lies inside its object, under its own name."""
    steps, now = list[tuple[tuple[fixes.Fix, ...], Row]](), row
    for renames, group in groupby(ops, key=lambda op: isinstance(op, fixes.RenameColumn)):
        parts = tuple(group)
        for part in (parts,) if renames else tuple((op,) for op in parts):
            steps.append((part, now))
            now = fixes.apply(part, now, claims)
    for part, before in reversed(steps):
        undone = _undone(part, before, after)
        if undone is None:
            return False
        after = undone
    return _equal(after, row)


def _undone(part: tuple[fixes.Fix, ...], before: Row, after: Row) -> Row | None:
    match part:
        case (fixes.Rescue(column, into),) if column in before:
            held = after.get(into)
            if not isinstance(held, dict) or column not in held:
                return None
            rest = {key: value for key, value in held.items() if key != column}
            there = rest if before.get(into) is not None else None
            whole = {**after, into: there} if into in before else {key: value for key, value in after.items() if key != into}
            return {**whole, column: held[column]}
        case (fixes.RenameColumn(), *_):
            names = {op.target: op.source for op in part if isinstance(op, fixes.RenameColumn) and op.source in before}
            return {names.get(key, key): value for key, value in after.items()}
        case (op,):
            inverse = fixes.inverse(op, before)
            return None if inverse is None else fixes.apply((inverse,), after, {})
    return None


def _equal(one: Row, other: Row) -> bool:
    return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
