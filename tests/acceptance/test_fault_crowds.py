"""Crowds and storms on one real gateway, accounted for request by request: a thousand clients of all kinds, bodies that are too much,
serialization failures, two approvers and two replays, poison among kept writes. (In full size: ``benchmarks.poison``.)
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from benchmarks.memory import forget_peak, peak_mb
from benchmarks.wire import Answer, Connection, request
from tests import commands
from tests.gateway_process import Gateway
from tests.ledger import Heard, Ledger, found_in, send, settle

SEED = 20261128
SCHEMA = """
CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mark text NOT NULL, body text CHECK (body <> 'poison'));
CREATE TABLE steps (mark text NOT NULL, n int);
CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL);
INSERT INTO counters VALUES (1, 0), (2, 0);
"""
CLIENTS, TURNS = 1_000, 1
PLANNED = {429, 503, 504}
POOL = 10
"""Connections of one process to its target (``healing.gateway.settings``)."""
RATE = 20
"""Replays a second, at most."""
MOST_TRIES = 6
"""of a transaction (``healing.gateway.transactions.run``)."""


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Iterator[Gateway]:
    gateway = make_gateway(REPLAY_RATE=str(RATE))
    gateway.sql(SCHEMA)
    gateway.manage("capture_schema")
    gateway.sql("ALTER TABLE notes RENAME COLUMN body TO remark")
    gateway.manage("capture_schema")
    for person in ("rita", "ruth"):
        gateway.manage("createsuperuser", "--noinput", "--username", person, "--email", f"{person}@example.com")
    gateway.make_key()
    gateway.start()
    yield gateway
    gateway.stop()


# --- 13: a thousand clients of all kinds


class Watching(threading.Thread):
    """Counts the gateway's connections to its target while a crowd writes."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(daemon=True)
        self.url, self.most, self.over = gateway.owner_url, 0, threading.Event()

    def run(self) -> None:
        count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'mendgate'"
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not self.over.wait(0.05):
                row = connection.execute(count).fetchone()
                self.most = max(self.most, row[0] if row else 0)


@contextmanager
def watching(gateway: Gateway) -> Iterator[Watching]:
    thread = Watching(gateway)
    thread.start()
    try:
        yield thread
    finally:
        thread.over.set()
        thread.join()


async def crowd(gateway: Gateway, ledger: Ledger, clients: int, turns: int) -> Counter[str]:
    """So many clients at a time, each with a connection of its own; answers by what was sent and the status."""
    chance, seen = random.Random(ledger.seed), Counter[str]()  # noqa: S311
    plans = [[chance.choices(KINDS, SHARES)[0] for _ in range(turns)] for _ in range(clients)]

    async def one(number: int, plan: list[str]) -> None:
        connection = await Connection.open(gateway.base_url)
        for turn, kind in enumerate(plan):
            answer = await asked(connection, gateway.make_key(), ledger, kind, f"{number}-{turn}")
            seen[f"{kind} {answer.status}"] += 1
            if answer.status in PLANNED:
                assert answer.status == 504 or (answer.header("retry-after") or "").isdigit(), answer
        connection.close()

    async with asyncio.TaskGroup() as group:
        for number, plan in enumerate(plans):
            group.create_task(one(number, plan))
    return seen


KINDS, SHARES = ["healthy", "healed", "misfit", "bad", "select"], [50, 15, 10, 5, 20]
MAY = {"healthy": {201}, "healed": {201}, "misfit": {400}, "bad": {400}, "select": {200}}
BODIES = {"healthy": {"remark": "x"}, "healed": {"body": "x"}, "misfit": {"colour": "x"}}


async def asked(connection: Connection, key: str, ledger: Ledger, kind: str, mark: str) -> Answer:
    """One request of a kind. Nothing is sent twice: who has no Idempotency-Key must not."""
    if kind == "select":
        return await connection.send(request("GET", f"/rest/v1/notes?mark=eq.{mark}&select=remark", b"", {"apikey": key}))
    ledger.sends(mark, {"notes": 1})
    row = json.dumps({"mark": mark, **BODIES.get(kind, {})})
    answer = await connection.send(request("POST", "/rest/v1/notes", (row if kind != "bad" else row[:-1]).encode(), {"apikey": key}))
    code = json.loads(answer.body).get("code", "") if answer.status >= 400 else ""
    ledger.hears(mark, Heard(answer.status, answer.header("mendgate-quarantine"), code))
    return answer


def test_fault_13_a_thousand_clients_of_all_kinds_hear_only_what_was_planned(gateway: Gateway) -> None:
    assert gateway.process is not None
    ledger = Ledger(SEED)
    forget_peak(gateway.process.pid)
    before = peak_mb(gateway.process.pid)
    with watching(gateway) as watched:
        seen = asyncio.run(crowd(gateway, ledger, CLIENTS, TURNS))
    odd = {said: n for said, n in seen.items() if int(said.split()[1]) not in MAY[said.split()[0]] | PLANNED}
    assert odd == {}
    assert all(seen[f"{kind} {status}"] for kind, (status,) in MAY.items()), seen
    assert 0 < watched.most <= POOL
    assert peak_mb(gateway.process.pid) - before < 400
    settle(ledger, gateway, "notes")
    gateway.sql("TRUNCATE notes")
    gateway.control("UPDATE healing_quarantineitem SET state = 'discarded'")


# --- 15: bodies that are too much


def wrong_body(megabytes: int) -> bytes:
    """JSON that ends too early."""
    return b'{"mark":"large","remark":"' + b"x" * (megabytes * 1_000_000)


def test_fault_15_large_wrong_bodies_at_a_time_hold_no_more_than_there_is_room_for(gateway: Gateway) -> None:
    assert gateway.process is not None

    async def post(body: bytes) -> int:
        connection = await Connection.open(gateway.base_url)
        try:
            return (await connection.send(request("POST", "/rest/v1/notes", body, {"apikey": gateway.make_key()}))).status
        except ConnectionResetError:  # refused before it was read whole: what was still on its way may cut the answer off
            return 0
        finally:
            connection.close()

    async def crowd() -> list[int]:
        bodies = [wrong_body(15)] * 20 + [b'{"mark":' + b"[" * 2_000_000] * 5 + [b" " * 17_000_000] * 5
        return await asyncio.gather(*map(post, bodies))

    forget_peak(gateway.process.pid)
    before = peak_mb(gateway.process.pid)
    statuses = Counter(asyncio.run(crowd()))
    assert set(statuses) <= {0, 400, 413, 503}, statuses
    assert statuses[400] and statuses[413] <= 5
    assert peak_mb(gateway.process.pid) - before < 250
    assert gateway.sql("SELECT count(*) AS n FROM notes") == [{"n": 0}]
    with gateway.client() as client:  # and there is room again
        assert client.post("/rest/v1/notes", json={"mark": "large", "remark": "x" * 10_000_000}).status_code == 201
    gateway.sql("TRUNCATE notes")


# --- 17: serialization failures


def test_fault_17_a_storm_of_serialization_failures_ends_in_few_tries(gateway: Gateway) -> None:
    ledger, tries = Ledger(SEED + 1), []

    async def one(number: int) -> None:
        connection = await Connection.open(gateway.base_url)
        for turn in range(3):
            mark = f"{number}-{turn}"
            steps = {"op": "insert", "table": "steps", "rows": [{"mark": mark, "n": turn}]}
            count = {"op": "update", "table": "counters", "values": {"n": number}, "match": {"id": [1, 2]}}
            body = json.dumps({"isolation": "serializable", "operations": [count, steps]}).encode()
            ledger.sends(mark, {"steps": 1})
            answer = await connection.send(request("POST", "/api/v1/transactions", body, {"apikey": gateway.make_key()}))
            said = json.loads(answer.body)
            ledger.hears(mark, Heard(answer.status, code=said.get("code", "")))
            assert answer.status == 200 or said["code"] in ("40001", "53300"), said
            tries.append(said.get("attempts", MOST_TRIES))
        connection.close()

    async def storm() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(16):
                group.create_task(one(number))

    asyncio.run(storm())
    settle(ledger, gateway, "steps")
    assert 1 < max(tries) <= MOST_TRIES


# --- 12: two approvers, two replays


def test_fault_12_two_approvers_and_two_replays_at_a_time_have_one_effect(gateway: Gateway) -> None:
    ledger = Ledger(SEED + 2)
    with gateway.client() as client:
        kept = send(ledger, client, "approved", "/rest/v1/notes", {"mark": "approved", "comment": "x"}).kept
    assert kept is not None
    fix = '[{"op": "rename_column", "from": "comment", "to": "remark"}]'
    proposal = gateway.manage("propose", "--quarantine", kept, "--fix", fix, "--user", "rita").strip()

    def at_once(*words: list[str]) -> list[int]:
        with ThreadPoolExecutor(len(words)) as pool:
            return [done.returncode for done in pool.map(lambda each: commands.run(each, gateway.environment), words)]

    ended = at_once(*(["approve", proposal, "--user", person] for person in ("rita", "ruth")))
    assert 0 in ended  # the second may hear that it is done
    approvals = "SELECT count(*) AS n FROM healing_decision WHERE action = 'approve' AND subject = %s"
    assert gateway.control(approvals, proposal) == [{"n": 1}]
    assert gateway.control("SELECT count(*) AS n FROM healing_rule WHERE state = 'active'") == [{"n": 1}]
    assert gateway.control("SELECT count(*) AS n FROM healing_replay") == [{"n": 1}]
    again = ["replay", "--quarantine", kept, "--wait"]
    assert at_once(["rqworker", "--burst"], again, again) == [0, 0, 0]
    account = settle(ledger, gateway, "notes")
    assert dict(account.ends) == {"committed": 1}


# --- 14: poison among kept writes


def test_fault_14_poison_is_parked_and_the_rest_lands_once_at_the_allowed_rate(gateway: Gateway) -> None:
    ledger, chance = Ledger(SEED + 3), random.Random(SEED + 3)  # noqa: S311
    gateway.sql("TRUNCATE notes")
    gateway.control("UPDATE healing_quarantineitem SET state = 'discarded'")
    poison = set(chance.sample(range(40), 4))
    with gateway.client() as client:
        for number in range(40):
            row = {"mark": str(number), "hue": "poison" if number in poison else "x"}
            assert send(ledger, client, str(number), "/rest/v1/notes", row, keyed=bool(number % 2)).kept
    gateway.sql("ALTER TABLE notes ADD COLUMN hue text CHECK (hue <> 'poison')")
    gateway.manage("capture_schema")
    gateway.manage("replay", "--all-waiting", "--wait")
    parked = gateway.control("SELECT attempts, count(*) AS n FROM healing_quarantineitem WHERE state = 'parked' GROUP BY 1")
    assert parked == [{"attempts": 3, "n": len(poison)}]
    with gateway.client() as client:
        account = ledger.account(found_in(gateway, "notes", client=client))
    assert not account.unexplained, account.report()
    assert dict(account.ends) == {"committed": 36, "kept": 4}
    fast = gateway.control(
        "SELECT max(n) AS n FROM (SELECT count(*) OVER (ORDER BY replayed_at RANGE BETWEEN '1 s' PRECEDING AND CURRENT ROW) AS n"
        " FROM healing_quarantineitem WHERE state = 'replayed' AND \"table\" = 'notes') AS windows"
    )
    assert fast[0]["n"] <= RATE + 2 * (RATE // 5)  # a second's worth, and the batches that overlap its ends
