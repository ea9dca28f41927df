"""What a request costs as everything around it grows: ``python -m benchmarks.flatness [--what tables rules keys tokens] [--rounds 12]
[--clients 16] [--seed 1]``.

Two Mendgates at a time, one with few and one with many: tables of the target (10, 10,000), active rules (10, 100,000: a hundred for the
table that is written, the rest for a thousand others), API keys (1, 10,000), tokens of users (100, 10,000). The same requests go to both
in turns of a second, in another order each round: a healthy insert, one that is healed by lineage, a select by key, an update by key.
Callers come one after the other, which is the worst for whatever remembers them.

Judged is the median of the rounds' ratios of processor time a request, of the gateway and Postgres. ``in all`` is the same over the whole
run, with everything that happens between requests, also while the other one is asked. Requests of several users never share a transaction
and those of one do, so one token would be no measure for many: a hundred in turn never meet at sixteen clients.
"""

from __future__ import annotations

import argparse
import random
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import perf_counter

from msgspec import Struct, field

from benchmarks import beside, cpu, load
from benchmarks.beside import Ask, Block, Place
from benchmarks.figures import figure
from benchmarks.many import DIMENSIONS, prepared
from benchmarks.memory import resident_mb
from benchmarks.selects import ROWS
from benchmarks.web_process import web_process

MOST = 1.1
SECONDS = 1
ASKS = {
    "insert": Ask("POST", "/rest/v1/parcels", '{"sender":"s","email_address":"p{n}@example.com","weight_grams":7,"price":12.5}', ROWS),
    "healed insert": Ask("POST", "/rest/v1/parcels", '{"sender":"s","email":"p{n}@example.com","weight_grams":7,"price":12.5}', ROWS),
    "coerced insert": Ask("POST", "/rest/v1/parcels", '{"sender":"s","email_address":"p{n}@example.com","weight_grams":"7"}', ROWS),
    "ruled insert": Ask(
        "POST", "/rest/v1/parcels", '{"sender":"s","email_address":"p{n}@example.com","weight_grams":"7","was_5":"x"}', ROWS
    ),
    "select": Ask("GET", "/rest/v1/parcels?id=eq.{n}", "-", ROWS),
    "update": Ask("PATCH", "/rest/v1/parcels?id=eq.{n}", '{"weight_grams":{n}}', ROWS),
}


class End(Struct):
    """One of the two: where it is asked, how many ask it, its Postgres, who comes next, and what was measured of each ask."""

    place: Place
    callers: int
    postgres: int
    next: int = 0
    requests: int = 0
    blocks: dict[str, list[Block]] = field(default_factory=dict)

    def ask(self, name: str, clients: int) -> Block:
        """A second of requests, by the callers after those of the second before."""
        block = beside.measured(self.place, self.postgres, lambda: beside.ask(self.place, ASKS[name], clients, SECONDS, -self.next))
        self.next = (self.next + block.speed.requests) % ROWS
        self.requests += block.speed.requests
        return block

    def spent(self) -> float:
        """Processor seconds so far."""
        return cpu.spent(self.place.pid) + cpu.spent(self.postgres)


def main() -> int:
    """Starts, measures, prints; 1 where something is not flat."""
    parser = argparse.ArgumentParser(description="Cost per request against numbers of tables, rules and callers.")
    parser.add_argument("--what", nargs="+", default=list(DIMENSIONS), choices=list(DIMENSIONS))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--few", type=int, default=0, help="instead of the usual number")
    parser.add_argument("--many", type=int, default=0, help="instead of the full number")
    parser.add_argument("--asks", nargs="+", default=list(ASKS), choices=list(ASKS))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"medians of {options.rounds} rounds, by {load.TOOL}, seed {options.seed}")
    return int(not all([flat(what, options) for what in options.what]))


def flat(what: str, options: argparse.Namespace) -> bool:
    """Measures one dimension; whether it is flat."""
    dimension, began = DIMENSIONS[what], perf_counter()
    numbers = (options.few or dimension.few, options.many or dimension.many)
    with ExitStack() as stack:
        ends = []
        for number in numbers:
            gateway = stack.enter_context(web_process())
            place = prepared(gateway, dimension.fill, number)
            ends.append(End(place, _callers_of(place), beside.postmaster(gateway)))
        for end in ends:
            warm_up(end, options)
        took = perf_counter() - began
        print(f"\n{what}: {numbers[0]:,} and {numbers[1]:,}, {options.clients} clients, set up in {took:.0f} s", flush=True)
        in_all = measure(*ends, options)
        memory = [resident_mb(end.place.pid) for end in ends]
    print(f"{'':16}{'gateway + Postgres, µs a request':>34}{'by processor':>14}{'by the clock':>14}")
    ratios = [_told(name, *ends) for name in options.asks]
    print(f"{'in all':48}{in_all:>14.3f}     memory of the gateway: {memory[0]:.0f} and {memory[1]:.0f} MB")
    for name, ratio in zip((*options.asks, "in all"), (*ratios, in_all), strict=True):
        figure(f"{name}: {numbers[1]:,} {what} beside {numbers[0]:,}", f"{ratio:.2f} ×", f"≤ {MOST} ×", ratio <= MOST)
    return max(*ratios, in_all) <= MOST


def warm_up(end: End, options: argparse.Namespace) -> None:
    """Until every caller has asked everything: who comes for the first time is verified, which is not what is measured."""
    for name in options.asks:
        seen = 0
        while seen < end.callers or seen == 0:
            seen += end.ask(name, options.clients).speed.requests


def measure(few: End, many: End, options: argparse.Namespace) -> float:
    """The rounds. Returns many beside few over the whole time."""
    rng, ends = random.Random(options.seed), (few, many)
    before = [(end.spent(), end.requests) for end in ends]
    for _ in range(options.rounds):
        for name in rng.sample(options.asks, len(options.asks)):
            for end in rng.sample(ends, 2):
                end.blocks.setdefault(name, []).append(end.ask(name, options.clients))
    costs = [(end.spent() - spent) / (end.requests - requests) for end, (spent, requests) in zip(ends, before, strict=True)]
    return costs[1] / costs[0]


def _callers_of(place: Place) -> int:
    """How many ask."""
    return next((len(Path(line[1:]).read_text().splitlines()) for line in place.headers if line.startswith("@")), 1)


def _told(name: str, few: End, many: End) -> float:
    """A line of the table. Returns many beside few by processor time."""
    pairs = list(zip(few.blocks[name], many.blocks[name], strict=True))
    told = [
        f"{1e6 * median(b.server for b in end.blocks[name]):.0f} + {1e6 * median(b.postgres for b in end.blocks[name]):.0f}"
        for end in (few, many)
    ]
    ratio, clock = median(m.cost / f.cost for f, m in pairs), median(f.speed.rate / m.speed.rate for f, m in pairs)
    print(f"{name:16}{told[0]:>17}{told[1]:>17}{ratio:>12.3f}{clock:>14.3f}", flush=True)
    return ratio


if __name__ == "__main__":
    sys.exit(main())
