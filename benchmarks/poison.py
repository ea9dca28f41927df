"""A replay of 100,000 kept writes with poison among them, beside live writes: ``python -m benchmarks.poison [--rows 100000] [--seconds 60]``.

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
INSERT INTO healing_quarantineitem (id, number, receipt, {columns})
SELECT gen_random_uuid(), nextval(pg_get_serial_sequence('healing_quarantineitem', 'number')), gen_random_uuid(), {columns}
FROM healing_quarantineitem, generate_series(1, {count}) WHERE id = '{id}'"""


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
        before = uvloop.run(live(gateway, lambda: time.monotonic() - began < 15)) if (began := time.monotonic()) else None
        assert before is not None
        during, took = replayed(gateway, options.seconds)
        return report(gateway, options.rows, before, during, took)


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


async def live(gateway: Gateway, goes_on, clients: int = 4) -> Lived:  # noqa: ANN001
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


def replayed(gateway: Gateway, seconds: float) -> tuple[Lived, float]:
    """Orders all of it, lets a worker work, and inserts beside it; the live writes, and how long the worker worked."""
    gateway.manage("replay", "--all-waiting")
    worker = subprocess.Popen([sys.executable, "manage.py", "rqworker"], cwd=ROOT, env=gateway.environment, stdout=subprocess.DEVNULL)
    started, looked, waits = time.monotonic(), [0.0], [1]
    first = "SELECT 1 AS one FROM healing_quarantineitem WHERE state <> 'waiting' LIMIT 1"
    while not gateway.control(first):
        time.sleep(0.1)
    started = time.monotonic()

    def goes_on() -> bool:
        if time.monotonic() - looked[0] > 5 and not seconds:
            looked[0] = time.monotonic()
            waits[0] = gateway.control("SELECT count(*) AS n FROM healing_quarantineitem WHERE state IN ('waiting', 'replaying')")[0]["n"]
        return time.monotonic() - started < seconds if seconds else waits[0] > 0

    try:
        lived = uvloop.run(live(gateway, goes_on))
    finally:
        worker.terminate()
        worker.wait(60)
    return lived, time.monotonic() - started


def report(gateway: Gateway, rows: int, before: Lived, during: Lived, took: float) -> int:
    """The figures."""
    states = {row["state"]: row["n"] for row in gateway.control("SELECT state, count(*) AS n FROM healing_quarantineitem GROUP BY 1")}
    stored = gateway.sql("SELECT count(*) AS n, count(*) FILTER (WHERE hue = 'poison') AS bad FROM notes")[0]
    rate, ratio = states.get("replayed", 0) / took, during.p99 / before.p99
    print(
        f"{rows} kept, one in {EVERY} poisoned; after {took:.0f} s: {states}; live p99 {before.p99 * 1e3:.1f} → {during.p99 * 1e3:.1f} ms"
    )
    figure("replayed a second beside live writes", f"{rate:.0f}", f"≤ {RATE}", rate <= RATE * 1.1)
    figure("poison that was written", str(stored["bad"]), "0", stored["bad"] == 0)
    figure(
        "replayed and not there exactly once",
        str(abs(stored["n"] - states.get("replayed", 0))),
        "0",
        stored["n"] == states.get("replayed", 0),
    )
    figure("poison parked", str(states.get("parked", 0)), "> 0", states.get("parked", 0) > 0)
    figure("live p99, beside the replay ÷ before", f"{ratio:.2f}", "< 2", ratio < 2)
    return int(ratio >= 2 or stored["bad"] > 0 or stored["n"] != states.get("replayed", 0))


if __name__ == "__main__":
    sys.exit(main())
