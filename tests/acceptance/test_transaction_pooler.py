"""PgBouncer in transaction mode before the target and before the control database: every caller stays who they are, and nothing breaks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator

import httpx
import pytest

from schema_monitor.watch_name import WATCHING
from tests.acceptance.bookshop import ANN, BOB, token
from tests.gateway_process import Gateway
from tests.hosts import Host, eventually
from tests.pgbouncer import PgBouncer

CALLS = 150
Outcome = tuple[str, int, str, httpx.Response | None]
"""Who called, with which number, to do what; no answer where the connection was cut."""
SCHEMA = """
CREATE FUNCTION sub() RETURNS uuid LANGUAGE sql STABLE
    AS $$SELECT (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')::uuid$$;
CREATE TABLE notes (id int PRIMARY KEY, owner uuid NOT NULL DEFAULT sub(), body text, writer text DEFAULT current_user,
    zone text DEFAULT current_setting('timezone'), patience text DEFAULT current_setting('statement_timeout'));
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes TO authenticated USING (owner = sub()) WITH CHECK (owner = sub());
CREATE FUNCTION me() RETURNS json LANGUAGE sql STABLE
    AS $$SELECT json_build_object('role', current_user, 'sub', sub(), 'strangers', (SELECT count(*) FROM notes WHERE owner <> sub()))$$;
CREATE FUNCTION careless() RETURNS void LANGUAGE plpgsql AS $$BEGIN
    PERFORM set_config('request.jwt.claims', '{"sub": "b0000000-0000-4000-8000-00000000000b"}', false);
    PERFORM set_config('timezone', 'Asia/Tokyo', false);
    PERFORM set_config('role', 'anon', false);
END$$;
"""


@pytest.fixture(scope="module")
def poolers(make_gateway: Callable[..., Gateway], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, PgBouncer]]:
    """A gateway that reaches both databases through PgBouncer only; the one before the target."""
    gateway = make_gateway()
    gateway.sql(SCHEMA)
    gateway.manage("capture_schema")
    gateway.make_key("anon")
    gateway.make_key()
    home = gateway.home.parent / f"{gateway.home.name}-poolers"
    home.mkdir(mode=0o755)
    target, control = PgBouncer(home / "target", gateway.target_url), PgBouncer(home / "control", gateway.control_url)
    try:
        through = {"TARGET_DATABASE_URL": target.start(eventually).url, "DATABASE_URL": control.start(eventually).url}
        gateway.environment.update(through)
        yield gateway.start(), target
    finally:
        gateway.stop()
        target.kill()
        control.kill()


def headers_of(gateway: Gateway, subject: str) -> dict[str, str]:
    """As that person."""
    return {"apikey": gateway.make_key("anon"), "authorization": f"Bearer {token(gateway, subject)}", "prefer": "return=representation"}


async def call(client: httpx.AsyncClient, subject: str, number: int, what: str) -> Outcome:
    """One of the things that a person may do; no answer where the connection was cut."""
    row = {"id": number, "body": f"of {subject}"}
    try:
        match what:
            case "insert":
                answer = await client.post("/notes", json=row)
            case "coerced":
                answer = await client.post("/notes", json={**row, "id": str(number)}, headers={"idempotency-key": f"note-{number}"})
            case "forged":
                answer = await client.post("/notes", json={**row, "owner": BOB if subject == ANN else ANN})
            case "read":
                answer = await client.get("/notes?select=owner,body&order=id&limit=20")
            case "careless":
                answer = await client.post("/rpc/careless", json={})
            case _:
                answer = await client.post("/rpc/me", json={})
    except httpx.TransportError:
        return subject, number, what, None
    return subject, number, what, answer


async def call_again(client: httpx.AsyncClient, subject: str, number: int, what: str) -> Outcome:
    """The same, until the gateway is not too busy for it (503: nothing was done)."""
    async with asyncio.timeout(120):
        while (outcome := await call(client, subject, number, what))[3] is not None and outcome[3].status_code == 503:
            await asyncio.sleep(0.5)
        return outcome


async def interleaved(gateway: Gateway, seed: int, midway: Callable[[], None] | None = None) -> list[Outcome]:
    """Two people's calls, mixed; ``midway`` happens after half of them have begun, and then nobody asks again."""
    ask, places = (call_again if midway is None else call), asyncio.Semaphore(12)

    async def placed(subject: str, number: int, what: str) -> Outcome:
        async with places:
            return await ask(clients[subject], subject, number, what)

    dice = random.Random(seed)  # noqa: S311
    kinds = ["insert", "insert", "coerced", "forged", "read", "careless", "me"]
    plan = [(dice.choice([ANN, BOB]), seed * 100_000 + n, dice.choice(kinds)) for n in range(CALLS)]
    base = f"{gateway.base_url}/rest/v1"
    clients = {each: httpx.AsyncClient(base_url=base, headers=headers_of(gateway, each), timeout=90) for each in (ANN, BOB)}
    try:
        begun = [asyncio.ensure_future(placed(*step)) for step in plan[: CALLS // 2]]
        await asyncio.sleep(0)
        acting = asyncio.to_thread(midway or (lambda: None))
        begun += [asyncio.ensure_future(placed(*step)) for step in plan[CALLS // 2 :]]
        await acting
        return list(await asyncio.gather(*begun))
    finally:
        for client in clients.values():
            await client.aclose()


def stored(gateway: Gateway) -> dict[int, tuple[str, str, str, str, str]]:
    """Every row: owner, body, who wrote it, and under which settings."""
    rows = gateway.sql("SELECT * FROM notes")
    return {row["id"]: (str(row["owner"]), row["body"], row["writer"], row["zone"], row["patience"]) for row in rows}


def judge(gateway: Gateway, outcomes: list[Outcome]) -> None:
    """Nobody was somebody else, and what was answered is what is stored."""
    rows = stored(gateway)
    for subject, number, what, answer in outcomes:
        if number in rows:
            assert rows[number] == (subject, f"of {subject}", "authenticated", "UTC", "30s")
        if answer is None or answer.status_code >= 500:
            continue
        if what == "me":
            assert answer.json() == {"role": "authenticated", "sub": subject, "strangers": 0}
        elif what == "forged":
            assert answer.json()["code"] == "42501" and number not in rows
        elif what == "read":
            assert all(row["owner"] == subject for row in answer.json())
        elif what in ("insert", "coerced"):
            assert answer.status_code == 201 and number in rows, answer.text


def test_fault_03_two_people_s_calls_never_mix_on_three_sessions(poolers: tuple[Gateway, PgBouncer]) -> None:
    gateway, _ = poolers
    outcomes = asyncio.run(interleaved(gateway, 1))
    assert [answer.text for *_, answer in outcomes if answer is None or answer.status_code >= 500] == []
    judge(gateway, outcomes)
    assert gateway.sql("SELECT count(*) AS n FROM pg_prepared_statements") == [{"n": 0}]


def test_fault_03_a_pooler_that_is_killed_and_comes_back_under_load_leaks_and_doubles_nothing(poolers: tuple[Gateway, PgBouncer]) -> None:
    gateway, target = poolers

    def restart() -> None:
        target.kill()
        target.start(eventually)

    outcomes = asyncio.run(interleaved(gateway, 2, restart))
    judge(gateway, outcomes)
    assert {answer.status_code for *_, answer in outcomes if answer is not None} <= {200, 201, 204, 403, 503, 504}
    eventually(lambda: httpx.get(f"{gateway.base_url}/readyz", timeout=30).status_code == 200, "it is ready again")
    again = asyncio.run(interleaved(gateway, 3))
    judge(gateway, again)


def test_what_listens_behind_a_pooler_looks_by_the_clock(poolers: tuple[Gateway, PgBouncer]) -> None:
    """A new key, a renamed column and a watcher in charge, without a notification."""
    gateway, _ = poolers
    host = Host(gateway, "127.0.0.1").start("watch")
    try:
        in_charge = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
        eventually(lambda: gateway.control(in_charge, WATCHING), "a watcher is in charge")
        gateway.sql("ALTER TABLE notes RENAME COLUMN body TO content")
        key = gateway.make_key("service_role", "late")
        row = {"id": 7, "owner": ANN, "body": "x"}
        answer = httpx.post(f"{gateway.base_url}/rest/v1/notes", json=row, headers={"apikey": key}, timeout=90)
        assert answer.status_code == 201, answer.text
        found = "SELECT 1 FROM schema_monitor_schemachange"
        eventually(lambda: gateway.control(found), "the watcher has captured the change")
    finally:
        host.lost()
