"""kill -9 of the web process while clients write: ``python -m benchmarks.kill [--kills 100] [--seed S]``.

Every client sends each write under an Idempotency-Key, and sends it again until it is answered for good: plain rows, batches of three, rows
under the former name of a column (healed), and rows that fit nothing (kept in quarantine). Half of the kills end the whole process group,
which then is started again, half only the worker, which its parent replaces. Afterwards the clients' log is compared with the tables: each
write must be there once, whatever was cut off.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import uvloop

from benchmarks.figures import figure
from benchmarks.web_process import web_process
from benchmarks.wire import Answer, Connection, request
from tests.gateway_process import Gateway

CLIENTS = 16
CREATE = "CREATE TABLE ledger (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mark text NOT NULL, amount integer)"
RENAME = "ALTER TABLE ledger RENAME COLUMN amount TO cents"
BATCH = 3
AGAIN = (409, 500, 502, 503, 504)
"""Answers after which the same key is sent again; 409 only says that the first try is still under way."""


def main() -> int:
    """Prints what was lost and doubled; 1 if there is any."""
    parser = argparse.ArgumentParser(description="Kills the web process while clients write.")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with web_process() as gateway:
        gateway.sql(CREATE)
        gateway.manage("capture_schema")
        gateway.sql(RENAME)
        gateway.manage("capture_schema")
        clients = Clients(gateway)
        began = time.monotonic()
        uvloop.run(clients.run(options.kills, random.Random(options.seed)))
        took = time.monotonic() - began
        lost, doubled, strange = compare(gateway, clients.answered)
    kinds = Counter(mark.partition("-")[0] for mark in clients.answered)
    print(f"{options.kills} kills (seed {options.seed}) in {took:.0f} s; {clients.retries} tries sent again; answered: {dict(kinds)}")
    print(f"lost {lost}, doubled {doubled}, stored but not as answered {strange}")
    figure(f"writes lost in {options.kills} kill -9", str(lost), "0", lost == 0)
    figure(f"writes doubled or elsewhere in {options.kills} kill -9", str(doubled + strange), "0", doubled + strange == 0)
    return int(bool(lost or doubled or strange))


class Clients:
    """``answered``: what each finished write's answer promised, by its mark."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.key = gateway, gateway.make_key()
        self.answered: dict[str, int] = {}
        self.retries = 0
        self.stopping = False

    async def run(self, kills: int, rng: random.Random) -> None:
        """Clients write until all kills are done; each finishes what it began."""
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._write(number))
            for _ in range(kills):
                await self._progress()
                await asyncio.sleep(rng.uniform(0, 0.3))
                await asyncio.to_thread(kill_group if rng.random() < 0.5 else kill_worker, self.gateway)
            await self._progress()
            self.stopping = True

    async def _progress(self) -> None:
        """Until something was answered since now."""
        before, deadline = len(self.answered), time.monotonic() + 60
        while len(self.answered) < before + CLIENTS:
            if time.monotonic() > deadline:
                raise AssertionError("nothing is answered any more:\n" + self.gateway.log.read_text("utf-8", "replace")[-2000:])
            if self.gateway.process is not None and self.gateway.process.poll() is not None:  # it takes many kills for a crash loop
                await asyncio.to_thread(kill_group, self.gateway)
            await asyncio.sleep(0.005)

    async def _write(self, client: int) -> None:
        number = 0
        connection: Connection | None = None
        while not self.stopping:
            number += 1
            kind = ("plain", "batch", "healed", "misfit")[(client + number) % 4]
            mark = f"{kind}-{client}-{number}"
            sent = self._request(kind, mark)
            while mark not in self.answered:
                try:
                    connection = connection or await Connection.open(self.gateway.base_url)
                    answer = await asyncio.wait_for(connection.send(sent), 30)
                    if answer.status not in AGAIN:
                        self.answered[mark] = promised(kind, answer)
                        break
                except (OSError, TimeoutError):
                    connection = None
                self.retries += 1
                await asyncio.sleep(0.02)

    def _request(self, kind: str, mark: str) -> bytes:
        column = {"healed": "amount", "misfit": "colour"}.get(kind, "cents")
        row = {"mark": mark, column: 5}
        body = json.dumps([row] * BATCH if kind == "batch" else row).encode()
        return request("POST", "/rest/v1/ledger", body, {"apikey": self.key, "idempotency-key": mark})


def promised(kind: str, answer: Answer) -> int:
    """How many rows an answer says are stored; -1: kept in quarantine."""
    if kind == "misfit":
        assert answer.header("mendgate-quarantine"), (answer.status, answer.body)
        return -1
    assert answer.status == 201, (kind, answer.status, answer.body)
    return BATCH if kind == "batch" else 1


def kill_group(gateway: Gateway) -> None:
    """The whole process, started again at once."""
    gateway.kill9()
    gateway.start()


def kill_worker(gateway: Gateway) -> None:
    """Only the process that serves; its parent starts another."""
    assert gateway.process is not None
    leader = gateway.process.pid
    for pid in Path(f"/proc/{leader}/task/{leader}/children").read_text().split():
        os.kill(int(pid), signal.SIGKILL)


def compare(gateway: Gateway, answered: dict[str, int]) -> tuple[int, int, int]:
    """Writes that are missing, that are there more than once, and that are elsewhere than the answer said."""
    rows = {r["mark"]: r["n"] for r in gateway.sql("SELECT mark, count(*) AS n FROM ledger WHERE cents = 5 GROUP BY mark")}
    kept = {
        r["idempotency_key"]: r["n"]
        for r in gateway.control("SELECT idempotency_key, count(*) AS n FROM healing_quarantineitem GROUP BY idempotency_key")
    }
    wanted_rows = {mark: n for mark, n in answered.items() if n > 0}
    wanted_kept = {mark: 1 for mark, n in answered.items() if n < 0}
    lost = doubled = strange = 0
    for wanted, found in ((wanted_rows, rows), (wanted_kept, kept)):
        lost += sum(found.get(mark, 0) < n for mark, n in wanted.items())
        doubled += sum(found.get(mark, 0) > n for mark, n in wanted.items())
        strange += len(found.keys() - wanted.keys())
    return lost, doubled, strange


if __name__ == "__main__":
    sys.exit(main())
