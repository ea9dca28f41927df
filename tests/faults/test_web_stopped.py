"""Row 6 of docs/reliability.md: the web process is asked to stop, or killed. (Killed while many write: ``tests/acceptance/test_once.py``,
``benchmarks/kill.py``.)"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator

import httpx
import psycopg
import pytest

from tests.faults.crowd import TABLES, Crowd, request_of, tables, wait_for
from tests.gateway_process import Gateway
from tests.ledger import End, Heard, Ledger, asend, settle

SEED = 20261128
FLIGHT = 24
HOLD = """
CREATE TRIGGER hold BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION hold();
CREATE TRIGGER hold BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION hold();
"""


@pytest.fixture(scope="module")
def made(make_gateway: Callable[..., Gateway]) -> Iterator[Gateway]:
    gateway = tables(make_gateway())
    gateway.sql(HOLD)
    yield gateway
    gateway.stop()


@pytest.fixture
def gateway(made: Gateway) -> Gateway:
    """Running, with empty tables."""
    made.sql("TRUNCATE notes, orders, items; TRUNCATE mendgate.idempotency")
    made.control("DELETE FROM healing_quarantineitem")
    return made if made.process else made.start()


def test_fault_06_asked_to_stop_it_answers_everything_that_is_in_flight(gateway: Gateway) -> None:
    """All of them wait in the database when SIGTERM comes, to the parent alone, as an init does; they may go on only afterwards."""
    ledger = Ledger(SEED)
    assert gateway.process is not None
    with psycopg.connect(gateway.owner_url, autocommit=True) as owner:
        owner.execute("SELECT pg_advisory_lock(4711)")
        heard = asyncio.run(stop_in_flight(gateway, ledger, owner))
    assert {each.status for each in heard} <= {200, 201}, heard
    assert gateway.process.wait(60) == 0
    gateway.process = None
    gateway.start()  # the ledger asks it what the quarantine holds
    assert settle(ledger, gateway, *TABLES).ends == {End.COMMITTED: FLIGHT}


def test_fault_06_stopped_and_killed_while_callers_write_nothing_is_lost_or_doubled(gateway: Gateway) -> None:
    ledger = Ledger(SEED)
    with Crowd(gateway, ledger, size=4) as crowd:
        for end in (gateway.stop, gateway.kill9):
            crowd.more(10)
            end()
            gateway.start()
        crowd.more(10)
    account = settle(ledger, gateway, *TABLES)
    assert all(mark.startswith(("plain", "healed")) for mark in account.unanswered)


async def stop_in_flight(gateway: Gateway, ledger: Ledger, owner: psycopg.Connection) -> list[Heard]:
    """Writes of every kind, one connection each; SIGTERM when all are at the gateway; then the lock goes."""
    key = gateway.make_key()
    limits = httpx.Limits(max_connections=FLIGHT)
    async with httpx.AsyncClient(base_url=gateway.base_url, headers={"apikey": key}, timeout=120, limits=limits) as client:
        asking = []
        for number in range(FLIGHT):
            kind = ("plain", "keyed", "healed", "batch", "several", "plain")[number % 6]
            path, body, wants = request_of(kind, f"{kind}-{number}")
            asking.append(asyncio.create_task(asend(ledger, client, f"{kind}-{number}", path, body, wants, keyed=kind != "plain")))
        await asyncio.to_thread(wait_for, lambda: in_flight(gateway) == FLIGHT and waiting(owner) > 0)
        assert gateway.process is not None
        os.kill(gateway.process.pid, signal.SIGTERM)
        await asyncio.to_thread(wait_for, lambda: not accepts(gateway))
        owner.execute("SELECT pg_advisory_unlock(4711)")
        return list(await asyncio.gather(*asking))


def in_flight(gateway: Gateway) -> int:
    """Connections of callers that the gateway has; each has sent one request whole."""
    here = f"0100007F:{gateway.port:04X}"
    with open("/proc/net/tcp") as table:  # noqa: PTH123
        lines = [line.split() for line in table.readlines()[1:]]
    return sum(line[1] == here and line[3] == "01" for line in lines)


def waiting(owner: psycopg.Connection) -> int:
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"
    row = owner.execute(sql).fetchone()
    return int(row[0]) if row else 0


def accepts(gateway: Gateway) -> bool:
    """Whether a new caller is let in."""
    try:
        httpx.get(f"{gateway.base_url}/healthz", timeout=2)
    except httpx.HTTPError:
        return False
    return True
