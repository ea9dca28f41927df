"""A replay of 100,000 kept writes with poison among them: ``python -m benchmarks.poison [--rows 100000] [--seconds 60]``.

A healthy and a poisoned write are kept by the gateway; the rest are copies of them in the quarantine, every hundredth poisoned. Then the
schema catches up, all of them are ordered, and a real RQ worker works for ``--seconds`` (0: until the end, at 50 a second). Beside it
clients insert at a steady pace, as they did before. What was replayed in the end must be there exactly once, and no poison.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import uvloop
from msgspec import Struct

from benchmarks.figures import figure
from benchmarks.web_process import web_process
from benchmarks.wire import Connection, request
from tests.gateway_process import Gateway

ROOT = Path(__file__).resolve().parent.parent
EVERY = 100
RATE = 50
LIVE = 80
"""Live inserts a second."""
COPY = """
INSERT INTO healing_quarantineitem (id, receipt, number, {columns})
SELECT gen_random_uuid(), gen_random_uuid(), (SELECT max(number) FROM healing_quarantineitem) + n, {columns}
FROM healing_quarantineitem, generate_series(1, {count}) n WHERE id = '{id}'"""


class Lived(Struct):
    """How long live writes took, in seconds."""

    took: list[float]

    @property
    def p99(self) -> float:
        return sorted(self.took)[int(len(self.took) * 0.99)]


def main() -> int:
    """Prints the figures; 1 where one was missed."""
    parser = argparse.ArgumentParser(description="A replay with poison beside live writes.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=60, help="how long the worker works; 0: until nothing is left")
    options = parser.parse_args()
    with web_process() as gateway:
        gateway.sql("CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mark text NOT NULL)")
        gateway.sql("CREATE TABLE live (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mark text NOT NULL)")
        gateway.manage("capture_schema")
        keep(gateway, options.rows)
        gateway.sql("ALTER TABLE notes ADD COLUMN hue text CHECK (hue <> 'poison')")
        gateway.manage("capture_schema")
        until = time.monotonic() + 15
        before = uvloop.run(live(gateway, lambda: time.monotonic() < until))
        during = replayed(gateway, options.seconds)
        return report(gateway, options.rows, before, during)


def keep(gateway: Gateway, rows: int) -> None:
    """Kept writes: by the gateway one of each kind, then copies."""
    with gateway.client() as client:
        kinds = [client.post("/rest/v1/notes", json={"mark": "x", "hue": hue}).headers["mendgate-quarantine"] for hue in ("fine", "poison")]
    sql = "SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'healing_quarantineitem'"
    names = [f'"{row["name"]}"' for row in gateway.control(sql) if row["name"] not in ("id", "number", "receipt")]
    block, poisoned = EVERY * 10, 10
    for _ in range(rows // block):
        for kind, count in zip(kinds, (block - poisoned, poisoned), strict=True):
            gateway.control(COPY.format(columns=", ".join(names), count=count, id=kind))


async def live(gateway: Gateway, goes_on: Callable[[], bool], clients: int = 4) -> Lived:
    """Inserts at a steady pace."""
    numbers, lived = itertools.count(), Lived([])

    async def one() -> None:
        connection, due = await Connection.open(gateway.base_url), time.monotonic()
        while goes_on():
            due = max(due + clients / LIVE, time.monotonic() - 0.1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            body = json.dumps({"mark": f"live {next(numbers)}"}).encode()
            began = time.perf_counter()
            answer = await connection.send(request("POST", "/rest/v1/live", body, {"apikey": gateway.make_key()}))
            lived.took.append(time.perf_counter() - began)
            assert answer.status == 201, answer
        connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(one())
    return lived


def replayed(gateway: Gateway, seconds: float) -> Lived:
    """Orders all of it, lets a worker work, and inserts beside it. The worker ends what it has begun."""
    gateway.manage("replay", "--all-waiting")
    worker = subprocess.Popen([sys.executable, "manage.py", "rqworker"], cwd=ROOT, env=gateway.environment, stdout=subprocess.DEVNULL)
    try:
        while not gateway.control("SELECT 1 AS one FROM healing_quarantineitem WHERE state <> 'waiting' LIMIT 1"):
            time.sleep(0.1)
        until = time.monotonic() + seconds
        return uvloop.run(live(gateway, (lambda: time.monotonic() < until) if seconds else _waits(gateway)))
    finally:
        worker.terminate()
        worker.wait(180)


def _waits(gateway: Gateway) -> Callable[[], bool]:
    """Whether something waits; asked every few seconds."""
    known = [0.0, True]

    def ask() -> bool:
        if time.monotonic() > known[0]:
            waiting = gateway.control("SELECT 1 AS one FROM healing_quarantineitem WHERE state IN ('waiting', 'replaying') LIMIT 1")
            known[:] = [time.monotonic() + 5, bool(waiting)]
        return bool(known[1])

    return ask


_DONE = """SELECT count(*) FILTER (WHERE state = 'replayed') AS replayed, count(*) FILTER (WHERE state = 'parked') AS parked,
count(*) FILTER (WHERE state = 'waiting') AS waiting, extract(epoch FROM max(replayed_at) - min(replayed_at))::float8 AS took
FROM healing_quarantineitem"""


def report(gateway: Gateway, rows: int, before: Lived, during: Lived) -> int:
    """The figures."""
    done = gateway.control(_DONE)[0]
    stored = gateway.sql("SELECT count(*) AS n, count(*) FILTER (WHERE hue = 'poison') AS bad FROM notes")[0]
    rate, ratio, wrong = done["replayed"] / done["took"], during.p99 / before.p99, abs(stored["n"] - done["replayed"])
    print(f"{rows} kept, one in {EVERY} poisoned; {done}")
    print(f"live inserts, p99: {before.p99 * 1e3:.1f} ms before, {during.p99 * 1e3:.1f} ms beside the replay")
    figure("replayed a second beside live writes", f"{rate:.0f}", f"≤ {RATE}", rate <= RATE * 1.1)
    figure("poison that was written", str(stored["bad"]), "0", stored["bad"] == 0)
    figure("replayed and not there exactly once", str(wrong), "0", wrong == 0)
    figure("poison parked", str(done["parked"]), "> 0", done["parked"] > 0)
    figure("live p99, beside the replay ÷ before", f"{ratio:.2f}", "< 2", ratio < 2)
    return int(ratio >= 2 or stored["bad"] > 0 or wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
