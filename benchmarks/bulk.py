"""Many rows through the gateway beside a hand-written endpoint: ``python -m benchmarks.bulk [--rounds 5] [--rows 100000] [--size 500]
[--connections 1 4]``.

``--rows`` rows in batches of ``--size`` into the same table of one durable Postgres: by ``POST /rest/v1/parcels``, and by the two ways
that one writes by hand with asyncpg (``benchmarks/handwritten.py``): ``executemany``, and one statement with an array a column. Places
take turns in every round. ``µs`` are processor time for one row, of the serving process and of Postgres, which a busy machine does not
change. The gateway's memory is looked at before, while and after the rows come.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from statistics import median

import uvloop

from benchmarks import beside, load
from benchmarks.beside import Block, Place
from benchmarks.figures import figure
from benchmarks.load import Speed
from benchmarks.memory import resident_mb
from benchmarks.web_process import web_process
from benchmarks.wire import Connection, request

OURS, MANY, BY_HAND = "gateway", "executemany", "one statement by hand"
WARM_UP, BODIES = 20, 20
MOST_MB = 100
"""that the gateway's memory may grow by."""


def main() -> int:
    """Starts, measures, prints; 1 where the gateway misses an aim."""
    parser = argparse.ArgumentParser(description="Bulk inserts through the gateway beside a hand-written endpoint.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=500)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with web_process() as gateway:
        gateway.sql(load.CREATE)
        gateway.sql(load.RENAME)
        gateway.manage("capture_schema")
        with beside.handwritten(gateway) as peer:
            kinds = {OURS: (beside.ours(gateway), "/rest/v1/parcels"), MANY: (peer, "/parcels/many"), BY_HAND: (peer, "/parcels/rows")}
            print(f"{options.rows} rows in batches of {options.size}, medians of {options.rounds} rounds, seed {options.seed}")
            bulk = Bulk(kinds, beside.postmaster(gateway), options)
            reached = [bulk.report(connections) for connections in options.connections]
    return int(not all(reached))


class Bulk:
    """The batches, and who takes them."""

    def __init__(self, kinds: dict[str, tuple[Place, str]], postgres: int, options: argparse.Namespace) -> None:
        self.kinds, self.postgres, self.options = kinds, postgres, options
        self.rng = random.Random(options.seed)
        self.bodies = [_body(number, options.size) for number in range(BODIES)]

    def report(self, connections: int) -> bool:
        """Measures and prints; whether the aims are reached."""
        before = self._memory()
        found, highest = self._run(connections)
        ratios = beside.table(f"{connections} connections, rows", found, MANY)
        fastest = max((MANY, BY_HAND), key=lambda name: median(b.speed.rate for b in found[name]))
        ratio = ratios[OURS] / ratios[fastest]
        print(f"memory of the gateway: {before:.0f} MB before, at most {highest:.0f} MB, {self._memory():.0f} MB afterwards")
        for name in (MANY, BY_HAND):
            beside_it = median(a.speed.rate / b.speed.rate for a, b in zip(found[OURS], found[name], strict=True))
            figure(f"bulk insert beside {name}, {connections} connections", f"{beside_it:.2f} ×", "≥ 0.7 ×", beside_it >= 0.7)
        figure(f"memory more, {connections} connections", f"{highest - before:.0f} MB", f"≤ {MOST_MB} MB", highest - before <= MOST_MB)
        return ratio >= 0.7 and highest - before <= MOST_MB

    def _run(self, connections: int) -> tuple[dict[str, list[Block]], float]:
        found: dict[str, list[Block]] = {name: [] for name in self.kinds}
        highest = 0.0
        for number in range(self.options.rounds + 1):
            batches = self.options.rows // self.options.size if number else WARM_UP
            for name in self.rng.sample(list(self.kinds), len(self.kinds)):
                block = self._block(name, batches, connections)
                highest = max(highest, self._memory())
                if number:
                    found[name].append(block)
        return found, highest

    def _block(self, name: str, batches: int, connections: int) -> Block:
        place, path = self.kinds[name]
        headers = dict(line.split(": ", 1) for line in place.headers)
        requests = [request("POST", path, body, headers) for body in self.bodies]
        size = self.options.size
        return beside.measured(place, self.postgres, lambda: uvloop.run(send(place.url, requests, batches, connections, size)))

    def _memory(self) -> float:
        return resident_mb(self.kinds[OURS][0].pid)


def _body(number: int, size: int) -> bytes:
    return json.dumps([load.parcel("email_address", number * size + n) for n in range(size)]).encode()


async def send(url: str, requests: list[bytes], batches: int, connections: int, size: int) -> Speed:
    """Sends the batches; each connection takes the next one once it has its answer. The speed of rows; latencies of batches."""
    left, latencies = iter(range(batches)), list[float]()
    open_ = [await Connection.open(url) for _ in range(connections)]
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for connection in open_:
            group.create_task(_send_next(connection, requests, left, latencies))
    took = time.perf_counter() - began
    for connection in open_:
        connection.close()
    latencies.sort()
    return Speed(batches * size / took, latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)], batches * size)


async def _send_next(connection: Connection, requests: list[bytes], left: Iterator[int], latencies: list[float]) -> None:
    for number in left:
        began = time.perf_counter()
        answer = await connection.send(requests[number % len(requests)])
        latencies.append(time.perf_counter() - began)
        if answer.status != 201:
            raise AssertionError(f"{answer.status}: {answer.body[:500]!r}")


if __name__ == "__main__":
    sys.exit(main())
