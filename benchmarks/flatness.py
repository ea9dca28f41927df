"""What a request costs as everything around it grows: ``python -m benchmarks.flatness [--what tables rules keys tokens] [--rounds 12]
[--clients 16] [--seed 1]``.

Two Mendgates at a time, one with few and one with many: tables of the target (10, 10,000), active rules (10, 100,000: a hundred for the
table that is written, the rest for a thousand others), API keys (1, 10,000), tokens of users (100, 10,000). The same requests go to both
in turns of a second, in another order each round: a healthy insert, one that is healed by lineage, one with a value that is coerced, a
select and an update by key; among rules also one that a rule heals.
Callers come one after the other, which is the worst for whatever remembers them.

Judged is the median of the rounds' ratios of processor time a request, of the gateway and Postgres. ``in all`` is the same over the whole
run, with everything that happens between requests, also while the other one is asked. Requests of several users never share a transaction
and those of one do, so one token would be no measure for many: a hundred in turn never meet at sixteen clients.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Mapping, Sequence
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
_ROW = '{"sender":"s","%s":"p{n}@example.com","weight_grams":%s}'
ASKS = {
    "insert": Ask("POST", "/rest/v1/parcels", _ROW % ("email_address", "7"), ROWS),
    "healed insert": Ask("POST", "/rest/v1/parcels", _ROW % ("email", "7"), ROWS),
    "coerced insert": Ask("POST", "/rest/v1/parcels", _ROW % ("email_address", '"7"'), ROWS),
    "ruled insert": Ask("POST", "/rest/v1/parcels", _ROW % ("email_address", '"7","was_5":"x"'), ROWS),
    "select": Ask("GET", "/rest/v1/parcels?id=eq.{n}", "-", ROWS),
    "update": Ask("PATCH", "/rest/v1/parcels?id=eq.{n}", '{"weight_grams":{n}}', ROWS),
}
USUAL = [name for name in ASKS if name != "ruled insert"]


class End(Struct):
    """One of those that are compared: where it is asked what, its Postgres, how many requests until everybody had a turn, who is next, and
    what was measured."""

    place: Place
    asks: Mapping[str, Ask]
    postgres: int
    turns: int = 1
    next: int = 0
    requests: int = 0
    blocks: dict[str, list[Block]] = field(default_factory=dict)

    def ask(self, name: str, clients: int) -> Block:
        """A second of requests, by those whose turn it is after the second before."""
        what = self.asks[name]
        block = beside.measured(self.place, self.postgres, lambda: beside.ask(self.place, what, clients, SECONDS, -self.next))
        self.next = (self.next + block.speed.requests) % what.most
        self.requests += block.speed.requests
        return block

    def warm_up(self, clients: int) -> None:
        """Until all have had a turn at everything: who comes for the first time is verified, which is not what is measured."""
        for name in self.asks:
            seen = 0
            while seen < self.turns:
                seen += self.ask(name, clients).speed.requests

    def spent(self) -> float:
        """Processor seconds so far."""
        return cpu.spent(self.place.pid) + cpu.spent(self.postgres)

    def told(self, name: str) -> str:
        """What a request costs, in microseconds."""
        server, postgres = (median(getattr(block, part) for block in self.blocks[name]) for part in ("server", "postgres"))
        return f"{1e6 * server:.0f} + {1e6 * postgres:.0f}"


def main() -> int:
    """Starts, measures, prints; 1 where something is not flat."""
    parser = argparse.ArgumentParser(description="Cost per request against numbers of tables, rules and callers.")
    parser.add_argument("--what", nargs="+", default=list(DIMENSIONS), choices=list(DIMENSIONS))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--few", type=int, default=0, help="instead of the usual number")
    parser.add_argument("--many", type=int, default=0, help="instead of the full number")
    parser.add_argument("--asks", nargs="+", default=[], choices=list(ASKS), help="instead of the usual and what the dimension adds")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"medians of {options.rounds} rounds, by {load.TOOL}, seed {options.seed}")
    return int(not all([flat(what, options) for what in options.what]))


def flat(what: str, options: argparse.Namespace) -> bool:
    """Measures one dimension; whether it is flat."""
    dimension, began = DIMENSIONS[what], perf_counter()
    numbers = (options.few or dimension.few, options.many or dimension.many)
    asks = {name: ASKS[name] for name in options.asks or (*USUAL, *dimension.also)}
    with ExitStack() as stack:
        ends = []
        for number in numbers:
            gateway = stack.enter_context(web_process())
            place = prepared(gateway, dimension.fill, number)
            ends.append(End(place, asks, beside.postmaster(gateway), _callers_of(place)))
            ends[-1].warm_up(options.clients)
        took = perf_counter() - began
        print(f"\n{what}: {numbers[0]:,} and {numbers[1]:,}, {options.clients} clients, set up in {took:.0f} s", flush=True)
        few, many = measure(ends, options.rounds, options.clients, random.Random(options.seed))
        memory = [resident_mb(end.place.pid) for end in ends]
    print(f"{'':16}{'gateway + Postgres, µs a request':>34}{'by processor':>14}{'by the clock':>14}")
    ratios = {name: _told(name, *ends) for name in asks} | {"in all": many / few}
    print(f"{'in all':48}{ratios['in all']:>14.3f}     memory of the gateway: {memory[0]:.0f} and {memory[1]:.0f} MB")
    for name, ratio in ratios.items():
        figure(f"{name}: {numbers[1]:,} {what} beside {numbers[0]:,}", f"{ratio:.2f} ×", f"≤ {MOST} ×", ratio <= MOST)
    return max(ratios.values()) <= MOST


def measure(ends: Sequence[End], rounds: int, clients: int, rng: random.Random) -> list[float]:
    """The rounds. Returns what a request cost at each end over the whole time."""
    before = [(end.spent(), end.requests) for end in ends]
    for _ in range(rounds):
        for name in rng.sample(list(ends[0].asks), len(ends[0].asks)):
            for end in rng.sample(ends, len(ends)):
                end.blocks.setdefault(name, []).append(end.ask(name, clients))
    return [(end.spent() - spent) / (end.requests - requests) for end, (spent, requests) in zip(ends, before, strict=True)]


def beside_of(name: str, end: End, other: End) -> float:
    """What it costs beside another: the median of the rounds' ratios of processor time."""
    return median(mine.cost / theirs.cost for mine, theirs in zip(end.blocks[name], other.blocks[name], strict=True))


def _callers_of(place: Place) -> int:
    """How many ask."""
    return next((len(Path(line[1:]).read_text().splitlines()) for line in place.headers if line.startswith("@")), 1)


def _told(name: str, few: End, many: End) -> float:
    """A line of the table. Returns many beside few by processor time."""
    ratio = beside_of(name, many, few)
    clock = median(f.speed.rate / m.speed.rate for f, m in zip(few.blocks[name], many.blocks[name], strict=True))
    print(f"{name:16}{few.told(name):>17}{many.told(name):>17}{ratio:>12.3f}{clock:>14.3f}", flush=True)
    return ratio


if __name__ == "__main__":
    sys.exit(main())
