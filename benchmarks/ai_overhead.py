"""What the AI gateway adds to the service behind it: ``python -m benchmarks.ai_overhead [--rate 200] [--rounds 3] [--litellm]``.

The same requests go to the service directly, through the gateway and, where asked for, through LiteLLM's proxy (one worker each), in
turns, at a fixed rate however long answers take. The service answers at once, so what is measured is what stands between; the gateway
also checks the API key, asks the breakers, counts tokens and costs, and logs each call. Processor time is that of the process that is
measured, a request; unlike the clock it does not grow when the machine has other work.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

import uvloop
from msgspec import Struct

from benchmarks.ai_wire import Heard, Pool, chat, quantile, steadily
from benchmarks.cpu import spent
from benchmarks.far_process import FarProcess, far_process
from benchmarks.figures import figure
from benchmarks.litellm import KEY, litellm
from benchmarks.web_process import web_process

MODEL = "small"
DIRECT, OURS, THEIRS = "directly", "gateway", "LiteLLM"
CONNECTIONS = 32


class Place(Struct, frozen=True):
    """Where to ask, and the request."""

    base_url: str
    plain: bytes
    stream: bytes
    pid: int = 0


class Took(Struct, frozen=True):
    """One block: seconds; ``work``: of the processor, a request."""

    p50: float
    p99: float
    work: float = 0.0


def main() -> int:
    """Measures, prints; 1 where the gateway takes longer than it may."""
    parser = argparse.ArgumentParser(description="What the AI gateway adds to the service behind it.")
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--litellm", action="store_true", help="install LiteLLM's proxy into a temporary folder and measure it, too")
    options = parser.parse_args()
    with places(options.litellm) as (found, far):
        far.way(words=6)
        whole = uvloop.run(turns(found, False, options.rate, options.rounds, options.seconds))
        first = uvloop.run(turns(found, True, options.rate / 4, options.rounds, options.seconds))
    added = report(f"whole answers, {options.rate:.0f} a second", whole)
    added_first = report(f"streams, {options.rate / 4:.0f} a second: until the first word", first)
    figure("AI gateway over the service, p50", f"{1000 * added.p50:.2f} ms", "≤ 2 ms", added.p50 <= 0.002)
    figure("AI gateway over the service, p99", f"{1000 * added.p99:.2f} ms", "≤ 10 ms", added.p99 <= 0.010)
    figure("AI gateway, first word of a stream, p50", f"{1000 * added_first.p50:.2f} ms", "≤ 2 ms", added_first.p50 <= 0.002)
    return int(added.p50 > 0.002 or added.p99 > 0.010 or added_first.p50 > 0.002)


@contextmanager
def places(beside: bool) -> Iterator[tuple[dict[str, Place], FarProcess]]:
    """All that is measured, running."""
    with ExitStack() as stack:
        far = stack.enter_context(far_process())
        gateway = stack.enter_context(web_process(AI_BASE_URL=far.base_url, AI_API_KEY="sk-far", AI_MODEL=MODEL))
        assert gateway.process is not None
        ours = place(f"{gateway.base_url}/v1", gateway.make_key(), gateway.process.pid)
        found = {DIRECT: place(far.base_url, "sk-far"), OURS: ours}
        if beside and (running := stack.enter_context(litellm(far.base_url, MODEL))):
            found[THEIRS] = place(running.base_url, KEY, running.pid)
        yield found, far


def place(base_url: str, key: str, pid: int = 0) -> Place:
    """The requests for one of them."""
    headers = {"authorization": f"Bearer {key}"}
    return Place(base_url, chat("/v1/chat/completions", headers, MODEL), chat("/v1/chat/completions", headers, MODEL, stream=True), pid)


async def turns(found: dict[str, Place], stream: bool, rate: float, rounds: int, seconds: float) -> dict[str, list[Took]]:
    """The blocks of each place, in turns; a first round that warms up is thrown away."""
    pools = {name: Pool(each.base_url) for name, each in found.items()}
    for pool in pools.values():
        await pool.warm(CONNECTIONS)
    took: dict[str, list[Took]] = {name: [] for name in found}
    for number in range(rounds + 1):
        for name, each in found.items():
            data = each.stream if stream else each.plain
            before = spent(each.pid) if each.pid else 0.0
            heard = await steadily(pools[name], lambda data=data: data, rate, seconds if number else 1)  # type: ignore[misc]
            if number:
                took[name].append(_took(heard, stream, (spent(each.pid) - before) / len(heard) if each.pid else 0.0))
    for pool in pools.values():
        pool.close()
    return took


def _took(heard: list[Heard], stream: bool, work: float) -> Took:
    for each in heard:
        if each.status != 200 or not each.text().startswith("<"):
            raise AssertionError(f"{each.status}: {each.body[:500]!r}")
    times = [each.first if stream else each.whole for each in heard]
    return Took(quantile(times, 0.5), quantile(times, 0.99), work)


def report(title: str, took: dict[str, list[Took]]) -> Took:
    """One line a place; what is added is the median of the rounds' differences. Returns the gateway's."""
    added: dict[str, Took] = {}
    print(f"\n{title:48}{'p50 ms':>9}{'p99 ms':>9}{'+ p50':>9}{'+ p99':>9}{'cpu ms':>9}")
    for name, blocks in took.items():
        pairs = list(zip(blocks, took[DIRECT], strict=True))
        added[name] = Took(median(a.p50 - b.p50 for a, b in pairs), median(a.p99 - b.p99 for a, b in pairs))
        values = (
            median(each.p50 for each in blocks),
            median(each.p99 for each in blocks),
            added[name].p50,
            added[name].p99,
            median(each.work for each in blocks),
        )
        print(f"{name:48}" + "".join(f"{1000 * value:>9.2f}" for value in values), flush=True)
    return added[OURS]


if __name__ == "__main__":
    sys.exit(main())
