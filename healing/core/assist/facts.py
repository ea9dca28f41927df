"""What a model may know about a cause: the table, its neighbours, what was sent (shapes only), what does not fit, what was decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from healing.core import labels
from healing.core.match.scene import sample as telling
from healing.core.types import Json, Kind, Misfit, Row, Statement
from schema_monitor.core.lineage import Lineage, Renamed
from schema_monitor.core.snapshot import Column, Relation, Snapshot

from .choices import MOST_NAMES, Choice
from .redact import MOST_COMMENT, Names, clean, is_name, names_of, sample

MOST_COLUMNS, MOST_KEYS, MOST_LABELS, MOST_NEIGHBOURS, MOST_EXAMPLES = 80, 60, 24, 6, 8
_SPEAKING = ("op", "from", "to", "column", "into", "from_key", "claim", "format", "n")


class Example(Struct, frozen=True):
    """A fix that was decided about for this table before."""

    signature: str
    fix: tuple[dict[str, Json], ...]
    approved: bool


class Facts(Struct, frozen=True):
    """``told`` goes into the prompt as JSON; ``names`` says how names are shown in it."""

    told: dict[str, Json]
    names: Names


def facts_of(
    statement: Statement,
    misfits: tuple[Misfit, ...],
    relation: Relation | None,
    snapshot: Snapshot,
    found: Iterable[Choice],
    *,
    lineage: Lineage | None = None,
    examples: Iterable[Example] = (),
) -> Facts:
    """Everything that may be told. ``found`` are the choices: their names are announced, too."""
    row = telling(statement)
    columns = relation.columns[:MOST_COLUMNS] if relation is not None else ()
    names = names_of(_every_name(statement, misfits, columns, found, row))
    told: dict[str, Json] = {
        "operation": str(statement.operation),
        "table": names.show(statement.table),
        "columns": [_column(c, relation, snapshot, names) for c in columns if relation is not None],
        "sent": [_key(key, row[key], names) for key in list(row)[:MOST_KEYS]],
        "does_not_fit": [{"id": f"m{n}", **_misfit(m, relation, snapshot, names)} for n, m in enumerate(misfits, 1)],
    }
    more = {
        "neighbours": _neighbours(relation, snapshot) if relation is not None else [],
        "former_names": _former(relation, lineage, names) if relation is not None and lineage is not None else {},
        "decided_before": [_example(each, names) for each in list(examples)[:MOST_EXAMPLES]],
    }
    return Facts(told | {name: value for name, value in more.items() if value}, names)


def _every_name(
    statement: Statement, misfits: tuple[Misfit, ...], columns: Iterable[Column], found: Iterable[Choice], row: Row
) -> Iterable[str]:
    yield statement.table
    yield from (column.name for column in columns)
    yield from list(row)[:MOST_KEYS]
    yield from (misfit.column for misfit in misfits if misfit.column)
    for choice in found:
        if choice.open not in ("format", "claim"):
            yield from choice.among[:MOST_NAMES]


def _column(column: Column, relation: Relation, snapshot: Snapshot, names: Names) -> dict[str, Json]:
    said: dict[str, Json] = {"name": names.show(column.name), "type": clean(column.type, 60)}
    if not column.nullable:
        said["required"] = column.default is None and not column.identity
    if column.generated or column.identity == "a":
        said["read_only"] = True
    if column.comment:
        said["comment"] = clean(column.comment, MOST_COMMENT)
    if (allowed := labels.of(column, relation, snapshot.enums)) is not None:
        said["takes_only"] = [names.shown.get(x) or clean(x, 40) for x in allowed[:MOST_LABELS]]
    return said


def _key(key: str, value: Json, names: Names) -> dict[str, Json]:
    return {"key": names.show(key), "looks_like": sample(value)}


def _misfit(misfit: Misfit, relation: Relation | None, snapshot: Snapshot, names: Names) -> dict[str, Json]:
    said: dict[str, Json] = {"problem": str(misfit.kind).replace("_", " ")}
    if misfit.column:
        said["name"] = names.show(misfit.column)
        said["looks_like"] = sample(misfit.value)
    column = relation.column(misfit.column) if relation is not None else None
    if misfit.kind is Kind.UNKNOWN_LABEL and relation is not None and column is not None and isinstance(misfit.value, str):
        allowed = labels.of(column, relation, snapshot.enums) or ()
        said["likeness"] = {names.show(x): _likeness(misfit.value, x) for x in allowed[:MOST_LABELS] if x in names.shown}
    return said


def _likeness(value: str, label: str) -> str:
    """How a hidden value compares with a label, in a word that gives nothing of it away."""
    one, other = ("".join(c for c in text.casefold() if c.isalnum()) for text in (value, label))
    if one == other:
        return "the same letters"
    if one and other and (one.startswith(other) or other.startswith(one)):
        return "one begins with the other"
    return "different"


def _neighbours(relation: Relation, snapshot: Snapshot) -> list[dict[str, Json]]:
    """Tables that this one points to, with a few columns."""
    found = []
    for constraint in relation.constraints:
        other = snapshot.relations.get(constraint.references or 0)
        mine = [c.name for n in constraint.columns if (c := relation.by_attnum(n)) is not None]
        if other is not None and all(map(is_name, (*mine, other.name))):
            shown = [c.name for c in other.columns if is_name(c.name)][:8]
            found.append({"column": mine, "points_to": other.name, "its_columns": shown})
    return found[:MOST_NEIGHBOURS]


def _former(relation: Relation, lineage: Lineage, names: Names) -> dict[str, str]:
    """Old name -> what that column is called now."""
    resolved = lineage.column_names(relation)
    known = {old: found.value.name for old, found in resolved.items() if isinstance(found, Renamed)}
    return {old: names.show(new) for old, new in list(known.items())[:20] if is_name(old) and new in names.shown}


def _example(example: Example, names: Names) -> dict[str, Json]:
    """An op by its names; values stay away, names that are not at hand are hidden."""
    ops = [{name: _word(name, op, names) for name in _SPEAKING if name in op} for op in example.fix[:6]]
    return {"fix": ops, "decision": "approved" if example.approved else "rejected"}


def _word(name: str, op: Mapping[str, Json], names: Names) -> Json:
    value = op[name]
    if name in ("op", "n", "format"):
        return value
    if op["op"] in ("map_value", "cast") and name in ("from", "to"):
        return sample(value) if op["op"] == "map_value" else clean(str(value), 40)
    return names.shown.get(value) or (value if isinstance(value, str) and is_name(value) else "(another name)")
