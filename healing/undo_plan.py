"""How a write is taken back, as statements: delete what it inserted, restore what it changed, each row only if it is still what was
stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct
from psycopg import sql

from healing.core.types import Json, Row
from healing.models import Receipt
from healing.sealed_rows import receipt_facts
from healing.undo_names import CannotUndo, names_of
from schema_monitor.core.snapshot import Column, Relation

_encoder = msgspec.json.Encoder(decimal_format="number", order="deterministic")


class Step(Struct, frozen=True):
    """One way back for one row: ``now`` is what was stored, ``was`` what was there before (None: it was inserted). ``columns`` are the live
    columns that both hold. ``table`` is (schema, name) as it is called today."""

    relation: Relation
    columns: tuple[Column, ...]
    now: Row
    was: Row | None = None
    writer: str = ""
    """The transaction, or savepoint, that stored it."""

    @property
    def statement(self) -> sql.Composed:
        """Takes the parameters ``row`` (JSON) and ``writer``."""
        return _delete(self.relation, self.columns) if self.was is None else _restore(self.relation, self.columns)

    @property
    def looking(self) -> sql.Composed:
        """Who wrote the row last, as it is now; found by its key."""
        return _last_writer(self.relation, self.columns)

    @property
    def row(self) -> str:
        """The parameter. Equal texts are equal rows."""
        return _encoder.encode({"now": self.now, "was": self.was}).decode()

    @property
    def keyed(self) -> bool:
        """Whether the row is found by its primary key, and so is one row."""
        return _has_key(self.relation, self.columns)


def steps_of(receipt: Receipt) -> list[Step]:
    """One step a stored row, under the names of today. Raises ``CannotUndo`` where the receipt does not hold enough."""
    facts = receipt_facts(receipt)
    stored, before = facts["stored"], facts["before"]
    if not stored or not all(isinstance(row, dict) for row in stored):
        raise CannotUndo("The receipt does not hold the stored rows.")
    names = names_of(receipt, _told([*stored, *(before or ())]))
    relation, live = names.relation, [_under(names.live, row) for row in stored]
    writer = str(facts["writer"] or receipt.writer)
    columns = tuple(c for c in relation.columns if all(c.name in row for row in live))
    if len(columns) < len(live[0]):
        raise CannotUndo("The rows that this write stored do not hold the same columns.")
    if receipt.operation == "insert":
        return [Step(relation, columns, now, None, writer) for now in live]
    if receipt.operation in ("update", "upsert") and before is not None and _has_key(relation, columns):
        was = [_under(names.live, row) for row in before]
        return [Step(relation, columns, now, old, writer) for now, old in _pairs(live, was, relation, receipt.operation)]
    raise CannotUndo(f"The receipt of this {receipt.operation} does not hold what was there before.", "Write the old values yourself.")


def _pairs(live: list[Row], before: list[Row], relation: Relation, operation: str) -> Iterator[tuple[Row, Row | None]]:
    """Each stored row with what was there before."""
    was = {_key(row, relation): row for row in before}
    for now in live:
        old = was.get(_key(now, relation))
        if old is None and operation == "update":
            raise CannotUndo("The receipt does not hold what was there before.", "Write the old values yourself.")
        yield now, old


def _key(row: Row, relation: Relation) -> tuple[Json, ...]:
    return tuple(repr(row.get(name)) for name in relation.primary_key)


def writers_before(receipt: Receipt, step: Step) -> set[str]:
    """Who had written the step's row when the write of this receipt came upon it; empty where the receipt does not say."""
    relation, facts = step.relation, receipt_facts(receipt)
    told = list(zip(facts["before"] or (), facts["writers"] or (), strict=False))
    try:
        names = names_of(receipt, _told(row for row, _ in told))
    except CannotUndo:
        return set()
    if names.relation.oid != relation.oid:
        return set()
    return {writer for row, writer in told if _key(_under(names.live, row), relation) == _key(step.now, relation)}


def counted(steps: Iterable[Step]) -> list[tuple[Step, int]]:
    """Each distinct step once, with how often it is meant: equal rows without a key are taken back together or not at all."""
    steps = list(steps)
    times = Counter((step.row, step.relation.oid, step.writer) for step in steps)
    first = {(step.row, step.relation.oid, step.writer): step for step in reversed(steps)}
    return [(first[place], 1 if first[place].keyed else count) for place, count in times.items()]


def _told(rows: Iterable[Row]) -> dict[str, None]:
    """Every name that the rows have."""
    return {name: None for row in rows for name in row}


def _under(live: Mapping[str, str], row: Row) -> Row:
    """The row under live names."""
    return {live[name]: value for name, value in row.items()}


def _delete(relation: Relation, columns: tuple[Column, ...]) -> sql.Composed:
    return sql.SQL("DELETE FROM {table} AS x USING json_to_record((%(row)s::json)->'now') AS v({typed}) WHERE {same}").format(
        table=sql.Identifier(relation.schema, relation.name), typed=_typed(columns), same=_same(relation, columns)
    )


def _restore(relation: Relation, columns: tuple[Column, ...]) -> sql.Composed:
    settable = [c for c in columns if not c.generated and c.identity != "a" and c.name not in relation.primary_key]
    if not settable:
        raise CannotUndo("The write changed nothing that could be set back.")
    sets = sql.SQL(", ").join(sql.SQL("{0} = w.{0}").format(sql.Identifier(c.name)) for c in settable)
    return sql.SQL(
        "UPDATE {table} AS x SET {sets} FROM json_to_record((%(row)s::json)->'now') AS v({typed}), "
        "json_to_record((%(row)s::json)->'was') AS w({typed}) WHERE {same}"
    ).format(table=sql.Identifier(relation.schema, relation.name), sets=sets, typed=_typed(columns), same=_same(relation, columns))


def _last_writer(relation: Relation, columns: tuple[Column, ...]) -> sql.Composed:
    keys = sql.SQL(" AND ").join(sql.SQL("x.{0} = v.{0}").format(sql.Identifier(name)) for name in relation.primary_key)
    return sql.SQL("SELECT x.xmin::text FROM {table} AS x, json_to_record((%(row)s::json)->'now') AS v({typed}) WHERE {keys}").format(
        table=sql.Identifier(relation.schema, relation.name), typed=_typed(columns), keys=keys
    )


def _typed(columns: Iterable[Column]) -> sql.Composed:
    # ``type`` is what format_type said of the catalog, which is valid SQL and never a caller's text.
    return sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(c.name), sql.SQL(c.type)) for c in columns)


def _has_key(relation: Relation, columns: Iterable[Column]) -> bool:
    return bool(relation.primary_key) and {*relation.primary_key} <= {c.name for c in columns}


def _same(relation: Relation, columns: tuple[Column, ...]) -> sql.Composed:
    """Which row: the one that the receipt's own transaction wrote last, by primary key where the receipt holds it. Every stored column must
    be as it was, too, compared as JSON: json and the like have no equality of their own."""
    keys = [sql.SQL("x.xmin = %(writer)s::xid").format()]
    if _has_key(relation, columns):
        keys += [sql.SQL("x.{0} = v.{0}").format(sql.Identifier(name)) for name in relation.primary_key]
    rest = [sql.SQL("to_jsonb(x.{0}) IS NOT DISTINCT FROM to_jsonb(v.{0})").format(sql.Identifier(c.name)) for c in columns]
    return sql.SQL(" AND ").join(keys + rest)
