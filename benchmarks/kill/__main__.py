"""kill -9 of the web process while clients insert: ``python -m benchmarks.kill --kills 500``. Needs a Mendgate of its own.

Every client sends each row under an Idempotency-Key and sends it again until it is answered. Afterwards the clients' log is compared with
the table: nothing acknowledged may be missing, nothing may be there twice.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
from pathlib import Path

import httpx
import psycopg

from benchmarks.stage import Stage

CLIENTS = 16
TABLE = "CREATE TABLE bench_kill (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n text NOT NULL, payload jsonb)"


def main() -> int:
    """Prints rows lost and doubled; 1 if there are any."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill", description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with Stage() as stage:
        stage.sql(TABLE, "GRANT ALL ON bench_kill TO service_role")
        stage.capture()
        acknowledged, retries = asyncio.run(_run(stage, options.kills, random.Random(options.seed)))
        with psycopg.connect(stage.owner_url) as connection:
            stored = [row[0] for row in connection.execute("SELECT n FROM bench_kill").fetchall()]
    lost, doubled = acknowledged - set(stored), len(stored) - len(set(stored))
    told = f"{options.kills} kills, {len(acknowledged)} rows acknowledged, {retries} sent again"
    print(f"{told}: lost {len(lost)}, doubled {doubled} (seed {options.seed})")
    return int(bool(lost or doubled))


async def _run(stage: Stage, kills: int, rng: random.Random) -> tuple[set[str], int]:
    stop = asyncio.Event()
    acknowledged: set[str] = set()
    retries = [0]
    async with stage.client() as client:
        clients = [asyncio.create_task(_insert(client, f"{number}", stop, acknowledged, retries)) for number in range(CLIENTS)]
        for _ in range(kills):
            await asyncio.sleep(rng.uniform(0.05, 0.6))
            _kill(stage)
            before = len(acknowledged)
            while len(acknowledged) < before + CLIENTS:  # noqa: ASYNC110  (another process, no event to wait for)
                await asyncio.sleep(0.02)
        stop.set()
        await asyncio.gather(*clients)
    return acknowledged, retries[0]


def _kill(stage: Stage) -> None:
    assert stage.process is not None
    for pid in _descendants(stage.process.pid):
        words = _command(pid)
        if "resilience_site.web" in words or "granian" in words:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents.setdefault(int((entry / "stat").read_text().rpartition(")")[2].split()[1]), []).append(int(entry.name))
            except (OSError, ValueError):
                continue
    found, queue = [], [pid]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


def _command(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


async def _insert(client: httpx.AsyncClient, name: str, stop: asyncio.Event, acknowledged: set[str], retries: list[int]) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        row = f"{name}-{number}"
        while True:
            try:
                answer = await client.post("/rest/v1/bench_kill", json={"n": row, "payload": {"a": 1}}, headers={"idempotency-key": row})
                if answer.is_success:
                    acknowledged.add(row)
                    break
            except httpx.HTTPError:
                pass
            retries[0] += 1
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
