"""What the scanner sees in a source file."""

from __future__ import annotations

import pytest

from healing.core.sources.calls import Via
from tests.unit.scan_scene import HEAD, ai, data, unit

ROW = "{ title: 'x', user_id: id }"


def keys(text: str) -> list[set[str]]:
    (call,) = data(text)
    assert call.payloads is not None
    return [set(p.names()) for p in call.payloads]


@pytest.mark.parametrize(
    "text",
    [
        f"await db.from('orders').insert({ROW})",
        f"await db.from('orders').insert([{ROW}])",
        f"await db\n  .from(`orders`)\n  // why\n  .insert(/* x */ {ROW} as any)\n  .select()",
        f"await (db as any).from('orders' as never).insert({ROW} satisfies X)",
        f"const row = {ROW}; await db.from('orders').insert(row!)",
        "const row: any = { title: 'x' }; row.user_id = id; await db.from('orders').insert(row)",
        "const title = 'x', user_id = id; await db.from('orders').insert({ title, user_id })",
        "const base = { title: 'x' }; await db.from('orders').insert({ ...base, 'user_id': id })",
        f"const rows = items.map((i) => ({ROW})); await db.from('orders').insert(rows)",
        f"await db.from('orders').insert(items.filter(Boolean).map((i) => {{ return {ROW} }}))",
        f"const rows = []; for (const i of items) rows.push({ROW}); await db.from('orders').insert(rows)",
        f"function make() {{ return {ROW} }}\nawait db.from('orders').insert(make())",
        f"const T = 'orders'; await db.from(T).insert({ROW})",
        f"async function log(client: SupabaseClient) {{ await client?.from('orders').insert({ROW}) }}",
        f"class A {{ async f() {{ await this.supabase.from('orders').insert({ROW}) }} }}",
    ],
)
def test_a_write_is_seen_however_it_is_written(text):
    (call,) = data(text)
    assert (call.table, call.operation) == ("orders", "insert")
    assert keys(text) == [{"title", "user_id"}]
    assert call.payloads[0].whole


@pytest.mark.parametrize(
    "text",
    [
        "await db.from('orders').insert({ title: 'x', ...rest })",
        "await db.from('orders').insert({ title: 'x', [name]: 1 })",
        "const row: any = { title: 'x' }; row[name] = 1; await db.from('orders').insert(row)",
        "const row: any = { title: 'x' }; Object.assign(row, rest); await db.from('orders').insert(row)",
    ],
)
def test_what_may_bring_more_keys_is_not_whole(text):
    (call,) = data(text)
    assert [p.whole for p in call.payloads] == [False]
    assert keys(text) == [{"title"}]


def test_keys_on_a_condition_may_be_missing():
    (call,) = data("await db.from('orders').insert({ title: 'x', ...(u && { user_id: u.id }), total: x ? 1 : undefined })")
    assert {k.name: k.maybe for k in call.payloads[0].keys} == {"title": False, "user_id": True, "total": True}
    assert call.payloads[0].whole


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("const row: any = { a: 1, b: 2 }; delete row.b; await db.from('orders').insert(row)", {"a"}),
        ("const row: any = { a: 1 }; await db.from('orders').insert(row); row.b = 2; send(row)", {"a"}),
        ("const row: any = { a: 1 }; for (const x of xs) { await db.from('orders').insert(row); row.b = x }", {"a", "b"}),
        ("const row: any = { a: 1 }; const f = () => { row.b = 2 }; f(); await db.from('orders').insert(row)", {"a", "b"}),
        ("let row: any = { a: 1 }; row = { b: 2 }; await db.from('orders').insert(row)", {"b"}),
        ("let row: any = { a: 1 }; row = { ...row, b: 2 }; await db.from('orders').insert(row)", {"a", "b"}),
        ("let rows: any = [{ a: 1 }]; rows = [{ b: 2 }]; await db.from('orders').insert(rows)", {"b"}),
        ("let row: any = { a: 1 }; if (x) { row = { b: 2 }; await db.from('orders').insert(row) }", {"b"}),
    ],
)
def test_keys_that_go_or_come_too_late_are_not_sent(text, expected):
    assert keys(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "await db.from('orders').insert(row)",
        "async function f(row: Row) { await db.from('orders').insert(row) }",
        "await db.from('orders').insert(await build())",
        "await db.from('orders').insert(JSON.parse(text))",
        "let row: any = { a: 1 }; row = clean(row); await db.from('orders').insert(row)",
        "let rows: any = [{ a: 1 }]; rows = rows.map(clean); await db.from('orders').insert(rows)",
    ],
)
def test_a_payload_that_cannot_be_seen_is_not_guessed(text):
    (call,) = data(text)
    assert call.payloads is None


@pytest.mark.parametrize(
    "text",
    [
        "await db.storage.from('orders').update('path', file)",
        "const store = db.storage; await store.from('orders').update('path', file)",
        "Array.from('orders').select()",
        "Buffer.from('orders').select()",
        "const q = db.from('orders'); q.throwOnError()",
        "ws.rpc('orders', {})",
    ],
)
def test_what_is_no_call_of_the_data_api_is_left_alone(text):
    assert data(text) == []


def test_filters_order_and_conflict_are_seen_with_their_columns():
    (call,) = data(
        "let q = db.from('orders').select('id, items(name)').eq('status', 'open').or(`a.eq.${x},b.is.null`).match({ c: 1 });\n"
        "if (late) q = q.lt('due_at', now).order('d->>e');"
    )
    assert [(u.how, u.name) for u in call.uses] == [
        ("filter", "status"), ("filter", "a"), ("filter", "b"), ("filter", "c"), ("filter", "due_at"), ("order", "d->>e"),
    ]  # fmt: skip
    assert call.select == "id, items(name)"
    (upsert,) = data("await db.from('orders').upsert({ id: 1 }, { onConflict: 'user_id, title', ignoreDuplicates: true })")
    assert [u.name for u in upsert.uses] == ["user_id", "title"]
    assert upsert.ignores


def test_the_schema_is_the_clients_or_the_calls():
    assert data("await db.schema('crm').from('t').select()")[0].schema == "crm"
    assert data("const c = createClient(u, k, { db: { schema: 'crm' } }); await c.from('t').select()")[0].schema == "crm"
    assert data("await db.schema(name).from('t').select()")[0].schema is None


@pytest.mark.parametrize(
    ("made", "via"),
    [
        ("createClient(Deno.env.get('SUPABASE_URL') ?? '', k)", Via.DIRECT),
        ("createClient(process.env.SUPABASE_URL!, k)", Via.DIRECT),
        ("createClient(Deno.env.get('MENDGATE_URL')!, k)", Via.GATEWAY),
        ("createClient(Deno.env.get('CRM_SUPABASE_URL')!, k)", Via.ELSEWHERE),
        ("createClient('https://abc.supabase.co', k)", Via.ELSEWHERE),
        ("createClient(url, k)", Via.PASSED),
        ("make()", Via.PASSED),
    ],
)
def test_a_call_goes_where_its_client_leads(made, via):
    (call,) = data(f"const c = {made}; await c.from('t').select()")
    assert call.via is via


@pytest.mark.parametrize(
    ("text", "provider", "dialect", "via"),
    [
        ("await fetch('https://ai.gateway.lovable.dev/v1/chat/completions', {})", "lovable-ai", "openai", Via.DIRECT),
        ("const U = 'https://api.openai.com/v1'; await fetch(`${U}/embeddings`, {})", "openai", "openai", Via.DIRECT),
        ("await fetch('https://api.openai.com/v1/audio/speech', {})", "openai", "other", Via.DIRECT),
        ("await fetch('https://api.anthropic.com/v1/messages', {})", "anthropic", "other", Via.DIRECT),
        ("await fetch(`https://generativelanguage.googleapis.com/v1beta/models/${m}:generate`)", "gemini", "other", Via.DIRECT),
        ("await fetch(new URL('https://openrouter.ai/api/v1/chat/completions'))", "openrouter", "openai", Via.DIRECT),
        ("const U = Deno.env.get('X') || 'https://api.openai.com/v1'; await fetch(U + '/embeddings')", "openai", "openai", Via.SETTING),
        ("await fetch(`${Deno.env.get('LLM_BASE_URL')}/chat/completions`, {})", "ai", "openai", Via.SETTING),
        ("await fetch(`${Deno.env.get('MENDGATE_URL')}/v1/chat/completions`, {})", "ai", "openai", Via.GATEWAY),
        ("import OpenAI from 'npm:openai@6'; const o = new OpenAI({ apiKey: k });", "openai", "openai", Via.DIRECT),
        ("import O from 'https://esm.sh/openai@4'; new O({ baseURL: 'https://openrouter.ai/api/v1' })", "openrouter", "openai", Via.DIRECT),
        ("import Anthropic from 'npm:@anthropic-ai/sdk'; new Anthropic({})", "anthropic", "other", Via.DIRECT),
        ("import { aiFetch as f } from '../_shared/mendgate.ts'; f('https://api.openai.com/v1/models')", "openai", "openai", Via.GATEWAY),
    ],
)  # fmt: skip
def test_calls_of_ai_services_are_seen_wherever_their_address_stands(text, provider, dialect, via):
    (call,) = ai(text)
    assert (call.provider, call.dialect, call.via) == (provider, dialect, via)


@pytest.mark.parametrize(
    "text",
    [
        "await fetch('https://api.resend.com/emails', {})",
        "await fetch(`https://example.org/?next=https://api.openai.com.evil.org/`)",
        "await fetch(url)",
        "await fetch(`${Deno.env.get('SUPABASE_URL')}/functions/v1/chat`)",
        "import OpenAI from './adapters/openai.ts'; new OpenAI({})",
    ],
)
def test_other_addresses_are_no_ai_services(text):
    assert ai(text) == []


def test_places_count_from_one_and_in_characters():
    (call,) = data("/* 🙂 */ await db.from('orders').select()")
    assert (call.place.line, call.place.column) == (HEAD.count("\n") + 1, len("/* 🙂 */ await db.from('orders').") + 1)


def test_names_mean_the_innermost_declaration():
    text = "const row = { a: 1 };\nfunction f() { const row = { b: 2 }; return db.from('orders').insert(row); }\n"
    assert keys(text) == [{"b"}]
    assert unit(text).scope.top("row") is not None
