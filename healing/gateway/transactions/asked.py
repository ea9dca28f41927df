"""What a caller of ``/api/v1/transactions`` asks, as values. No look at the schema.

{"isolation": "serializable",
 "operations": [{"op": "insert", "table": "orders", "rows": [{…}], "as": "o"},
                {"op": "insert", "table": "items", "rows": [{"order_id": {"$ref": "o.0.id"}}]},
                {"op": "update", "table": "stock", "values": {…}, "match": {"id": 7}, "savepoint": true},
                {"op": "delete", "table": "drafts", "filter": "age=gt.30"}]}
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from healing.core.types import Row
from healing.gateway.errors import DialectError

MOST = 100
"""Operations of one transaction."""
ISOLATION = {"read committed": "READ COMMITTED", "repeatable read": "REPEATABLE READ", "serializable": "SERIALIZABLE"}
_NEEDS = {"insert": ("rows",), "upsert": ("rows",), "update": ("values",), "delete": ()}
_MAY = {
    "insert": {"rows"}, "upsert": {"rows", "on_conflict", "ignore_duplicates"},
    "update": {"values", "match", "filter"}, "delete": {"match", "filter"},
}  # fmt: skip


class Operation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One write. ``name`` is what ``$ref`` calls it; ``select``: columns to give back; ``savepoint``: the others go on without it."""

    op: Literal["insert", "upsert", "update", "delete"]
    table: str
    rows: Row | list[Row] | None = None
    values: Row | None = None
    match: Row | None = None
    filter: str | None = None
    on_conflict: str | None = None
    ignore_duplicates: bool | None = None
    name: str | None = field(default=None, name="as")
    savepoint: bool = False
    select: str | None = None


class Transaction(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole."""

    operations: list[Operation]
    isolation: Literal["read committed", "repeatable read", "serializable"] | None = None

    @property
    def begin(self) -> str:
        """How it begins."""
        return f"BEGIN ISOLATION LEVEL {ISOLATION[self.isolation]}" if self.isolation else "BEGIN"


def read(body: Row) -> Transaction:
    """The transaction that a decoded body asks for. Raises ``DialectError``."""
    try:
        asked = msgspec.convert(body, Transaction)
    except msgspec.ValidationError as error:
        raise refusal(str(error)) from None
    if not 0 < len(asked.operations) <= MOST:
        raise refusal(f"There are {len(asked.operations)} operations", f"One to {MOST}.")
    names: set[str] = set()
    for number, operation in enumerate(asked.operations):
        _check(number, operation, names)
    return asked


def refusal(message: str, hint: str | None = None, details: str | None = None) -> DialectError:
    """A 400 for a transaction that cannot be read."""
    return DialectError("MG400", 400, message, details, hint or "See docs/reference/transactions.md.")


def place(number: int, operation: Operation) -> str:
    """How an operation is called in errors."""
    return f"Operation {number} ({operation.op} {operation.table})"


def _check(number: int, operation: Operation, names: set[str]) -> None:
    where = place(number, operation)
    given = {key for key in ("rows", "values", "match", "filter", "on_conflict", "ignore_duplicates") if _of(operation, key) is not None}
    for key in _NEEDS[operation.op]:
        if key not in given:
            raise refusal(f"{where} has no {key}")
    for key in sorted(given - _MAY[operation.op]):
        raise refusal(f"{where} has {key}, which has no meaning there")
    if operation.op in ("update", "delete") and not operation.match and not operation.filter:
        raise refusal(f"{where} would change every row", 'Say which rows are meant: "match": {"id": 1}, or "filter": "id=gt.0".')
    if operation.name is not None:
        if not operation.name or "." in operation.name or operation.name in names:
            raise refusal(f"{where}: the name {operation.name!r} is empty, has a dot, or is taken")
        names.add(operation.name)


def _of(operation: Operation, key: str) -> Any:
    return getattr(operation, key)
