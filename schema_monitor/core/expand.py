"""How to make a change without breaking anybody: the expand/contract steps for each kind of change that needs them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from schema_monitor.core.changes import Change
from schema_monitor.core.piece import literal, quoted
from schema_monitor.core.snapshot import Column, Relation, Snapshot
from schema_monitor.core.statements import Statement

_INDEX = re.compile(r"\s*CREATE\s+(?:UNIQUE\s+)?INDEX\b", re.IGNORECASE)
_CONCURRENTLY = re.compile(r"\s+CONCURRENTLY\b", re.IGNORECASE)


class Step(Struct, frozen=True):
    """One step: a sentence, and SQL where there is some. ``wait``: let the callers catch up before the next one."""

    sentence: str
    sql: str = ""
    wait: bool = False


class Plan(Struct, frozen=True):
    """The safer way to one change."""

    change: str
    steps: tuple[Step, ...]


def plans(changes: Iterable[Change], live: Snapshot, after: Snapshot, statements: Iterable[Statement] = ()) -> tuple[Plan, ...]:
    """A plan for each change that has a safer way than the statement itself, in the order of the changes."""
    found = [Plan(change.sentence, tuple(steps(change, live, after))) for change in changes if (steps := _STEPS.get(change.kind))]
    indexes = [_index(s.bare) for s in statements if _INDEX.match(s.bare) and not _CONCURRENTLY.search(s.bare.split("(")[0])]
    return tuple(plan for plan in (*found, *indexes) if plan.steps)


Steps = Callable[[Change, Snapshot, Snapshot], Iterator[Step]]


def _table(change: Change) -> str:
    return f"{quoted(change.schema)}.{quoted(change.relation)}"


def _relation(change: Change, snapshot: Snapshot) -> Relation | None:
    return next(iter(snapshot.named(change.schema, change.relation)), None)


def _column(change: Change, snapshot: Snapshot) -> Column | None:
    relation = _relation(change, snapshot)
    return None if relation is None else relation.column(change.object)


def _removed(change: Change, live: Snapshot, after: Snapshot) -> Iterator[Step]:
    column = quoted(change.object)
    yield Step(
        "Let it be left out first, so that new code may stop sending it.", f"ALTER TABLE {_table(change)} ALTER {column} DROP NOT NULL;"
    )
    yield Step("Wait until nobody names it any more: the table's page counts who does.", wait=True)
    yield Step("Then drop it.", f"ALTER TABLE {_table(change)} DROP COLUMN {column};")


def _table_removed(change: Change, live: Snapshot, after: Snapshot) -> Iterator[Step]:
    away = quoted(f"{change.relation}_gone"[:63])
    yield Step(
        "Take the rights away first: whoever still needs it is heard, and nothing is lost.", f"REVOKE ALL ON {_table(change)} FROM PUBLIC;"
    )
    yield Step("Wait as long as your slowest job needs.", wait=True)
    yield Step("Rename it, which can be undone, and drop it later.", f"ALTER TABLE {_table(change)} RENAME TO {away};")


def _required(change: Change, live: Snapshot, after: Snapshot) -> Iterator[Step]:
    column = _column(change, after)
    if column is None:
        return
    table, name = _table(change), quoted(column.name)
    yield Step("Add it as one that may be NULL: old callers go on.", f"ALTER TABLE {table} ADD COLUMN {name} {column.type};")
    yield Step("Send it from new code, or give it a default.", f"ALTER TABLE {table} ALTER {name} SET DEFAULT …;", wait=True)
    yield Step("Fill the rows that are there, in batches.", f"UPDATE {table} SET {name} = … WHERE {name} IS NULL;")
    yield from _proven_not_null(table, column.name)


def _not_null(change: Change, live: Snapshot, after: Snapshot) -> Iterator[Step]:
    table, name = _table(change), quoted(change.object)
    yield Step("Find out whether any row has none.", f"SELECT count(*) FROM {table} WHERE {name} IS NULL;")
    yield Step("Give it a default, so that callers who leave it out go on.", f"ALTER TABLE {table} ALTER {name} SET DEFAULT …;")
    yield Step("Fill the rows that are there, in batches.", f"UPDATE {table} SET {name} = … WHERE {name} IS NULL;")
    yield from _proven_not_null(table, change.object)


def _proven_not_null(table: str, column: str) -> Iterator[Step]:
    """NOT NULL without a scan under an exclusive lock."""
    check, name = quoted(f"{column}_not_null"[:63]), quoted(column)
    yield Step(
        "Demand it of new rows only; this takes no scan.",
        f"ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({name} IS NOT NULL) NOT VALID;",
    )
    yield Step("Prove it for the old ones; reads and writes go on meanwhile.", f"ALTER TABLE {table} VALIDATE CONSTRAINT {check};")
    text = f"ALTER TABLE {table} ALTER {name} SET NOT NULL;\nALTER TABLE {table} DROP CONSTRAINT {check};"
    yield Step("Now NOT NULL needs no scan, and the check may go.", text)


def _default_removed(change: Change, live: Snapshot, after: Snapshot) -> Iterator[Step]:
    yield Step("Keep the default until every caller sends the column: the table's page shows who leaves it out.", wait=True)
    yield Step("Then take it away.", f"ALTER TABLE {_table(change)} ALTER {quoted(change.object)} DROP DEFAULT;")


def _retyped(change: Change, live: Snapshot, after: Snapshot) -> Iterator[Step]:
    column = _column(change, after)
    if column is None:
        return
    table, old, fresh = _table(change), quoted(column.name), quoted(f"{column.name}_new"[:63])
    yield Step("Add a column of the new type beside the old one.", f"ALTER TABLE {table} ADD COLUMN {fresh} {column.type};")
    yield Step("Write both: from the application, or by a trigger that sets the new one.", wait=True)
    yield Step("Convert what is there, in batches.", f"UPDATE {table} SET {fresh} = {old}::{column.type} WHERE {fresh} IS NULL;")
    aside = quoted(f"{column.name}_old"[:63])
    switch = f"BEGIN;\nALTER TABLE {table} RENAME {old} TO {aside};\nALTER TABLE {table} RENAME {fresh} TO {old};\nCOMMIT;"
    yield Step("Change places in one transaction.", switch)
    note = "The name has meant two columns then: callers that send it are asked for a decision once (rule keep_name)."
    yield Step(f"{note} Drop the old column when it is.", f"ALTER TABLE {table} DROP COLUMN {aside};")


def _renamed(change: Change, live: Snapshot, after: Snapshot) -> Iterator[Step]:
    yield Step("Nothing else is needed: the old name is followed for old callers, exactly, from the moment of the commit.")
    yield Step("When nobody uses it any more, retire the old name on the page of names.", wait=True)


def _unique(change: Change, live: Snapshot, after: Snapshot) -> Iterator[Step]:
    relation = _relation(change, after)
    index = next((i for i in relation.unique_indexes if i.name == change.object), None) if relation is not None else None
    if relation is None or index is None:
        return
    columns = ", ".join(quoted(c.name) for n in index.columns if (c := relation.by_attnum(n)) is not None)
    yield Step("Find what is there twice.", f"SELECT {columns}, count(*) FROM {_table(change)} GROUP BY {columns} HAVING count(*) > 1;")
    name = quoted(change.object)
    yield Step("Build the index without stopping writes.", f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {_table(change)} ({columns});")
    if isinstance(change.new, str):
        text = f"ALTER TABLE {_table(change)} ADD CONSTRAINT {name} UNIQUE USING INDEX {name};"
        yield Step("Make it the constraint; that is instant.", text)


def _validated(change: Change, live: Snapshot, after: Snapshot) -> Iterator[Step]:
    table, name = _table(change), quoted(change.object)
    definition = str(change.new).removesuffix(" NOT VALID")
    text = f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID;"
    yield Step("Demand it of new rows only; this takes no scan.", text)
    yield Step("Mend the rows that break it, then prove it; reads and writes go on.", f"ALTER TABLE {table} VALIDATE CONSTRAINT {name};")


def _label_removed(change: Change, live: Snapshot, after: Snapshot) -> Iterator[Step]:
    enum = f"{quoted(change.schema)}.{quoted(change.relation)}"
    label = literal(change.object)
    yield Step("Rename the label instead of removing it: old callers are followed.", f"ALTER TYPE {enum} RENAME VALUE {label} TO '…';")


def _policy_first(change: Change, live: Snapshot, after: Snapshot) -> Iterator[Step]:
    table = _table(change)
    text = f"CREATE POLICY … ON {table} FOR ALL TO authenticated USING (…) WITH CHECK (…);"
    yield Step("Make the policies first: they do nothing yet.", text)
    yield Step("Then switch row security on.", f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;")


def _index(sql: str) -> Plan:
    text = re.sub(r"(\bINDEX\b)", r"\1 CONCURRENTLY", sql, count=1, flags=re.IGNORECASE)
    step = Step("Build it without stopping writes, outside a transaction.", f"{text};")
    return Plan("An index is built while writes wait.", (step,))


_STEPS: dict[str, Steps] = {
    "column_removed": _removed,
    "table_removed": _table_removed,
    "required_column_added": _required,
    "not_null_set": _not_null,
    "required_default_removed": _default_removed,
    "type_changed": _retyped,
    "column_renamed": _renamed,
    "table_renamed": _renamed,
    "label_renamed": _renamed,
    "unique_added": _unique,
    "check_added": _validated,
    "foreign_key_added": _validated,
    "label_removed": _label_removed,
    "row_security_on_without_policy": _policy_first,
}
