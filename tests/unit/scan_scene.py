"""A small shop's schema, and a source text read and held against it."""

from __future__ import annotations

from healing.core.sources.calls import AiCall, DataCall, FileCalls
from healing.core.sources.findings import Finding
from healing.core.sources.writes import World
from healing.scan.ai import ai_calls
from healing.scan.chains import data_calls
from healing.scan.clients import Clients
from healing.scan.judge import judge
from healing.scan.source import Source
from healing.scan.unit import Unit
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import (
    Argument,
    Column,
    Constraint,
    EnumLabel,
    EnumType,
    Function,
    Index,
    Relation,
    Scope,
    Snapshot,
)

ENUMS = {9: EnumType(9, "public", "mood", (EnumLabel(91, "happy"), EnumLabel(92, "sad")))}
ORDERS = Relation(
    1, "public", "orders", "r",
    (
        Column(1, "id", "uuid", "uuid", nullable=False, default="gen_random_uuid()"),
        Column(2, "title", "text", "text", nullable=False),
        Column(3, "user_id", "uuid", "uuid", nullable=False),
        Column(4, "total", "integer", "int4"),
        Column(5, "status", "text", "text", nullable=False, default="'open'"),
        Column(6, "mood", "mood", "mood", enum=9),
        Column(7, "details", "jsonb", "jsonb"),
        Column(8, "due_at", "timestamp with time zone", "timestamptz"),
        Column(9, "words", "integer", "int4", generated="s"),
        Column(10, "price", "numeric(6,2)", "numeric", precision=6, scale=2),
    ),
    (
        Constraint(1, "orders_pkey", "p", (1,)),
        Constraint(2, "orders_status_check", "c", (5,), allowed=("open", "paid", "shipped")),
        Constraint(3, "orders_user_id_title_key", "u", (3, 2)),
    ),
    (Index(4, "orders_pkey", (1,)), Index(5, "orders_user_id_title_key", (3, 2))),
)  # fmt: skip
ITEMS = Relation(
    2, "public", "items", "r",
    (
        Column(1, "id", "bigint", "int8", nullable=False, identity="d"),
        Column(2, "order_id", "uuid", "uuid"),
        Column(3, "name", "text", "text"),
    ),
    (Constraint(6, "items_pkey", "p", (1,)), Constraint(7, "items_order_id_fkey", "f", (2,), references=1, referenced_columns=(1,))),
)  # fmt: skip
LOGS = Relation(3, "public", "activity_logs", "r", (Column(1, "id", "bigint", "int8", nullable=False, identity="d"),))
COUNT = Function(
    20, "public", "count_orders", (Argument("since", "date", "date"), Argument("kind", "text", "text", has_default=True)), "integer"
)
SNAPSHOT = Snapshot(Scope("1", 1), 180000, {1: ORDERS, 2: ITEMS, 3: LOGS}, ENUMS, {20: COUNT}, exposed=("public",))
HEAD = 'import { createClient } from "npm:@supabase/supabase-js@2";\nconst db = createClient(Deno.env.get("SUPABASE_URL")!, "key");\n'


def unit(text: str, path: str = "f/index.ts") -> Unit:
    """A file of that text."""
    return Unit(Source(path, text))


def data(text: str, head: str = HEAD) -> list[DataCall]:
    """The calls of the data API in it."""
    found = unit(head + text)
    return data_calls(found, Clients(found))


def ai(text: str) -> list[AiCall]:
    """The calls of AI services in it."""
    return ai_calls(unit(text))


def findings(text: str, snapshot: Snapshot = SNAPSHOT, lineage: Lineage | None = None) -> list[Finding]:
    """What is wrong with it."""
    file = FileCalls("f/index.ts", tuple(data(text)))
    return judge([file], World(snapshot, lineage or Lineage.start(snapshot), {}))


def wrong(text: str, snapshot: Snapshot = SNAPSHOT, lineage: Lineage | None = None) -> list[tuple[str, str, str]]:
    """The same in short: (rule, level, column)."""
    return [(f.rule, str(f.level), f.column) for f in findings(text, snapshot, lineage)]
