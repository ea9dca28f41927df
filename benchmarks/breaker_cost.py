"""What a breaker adds to a call, closed and open, beside other libraries in the same run; and how many commands Valkey gets for it.

``python -m benchmarks.breaker_cost [--rounds 7]``: a Valkey of its own. Every way guards the same empty call; what the bare call costs is
taken off. Turns are mixed and cut into pieces of less than a ms; the median piece counts, which other work on the machine changes
least. µs, and ratios to our ``execute``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import redis
from redis import connection as redis_connection

from benchmarks import breaker_peers as peers
from benchmarks.breaker_peers import Way
from benchmarks.figures import figure
from breakers.registry import Registry
from resilience_site.embedded import EmbeddedValkey

AIM_US = 3.0
PIECES = 500
CALLS = 300_000
"""Calls that must not cost a command."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mendgate-breakers-") as home, EmbeddedValkey(Path(home)) as valkey:
        registry = Registry()
        registry.connect(valkey.url, namespace="cost")
        try:
            asyncio.run(_measure(registry, valkey.url, options.rounds))
            _commands(registry, valkey.url)
        finally:
            registry.close()


async def _measure(registry: Registry, url: str, rounds: int) -> None:
    found: dict[bool, dict[Way, float]] = {}
    for opened in (False, True):
        ways = [*peers.ours(registry, "opened" if opened else "closed", opened=opened), *peers.peers(url, opened=opened)]
        ways += await peers.apeers(url, opened=opened)
        if opened:
            _settle(registry)
        found[opened] = await _rounds(ways, rounds, opened)
        _table(found[opened], "open: refused" if opened else "closed: let through")
    for opened, name in ((False, "closed path"), (True, "rejection path")):
        for way, micros in found[opened].items():
            if way.who.startswith("mendgate") and (way.how in ("execute(fn)", "with", "decorator")):
                figure(f"breaker, {name}, {way.how}, shared", f"{micros:.2f} us", f"< {AIM_US:.0f} us", micros < AIM_US)
        rival = min((m, way.who) for way, m in found[opened].items() if "Redis" in way.who and not way.awaited)
        mine = next(m for way, m in found[opened].items() if way.how == "execute(fn)")
        figure(f"breaker, {name}: {rival[1]} / ours", f"{rival[0] / mine:.0f} x", "> 1 x", rival[0] > mine)


def _settle(registry: Registry) -> None:
    """Waits until Valkey too has the opened breaker."""
    until = time.monotonic() + 10
    while not registry.get("opened").view().shared or registry.get("opened").view().version == 0:
        if time.monotonic() > until:
            raise SystemExit("Valkey never heard of the opened breaker")
        time.sleep(0.05)


async def _rounds(ways: list[Way], rounds: int, opened: bool) -> dict[Way, float]:
    """µs of each way over what the bare call costs."""
    bare = [Way("", "", peers.work, Exception), Way("", "", peers.awork, Exception, True)]
    taken: dict[Way, list[float]] = {way: [] for way in [*bare, *ways]}
    for _ in range(rounds):
        for way in taken:
            for _ in range(PIECES):
                taken[way].append(await _aloop(way) if way.awaited else _loop(way))
    usual = {way: statistics.median(times) for way, times in taken.items()}
    return {way: (usual[way] - (0 if opened else usual[bare[way.awaited]])) * 1e6 for way in ways}


def _loop(way: Way) -> float:
    """Seconds a call."""
    call, error, number = way.call, way.refused, way.calls // PIECES
    begun = time.perf_counter()
    for _ in repeat(None, number):
        try:  # noqa: SIM105  (as callers do; suppress() would cost its own)
            call()
        except error:
            pass
    return (time.perf_counter() - begun) / number


async def _aloop(way: Way) -> float:
    call, error, number = way.call, way.refused, way.calls // PIECES
    begun = time.perf_counter()
    for _ in repeat(None, number):
        try:  # noqa: SIM105
            await call()
        except error:
            pass
    return (time.perf_counter() - begun) / number


def _table(found: dict[Way, float], title: str) -> None:
    mine = next(micros for way, micros in found.items() if way.how == "execute(fn)")
    amine = next(micros for way, micros in found.items() if way.how == "aexecute(fn)")
    print(f"\n{title:42}{'us':>10}{'x ours':>10}")
    for way, micros in found.items():
        print(f"  {way.who:24}{way.how:16}{micros:10.2f}{micros / (amine if way.awaited else mine):10.1f}")


def _commands(registry: Registry, url: str) -> None:
    """Who sends commands while calls are made: never the callers, and no more than an idle process sends."""
    for name, path in (("closed", "closed path"), ("opened", "rejection path")):
        way = peers.ours(registry, name, opened=False)[0]
        with redis.Redis.from_url(url) as client:
            _total(client)  # connects
            with _sent_by_thread() as sent:
                begun, before = time.monotonic(), _total(client)
                for _ in repeat(None, CALLS):
                    with contextlib.suppress(way.refused):
                        way.call()
                seconds, middle = time.monotonic() - begun, _total(client)
                time.sleep(seconds)
                after = _total(client)
        mine = sent[threading.get_ident()] - 3  # the questions themselves
        rates = [f"{(end - start - 1) / seconds:.0f}" for start, end in ((before, middle), (middle, after))]
        print(
            f"\n{path}: {CALLS} calls in {seconds:.2f} s sent {mine} commands; Valkey served {rates[0]} a second, {rates[1]} without calls"
        )
        figure(f"breaker, {path}: commands sent by {CALLS} calls", str(mine), "0", mine == 0)


def _total(client: redis.Redis) -> int:
    """Commands Valkey has served, this one not yet counted."""
    return int(client.info("stats")["total_commands_processed"])


@contextlib.contextmanager
def _sent_by_thread() -> Iterator[Counter[int]]:
    """Counts what each thread of this process sends to Valkey."""
    sent: Counter[int] = Counter()
    kind: Any = redis_connection.AbstractConnection
    original = kind.send_packed_command

    def counting(self: Any, *arguments: Any, **options: Any) -> Any:
        sent[threading.get_ident()] += 1
        return original(self, *arguments, **options)

    kind.send_packed_command = counting
    try:
        yield sent
    finally:
        kind.send_packed_command = original


if __name__ == "__main__":
    main()
