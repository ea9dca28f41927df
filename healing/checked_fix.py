"""A fix made from outside (a proposal, a person's edit), parsed and checked against the live schema."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

from healing.core import fixes
from healing.live_schema import find_relation, latest_snapshot
from healing.models import Proposal
from healing.refusals import DoesNotFit
from schema_monitor.core.snapshot import Relation, Snapshot

_encoder = msgspec.json.Encoder(decimal_format="number")


def fix_of(text: str) -> Any:
    """The JSON that a person typed."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise DoesNotFit(f"The fix is no JSON: {error}", 'For example: [{"op": "rename_column", "from": "a", "to": "b"}]') from error


def parsed(fix: Any) -> tuple[fixes.Fix, ...]:
    """The ops of the fix language; ``DoesNotFit`` says what is wrong."""
    if not isinstance(fix, list) or not fix:
        raise DoesNotFit("A fix is a list of at least one operation.")
    try:
        return tuple(fixes.parse(fix))
    except fixes.FixError as error:
        raise DoesNotFit(f"Not in the fix language: {error}") from error


def checked(fix: Any, schema: str, table: str) -> tuple[tuple[fixes.Fix, ...], Relation]:
    """The parsed fix and the live relation that it fits. ``DoesNotFit`` lists every fault."""
    ops = parsed(fix)
    epoch, snapshot = latest_snapshot()
    relation = _relation_meant(ops, snapshot, schema, table)
    if relation is None:
        raise DoesNotFit(f"There is no table {schema}.{table} in schema version {epoch}.")
    faults = fixes.typecheck(ops, relation, snapshot)
    if faults:
        raise DoesNotFit(f"It does not fit schema version {epoch}: {'; '.join(faults)}")
    return ops, relation


def is_exact(proposal: Proposal) -> bool:
    """Nothing that was sent would be dropped, changed or made up. What cannot be read is not exact."""
    try:
        return all(fixes.is_exact(op) for op in parsed(proposal.fix))
    except DoesNotFit:
        return False


def content_hash(ops: tuple[fixes.Fix, ...]) -> str:
    """The identity of a fix: SHA-256 of its canonical text."""
    return hashlib.sha256(fixes.content_hash_text(ops).encode()).hexdigest()


def plain(ops: tuple[fixes.Fix, ...]) -> list[dict[str, Any]]:
    """The fix as JSON that a jsonb column takes."""
    ready: list[dict[str, Any]] = msgspec.json.decode(_encoder.encode(fixes.dump(ops)))
    return ready


def sentence(ops: tuple[fixes.Fix, ...]) -> str:
    """The fix, said to a person."""
    return "; ".join(fixes.say(op) for op in ops)


def _relation_meant(ops: tuple[fixes.Fix, ...], snapshot: Snapshot, schema: str, table: str) -> Relation | None:
    """The relation that the rows land in: where the fix renames the table, the new one."""
    for op in fixes.dump(ops):
        if op["op"] == "rename_table" and op["from"] == table:
            return find_relation(snapshot, schema, op["to"])
    return find_relation(snapshot, schema, table)
