"""Concurrent writes through the real gateway: shared statements, separate fates."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import httpx
import jwt
import psycopg
import pytest

from tests.gateway_process import JWT_SECRET, Gateway
from tests.waiting import HANGS


@pytest.fixture
def served(shared_gateway: Gateway) -> Iterator[Gateway]:
    """The gateway of the run; its table is dropped afterwards."""
    yield shared_gateway
    shared_gateway.sql("DROP TABLE IF EXISTS public.lane CASCADE")


async def send_all(gateway: Gateway, bodies: list[object], headers: list[dict[str, str]] | None = None) -> list[httpx.Response]:
    """Posts all bodies at once to table lane."""
    key = gateway.make_key()
    async with httpx.AsyncClient(base_url=gateway.base_url, headers={"apikey": key}) as client:
        await client.get("/rest/v1/lane?limit=0")
        sends = [client.post("/rest/v1/lane", json=body, headers=(headers or [{}] * len(bodies))[i]) for i, body in enumerate(bodies)]
        return await asyncio.gather(*sends)


async def until_one_waits(gateway: Gateway) -> None:
    """Somebody has waited for a lock for as long as nobody does who is not patient."""
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query_start < clock_timestamp() - interval '0.3 s'"
    until = time.monotonic() + HANGS
    while not gateway.sql(waits):
        assert time.monotonic() < until, "nobody waits"
        await asyncio.sleep(0.02)


def test_one_bad_row_fails_alone(served: Gateway) -> None:
    """Neighbours in the same statement land; the bad one gets its own error and is kept."""
    served.sql("CREATE TABLE lane(id int PRIMARY KEY, n int CHECK (n >= 0))")
    bodies: list[object] = [{"id": i, "n": -1 if i == 37 else i} for i in range(100)]
    answers = asyncio.run(send_all(served, bodies))
    assert [a.status_code for i, a in enumerate(answers) if i != 37] == [201] * 99
    assert answers[37].status_code == 400 and answers[37].json()["code"] == "23514"
    assert "mendgate-quarantine" in answers[37].headers
    assert len(served.sql("SELECT 1 FROM lane")) == 99


def test_who_waits_for_a_row_keeps_nobody_else_waiting(served: Gateway) -> None:
    """An insert under a key that somebody is about to have waits for them; the others are answered meanwhile."""
    served.sql("CREATE TABLE lane(id int PRIMARY KEY)")

    async def run(holder: psycopg.Connection) -> set[int]:
        async with httpx.AsyncClient(base_url=served.base_url, headers={"apikey": served.make_key()}, timeout=HANGS) as client:
            sends = [asyncio.create_task(client.post("/rest/v1/lane", json={"id": i})) for i in range(40)]
            found = await asyncio.gather(*[send for i, send in enumerate(sends) if i != 3])
            assert not sends[3].done()
            holder.rollback()
            return {answer.status_code for answer in [*found, await sends[3]]}

    with psycopg.connect(served.owner_url) as holder:
        holder.execute("INSERT INTO lane VALUES (3)")
        assert asyncio.run(run(holder)) == {201}
    assert len(served.sql("SELECT 1 FROM lane")) == 40


def test_a_held_table_takes_no_batch_apart(served: Gateway) -> None:
    """While a migration holds the table, inserts wait together and leave the connections to others."""
    served.sql("CREATE TABLE lane(id int PRIMARY KEY)")

    async def run(holder: psycopg.Connection) -> set[int]:
        async with httpx.AsyncClient(base_url=served.base_url, headers={"apikey": served.make_key()}, timeout=HANGS) as client:
            sends = [asyncio.create_task(client.post("/rest/v1/lane", json={"id": i})) for i in range(60)]
            await until_one_waits(served)
            holder.rollback()
            return {answer.status_code for answer in await asyncio.gather(*sends)}

    with psycopg.connect(served.owner_url) as holder:
        holder.execute("LOCK TABLE lane")
        assert asyncio.run(run(holder)) == {201}
    assert served.sql("SELECT count(DISTINCT xmin::text) AS n FROM lane")[0]["n"] < 30


def test_everyone_reads_its_own_row_back(served: Gateway) -> None:
    """The answers of a shared statement are shared out in order."""
    served.sql("CREATE TABLE lane(id serial PRIMARY KEY, who text)")
    bodies: list[object] = [{"who": f"caller {i}"} for i in range(80)]
    answers = asyncio.run(send_all(served, bodies, [{"prefer": "return=representation"}] * 80))
    assert [a.json()[0]["who"] for a in answers] == [f"caller {i}" for i in range(80)]
    ids = [a.json()[0]["id"] for a in answers]
    assert len(set(ids)) == 80


def test_a_check_that_asks_for_headers_gets_them(served: Gateway) -> None:
    """Without them it would know of nothing against a row. A partition's check is as good as the table's own."""
    header = "nullif(current_setting('request.headers', true), '')::json ->> 'x-tenant'"
    served.sql(f"CREATE TABLE lane(id int PRIMARY KEY, tenant text CHECK (tenant = {header}))")
    _each_tenant_writes_its_own(served)
    served.sql(
        f"""CREATE TABLE lane(id int, tenant text) PARTITION BY RANGE (id); CREATE TABLE lane_part PARTITION OF lane DEFAULT;
        ALTER TABLE lane_part ADD CHECK (tenant = {header})"""
    )
    _each_tenant_writes_its_own(served)


def test_a_trigger_of_a_partition_has_a_statement_for_each_request(served: Gateway) -> None:
    """It may ask for the headers too, and what it sets for its transaction is no other request's."""
    served.sql(
        """CREATE TABLE lane(id int, tenant text) PARTITION BY RANGE (id); CREATE TABLE lane_part PARTITION OF lane DEFAULT;
        CREATE OR REPLACE FUNCTION lane_tenant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.tenant IS DISTINCT FROM nullif(current_setting('request.headers', true), '')::json ->> 'x-tenant' THEN
                RAISE check_violation USING MESSAGE = 'not yours';
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER mine BEFORE INSERT ON lane_part FOR EACH ROW EXECUTE FUNCTION lane_tenant()"""
    )
    _each_tenant_writes_its_own(served)


def _each_tenant_writes_its_own(served: Gateway) -> None:
    """Of forty rows at once every fourth is somebody else's, and refused; the table is dropped."""
    bodies: list[object] = [{"id": i, "tenant": "theirs" if i % 4 == 0 else "ours"} for i in range(40)]
    answers = asyncio.run(send_all(served, bodies, [{"x-tenant": "ours"}] * 40))
    assert [a.status_code for a in answers] == [400 if i % 4 == 0 else 201 for i in range(40)], answers[0].text
    assert served.sql("SELECT count(*) AS n, count(*) FILTER (WHERE tenant = 'ours') AS ours FROM lane")[0] == {"n": 30, "ours": 30}
    served.sql("DROP TABLE lane CASCADE")


def test_healed_rows_ride_along_and_each_has_its_receipt(served: Gateway) -> None:
    """Old and new callers at the same time."""
    served.sql("CREATE TABLE lane(id serial PRIMARY KEY, email text)")
    served.manage("capture_schema")
    served.sql("ALTER TABLE lane RENAME COLUMN email TO email_address")
    bodies: list[object] = [{"email" if i % 2 else "email_address": f"{i}@x"} for i in range(60)]
    answers = asyncio.run(send_all(served, bodies))
    assert {a.status_code for a in answers} == {201}
    receipts = [a.headers.get("mendgate-receipt") for a in answers]
    assert all(bool(receipt) == bool(i % 2) for i, receipt in enumerate(receipts))
    assert len(served.sql("SELECT 1 FROM lane WHERE email_address LIKE '%@x'")) == 60
    wanted = {receipt for receipt in receipts if receipt}
    assert len(wanted) == 30
    with served.client() as client:
        found = {said["id"]: said for said in [client.get(f"/api/v1/receipts/{receipt}").json() for receipt in wanted]}
    assert found.keys() == wanted
    sent = {body["email"] for said in found.values() for body in said["sent"]}
    assert sent == {f"{i}@x" for i in range(1, 60, 2)}
    assert all(said["stored"] == [{"email_address": said["sent"][0]["email"]}] for said in found.values())


def test_healed_columns_are_read_back_whatever_the_answer_shows(served: Gateway) -> None:
    """Several renamed columns, of types that come back in another spelling, one called as our own; several rows a request."""
    served.sql("CREATE TABLE lane(id serial PRIMARY KEY, at timestamptz, amount numeric(8, 2), w text)")
    served.manage("capture_schema")
    served.sql("ALTER TABLE lane RENAME at TO happened; ALTER TABLE lane RENAME amount TO total; ALTER TABLE lane RENAME w TO back")
    row = {"at": "2024-05-01T10:00:00Z", "amount": 7.5, "w": "x"}
    bodies: list[object] = [[{**row, "amount": float(i)}, row] if i % 3 == 0 else {**row, "amount": float(i)} for i in range(24)]
    headers = [{"prefer": "return=representation"} if i % 2 else {} for i in range(24)]
    answers = asyncio.run(send_all(served, bodies, headers))
    assert [a.status_code for a in answers] == [201] * 24
    told = "rename_column(at->happened), rename_column(amount->total), rename_column(w->back)"
    assert {a.headers["mendgate-healed"] for a in answers} == {told}
    assert [a.json()[0]["amount"] for a in answers[1::2]] == [float(i) for i in range(1, 24, 2)]
    stored = served.sql("SELECT total::float8 AS total, happened = '2024-05-01 10:00+00' AND back = 'x' AS right FROM lane")
    assert sorted(row["total"] for row in stored) == sorted([*map(float, range(24)), *[7.5] * 8]) and all(row["right"] for row in stored)
    with served.client() as client:
        said = client.get(f"/api/v1/receipts/{answers[3].headers['mendgate-receipt']}").json()
    assert said["sent"] == [{**row, "amount": 3.0}, row]
    assert said["stored"] == [{"happened": row["at"], "total": amount, "back": "x"} for amount in (3.0, 7.5)]


def test_a_trigger_that_keeps_rows_back_is_not_guessed_about(served: Gateway) -> None:
    """The batch is undone and each caller gets its own outcome."""
    served.sql(
        """CREATE TABLE lane(id int PRIMARY KEY);
        CREATE OR REPLACE FUNCTION odd_only() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN IF NEW.id % 2 = 0 THEN RETURN NULL; END IF; RETURN NEW; END';
        CREATE TRIGGER odd BEFORE INSERT ON lane FOR EACH ROW EXECUTE FUNCTION odd_only()"""
    )
    headers = [{"prefer": "return=representation"}] * 40
    answers = asyncio.run(send_all(served, [{"id": i} for i in range(40)], headers))
    assert [len(a.json()) for a in answers] == [i % 2 for i in range(40)]
    assert sorted(row["id"] for row in served.sql("SELECT id FROM lane")) == list(range(1, 40, 2))


def test_tenants_never_share_a_statement(served: Gateway) -> None:
    """300 interleaved writes of two users under RLS: each row belongs to whoever sent it."""
    served.sql(
        """CREATE TABLE lane(id serial PRIMARY KEY, said text,
            owner text DEFAULT (current_setting('request.jwt.claims', true)::json ->> 'sub'));
        ALTER TABLE lane ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON lane TO authenticated USING (owner = (current_setting('request.jwt.claims', true)::json ->> 'sub'))
            WITH CHECK (owner = (current_setting('request.jwt.claims', true)::json ->> 'sub'))"""
    )
    tokens = [jwt.encode({"role": "authenticated", "sub": user, "exp": time.time() + 600}, JWT_SECRET, "HS256") for user in ("ann", "bob")]
    headers = [{"authorization": f"Bearer {tokens[i % 2]}", "prefer": "return=representation"} for i in range(300)]
    answers = asyncio.run(send_all(served, [{"said": ("ann", "bob")[i % 2]} for i in range(300)], headers))
    assert {a.status_code for a in answers} == {201}
    assert all(a.json()[0]["owner"] == ("ann", "bob")[i % 2] for i, a in enumerate(answers))
    assert served.sql("SELECT count(*) AS n FROM lane WHERE owner = said")[0]["n"] == 300
    forged = asyncio.run(send_all(served, [{"said": "x", "owner": "bob"}], [headers[0]]))[0]
    assert (forged.status_code, forged.json()["code"]) == (403, "42501")


def test_two_keys_of_one_role_share_a_shape_and_not_their_receipts(served: Gateway) -> None:
    """What is settled for one caller's inserts serves another's; each reads its own receipt and no other."""
    served.sql("CREATE TABLE lane(id serial PRIMARY KEY, email text)")
    served.manage("capture_schema")
    served.sql("ALTER TABLE lane RENAME COLUMN email TO email_address")
    keys = [served.make_key("authenticated", name) for name in ("lane one", "lane two")]
    with httpx.Client(base_url=served.base_url, timeout=60) as client:
        sent = [client.post("/rest/v1/lane", json={"email": "a@x"}, headers={"apikey": key}) for key in keys]
        receipts = [answer.headers["mendgate-receipt"] for answer in sent]
        seen = [client.get(f"/api/v1/receipts/{receipt}", headers={"apikey": key}).status_code for receipt in receipts for key in keys]
    assert seen == [200, 404, 404, 200]


def test_an_answer_names_the_schema_to_those_who_did(served: Gateway) -> None:
    """Callers of the same shape are answered as each of them asked."""
    served.sql("CREATE TABLE lane(id serial PRIMARY KEY, n int)")
    full = {"prefer": "return=representation"}
    named = {**full, "content-profile": "public"}
    answers = asyncio.run(send_all(served, [{"n": 1}] * 6, [full, named, full, named, full, named]))
    assert [a.headers.get("content-profile") for a in answers] == [None, "public"] * 3


def test_a_former_name_in_select_is_told_of(served: Gateway) -> None:
    """Also where the row itself has today's names: with a receipt, as by the ordinary way."""
    served.sql("CREATE TABLE lane(id serial PRIMARY KEY, email text, n int)")
    served.manage("capture_schema")
    served.sql("ALTER TABLE lane RENAME COLUMN email TO email_address")
    served.manage("capture_schema")
    with served.client(prefer="return=representation") as client:
        answers = [client.post("/rest/v1/lane?select=email", json={key: "a@x"}) for key in ("email_address", "email", "email_address")]
    assert [a.json() for a in answers] == [[{"email": "a@x"}]] * 3
    assert {a.headers.get("mendgate-healed") for a in answers} == {"rename_column(email->email_address)"}
    assert all("mendgate-receipt" in a.headers for a in answers)


def test_a_function_made_a_moment_ago_is_found_for_all_who_call_it(served: Gateway) -> None:
    """The catalog is read again for the first of them; the others wait for that, and are not told that there is no such function."""
    key = served.make_key()
    try:

        async def run() -> set[int]:
            async with httpx.AsyncClient(base_url=served.base_url, headers={"apikey": key}, timeout=HANGS) as client:
                await client.get("/rest/v1/rpc/lane_made")  # unknown: the whole catalog is read, as it is at most once a second
                await asyncio.sleep(1.1)
                served.sql("CREATE FUNCTION lane_made() RETURNS int LANGUAGE sql AS 'SELECT 1'")
                return {answer.status_code for answer in await asyncio.gather(*[client.get("/rest/v1/rpc/lane_made") for _ in range(40)])}

        assert asyncio.run(run()) == {200}
    finally:
        served.sql("DROP FUNCTION IF EXISTS lane_made()")
