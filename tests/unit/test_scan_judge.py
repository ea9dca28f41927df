"""What the scanner says is wrong, and what it keeps silent about."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from healing.core.sources.cover import Function, State
from healing.core.sources.findings import RULES
from healing.core.sources.order import by_tables, order
from schema_monitor.core.lineage import Lineage
from tests.unit.scan_scene import ENUMS, ORDERS, SNAPSHOT, findings, wrong

GOOD = "title: 'x', user_id: id"


@pytest.mark.parametrize(
    "text",
    [
        f"await db.from('orders').insert({{ {GOOD}, total: 1, status: 'paid', mood: 'sad', due_at: new Date().toISOString() }})",
        f"await db.from('orders').insert({{ {GOOD}, total: '7', mood: mood, price: x, details: {{}} }})",
        f"await db.from('orders').insert([{{ {GOOD} }}, ...more])",
        "await db.from('orders').insert({ title: 'x', ...rest })",
        "await db.from('orders').insert(row)",
        "await db.from('orders').update({ total: null, details: JSON.stringify(x) }).eq('id', id)",
        "await db.from('orders').upsert({ id, title: 'x', user_id: u }, { onConflict: 'title,user_id' })",
        "await db.from('orders').select('id, n:total, details->>a, items(name), words::text').eq('items.name', 'x').order('due_at')",
        "await db.from('orders').select('*, items!items_order_id_fkey(count)')",
        "await db.from('items').select('*, orders(title)').not('orders', 'is', null)".replace(".not('orders', 'is', null)", ""),
        "await db.rpc('count_orders', { since: d })",
        "await db.rpc('count_orders', { since: d, kind: 'x' })",
        "await db.rpc('count_orders', args)",
        "await db.from(name).insert({ nothing: 1 })",
        "await db.schema('crm').from('nothing').select()",
        "const other = createClient(Deno.env.get('CRM_URL')!, k); await other.from('nothing').insert({ a: 1 })",
        "let mood = 'sad'; if (x) mood = 'happy'; await db.from('orders').update({ mood })",
    ],
)
def test_what_fits_or_cannot_be_seen_is_not_touched(text):
    assert wrong(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("await db.from('order_s').select()", ("unknown-table", "error", "")),
        (f"await db.from('orders').insert({{ {GOOD}, colour: 'red' }})", ("unknown-column", "error", "colour")),
        ("await db.from('orders').insert({ title: 'x' })", ("missing-required", "error", "user_id")),
        (f"await db.from('orders').insert({{ {GOOD}, total: 'many' }})", ("wrong-type", "error", "total")),
        (f"await db.from('orders').insert({{ {GOOD}, total: new Date().toISOString() }})", ("wrong-type", "error", "total")),
        (f"await db.from('orders').insert({{ {GOOD}, total: {{ a: b }} }})", ("wrong-type", "error", "total")),
        (f"await db.from('orders').insert({{ {GOOD}, due_at: Date.now() }})", ("wrong-type", "error", "due_at")),
        (f"await db.from('orders').insert({{ {GOOD}, status: 'lost' }})", ("unknown-label", "error", "status")),
        (f"await db.from('orders').insert({{ {GOOD}, status: ok ? 'paid' : 'lost' }})", ("unknown-label", "warning", "status")),
        (f"await db.from('orders').insert({{ {GOOD}, mood: 'Happy' }})", ("unknown-label", "warning", "mood")),
        (f"await db.from('orders').insert({{ {GOOD}, total: 9999999999 }})", ("out-of-range", "error", "total")),
        (f"await db.from('orders').insert({{ {GOOD}, words: 3 }})", ("generated-column", "error", "words")),
        ("await db.from('orders').update({ title: null })", ("null-value", "error", "title")),
        ("await db.from('orders').update({ title: t || null })", ("maybe-null", "note", "title")),
        (f"await db.from('orders').insert({{ {GOOD}, price: 1.239 }})", ("changed-value", "note", "price")),
        ("await db.from('orders').select('id, colour')", ("unknown-column-read", "error", "colour")),
        ("await db.from('orders').select().eq('colour', 'red')", ("unknown-column-read", "error", "colour")),
        ("await db.from('orders').select('*, items(weight)')", ("unknown-column-read", "error", "weight")),
        ("await db.from('orders').delete().order('colour')", ("unknown-column-read", "error", "colour")),
        ("await db.from('orders').select().eq('mood', 'angry')", ("unknown-label", "error", "mood")),
        ("await db.from('orders').select('*, activity_logs(*)')", ("unknown-relationship", "error", "activity_logs")),
        ("await db.from('orders').select('id,, total')", ("bad-select", "error", "")),
        ("await db.from('orders').upsert({ id, title: 'x', user_id: u }, { onConflict: 'title' })", ("conflict-target", "error", "title")),
        ("await db.rpc('count_order', {})", ("unknown-function", "error", "")),
        ("await db.rpc('count_orders', { from: d })", ("unknown-function", "error", "")),
        ("await db.rpc('count_orders')", ("unknown-function", "error", "")),
    ],
)
def test_each_kind_of_misfit_is_told_once_with_its_level(text, expected):
    assert wrong(text) == [expected]


def test_every_rule_has_an_id_of_its_own():
    assert len({rule.id for rule in RULES.values()}) == len(RULES)


def test_functions_take_turns_by_what_their_tables_get():
    def function(name: str, *tables: str) -> Function:
        return Function(name, State.DIRECT, (), (), 0, 1, 0, 0, 1, 0, 0, 0, False, tables)

    both = (function("busy", "orders"), function("also", "orders", "items"), function("unknown", "logs"))
    traffic = by_tables(both, {"orders": (1000, 100), "items": (50, 0)})
    assert {name: (t.calls, t.failures) for name, t in traffic.items()} == {"busy": (500, 50), "also": (550, 50)}
    assert [step.name for step in order(both, traffic, {})] == ["also", "busy", "unknown"]


def renamed() -> tuple[object, Lineage]:
    """The schema after title → subject and sad → gloomy, with what it was before."""
    columns = tuple(replace(c, name="subject") if c.name == "title" else c for c in ORDERS.columns)
    mood = replace(ENUMS[9], labels=(ENUMS[9].labels[0], replace(ENUMS[9].labels[1], name="gloomy")))
    after = replace(SNAPSHOT, relations={**SNAPSHOT.relations, 1: replace(ORDERS, columns=columns, fingerprint="2")}, enums={9: mood})
    return after, Lineage.start(SNAPSHOT).advance(SNAPSHOT, after)


def test_former_names_are_told_with_the_names_of_today_because_the_gateway_follows_them():
    after, lineage = renamed()
    text = "await db.from('orders').insert({ title: 'x', user_id: id, mood: 'sad' }).select('title').eq('title', 'y')"
    told = findings(text, after, lineage)  # type: ignore[arg-type]
    assert {(f.rule, str(f.level), f.column) for f in told} == {
        ("renamed", "warning", "title"), ("unknown-label", "warning", "mood"),
    }  # fmt: skip
    assert {f.fix for f in told} == {"write `subject`", "write 'gloomy'"}


def test_the_fix_is_the_matchers_where_it_is_sure_and_the_migration_where_nothing_fits():
    (spelled,) = findings("await db.from('orders').update({ dueAt: new Date().toISOString() })")
    assert (spelled.fix, spelled.ops) == ("`due_at` is probably meant", ({"op": "rename_column", "from": "dueAt", "to": "due_at"},))
    (added,) = findings("await db.from('orders').update({ colour: 'red' })")
    assert added.fix == "leave it out, or add the column: ALTER TABLE public.orders ADD COLUMN colour text"
    (unseen,) = findings("await db.from('orders').update({ colour: c })")
    assert unseen.fix == "leave it out, or add a column for it"


def test_a_missing_owner_is_told_to_come_from_the_token():
    (missing,) = findings("await db.from('orders').insert({ title: 'x' })")
    assert missing.fix == "take `user_id` from the caller's verified token (`sub`)"


def test_a_table_with_a_before_trigger_may_fill_what_is_missing():
    filled = replace(ORDERS, has_before_triggers=True, fingerprint="3")
    snapshot = replace(SNAPSHOT, relations={**SNAPSHOT.relations, 1: filled})
    assert wrong("await db.from('orders').insert({ title: 'x' })", snapshot) == []
    assert wrong("await db.from('orders').insert({ title: null, user_id: u })", snapshot) == []
