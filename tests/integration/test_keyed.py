"""Concurrent writes by key through the real gateway: shared statements, separate fates, one order for each key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import httpx
import jwt
import psycopg
import pytest

from healing.gateway.keyed_sql import HIT, are_keys, key_name, update_sql
from healing.gateway.prelude import Prelude
from healing.gateway.target import DatabaseError, Pool
from healing.gateway.together import Entry, KeyedLane, Together
from schema_monitor import catalog
from schema_monitor.core.snapshot import Column
from tests.gateway_process import JWT_SECRET, Gateway
from tests.integration.test_lanes import until_one_waits

Answers = list[httpx.Response]
MERGE = {"prefer": "resolution=merge-duplicates"}


@pytest.fixture
def served(shared_gateway: Gateway) -> Iterator[Gateway]:
    """The gateway of the run; its table is dropped afterwards."""
    yield shared_gateway
    shared_gateway.sql("DROP TABLE IF EXISTS public.keyed CASCADE")


async def patch_all(gateway: Gateway, sends: list[tuple[str, object, dict[str, str]]]) -> Answers:
    """PATCHes all at once: query, body, headers."""
    async with httpx.AsyncClient(base_url=gateway.base_url, headers={"apikey": gateway.make_key()}, timeout=60) as client:
        await client.get("/rest/v1/keyed?limit=0")
        return await asyncio.gather(*[client.patch(f"/rest/v1/keyed?{query}", json=body, headers=more) for query, body, more in sends])


async def upsert_all(gateway: Gateway, bodies: list[object]) -> Answers:
    """Posts all at once, over what is there."""
    async with httpx.AsyncClient(base_url=gateway.base_url, headers={"apikey": gateway.make_key(), **MERGE}, timeout=60) as client:
        await client.get("/rest/v1/keyed?limit=0")
        return await asyncio.gather(*[client.post("/rest/v1/keyed", json=body) for body in bodies])


def test_updates_share_commits_and_each_has_its_own_outcome(served: Gateway) -> None:
    """A row that is not there, a value that is refused and a key that is none are their senders' alone."""
    served.sql("CREATE TABLE keyed(id int PRIMARY KEY, n int CHECK (n >= 0)); INSERT INTO keyed SELECT i, 0 FROM generate_series(0, 99) i")
    sends = [(f"id=eq.{i}", {"n": i + 1}, {"prefer": "return=representation"}) for i in range(100)]
    sends[10] = ("id=eq.5000", {"n": 1}, {"prefer": "return=representation"})
    sends[20] = ("id=eq.20", {"n": -1}, {"prefer": "return=representation"})
    sends[30] = ("id=eq.thirty", {"n": 1}, {"prefer": "return=representation"})

    async def run(holder: psycopg.Connection) -> Answers:
        sent = asyncio.create_task(patch_all(served, sends))
        await until_one_waits(served)  # so that the others come while it is under way, however fast the gateway is
        holder.rollback()
        return await sent

    with psycopg.connect(served.owner_url) as holder:
        holder.execute("LOCK TABLE keyed IN SHARE MODE")
        answers = asyncio.run(run(holder))
    assert [a.json() for i, a in enumerate(answers) if i not in (10, 20, 30)] == [
        [{"id": i, "n": i + 1}] for i in range(100) if i not in (10, 20, 30)
    ]
    assert (answers[10].status_code, answers[10].json()) == (200, [])
    assert (answers[20].status_code, answers[20].json()["code"]) == (400, "23514")
    assert (answers[30].status_code, answers[30].json()["code"]) == (400, "22P02")
    assert served.sql("SELECT count(DISTINCT xmin::text) AS n FROM keyed WHERE n > 0")[0]["n"] < 97


async def read_all(gateway: Gateway, queries: list[tuple[str, dict[str, str]]]) -> Answers:
    """Reads all at once: query, headers."""
    async with httpx.AsyncClient(base_url=gateway.base_url, headers={"apikey": gateway.make_key()}, timeout=60) as client:
        await client.get("/rest/v1/keyed?limit=0")
        return await asyncio.gather(*[client.get(f"/rest/v1/keyed?{query}", headers=more) for query, more in queries])


def test_reads_by_key_share_a_statement_and_each_has_its_own_row(served: Gateway) -> None:
    """Rows, a row that is not there, a key that is none, and one object instead of an array."""
    served.sql(
        "CREATE TABLE keyed(id int PRIMARY KEY, t text, at timestamptz); INSERT INTO keyed SELECT i, i FROM generate_series(0, 89) i"
    )
    one = {"accept": "application/vnd.pgrst.object+json"}
    queries: list[tuple[str, dict[str, str]]] = [(f"id=eq.{i}", {}) for i in range(100)]
    queries[10:13] = [("id=eq.10&select=t,key:id::text", {}), ("id=eq.eleven", {}), ("id=eq.12", one)]
    answers = asyncio.run(read_all(served, queries))
    rows = [a.json() for a in answers]
    assert [row for i, row in enumerate(rows) if i not in (10, 11, 12)] == [
        [{"id": i, "t": str(i), "at": None}] if i < 90 else [] for i in range(100) if i not in (10, 11, 12)
    ]
    assert rows[10] == [{"t": "10", "key": "10"}]
    assert (answers[11].status_code, rows[11]["code"]) == (400, "22P02")
    assert rows[12] == {"id": 12, "t": "12", "at": None}
    missing = asyncio.run(read_all(served, [("id=eq.500", one)]))[0]
    assert (missing.status_code, missing.json()["code"]) == (406, "PGRST116")
    assert answers[0].headers["content-range"] == "0-0/*" and answers[95].headers["content-range"] == "*/*"


def test_upserts_say_whether_the_row_was_new(served: Gateway) -> None:
    """201 for a new row, 200 for one that was there; the last of those with the same key stays."""
    served.sql("CREATE TABLE keyed(sku text PRIMARY KEY, n int); INSERT INTO keyed SELECT 's' || i, 0 FROM generate_series(0, 39) i")
    answers = asyncio.run(upsert_all(served, [{"sku": f"s{i}", "n": i + 1} for i in range(80)]))
    assert [a.status_code for a in answers] == [200] * 40 + [201] * 40
    assert served.sql("SELECT count(*) AS n FROM keyed WHERE 's' || (n - 1) = sku")[0]["n"] == 80
    again = asyncio.run(upsert_all(served, [{"sku": "one", "n": i} for i in range(30)]))
    assert sorted(a.status_code for a in again) == [200] * 29 + [201]


def test_two_spellings_of_one_key_lose_nothing(served: Gateway) -> None:
    """They may come in one batch, where only the database knows that they are equal: both are told of their row."""
    served.sql("CREATE TABLE keyed(id numeric PRIMARY KEY, n int NOT NULL); INSERT INTO keyed VALUES (1, 0)")
    sends = [(f"id=eq.{('1', '1.0', '1.00')[i % 3]}", {"n": i}, {"prefer": "return=representation"}) for i in range(45)]
    answers = asyncio.run(patch_all(served, sends))
    assert [a.json() for a in answers] == [[{"id": 1, "n": i}] for i in range(45)]


def test_who_waits_for_a_lock_keeps_nobody_else_waiting(served: Gateway) -> None:
    """Updates of a row that somebody holds wait for it; those of other rows are answered meanwhile."""
    served.sql("CREATE TABLE keyed(id int PRIMARY KEY, n int); INSERT INTO keyed SELECT i, 0 FROM generate_series(0, 9) i")

    async def run(holder: psycopg.Connection) -> tuple[httpx.Response, Answers]:
        held = asyncio.create_task(patch_all(served, [("id=eq.3", {"n": 1}, {})]))
        others = await patch_all(served, [(f"id=eq.{i % 3}", {"n": 7}, {}) for i in range(30)])
        assert not held.done()
        holder.rollback()
        return (await held)[0], others

    with psycopg.connect(served.owner_url) as holder:
        holder.execute("UPDATE keyed SET n = 5 WHERE id = 3")
        held, others = asyncio.run(run(holder))
    assert held.status_code == 204 and {a.status_code for a in others} == {204}
    assert [row["n"] for row in served.sql("SELECT n FROM keyed WHERE id < 4 ORDER BY id")] == [7, 7, 7, 1]


def test_a_tenant_changes_nobody_elses_row(served: Gateway) -> None:
    """Under row level security a key of somebody else's row is a key of no row, also beside its owner's."""
    served.sql(
        """CREATE TABLE keyed(id int PRIMARY KEY, owner text, n int DEFAULT 0); ALTER TABLE keyed ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON keyed TO authenticated USING (owner = (current_setting('request.jwt.claims', true)::json ->> 'sub'));
        INSERT INTO keyed SELECT i, CASE WHEN i % 2 = 0 THEN 'ann' ELSE 'bob' END FROM generate_series(0, 39) i"""
    )
    tokens = [jwt.encode({"role": "authenticated", "sub": user, "exp": time.time() + 600}, JWT_SECRET, "HS256") for user in ("ann", "bob")]
    heads = [{"authorization": f"Bearer {token}", "prefer": "return=representation"} for token in tokens]
    answers = asyncio.run(patch_all(served, [(f"id=eq.{i // 2}", {"n": 1 + i % 2}, heads[i % 2]) for i in range(80)]))
    assert [len(a.json()) for a in answers] == [int(i // 2 % 2 == i % 2) for i in range(80)]
    assert served.sql("SELECT count(*) AS n FROM keyed WHERE n = 1 + (owner = 'bob')::int")[0]["n"] == 40
    seen = asyncio.run(read_all(served, [(f"id=eq.{i // 2}", heads[i % 2]) for i in range(80)]))
    assert [len(a.json()) for a in seen] == [int(i // 2 % 2 == i % 2) for i in range(80)]


def test_a_renamed_column_leaves_the_lane_at_once(served: Gateway) -> None:
    """A statement whose names mean something else by now writes nothing; the ordinary way heals."""
    served.sql("CREATE TABLE keyed(id int PRIMARY KEY, email text); INSERT INTO keyed VALUES (1, 'a')")
    served.manage("capture_schema")
    assert asyncio.run(patch_all(served, [("id=eq.1", {"email": "b"}, {})]))[0].status_code == 204
    served.sql("ALTER TABLE keyed RENAME COLUMN email TO email_address; ALTER TABLE keyed ADD COLUMN other text")
    answer = asyncio.run(patch_all(served, [("id=eq.1", {"email": "c"}, {})]))[0]
    assert answer.headers["mendgate-healed"] == "rename_column(email->email_address)"
    assert served.sql("SELECT email_address FROM keyed")[0]["email_address"] == "c"


@pytest.mark.parametrize(("table", "column"), [("keyed", "r"), ("keyed", "ordinality"), ("keyed", "mendgate entry"), ("b", "x")])
def test_no_name_of_the_callers_is_taken_for_one_of_ours(served: Gateway, table: str, column: str) -> None:
    """Columns and tables may be called as parts of our statements are."""
    served.sql(f'CREATE TABLE "{table}"(id int PRIMARY KEY, "{column}" text)')
    full = {"prefer": "return=representation"}
    try:
        with served.client() as client:
            told = [
                client.post(f"/rest/v1/{table}", json={"id": 1, column: "a"}, headers=full),
                client.patch(f"/rest/v1/{table}?id=eq.1", json={column: "b"}, headers=full),
                client.patch(f"/rest/v1/{table}?{column}=eq.b", json={column: "c"}, headers=full),
                client.post(
                    f"/rest/v1/{table}", json={"id": 1, column: "d"}, headers={"prefer": f"{MERGE['prefer']},return=representation"}
                ),
                client.get(f"/rest/v1/{table}?id=eq.1"),
            ]
        assert [answer.json() for answer in told] == [[{"id": 1, column: value}] for value in "abcdd"]
    finally:
        served.sql(f'DROP TABLE "{table}"')


def test_a_filter_that_is_none_of_a_key_is_not_taken_for_one(served: Gateway) -> None:
    """Not even where a column is called None."""
    served.sql('CREATE TABLE keyed(id int, "None" int, n int, PRIMARY KEY (id, "None")); INSERT INTO keyed VALUES (1, 1, 0)')
    answer = asyncio.run(patch_all(served, [("id=eq.1&None=gt.3", {"n": 7}, {})]))[0]
    assert answer.headers["content-range"] == "*/*" and served.sql("SELECT n FROM keyed")[0]["n"] == 0
    assert asyncio.run(read_all(served, [("id=eq.1&None=gt.3", {})]))[0].json() == []


def test_a_text_that_is_no_key_takes_no_batch_apart() -> None:
    """It goes the ordinary way from the start, and so does an odd spelling; what may be a key is the database's to judge."""
    key = [Column(n, base, base, base) for n, base in enumerate(("int2", "int4", "int8", "uuid", "text"), 1)]
    uuid = "A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11"
    assert are_keys(["-32768", "2147483647", "9223372036854775807", uuid, "x"], key)
    wrong = [
        ("32768", 0),
        ("2147483648", 1),
        ("1.0", 1),
        ("", 1),
        ("one", 1),
        ("٣", 1),
        ("9223372036854775808", 2),
        (uuid + "0", 3),
        ("x", 3),
    ]
    assert not any(are_keys([text], [key[place]]) for text, place in wrong)


def test_a_key_of_json_is_read_as_json(served: Gateway) -> None:
    """As everywhere else in a filter."""
    served.sql("""CREATE TABLE keyed(id jsonb PRIMARY KEY, n int); INSERT INTO keyed VALUES ('{"a": 1}', 0)""")
    assert asyncio.run(patch_all(served, [('id=eq.{"a":1}', {"n": 1}, {})]))[0].headers["content-range"] == "0-0/*"
    assert asyncio.run(read_all(served, [('id=eq.{"a":1}', {})]))[0].json() == [{"id": {"a": 1}, "n": 1}]


def test_a_policy_that_asks_for_headers_through_another_table_gets_them(served: Gateway) -> None:
    """A shared statement has none, so nothing is shared there."""
    served.sql(
        """CREATE TABLE keyed(id int PRIMARY KEY, n int); CREATE TABLE keyed_more(id int); ALTER TABLE keyed ENABLE ROW LEVEL SECURITY;
        INSERT INTO keyed VALUES (1, 0); INSERT INTO keyed_more VALUES (1); ALTER TABLE keyed_more ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON keyed_more TO authenticated
            USING ((nullif(current_setting('request.headers', true), '')::json ->> 'x-tenant') = 'ours');
        CREATE POLICY p ON keyed TO authenticated USING (id IN (SELECT m.id FROM keyed_more m)) WITH CHECK (true)"""
    )
    head = {"authorization": "Bearer " + jwt.encode({"role": "authenticated", "exp": time.time() + 600}, JWT_SECRET, "HS256")}
    tenants = [{**head, "x-tenant": tenant} for tenant in ("ours", "theirs")]
    try:
        changed = asyncio.run(patch_all(served, [("id=eq.1", {"n": 1}, tenant) for tenant in tenants]))
        assert [answer.headers["content-range"] for answer in changed] == ["0-0/*", "*/*"]
        assert [answer.json() for answer in asyncio.run(read_all(served, [("id=eq.1", t) for t in tenants]))] == [[{"id": 1, "n": 1}], []]
    finally:
        served.sql("DROP TABLE keyed_more CASCADE")


def test_a_table_that_follows_a_key_is_written_with_the_headers_too(served: Gateway) -> None:
    """A key that changes is an update of the tables that follow it, with their checks and triggers."""
    served.sql(
        """CREATE TABLE keyed(id int PRIMARY KEY, n int); INSERT INTO keyed SELECT i, 0 FROM generate_series(1, 20) i;
        CREATE TABLE keyed_more(id int PRIMARY KEY REFERENCES keyed ON UPDATE CASCADE,
            CHECK (id < 100 OR coalesce(nullif(current_setting('request.headers', true), '')::json ->> 'x-tenant', 'ours') = 'ours'));
        INSERT INTO keyed_more SELECT i FROM generate_series(1, 20) i"""
    )
    tenants = [{"x-tenant": "ours" if i % 2 else "theirs"} for i in range(1, 21)]
    try:
        answers = asyncio.run(patch_all(served, [(f"id=eq.{i}", {"id": 100 + i}, tenants[i - 1]) for i in range(1, 21)]))
        assert [answer.status_code for answer in answers] == [204 if i % 2 else 400 for i in range(1, 21)]
        assert served.sql("SELECT count(*) AS n FROM keyed_more WHERE id > 100")[0]["n"] == 10
    finally:
        served.sql("DROP TABLE keyed_more")


def test_who_ran_out_of_time_alone_is_not_tried_again(target_url: str) -> None:
    """Of many together each goes by itself then; one had all of its time."""
    slow = KeyedLane(Prelude(("a.b",), (b"",)), "SELECT pg_sleep(60), true AS same, $1::text AS row", reads=True)

    async def run() -> None:
        pool = Pool(target_url, 4, 60, 0.5)
        try:
            with pytest.raises(DatabaseError, match="57014"):
                await Together(pool).send(slow, Entry(b"{}", None))
        finally:
            await pool.close()

    asyncio.run(run())


def test_writes_to_one_key_stay_in_the_order_in_which_they_came(target_url: str, owner: psycopg.Connection) -> None:
    """Whatever shares a batch with them."""
    owner.execute("CREATE TABLE keyed_order(id int PRIMARY KEY, n int, past int[] DEFAULT '{}')")
    owner.execute("INSERT INTO keyed_order SELECT i FROM generate_series(0, 9) i; GRANT ALL ON keyed_order TO PUBLIC")
    snapshot = catalog.read_snapshot_sync(owner, ["public"])
    relation = snapshot.named("public", "keyed_order")[0]
    key, n = relation.column("id"), relation.column("n")
    assert key is not None and n is not None
    lane = KeyedLane(Prelude(("a.b",), (b"",)), update_sql(relation, (key,), (n,), "", "true", snapshot))

    async def run() -> list[bool]:
        pool = Pool(target_url, 4, 60, 60)
        together = Together(pool)
        entries = [Entry(f'{{"{key_name(0)}":"{i % 7 % 3}","n":{i}}}'.encode(), str(i % 7 % 3)) for i in range(100)]
        found = await asyncio.gather(*[together.send(lane, entry) for entry in entries])
        await pool.close()
        return [record[HIT] == b"t" for record in found]

    try:
        assert all(asyncio.run(run()))
        last = {key: max(i for i in range(100) if i % 7 % 3 == key) for key in range(3)}
        rows = owner.execute("SELECT id, n FROM keyed_order WHERE n IS NOT NULL ORDER BY id").fetchall()
        assert rows == sorted(last.items())
    finally:
        owner.execute("DROP TABLE keyed_order")
