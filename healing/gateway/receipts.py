"""Receipts: what was sent, what was stored, and why they differ, written by the transaction that writes the row."""

# ruff: noqa: S608 - identifiers come quoted from the catalog; values are parameters, or constants quoted here
from __future__ import annotations

import uuid
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
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
        """One row of VALUES for ``insert_sql``; every value is a quoted or hexadecimal constant."""
        body = encode(self.body).decode().replace("\\u0000", "\\ufffd")
        return f"({quote_literal(self.id)}::uuid,{quote_literal(body)}::jsonb,decode('{self.sealed.hex()}','hex'))"


def insert_sql(values: Sequence[str]) -> str:
    """The INSERT of receipts into the target's ``mendgate.receipt``; '' for none."""
    return f"INSERT INTO mendgate.receipt(id,body,sealed) VALUES {','.join(values)};" if values else ""


def new_id() -> str:
    """A fresh receipt or quarantine id."""
    return str(uuid.uuid4())


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
    body = {
        "outcome": outcome,
        "schema": statement.schema,
        "table": table,
        "operation": str(statement.operation),
        "key": caller.key,
        "role": caller.role,
        "subject": caller.subject,
        "fixes": [*_name_fixes(name_fixes), *_fixes(tuple(applied))],
        "changes": [{"column": change.column, "why": change.why} for change in changes],
        "quarantine": quarantine,
        "verified": verified,
    }
    values = {"sent": statement.rows, "stored": stored, "changes": changes}
    return Receipt(receipt_id, body, seal(encode(values)))


@lru_cache(maxsize=2048)
def _fixes(applied: tuple[Applied, ...]) -> list[dict[str, Any]]:
    """The same few fixes come again and again; nobody changes what is returned."""
    return [{**fixes.dump((a.fix,))[0], "source": a.source, "rule": a.rule, "rows": a.rows} for a in applied]


def _name_fixes(found: Sequence[fixes.Fix]) -> list[dict[str, Any]]:
    return [{**dumped, "source": "lineage", "rule": None, "rows": []} for dumped in fixes.dump(tuple(found))]
