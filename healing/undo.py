"""Takes a write back: deletes the rows it inserted, or restores the image from before an update, as the caller's own role.

1. the undo is marked in the target, in the transaction that does it: two undos make one
2. the rows must still be exactly what the write stored (found by primary key, or by the transaction that wrote receipt and row);
   a newer write is never lost
3. delete or restore under the caller's role and claims: RLS and grants hold
4. the receipt says ``undone`` here; where we die before that, the mark tells the next look
"""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
from django.db import transaction
from msgspec import Struct
from psycopg import sql
from psycopg.types.json import Json as JsonText

from healing.core.types import Row
from healing.gateway.auth import Caller
from healing.live_schema import find_relation, latest_snapshot
from healing.models import Receipt
from healing.receipt_copies import note_undone, store
from healing.receipts_view import landed
from healing.refusals import NotAllowed, Refused, WrongState
from healing.sealed_rows import receipt_facts
from healing.target import target_connection
from schema_monitor.core.snapshot import Column, Relation

_encoder = msgspec.json.Encoder(decimal_format="number")
UNDOABLE = ("committed", "replayed")
_MARK = "INSERT INTO mendgate.undone(receipt) VALUES (%s) ON CONFLICT DO NOTHING"


class CannotUndo(WrongState):
    """There is no sound way back."""


def undo(receipt: Receipt, caller: Caller) -> None:
    """Undoes the write of a receipt; doing it twice changes nothing. ``CannotUndo`` says why not."""
    final = landed(receipt)
    if final.outcome == "undone":
        return
    if final.outcome not in UNDOABLE:
        raise CannotUndo(f"Nothing was stored: the outcome is {final.outcome!r}.")
    if not final.writer:
        raise CannotUndo("The target database had no schema mendgate when this was written, so which rows it stored is not known for sure.")
    plan = _plan(final, _relation(final))
    with target_connection() as target, _database_words(), target.transaction():
        if target.execute(_MARK, [final.pk]).rowcount:
            target.execute(caller.prelude.encode())
            _apply(target, plan, final.writer)
    _note(receipt, final)


class Plan(Struct, frozen=True):
    """One statement a row. ``rows`` hold what was stored (``now``) and for updates what was there before (``was``)."""

    statement: sql.Composed
    rows: list[Row]


def _relation(receipt: Receipt) -> Relation:
    epoch, snapshot = latest_snapshot()
    relation = find_relation(snapshot, receipt.schema, receipt.table)
    if relation is None:
        raise CannotUndo(f"{receipt.schema}.{receipt.table} is not in schema version {epoch} any more.")
    return relation


def _plan(receipt: Receipt, relation: Relation) -> Plan:
    facts = receipt_facts(receipt)
    stored, before = facts["stored"], facts["before"]
    if not stored or not all(isinstance(row, dict) for row in stored):
        raise CannotUndo("The receipt does not hold the stored rows.")
    live = [_live_names(row, relation, receipt) for row in stored]
    columns = [c for c in relation.columns if all(c.name in row for row in live)]
    if len(columns) < len(live[0]):
        raise CannotUndo("The table has lost a column that this write stored.")
    if receipt.operation == "insert":
        return Plan(_delete(relation, columns), [{"now": now} for now in live])
    if receipt.operation == "update" and before and len(before) == len(stored) and _has_key(relation, columns):
        return Plan(_restore(relation, columns), [{"now": now, "was": was} for now, was in zip(live, before, strict=True)])
    raise CannotUndo(f"The receipt of this {receipt.operation} does not hold what was there before.", "Write the old values yourself.")


def _live_names(row: Row, relation: Relation, receipt: Receipt) -> Row:
    """The row under live column names; the caller may have been answered under old ones."""
    renamed = {f.get("from"): f.get("to") for f in receipt.fixes if f.get("op") == "rename_column"}
    return {(key if relation.column(key) else renamed.get(key, key)): value for key, value in row.items()}


def _delete(relation: Relation, columns: list[Column]) -> sql.Composed:
    return sql.SQL("DELETE FROM {table} AS x USING json_to_record((%(row)s::json)->'now') AS v({typed}) WHERE {same}").format(
        table=sql.Identifier(relation.schema, relation.name), typed=_typed(columns), same=_same(relation, columns)
    )


def _restore(relation: Relation, columns: list[Column]) -> sql.Composed:
    settable = [c for c in columns if not c.generated and c.identity != "a" and c.name not in relation.primary_key]
    sets = sql.SQL(", ").join(sql.SQL("{0} = w.{0}").format(sql.Identifier(c.name)) for c in settable)
    return sql.SQL(
        "UPDATE {table} AS x SET {sets} FROM json_to_record((%(row)s::json)->'now') AS v({typed}), "
        "json_to_record((%(row)s::json)->'was') AS w({typed}) WHERE {same}"
    ).format(table=sql.Identifier(relation.schema, relation.name), sets=sets, typed=_typed(columns), same=_same(relation, columns))


def _typed(columns: list[Column]) -> sql.Composed:
    # ``type`` is what format_type said of the catalog, which is valid SQL and never a caller's text.
    return sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(c.name), sql.SQL(c.type)) for c in columns)


def _has_key(relation: Relation, columns: list[Column]) -> bool:
    return bool(relation.primary_key) and {*relation.primary_key} <= {c.name for c in columns}


def _same(relation: Relation, columns: list[Column]) -> sql.Composed:
    """Which row: by primary key where the receipt holds it, else the one that the receipt's own transaction wrote last. Either way
    every stored column must be as it was, compared as JSON: json and the like have no equality of their own."""
    keys = [sql.SQL("x.xmin = %(writer)s::xid").format()]
    if _has_key(relation, columns):
        keys = [sql.SQL("x.{0} = v.{0}").format(sql.Identifier(name)) for name in relation.primary_key]
    rest = [sql.SQL("to_jsonb(x.{0}) IS NOT DISTINCT FROM to_jsonb(v.{0})").format(sql.Identifier(c.name)) for c in columns]
    return sql.SQL(" AND ").join(keys + rest)


def _apply(target: psycopg.Connection[Any], plan: Plan, writer: str) -> None:
    for row in plan.rows:
        done = target.execute(plan.statement, {"row": JsonText(row, dumps=_encoder.encode), "writer": writer}).rowcount
        if done != 1:
            raise CannotUndo(
                "A row is no longer as it was stored: it was changed or removed since, or you may not see it."
                if done == 0
                else "Several rows are just like this one; which of them this write stored cannot be told.",
                "Nothing was undone.",
            )


class _database_words:
    """Turns the database's refusals into ours; the transaction is rolled back by then."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, psycopg.OperationalError) or not isinstance(error, psycopg.Error):
            return
        refusal: type[Refused] = NotAllowed if isinstance(error, psycopg.errors.InsufficientPrivilege) else CannotUndo
        raise refusal(f"The database refused: {error.diag.message_primary or error}") from error


@transaction.atomic
def _note(receipt: Receipt, final: Receipt) -> None:
    store([final])  # it may not have been moved here yet
    note_undone(final)
    Receipt.objects.filter(pk=receipt.pk).update(outcome="undone")
