"""A replay of 100,000 kept writes with poison among them: ``python -m benchmarks.poison [--rows 100000] [--kills 2] [--rate 1000]``.

One write is kept by the gateway; the rest are made after it, each with a mark of its own, every hundredth poisoned, as of five people who
take turns after ``TURN`` writes. Then the schema catches up, all of them are ordered, and a real RQ worker works until nothing is left
(``--seconds``: or so long). It is killed ``--kills`` times on its way. Beside it clients insert at a steady pace; the worker stands still
for ``STILL`` of every ``ROUND`` seconds, so that live writes with and without it are of the same minutes. In the end each healthy write
must be there exactly once, in order, as the person who sent it, and no poison.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import uvloop
from msgspec import Struct

from benchmarks.figures import figure
from benchmarks.web_process import web_process
from benchmarks.wire import Connection, request
from healing.gateway import seal
from healing.gateway.kept import Envelope
from tests.gateway_process import Gateway

ROOT = Path(__file__).resolve().parent.parent
EVERY = 100
RATE = 1000
TURN = 20
PEOPLE = ("ann", "bea", "cid", "dan", "eve")
LIVE = 80
"""Live inserts a second."""
ROUND, STILL = 12.0, 4.0
SETTLES = 0.5
"""Seconds after a change that are counted for neither."""
WINDOW = 5
"""Seconds in which the rate is looked at."""
TABLES = """
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mark text NOT NULL,
    who text DEFAULT current_setting('request.jwt.claims', true)::json ->> 'sub', role text DEFAULT current_user);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes FOR ALL TO authenticated USING (true)
    WITH CHECK (who = current_setting('request.jwt.claims', true)::json ->> 'sub');
GRANT INSERT, SELECT ON notes TO authenticated;
CREATE TABLE live (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mark text NOT NULL);
"""
OWN = ("id", "number", "receipt", "request", "claims", "subject", "role", "key_id")
"""Columns of a kept write that differ."""


class Lived(Struct):
    """How long live writes took, in seconds, while the worker worked and while it stood still."""

    beside: list[float]
    alone: list[float]


def p99(took: list[float]) -> float:
    """Seconds."""
    return sorted(took)[int(len(took) * 0.99)]


def main() -> int:
    """Prints the figures; 1 where one was missed."""
    parser = argparse.ArgumentParser(description="A replay with poison beside live writes.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=0, help="how long the worker works; 0: until nothing is left")
    parser.add_argument("--rate", type=int, default=RATE)
    parser.add_argument("--kills", type=int, default=0)
    options = parser.parse_args()
    with web_process(REPLAY_RATE=str(options.rate)) as gateway:
        gateway.sql(TABLES)
        gateway.manage("capture_schema")
        keep(gateway, options.rows)
        gateway.sql("ALTER TABLE notes ADD COLUMN hue text CHECK (hue <> 'poison')")
        gateway.manage("capture_schema")
        lived = replayed(gateway, options.seconds, options.kills)
        return report(gateway, options.rows, options.rate, lived)


def keep(gateway: Gateway, rows: int) -> None:
    """Kept writes: by the gateway one, then as many as wanted after it."""
    with gateway.client() as client:
        first = client.post("/rest/v1/notes", json={"mark": "first", "hue": "fine"}).headers["mendgate-quarantine"]
    seal.configure((gateway.home / "secret_key").read_text().strip())
    item = gateway.control("SELECT * FROM healing_quarantineitem WHERE id = %s", first)[0]
    told = gateway.control("SELECT * FROM healing_receipt WHERE quarantine = %s", first)[0]
    claims = [seal.seal(json.dumps({"sub": who, "role": "authenticated"}).encode()) for who in PEOPLE]
    with psycopg.connect(gateway.control_url) as connection, connection.cursor() as cursor:
        made = [_write(item, number, claims) for number in range(1, rows)]
        _copy(cursor, "healing_quarantineitem", made)
        _copy(cursor, "healing_receipt", [{**told, "id": each["receipt"], "quarantine": each["id"]} for each in made])
    gateway.control("ANALYZE healing_quarantineitem; ANALYZE healing_receipt")


def _write(item: dict[str, Any], number: int, claims: list[bytes]) -> dict[str, Any]:
    """A kept write of the person whose turn it is."""
    person = number // TURN % len(PEOPLE)
    body = json.dumps({"mark": f"{number}", "hue": "poison" if number % EVERY == 0 else "fine"}).encode()
    request = Envelope("POST", "/rest/v1/notes", b"", {"content-type": "application/json"}, body).sealed()
    own = {"id": uuid.uuid4(), "number": item["number"] + number, "receipt": uuid.uuid4(), "request": request, "claims": claims[person]}
    return {**item, **own, "subject": PEOPLE[person], "role": "authenticated", "key_id": None}


def _copy(cursor: psycopg.Cursor[Any], table: str, rows: list[dict[str, Any]]) -> None:
    names = ", ".join(f'"{name}"' for name in rows[0])
    with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([json.dumps(v) if isinstance(v, dict | list) and k != "marks" else v for k, v in row.items()])


async def live(gateway: Gateway, goes_on: Callable[[], bool], worker: Worker, clients: int = 4) -> Lived:
    """Inserts at a steady pace, while the worker works and stands still in turns."""
    numbers, lived, of = itertools.count(), Lived([], []), [list[float]()]

    async def one() -> None:
        connection, due = await Connection.open(gateway.base_url), time.monotonic()
        while goes_on():
            due = max(due + clients / LIVE, time.monotonic() - 0.1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            body = json.dumps({"mark": f"live {next(numbers)}"}).encode()
            began, mine = time.perf_counter(), of[0]
            answer = await connection.send(request("POST", "/rest/v1/live", body, {"apikey": gateway.make_key()}))
            mine.append(time.perf_counter() - began)
            assert answer.status == 201, answer
        connection.close()

    async def turns() -> None:
        while goes_on():
            for sign, group, seconds in ((signal.SIGCONT, lived.beside, ROUND - STILL), (signal.SIGSTOP, lived.alone, STILL)):
                of[0] = []
                worker.send(sign)
                await asyncio.sleep(SETTLES)
                of[0] = group
                await asyncio.sleep(seconds - SETTLES)
        worker.send(signal.SIGCONT)

    async with asyncio.TaskGroup() as group:
        group.create_task(turns())
        for _ in range(clients):
            group.create_task(one())
    return lived


class Worker:
    """A real RQ worker, in a session of its own so that a kill reaches its job too."""

    def __init__(self, gateway: Gateway) -> None:
        words = [sys.executable, "manage.py", "rqworker"]
        self.process = subprocess.Popen(
            words, cwd=ROOT, env=gateway.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def send(self, sign: signal.Signals) -> None:
        """To it and its job."""
        os.killpg(self.process.pid, sign)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(180)


def replayed(gateway: Gateway, seconds: float, kills: int) -> Lived:
    """Orders all of it, lets a worker work, and inserts beside it. The worker ends what it has begun."""
    began = time.monotonic()
    gateway.manage("replay", "--all-waiting")
    print(f"ordered in {time.monotonic() - began:.1f} s", flush=True)
    worker = Worker(gateway)
    try:
        while not gateway.control("SELECT 1 AS one FROM healing_quarantineitem WHERE state = 'replayed' LIMIT 1"):
            time.sleep(0.1)
        for number in range(kills):
            time.sleep(3 + number)
            worker.kill()
            worker = Worker(gateway)
            time.sleep(31)  # the lease of what it held
            gateway.manage("shell", "-c", "from healing.doorbell import ring; ring()")
        until = time.monotonic() + seconds
        return uvloop.run(live(gateway, (lambda: time.monotonic() < until) if seconds else _waits(gateway), worker))
    finally:
        worker.stop()


def _waits(gateway: Gateway) -> Callable[[], bool]:
    """Whether something waits; asked every few seconds."""
    known = [0.0, True]

    def ask() -> bool:
        if time.monotonic() > known[0]:
            waiting = gateway.control("SELECT 1 AS one FROM healing_quarantineitem WHERE state IN ('waiting', 'replaying') LIMIT 1")
            known[:] = [time.monotonic() + 5, bool(waiting)]
        return bool(known[1])

    return ask


WORKED = ROUND / (ROUND - STILL)
_DONE = """SELECT count(*) FILTER (WHERE state = 'replayed') AS replayed, count(*) FILTER (WHERE state = 'parked') AS parked,
count(*) FILTER (WHERE state = 'waiting') AS waiting, extract(epoch FROM max(replayed_at) - min(replayed_at))::float8 AS took
FROM healing_quarantineitem"""
_FASTEST = f"""SELECT max(n) FROM (SELECT sum(count(*)) OVER (ORDER BY extract(epoch FROM replayed_at)::int
RANGE BETWEEN {WINDOW - 1} PRECEDING AND CURRENT ROW) AS n FROM healing_quarantineitem WHERE state = 'replayed'
GROUP BY extract(epoch FROM replayed_at)::int) found(n)"""
_STORED = f"""SELECT count(*) AS n, count(DISTINCT mark) AS marks, count(*) FILTER (WHERE hue = 'poison') AS bad,
count(*) FILTER (WHERE mark <> 'first' AND (role <> 'authenticated' OR who IS DISTINCT FROM
    (ARRAY['{"','".join(PEOPLE)}'])[mark::int / {TURN} % {len(PEOPLE)} + 1])) AS strange,
count(*) FILTER (WHERE late) AS late
FROM (SELECT *, mark <> 'first' AND mark::int < max(nullif(mark, 'first')::int) OVER (ORDER BY id) AS late FROM notes) found"""


def report(gateway: Gateway, rows: int, rate: int, lived: Lived) -> int:
    """The figures."""
    done, stored = gateway.control(_DONE)[0], gateway.sql(_STORED)[0]
    fastest = float(gateway.control(_FASTEST)[0]["max"]) / WINDOW
    average = done["replayed"] / done["took"] * WORKED
    beside, alone = p99(lived.beside), p99(lived.alone)
    wrong, ended = abs(stored["n"] - done["replayed"]) + stored["n"] - stored["marks"], done["waiting"] == 0
    print(f"{rows} kept, one in {EVERY} poisoned; {done}")
    print(f"live inserts, p99: {beside * 1e3:.1f} ms beside ({len(lived.beside)}), {alone * 1e3:.1f} ms without ({len(lived.alone)})")
    figure("replayed a second of work, on average", f"{average:.0f}", "≥ 200", average >= 200)
    figure(f"replayed a second, in the fastest {WINDOW} s", f"{fastest:.0f}", f"≤ {rate}", fastest <= rate * 1.1)
    figure("poison that was written", str(stored["bad"]), "0", stored["bad"] == 0)
    figure("replayed and not there exactly once", str(wrong), "0", wrong == 0)
    figure("stored as somebody else", str(stored["strange"]), "0", stored["strange"] == 0)
    figure("stored after a later one", str(stored["late"]), "0", stored["late"] == 0)
    figure("poison parked", str(done["parked"]), str((rows - 1) // EVERY), not ended or done["parked"] == (rows - 1) // EVERY)
    figure("live p99, beside the replay ÷ without", f"{beside / alone:.2f}", "< 2", beside < 2 * alone)
    return int(beside >= 2 * alone or stored["bad"] + wrong + stored["strange"] + stored["late"] > 0 or fastest > rate * 1.1)


if __name__ == "__main__":
    sys.exit(main())
