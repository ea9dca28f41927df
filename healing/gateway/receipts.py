"""Receipts: what was sent, what was stored, and why they differ, written by the transaction that writes the row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from healing.core import fixes
from healing.core.mend import Applied
from healing.core.types import Change, Row, Statement
from healing.gateway.auth import Caller
from healing.gateway.entropy import new_id
from healing.gateway.seal import seal
from healing.gateway.wire_messages import Step

encode = msgspec.json.Encoder(decimal_format="number").encode
_INSERT = "INSERT INTO mendgate.receipts VALUES($1,$2)"
MOST = 65_536
"""receipts in a bundle."""
_ENDS = tuple([f"{number:04x}" for number in range(2048)])
decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Receipt(Struct, frozen=True):
    """What is said of one write, as JSON: ``head`` holds no values, ``values`` does."""

    head: str
    values: bytes


def bundle_id() -> str:
    """A fresh id for the receipts of one transaction."""
    return numbered(new_id(), 0)


def numbered(bundle: str, number: int) -> str:
    """The id of a bundle's n-th receipt (of at most ``MOST``)."""
    return f"{bundle[:-4]}{number:04x}"


def ids_of(bundle: str, count: int) -> list[str]:
    """The ids of a bundle's first ``count`` receipts, in order."""
    place = bundle[:-4]
    return [place + end for end in _ENDS[:count]] if count <= len(_ENDS) else [numbered(bundle, number) for number in range(count)]


def bundle_sql(bundle: str, receipts: Sequence[Receipt], transaction: bytes = b"") -> str:
    """The INSERT of a bundle into the target; '' where it would hold nothing. Both values are hexadecimal constants. ``transaction``: the
    record of the transaction that they belong to, as JSON."""
    if not receipts and not transaction:
        return ""
    text = _bundled(receipts)
    if transaction:
        text = text[:-1] + b',"transaction":' + transaction + b"}"
    return f"INSERT INTO mendgate.receipts VALUES('{bundle}',E'\\\\x{seal(text).hex()}');"


def bundle_steps(bundle: str, receipts: Sequence[Receipt]) -> tuple[Step, ...]:
    """The same INSERT with its values as parameters; () where it would hold nothing."""
    return (Step(_INSERT, (bundle.encode(), seal(_bundled(receipts))), binary=True),) if receipts else ()


def _bundled(receipts: Sequence[Receipt]) -> bytes:
    """``{"heads": [each distinct head], "of": [which of them the n-th receipt has], "values": [the n-th one's values]}``."""
    values = b",".join([receipt.values for receipt in receipts])
    heads = {receipt.head: None for receipt in receipts}
    if len(heads) == 1:
        of = ("0," * len(receipts))[:-1]
        return b'{"heads":[%b],"of":[%b],"values":[%b]}' % (receipts[0].head.encode(), of.encode(), values)
    order = {head: str(number) for number, head in enumerate(heads)}
    of = ",".join([order[receipt.head] for receipt in receipts])
    return b'{"heads":[%b],"of":[%b],"values":[%b]}' % (",".join(heads).encode(), of.encode(), values)


def make(
    outcome: str,
    statement: Statement,
    table: str,
    caller: Caller,
    *,
    applied: Sequence[Applied] = (),
    name_fixes: Sequence[fixes.Fix] = (),
    changes: Sequence[Change] = (),
    stored: Sequence[Row] | None = None,
    before: Sequence[Row] | None = None,
    writers: Sequence[str] | None = None,
    quarantine: str | None = None,
    verified: bool = True,
    noted: Mapping[str, Any] | None = None,
) -> Receipt:
    """A receipt for a write. ``statement`` is the one as sent; ``table`` the live name of its relation; ``noted`` see ``fixes_of``;
    ``before`` what was there before, where that was looked at, and ``writers`` who wrote that."""
    found = [*_name_fixes(name_fixes), *fixes_of(applied, noted or {})]
    head = head_of(outcome, statement, table, caller, found, changes, quarantine, verified)
    values: dict[str, Any] = {"sent": statement.rows, "stored": stored, "changes": changes}
    if before is not None:
        values["before"] = before
        values["writers"] = writers
    return Receipt(head, encode(values))


def head_of(
    outcome: str,
    statement: Statement,
    table: str,
    caller: Caller,
    found: list[dict[str, Any]],
    changes: Sequence[Change] = (),
    quarantine: str | None = None,
    verified: bool = True,
    told: Sequence[Mapping[str, str]] = (),
) -> str:
    """What a receipt says apart from values, as JSON. ``told`` is said of columns beside ``changes``."""
    said: dict[str, Any] = {
        "outcome": outcome,
        "schema": statement.schema,
        "table": table,
        "operation": str(statement.operation),
        "key": caller.key,
        "role": caller.role,
        "subject": caller.subject,
        "fixes": found,
        "changes": [*told, *({"column": change.column, "why": change.why} for change in changes)],
        "quarantine": quarantine,
        "verified": verified,
    }
    if caller.subject and outcome != "quarantined":
        said["claims"] = caller.claims  # whoever takes the write back has these rights and no others; sealed with the rest
    return encode(said).decode().replace("\\u0000", "\\ufffd")


def renamed_end(names: Mapping[str, str]) -> bytes:
    """The end of ``renamed_values`` where these keys are stored under those names."""
    return b'],"renamed":%b,"changes":[]}' % encode(names)


def renamed_values(sent: bytes, end: bytes) -> bytes:
    """The values of a receipt of rows that differ in nothing but the names of keys, in short: rows as JSON text (joined by commas, no
    brackets), and which key is stored under which name (``in_full``)."""
    return b'{"sent":[' + sent + end


def in_full(values: bytes) -> bytes:
    """The values of a receipt with the rows as they were stored, also where these are told in short. What was sent stays as it is, to
    the letter."""
    said = msgspec.json.decode(values, type=dict[str, msgspec.Raw])
    if "renamed" not in said:
        return values
    names, sent = decode(said["renamed"]), bytes(said["sent"])
    stored = [{names.get(key, key): value for key, value in row.items()} for row in decode(sent)]
    return b'{"sent":%b,"stored":%b,"changes":[]}' % (sent, encode(stored))


def fixes_of(applied: Sequence[Applied], noted: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Fixes as a receipt tells them. ``noted``: what to say beside a fix that no rule made (``assist`` or
    ``certified``), by the name it goes by."""
    return [_told(each, noted or {}) for each in applied]


def _told(applied: Applied, noted: Mapping[str, Any]) -> dict[str, Any]:
    said = {**fixes.dump((applied.fix,))[0], "source": applied.source, "rule": applied.rule, "rows": applied.rows}
    return said if applied.rule is None or applied.rule not in noted else {**said, "rule": None, **noted[applied.rule]}


def _name_fixes(found: Sequence[fixes.Fix]) -> list[dict[str, Any]]:
    return [{**dumped, "source": "lineage", "rule": None, "rows": []} for dumped in fixes.dump(tuple(found))]
