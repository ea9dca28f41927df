"""Receipts: what was sent, what was stored, and why they differ, written by the transaction that writes the row."""

# ruff: noqa: S608 - identifiers come quoted from the catalog; values are parameters, or constants quoted here
from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from healing.core import fixes
from healing.core.mend import Applied
from healing.core.types import Change, Row, Statement
from healing.gateway.auth import Caller
from healing.gateway.seal import seal
from healing.gateway.target import quote_literal

encode = msgspec.json.Encoder(decimal_format="number").encode
decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Receipt(Struct, frozen=True):
    """One receipt, ready to be written: ``body`` holds no values, ``sealed`` holds them encrypted."""

    id: str
    body: dict[str, Any]
    sealed: bytes

    def values_sql(self) -> str:
        """One row of VALUES for ``insert_sql``."""
        return values_sql(self.id, body_sql(self.body), self.sealed)


def body_sql(body: dict[str, Any]) -> str:
    """A receipt's body as a quoted constant."""
    return quote_literal(encode(body).decode().replace("\\u0000", "\\ufffd"))


def values_sql(receipt_id: str, body: str, sealed: bytes) -> str:
    """One row of VALUES for ``insert_sql``, of an id of ours, a ``body_sql``, and bytes."""
    return f"('{receipt_id}',{body},E'\\\\x{sealed.hex()}')"


def insert_sql(values: Sequence[str]) -> str:
    """The INSERT of receipts into the target's ``mendgate.receipt``; '' for none."""
    return f"INSERT INTO mendgate.receipt(id,body,sealed) VALUES {','.join(values)};" if values else ""


def make(
    receipt_id: str,
    outcome: str,
    statement: Statement,
    table: str,
    caller: Caller,
    *,
    applied: Sequence[Applied] = (),
    name_fixes: Sequence[fixes.Fix] = (),
    changes: Sequence[Change] = (),
    stored: Sequence[Row] | None = None,
    quarantine: str | None = None,
    verified: bool = True,
) -> Receipt:
    """A receipt for a write. ``statement`` is the one as sent; ``table`` the live name of its relation."""
    found = [*_name_fixes(name_fixes), *fixes_of(applied)]
    body = body_of(outcome, statement, table, caller, found, changes, quarantine, verified)
    values = {"sent": statement.rows, "stored": stored, "changes": changes}
    return Receipt(receipt_id, body, seal(encode(values)))


def body_of(
    outcome: str,
    statement: Statement,
    table: str,
    caller: Caller,
    found: list[dict[str, Any]],
    changes: Sequence[Change] = (),
    quarantine: str | None = None,
    verified: bool = True,
) -> dict[str, Any]:
    """What a receipt says in the clear: no values."""
    return {
        "outcome": outcome,
        "schema": statement.schema,
        "table": table,
        "operation": str(statement.operation),
        "key": caller.key,
        "role": caller.role,
        "subject": caller.subject,
        "fixes": found,
        "changes": [{"column": change.column, "why": change.why} for change in changes],
        "quarantine": quarantine,
        "verified": verified,
    }


def seal_texts(sent: bytes, stored: bytes) -> bytes:
    """The sealed part of a receipt without changes, from rows as JSON text (joined by commas, no brackets)."""
    return seal(b'{"sent":[%b],"stored":[%b],"changes":[]}' % (sent, stored))


def fixes_of(applied: Sequence[Applied]) -> list[dict[str, Any]]:
    """Fixes as a receipt tells them."""
    return [{**fixes.dump((a.fix,))[0], "source": a.source, "rule": a.rule, "rows": a.rows} for a in applied]


def _name_fixes(found: Sequence[fixes.Fix]) -> list[dict[str, Any]]:
    return [{**dumped, "source": "lineage", "rule": None, "rows": []} for dumped in fixes.dump(tuple(found))]
