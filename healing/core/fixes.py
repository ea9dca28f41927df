"""Fixes as values: read and written as JSON, judged, inverted, and applied to a row.

The ops are in ``ops``, how they are said in ``phrases``, the checks in ``preconditions`` and ``typecheck``; all are importable from here.
A fix that does not concern a row (the key is not there, the value is another) leaves the row as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

import msgspec

from healing.core import formats
from healing.core.ops import (
    Cast,
    DropKey,
    Fill,
    Fix,
    FixError,
    KeepName,
    MapValue,
    RenameColumn,
    RenameTable,
    Rescue,
    SplitBatch,
    Truncate,
    UseDefault,
)
from healing.core.phrases import brief, changes_header, header, say
from healing.core.preconditions import blocked, blocks
from healing.core.typecheck import typecheck
from healing.core.types import Json, Row, Statement
from healing.core.values import same
from schema_monitor.core.snapshot import Relation

__all__ = [
    "Cast",
    "DropKey",
    "Fill",
    "Fix",
    "FixError",
    "KeepName",
    "MapValue",
    "RenameColumn",
    "RenameTable",
    "Rescue",
    "SplitBatch",
    "Truncate",
    "UseDefault",
    "apply",
    "bare",
    "blocked",
    "blocks",
    "bound_columns",
    "brief",
    "changes_header",
    "content_hash_text",
    "dump",
    "header",
    "inverse",
    "is_exact",
    "mend",
    "parse",
    "program",
    "say",
    "touches",
    "typecheck",
]

MOST_OPS: Final = 64
"""ops in one fix; more is no fix that a person could judge."""

_canonical = msgspec.json.Encoder(decimal_format="number", order="deterministic")


def parse(ops: Sequence[Mapping[str, Json]]) -> tuple[Fix, ...]:
    """The fix that plain dicts describe. Raises FixError that says which op is wrong and why."""
    if not ops or len(ops) > MOST_OPS:
        raise FixError(f"a fix has 1 to {MOST_OPS} ops, not {len(ops)}")
    try:
        return msgspec.convert(_decimals(list(ops)), type=tuple[Fix, ...])
    except msgspec.ValidationError as wrong:
        raise FixError(str(wrong)) from None


_programs: dict[int, tuple[Sequence[Mapping[str, Json]], tuple[Fix, ...]]] = {}
_MOST_PROGRAMS: Final = 1_000


def program(ops: tuple[dict[str, Json], ...]) -> tuple[Fix, ...]:
    """``parse`` for a rule's own fix, which is the same object each time: read once, as long as there are not too many rules."""
    known = _programs.get(id(ops))
    if known is not None and known[0] is ops:
        return known[1]
    if len(_programs) >= _MOST_PROGRAMS:
        _programs.clear()
    found = parse(list(ops))
    _programs[id(ops)] = (ops, found)
    return found


def _decimals(value: Any) -> Any:
    """Floats, as a jsonb column of Django yields them, back to the decimals they print as."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {k: _decimals(v) for k, v in value.items()}
    return [_decimals(v) for v in value] if isinstance(value, list) else value


def dump(fixes: Iterable[Fix]) -> tuple[dict[str, Json], ...]:
    """The fixes as plain dicts; ``parse(dump(f)) == f``. Decimals stay Decimals."""
    return tuple(msgspec.to_builtins(fix, builtin_types=(Decimal,)) for fix in fixes)


def content_hash_text(fixes: Iterable[Fix]) -> str:
    """Canonical text: equal fixes give equal texts."""
    return _canonical.encode(dump(fixes)).decode()


_FIELDS: Final = frozenset({"op", "from", "to", "column", "format", "value", "from_key", "claim", "n", "into"})


def bare(said: Mapping[str, Json]) -> dict[str, Json]:
    """The op of a fix as a receipt tells it, without what is said beside: who found it, by which rule, for which rows."""
    return {name: value for name, value in said.items() if name in _FIELDS}


def is_exact(fix: Fix) -> bool:
    """Nothing that was sent is lost, changed or made up. It does not say that the fix is *right*: that is for lineage or a person."""
    match fix:
        case Cast():
            return formats.FORMATS[fix.reading].exact
        case MapValue(source=str() as old, target=str() as new):
            return old.casefold() == new.casefold()
        case RenameColumn() | RenameTable() | Rescue() | SplitBatch() | KeepName():
            return True
    return False


def touches(fix: Fix) -> tuple[str, ...]:
    """The live columns whose stored value the fix decides."""
    match fix:
        case RenameColumn(target=column) | Rescue(into=column):
            return (column,)
        case Cast(column=column) | MapValue(column=column) | Fill(column=column) | Truncate(column=column):
            return (column,)
    return ()


def bound_columns(fixes: Iterable[Fix], relation: Relation) -> dict[str, int]:
    """The live columns that the fixes name, with their attnums: what an approval is bound to."""
    named = [name for fix in fixes for name in _named_columns(fix)]
    return {name: column.attnum for name in named if (column := relation.column(name)) is not None}


def _named_columns(fix: Fix) -> tuple[str, ...]:
    match fix:
        case RenameColumn(target=column) | Rescue(into=column):
            return (column,)
        case Cast(column) | MapValue(column) | Fill(column) | UseDefault(column) | Truncate(column) | KeepName(column):
            return (column,)
    return ()


def inverse(fix: Fix, row: Row) -> Fix | None:
    """The fix that undoes ``fix`` on ``row`` (as it was before): applied to what came out it gives the row back, whatever the
    order of keys. None where no op of the language does."""
    match fix:
        case RenameColumn(source=old, target=new):
            return RenameColumn(source=new, target=old) if old in row else KeepName(column=new)
        case RenameTable(source=old, target=new):
            return RenameTable(source=new, target=old)
        case SplitBatch() | KeepName():
            return fix
        case Fill(column=column):
            if row.get(column) is not None:
                return KeepName(column=column)
            return None if column in row else DropKey(column=column)
        case UseDefault() | Rescue():
            return None if fix.column in row and apply((fix,), row, {}) != row else KeepName(column=fix.column)
        case DropKey(column=column):
            return _refill(column, row)
        case Cast(column=column) | MapValue(column=column) | Truncate(column=column):
            after = apply((fix,), row, {}).get(column)
            return KeepName(column=column) if same(after, row.get(column)) else MapValue(column, after, row[column])
    return None


def _refill(column: str, row: Row) -> Fix | None:
    if column not in row:
        return KeepName(column=column)
    return None if row[column] is None else Fill(column=column, value=row[column])


def apply(fixes: Iterable[Fix], row: Row, claims: Mapping[str, Json]) -> Row:
    """A new row with the fixes applied in order, keys in the order they came in; the row itself is not touched.

    Renames that follow each other are done at once, so that two columns can swap their names. Raises FixError where a value
    would be overwritten or a claim is missing.
    """
    out = dict(row)
    for renames, group in groupby(fixes, key=lambda fix: isinstance(fix, RenameColumn)):
        if renames:
            out = _renamed({fix.source: fix.target for fix in group if isinstance(fix, RenameColumn)}, out)
            continue
        for fix in group:
            out = _applied(fix, out, claims)
    return out


def _renamed(names: Mapping[str, str], row: Row) -> Row:
    out = {names.get(key, key): value for key, value in row.items()}
    if len(out) != len(row):
        written = [names.get(key, key) for key in row]
        taken = next(key for key in written if written.count(key) > 1)
        raise FixError(f"two keys would be written to {taken!r}")
    return out


def _applied(fix: Fix, row: Row, claims: Mapping[str, Json]) -> Row:
    """The row after one op; ``row`` may be returned itself."""
    match fix:
        case Cast(column=column) if column in row:
            value = formats.read(fix.reading, row[column])
            return row if isinstance(value, formats.Unfit) else {**row, column: value}
        case MapValue(column=column, source=old, target=new) if column in row and same(row[column], old):
            return {**row, column: new}
        case Fill(column=column) if row.get(column) is None:
            return _filled(fix, row, claims)
        case UseDefault(column=column) if column in row and row[column] is None:
            return _without(column, row)
        case DropKey(column=column):
            return _without(column, row)
        case Truncate(column=column, n=n) if isinstance(row.get(column), str):
            return {**row, column: row[column][:n]}
        case Rescue() if fix.column in row:
            return _rescued(fix, row)
    return row


def _without(column: str, row: Row) -> Row:
    return {key: value for key, value in row.items() if key != column}


def _filled(fix: Fill, row: Row, claims: Mapping[str, Json]) -> Row:
    if fix.from_key is not None:
        return {**row, fix.column: row[fix.from_key]} if fix.from_key in row else row
    if fix.claim is None:
        return {**row, fix.column: fix.value}
    if claims.get(fix.claim) is None:
        raise FixError(f"the caller has no claim {fix.claim!r}")
    return {**row, fix.column: claims[fix.claim]}


def _rescued(fix: Rescue, row: Row) -> Row:
    into = row.get(fix.into)
    if into is None:
        into = {}
    if not isinstance(into, dict) or fix.column in into:
        raise FixError(
            f"{fix.into!r} already holds something under {fix.column!r}" if isinstance(into, dict) else f"{fix.into!r} is no object"
        )
    rest = _without(fix.column, row)
    return {**rest, fix.into: {**into, fix.column: row[fix.column]}}


def mend(statement: Statement, fixes: Sequence[Fix], claims: Mapping[str, Json]) -> Statement:
    """The statement with the fixes applied to its table, rows, ``columns`` and ``on_conflict``. ``split_batch`` is for the driver."""
    names = {fix.source: fix.target for fix in fixes if isinstance(fix, RenameColumn)}
    tables = {fix.source: fix.target for fix in fixes if isinstance(fix, RenameTable)}
    columns = statement.columns
    rows = tuple(apply(fixes, row, claims) for row in statement.rows)
    return msgspec.structs.replace(
        statement,
        table=tables.get(statement.table, statement.table),
        rows=rows,
        columns=None if columns is None else _listed(columns, fixes, names, rows),
        on_conflict=tuple(names.get(c, c) for c in statement.on_conflict),
    )


def _listed(columns: tuple[str, ...], fixes: Sequence[Fix], names: Mapping[str, str], rows: tuple[Row, ...]) -> tuple[str, ...]:
    """The ``columns=`` list after the fixes: renamed, without keys that went, with keys that came."""
    gone = {fix.column for fix in fixes if isinstance(fix, (DropKey, Rescue))}
    gone |= {fix.column for fix in fixes if isinstance(fix, UseDefault) and not any(fix.column in row for row in rows)}
    came = [fix.column for fix in fixes if isinstance(fix, Fill)] + [fix.into for fix in fixes if isinstance(fix, Rescue)]
    kept = [names.get(c, c) for c in columns if c not in gone]
    return tuple(dict.fromkeys(kept + [c for c in came if any(c in row for row in rows)]))
