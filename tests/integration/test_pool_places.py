"""Who has a connection to the target never waits for one more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx
import psycopg
import pytest

from tests.gateway_process import Gateway
from tests.waiting import HANGS

TABLE = """
CREATE TABLE held(id int PRIMARY KEY, old_name text);
CREATE FUNCTION wait_for_it() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NEW; END $$;
CREATE TRIGGER waits BEFORE INSERT ON held FOR EACH ROW EXECUTE FUNCTION wait_for_it();"""
WAITING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.fixture
def small(make_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway of two connections that knows a table under its former name, and has not looked for our schema yet."""
    gateway = make_gateway(POOL_SIZE="2")
    gateway.sql(TABLE)
    gateway.start()
    with gateway.client() as client:
        until(lambda: client.get("/rest/v1/held?select=old_name").status_code == 200)
        gateway.sql("ALTER TABLE held RENAME old_name TO new_name")
        until(lambda: "mendgate-healed" in client.get("/rest/v1/held?select=old_name").headers)
    return gateway


def until(holds: Callable[[], bool]) -> None:
    """Waits for what must come."""
    ends = time.monotonic() + HANGS
    while not holds():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.02)


def insert(body: dict[str, object]) -> tuple[str, object]:
    return "/rest/v1/held", body


def transaction(body: dict[str, object]) -> tuple[str, object]:
    return "/api/v1/transactions", {"operations": [{"op": "insert", "table": "held", "rows": [body]}]}


@pytest.mark.parametrize("write", [insert, transaction])
def test_healed_writes_that_hold_all_connections_land(small: Gateway, write: Callable[[dict[str, object]], tuple[str, object]]) -> None:
    """Each needs to know whether its receipt can go to the target: that is asked before, not while it holds a connection."""

    async def run() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=small.base_url, headers={"apikey": small.make_key()}, timeout=HANGS) as client:
            with psycopg.connect(small.owner_url, autocommit=True) as holder:
                holder.execute("SELECT pg_advisory_lock(42)")
                bodies = ({"id": number, "old_name": "x"} for number in (1, 2))
                sends = [asyncio.create_task(client.post(path, json=body)) for path, body in map(write, bodies)]
                await asyncio.to_thread(until, lambda: len(small.sql(WAITING)) == len(sends))
            return await asyncio.gather(*sends)

    answers = asyncio.run(run())
    assert [answer.is_success for answer in answers] == [True, True], [answer.text for answer in answers]
    assert [row["id"] for row in small.sql("SELECT id FROM held ORDER BY id")] == [1, 2]
    assert len(small.sql("SELECT 1 FROM mendgate.receipts")) >= 1


def test_transactions_that_hold_all_connections_are_told_of_a_name_that_nobody_knows(small: Gateway) -> None:
    """The catalog is read again before that is said: not with one of the connections that they hold."""

    def operations(number: int) -> list[dict[str, object]]:
        return [{"op": "insert", "table": "held", "rows": [row]} for row in ({"id": number}, {"id": -number, "zz": 1})]

    async def run() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=small.base_url, headers={"apikey": small.make_key()}, timeout=HANGS) as client:
            with psycopg.connect(small.owner_url, autocommit=True) as holder:
                holder.execute("SELECT pg_advisory_lock(42)")
                bodies = [{"operations": operations(number)} for number in (1, 2)]
                sends = [asyncio.create_task(client.post("/api/v1/transactions", json=body)) for body in bodies]
                await asyncio.to_thread(until, lambda: len(small.sql(WAITING)) == len(sends))
            return await asyncio.gather(*sends)

    assert [answer.json()["code"] for answer in asyncio.run(run())] == ["PGRST204", "PGRST204"]
