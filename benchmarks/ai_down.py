"""With the AI gone: ``python -m benchmarks.ai_down [--callers 1000] [--rounds 3]``.

Callers all at a time, answered by a canned answer (one model) and by another provider (another model), from the first call on, when
nothing is known yet, and again when the breaker is open. Beside them inserts through /rest/v1 at a fixed rate: alone, with AI calls
that are answered, with AI calls while the AI is gone, and in the rush of all callers.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import socket
import sys
import time
from collections import Counter

import uvloop
from msgspec import Struct

from benchmarks import load
from benchmarks.ai_wire import Heard, Pool, chat, quantile, steadily
from benchmarks.far_process import far_process
from benchmarks.figures import figure
from benchmarks.web_process import web_process
from benchmarks.wire import request
from breakers.gateway.ai.snapshot import Canned, Limits
from tests import ai_rows
from tests.gateway_process import Gateway

CANNED, OTHER, UP = "gone-canned", "gone-other", "up"
SAID = "<The assistant is away: please try again in a minute.>"
WRITES = 50
CALLS = 100
LIMITS = Limits()


class Rush(Struct, frozen=True):
    """One rush: seconds, and how many were answered how."""

    p50: float
    p99: float
    answered: Counter[str]


def main() -> int:
    """Measures, prints; 1 where a caller was left without an answer or waited too long."""
    parser = argparse.ArgumentParser(description="With the AI gone.")
    parser.add_argument("--callers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    with socket.socket() as taken, far_process() as far, web_process() as gateway:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        prepare(gateway, f"http://127.0.0.1:{taken.getsockname()[1]}/v1", far.base_url)
        headers = {"authorization": f"Bearer {gateway.make_key()}"}
        rushes = {
            name: [uvloop.run(rush(gateway.base_url, headers, name, options.callers)) for _ in range(options.rounds)]
            for name in (UP, CANNED, OTHER)
        }
        writes = uvloop.run(beside(gateway, headers, options.seconds, options.callers))
    worst = report(options.callers, rushes)
    ratio, tail = report_writes(writes)
    all_answered = all(sum(each.answered.values()) == options.callers and not each.answered["error"] for each in rushes[CANNED])
    figure(f"{options.callers} callers with the AI gone: answered", "all" if all_answered else "not all", "all", all_answered)
    figure(f"{options.callers} callers with the AI gone, p99", f"{1000 * worst:.0f} ms", "≤ 500 ms", worst <= 0.5)
    figure("inserts beside AI calls, the AI gone, p50", f"{ratio:.2f} ×", "≤ 1.1 ×", ratio <= 1.1)
    figure("inserts beside AI calls, the AI gone, p99", f"{tail:.2f} ×", "≤ 1.1 ×", tail <= 1.1)
    return int(not all_answered or worst > 0.5)


def prepare(gateway: Gateway, gone: str, there: str) -> None:
    """Rows and a table."""
    gateway.sql(load.CREATE)
    gateway.manage("capture_schema")
    providers = [ai_rows.provider(name, gone, f"sk-{name}", limits=LIMITS) for name in (CANNED, OTHER)]
    providers.append(ai_rows.provider(UP, there, "sk-up", limits=LIMITS))
    models = [ai_rows.model(CANNED, CANNED), ai_rows.model(OTHER, OTHER, UP), ai_rows.model(UP, UP)]
    canned = (Canned(id="away", content=SAID),)
    ai_rows.put(gateway, ai_rows.snapshot(providers, models, canned, retry_floor=3))


async def rush(base_url: str, headers: dict[str, str], model: str, callers: int) -> Rush:
    """All callers at a time, connected before."""
    pool, data = Pool(base_url), chat("/v1/chat/completions", headers, model)
    for _ in range(0, callers, 250):
        await pool.warm(min(250, callers))
    heard = await asyncio.gather(*(pool.ask(data) for _ in range(callers)))
    pool.close()
    times = [each.whole for each in heard]
    return Rush(quantile(times, 0.5), quantile(times, 0.99), Counter(how(each) for each in heard))


def how(heard: Heard) -> str:
    """Who answered."""
    if heard.status != 200 or not heard.text().startswith("<"):
        return f"error {heard.status}" if heard.status != 200 else "error"
    return heard.header("mendgate-fallback") or "the model itself"


async def beside(gateway: Gateway, headers: dict[str, str], seconds: float, callers: int) -> dict[str, list[float]]:
    """Times of inserts at a fixed rate: alone, and with calls of each kind beside."""
    pool, numbers = Pool(gateway.base_url), itertools.count()

    def insert() -> bytes:
        return request("POST", "/rest/v1/parcels", json.dumps(load.parcel("email", next(numbers))).encode(), headers)

    async def during(other: asyncio.Task[object] | None) -> list[float]:
        heard = await steadily(pool, insert, WRITES, seconds)
        if other is not None:
            await other
        if wrong := [each for each in heard if each.status != 201]:
            raise AssertionError(f"{wrong[0].status}: {wrong[0].body[:300]!r}")
        return [each.whole for each in heard]

    def calls(model: str) -> asyncio.Task[object]:
        data, asking = chat("/v1/chat/completions", headers, model), Pool(gateway.base_url)
        return asyncio.create_task(steadily(asking, lambda: data, CALLS, seconds))  # type: ignore[arg-type]

    await during(None)
    found = {"alone": await during(None), f"{CALLS} calls/s, answered": await during(calls(UP))}
    found[f"{CALLS} calls/s, the AI gone"] = await during(calls(CANNED))
    found["alone again"] = await during(None)
    began = time.perf_counter()
    rushing: asyncio.Task[object] = asyncio.create_task(rush(gateway.base_url, headers, CANNED, callers))  # type: ignore[arg-type]
    times = await during(rushing)
    in_it = round(WRITES * min(seconds, time.perf_counter() - began))
    found[f"a rush of {callers}, the AI gone"] = times[: max(1, in_it)]
    pool.close()
    return found


def report(callers: int, rushes: dict[str, list[Rush]]) -> float:
    """For people; the worst p99 with the AI gone."""
    print(f"\n{f'{callers} callers at a time':36}{'p50 ms':>9}{'p99 ms':>9}  answered by")
    for name, found in rushes.items():
        for at, each in enumerate(found, 1):
            answered = ", ".join(f"{what}: {number}" for what, number in each.answered.most_common())
            print(f"{f'{name}, round {at}':36}{1000 * each.p50:>9.0f}{1000 * each.p99:>9.0f}  {answered}", flush=True)
    return max(each.p99 for each in rushes[CANNED])


def report_writes(writes: dict[str, list[float]]) -> tuple[float, float]:
    """For people; how much longer an insert takes while the AI is asked and gone than while it is not asked: p50 and p99."""
    print(f"\n{f'inserts, {WRITES} a second':36}{'p50 ms':>9}{'p99 ms':>9}")
    for name, times in writes.items():
        print(f"{name:36}{1000 * quantile(times, 0.5):>9.2f}{1000 * quantile(times, 0.99):>9.2f}", flush=True)
    gone = writes[f"{CALLS} calls/s, the AI gone"]
    middle, tail = (quantile(gone, part) / max(quantile(writes[name], part) for name in ("alone", "alone again")) for part in (0.5, 0.99))
    return middle, tail


if __name__ == "__main__":
    sys.exit(main())
