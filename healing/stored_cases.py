"""Writes of the past as the backtest wants them: kept ones, landed ones, and what healing may know about their tables today."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import msgspec

from healing.core import fixes
from healing.core.backtest import Case
from healing.core.mend import Context
from healing.core.types import Healing, Json, Operation, Row, Statement
from healing.core.types import Rule as CoreRule
from healing.core.vet import compile_vet
from healing.gateway.seal import SealError
from healing.models import Receipt, Rule
from healing.sealed_rows import open_json
from schema_monitor.core.lineage import Renamed
from schema_monitor.core.snapshot import Relation
from schema_monitor.store import Version

_KEPT = ("pk", "schema", "table", "operation", "signature", "request", "claims")
_LANDED = ("pk", "schema", "table", "operation", "fixes", "sealed")
_decoder = msgspec.json.Decoder(float_hook=Decimal)
CHUNK = 2_000


def kept(items: Any, most: int, until: float | None = None, *, claims: bool = True) -> Iterator[Case]:
    """The newest of these quarantine items; no more once ``until`` (``time.monotonic``) is over. Sealed with a lost secret: left out.
    Without ``claims`` those stay sealed: half the work, where no op fills from one."""
    for fields in items.order_by("-number").values_list(*_KEPT)[:most].iterator(chunk_size=CHUNK):
        if until is not None and time.monotonic() > until:
            return
        pk, schema, table, operation, signature, request, sealed = fields
        if (case := _kept(pk, schema, table, operation, signature, request, sealed if claims else None)) is not None:
            yield case


def landed(receipts: Any, most: int) -> Iterator[Case]:
    """The newest of these receipts' writes, with the ops that they landed with."""
    rows = receipts.filter(outcome__in=[Receipt.Outcome.COMMITTED, Receipt.Outcome.REPLAYED], sealed__isnull=False)
    for pk, schema, table, operation, done, sealed in rows.order_by("-at").values_list(*_LANDED)[:most]:
        sent = _opened(sealed)
        if sent is not None and (statement := _statement(operation, schema, table, sent.get("sent") or [], "")) is not None:
            yield Case(str(pk), statement, done=ops_of(done))


class Known:
    """What healing may know for a statement under one schema version: ``Contexts`` of the backtest. ``rules``: those that are active."""

    def __init__(self, version: Version, rules: Iterable[Rule], moved: dict[str, str] | None = None) -> None:
        self.epoch, self.snapshot, self._lineage = version
        self._moved = moved or {}
        self._rules, self._found = [core_rule(rule) for rule in rules], dict[tuple[str, str], Context | None]()

    def __call__(self, statement: Statement) -> Context | None:
        """The same for all statements of a table."""
        place = (statement.schema, statement.table)
        if place not in self._found:
            self._found[place] = self._context(*place)
        return self._found[place]

    def _context(self, schema: str, table: str) -> Context | None:
        relation = self.relation(schema, table)
        if relation is None:
            return None
        rules = tuple(r for r in self._rules if r.schema == schema and r.table in ("", table, relation.name) and r.binds(relation))
        vet = compile_vet(relation, self.snapshot, self._lineage)
        return Context(relation, self.snapshot, self._lineage, vet, Healing.APPROVED, rules, moved=relation.name != table)

    def relation(self, schema: str, table: str) -> Relation | None:
        """The live relation of a name: its own, a former one's, or the one that a rule under test sends it to."""
        found = self.snapshot.named(schema, table)
        if found:
            return found[0]
        match self._lineage.resolve_relation(self.snapshot, schema, table):
            case Renamed(Relation() as relation):
                return relation
        found = self.snapshot.named(schema, self._moved[table]) if table in self._moved else ()
        return found[0] if found else None


def core_rule(rule: Rule, id_: str = "") -> CoreRule:
    """As the gateway sees it."""
    bound = rule.bound if isinstance(rule.bound, dict) else {}
    return CoreRule(
        id_ or str(rule.pk), rule.schema, rule.table, rule.operation, rule.signature, tuple(rule.fix), rule.source,
        bound.get("oid", 0), bound.get("columns", {}),
    )  # fmt: skip


def _kept(pk: Any, schema: str, table: str, operation: str, signature: str, request: Any, claims: Any) -> Case | None:
    sent = _opened(request)
    if sent is None:
        return None
    try:
        body = _decoder.decode(base64.b64decode(sent.get("body") or "") or b"[]")
    except (msgspec.DecodeError, ValueError):
        return None
    statement = _statement(operation, schema, table, body if isinstance(body, list) else [body], sent.get("query") or "")
    return None if statement is None else Case(str(pk), statement, signature, _opened(claims) or {})


def _statement(operation: str, schema: str, table: str, rows: list[Json], query: str) -> Statement | None:
    if operation not in ("insert", "upsert", "update") or not all(isinstance(row, dict) for row in rows):
        return None
    listed = parse_qs(query).get("columns") if "columns=" in query else None
    columns = tuple(name.strip().strip('"') for name in listed[-1].split(",")) if listed else None
    return Statement(Operation(operation), schema, table, tuple(rows), columns)


def _opened(blob: Any) -> Row | None:
    try:
        found = open_json(blob)
    except SealError:
        return None
    return found if isinstance(found, dict) else None


def ops_of(done: Any) -> tuple[fixes.Fix, ...]:
    """The ops of a receipt's fixes; () where there are none, or none of the language."""
    plain = [fixes.bare(fix) for fix in done if isinstance(fix, dict)]
    try:
        return fixes.parse(plain) if plain else ()
    except fixes.FixError:
        return ()
