"""Requests to the gateway beside the same requests to a hand-written endpoint (``benchmarks/handwritten.py``): who serves, how it is asked,
what a request costs. Processor time does not grow when the machine has other work, so it is told beside the clock's figures.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
from msgspec import Struct

from benchmarks import cpu, load
from benchmarks.load import Speed
from resilience_site.embedded_state import free_port
from tests.gateway_process import ROOT, Gateway

SCRIPT = Path(__file__).parent / "ask.lua"
READY_SECONDS = 60


class Place(Struct, frozen=True):
    """Where requests go. ``pid`` is the process that serves."""

    url: str
    pid: int
    headers: tuple[str, ...] = ()
    """``name: value``, or ``@file``: see ``ask.lua``."""


class Ask(Struct, frozen=True):
    """A request; ``{n}`` in it is a number from 1 to ``most``."""

    method: str
    path: str
    body: str = "-"
    most: int = 1_000_000_000


class Block(Struct, frozen=True):
    """A measured stretch, and the processor seconds that a request took in the server and in Postgres."""

    speed: Speed
    server: float
    postgres: float

    @property
    def cost(self) -> float:
        """Of both."""
        return self.server + self.postgres


def postmaster(gateway: Gateway) -> int:
    """The process id of the gateway's Postgres."""
    return int((gateway.home / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])


def ours(gateway: Gateway, *headers: str, role: str = "service_role") -> Place:
    """The gateway, with a key of ``role``."""
    assert gateway.process is not None
    key = gateway.make_key(role)
    return Place(gateway.base_url, gateway.process.pid, (f"apikey: {key}", *(headers or (f"Authorization: Bearer {key}",))))


@contextmanager
def handwritten(gateway: Gateway) -> Iterator[Place]:
    """The endpoint, while it runs. It logs in as the tables' owner; ``parcels`` must be there."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.handwritten:app", "--loop", "uvloop", "--http", "httptools"]
    command += ["--no-access-log", "--log-level", "warning", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "TARGET": gateway.owner_url})
    try:
        _wait(f"http://127.0.0.1:{port}/parcels", process)
        yield Place(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            assert httpx.post(url, json=load.parcel("email_address", 0), trust_env=False).status_code == 201
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the hand-written endpoint did not start")


def ask(place: Place, what: Ask, clients: int, seconds: float, seed: int = 1) -> Speed:
    """Asks for ``seconds`` by wrk. Raises where an answer is not a success."""
    if load.WRK is None:
        raise SystemExit("wrk is not installed")
    command = [load.WRK, "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "20s", "-s", str(SCRIPT), place.url, "--"]
    command += [what.method, what.path, what.body, str(what.most), str(seed), *place.headers]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    if found["failed"]:
        raise AssertionError(f"{place.url} {what}: {found}")
    return Speed(found["requests"] / found["seconds"], found["p50"], found["p99"], found["requests"])


def measured(place: Place, postgres: int, run: Callable[[], Speed]) -> Block:
    """A block, with what it cost."""
    before = cpu.spent(place.pid), cpu.spent(postgres)
    speed = run()
    used = [(now - then) / max(1, speed.requests) for now, then in zip((cpu.spent(place.pid), cpu.spent(postgres)), before, strict=True)]
    return Block(speed, *used)


def rounds(
    kinds: Mapping[str, tuple[Place, Ask]], postgres: int, clients: int, count: int, seconds: float, rng: random.Random
) -> dict[str, list[Block]]:
    """The blocks of each kind, in another order each round; a first round that warms up is thrown away."""
    found: dict[str, list[Block]] = {name: [] for name in kinds}
    for number in range(count + 1):
        for name in rng.sample(list(kinds), len(kinds)):
            place, what = kinds[name]
            length, seed = (seconds if number else 1), rng.randrange(1 << 30)
            block = measured(place, postgres, lambda p=place, w=what, s=length, r=seed: ask(p, w, clients, s, r))  # type: ignore[misc]
            if number and not block.speed.requests:
                raise AssertionError(f"{name}: nothing was answered in {seconds} s")
            if number:
                found[name].append(block)
    return found


def table(title: str, found: Mapping[str, list[Block]], base: str) -> dict[str, float]:
    """One line a kind. Returns each kind's throughput beside ``base``: the median of the rounds' ratios."""
    ratios = {}
    heads = f"{'per second':>12}{'p50 ms':>9}{'p99 ms':>9}{'ratio':>8}{'server µs':>11}{'Postgres µs':>13}{'processor ×':>13}"
    print(f"\n{title:34}{heads}")
    for name, blocks in found.items():
        pairs = list(zip(blocks, found[base], strict=True))
        ratios[name] = median(b.speed.rate / other.speed.rate for b, other in pairs)
        cost = median(b.cost / other.cost for b, other in pairs)
        speeds = f"{median(b.speed.rate for b in blocks):>12.0f}" + "".join(
            f"{1000 * median(times):>9.2f}" for times in ([b.speed.p50 for b in blocks], [b.speed.p99 for b in blocks])
        )
        used = f"{1e6 * median(b.server for b in blocks):>11.0f}{1e6 * median(b.postgres for b in blocks):>13.0f}"
        print(f"{name:34}{speeds}{ratios[name]:>8.2f}{used}{cost:>13.2f}", flush=True)
    return ratios
