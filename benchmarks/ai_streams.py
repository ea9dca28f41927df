"""Many streams at a time through the AI gateway: ``python -m benchmarks.ai_streams [--streams 500] [--rounds 3]``.

Each stream is read to its end and compared with what the service sends: whole, in order, nothing twice. The memory of the web process is
looked at before, during and after; rounds show whether it grows.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time

import uvloop
from msgspec import Struct

from benchmarks.ai_overhead import MODEL, place
from benchmarks.ai_wire import Heard, Pool, quantile
from benchmarks.far_process import far_process
from benchmarks.figures import figure
from benchmarks.memory import resident_mb
from benchmarks.web_process import web_process

WORDS = 40
PACE = 0.1
PER_STREAM_KB = 200
"""Kilobytes a stream may take in the web process."""


class Round(Struct, frozen=True):
    """One round: seconds until the first word (p50, p99) and until all ended; megabytes at the most."""

    p50: float
    p99: float
    took: float
    peak: float


def main() -> int:
    """Measures, prints; 1 where a stream was not what the service sent, or memory is not bounded."""
    parser = argparse.ArgumentParser(description="Many streams at a time through the AI gateway.")
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with far_process() as far, web_process(AI_BASE_URL=far.base_url, AI_API_KEY="sk-far", AI_MODEL=MODEL) as gateway:
        far.way(words=WORDS, pace=PACE)
        assert gateway.process is not None
        pid, there = gateway.process.pid, place(f"{gateway.base_url}/v1", gateway.make_key())
        uvloop.run(streams(there.base_url, there.stream, 20, pid))
        before = resident_mb(pid)
        rounds = [uvloop.run(streams(there.base_url, there.stream, options.streams, pid)) for _ in range(options.rounds)]
        direct = uvloop.run(streams(far.base_url, place(far.base_url, "sk-far").stream, options.streams, pid))
        time.sleep(2)
        after = resident_mb(pid)
    report(options.streams, before, after, rounds, direct)
    growth = 1024 * (max(each.peak for each in rounds) - before) / options.streams
    figure(f"memory of a stream, {options.streams} at a time", f"{growth:.0f} KB", f"≤ {PER_STREAM_KB} KB", growth <= PER_STREAM_KB)
    return int(growth > PER_STREAM_KB)


async def streams(base_url: str, data: bytes, number: int, pid: int) -> Round:
    """All at a time, each checked."""
    pool, peak, over = Pool(base_url), 0.0, False

    async def watch() -> None:
        nonlocal peak
        while not over:
            peak = max(peak, resident_mb(pid))
            await asyncio.sleep(0.2)

    watching, began = asyncio.create_task(watch()), time.perf_counter()
    heard = await asyncio.gather(*(pool.ask(data) for _ in range(number)))
    took, over = time.perf_counter() - began, True
    await watching
    pool.close()
    for each in heard:
        check(each)
    first = [each.first for each in heard]
    return Round(quantile(first, 0.5), quantile(first, 0.99), took, peak)


def check(heard: Heard) -> None:
    """Raises where a stream is not what the service sent."""
    words = re.findall(r"<(\d+)\.(\d+)> ", heard.text()) if heard.status == 200 else []
    whole = [str(at) for at in range(WORDS)]
    if [word for _, word in words] != whole or len({number for number, _ in words}) != 1:
        raise AssertionError(f"{heard.status}: {heard.body[-500:]!r}")


def report(number: int, before: float, after: float, rounds: list[Round], direct: Round) -> None:
    """For people."""
    print(f"{number} streams at a time, {WORDS} words, one every {PACE} s: at least {WORDS * PACE:.1f} s")
    print(f"{'':12}{'first word p50':>16}{'p99 ms':>9}{'all ended s':>13}{'memory MB':>11}")
    print(f"{'before':12}{'':>38}{before:>11.0f}")
    for at, each in enumerate(rounds, 1):
        print(f"{f'round {at}':12}{1000 * each.p50:>16.0f}{1000 * each.p99:>9.0f}{each.took:>13.2f}{each.peak:>11.0f}")
    print(f"{'afterwards':12}{'':>38}{after:>11.0f}")
    print(f"{'directly':12}{1000 * direct.p50:>16.0f}{1000 * direct.p99:>9.0f}{direct.took:>13.2f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
