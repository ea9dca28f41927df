"""What each kind of request costs, as docs/scale.md reckons with it: ``python -m benchmarks.costs [--rounds 3] [--seconds 2]
[--clients 1 64] [--kinds …] [--seed 1]``.

For each kind: microseconds of processor time of the gateway and of Postgres, bytes of WAL, and how many requests shared a transaction
(requests ÷ transaction ids that Postgres gave out; reads take none). Nothing is beside it: the ratios are in ``throughput``, ``heal_cost``,
``selects`` and ``keyed``.
"""

from __future__ import annotations

import argparse
import random
import sys
from statistics import median

from msgspec import Struct

from benchmarks import beside, load
from benchmarks.beside import Ask, Block, Place
from benchmarks.figures import figure
from benchmarks.keyed import NOTE, STOCK, TABLES, callers
from benchmarks.selects import FILL, ROWS
from benchmarks.web_process import web_process
from tests.gateway_process import Gateway

PARCEL = '{"sender":"sender {n}","%s":"p{n}@example.com","weight_grams":7,"price":12.5,"notes":"two floors up"}'
BATCH = 100
SEEN = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS wal, pg_current_xact_id()::text::int8 AS xid"


class Cost(Struct, frozen=True):
    """A measured stretch. ``wal`` in bytes a request; ``together``: requests a transaction."""

    block: Block
    wal: float
    together: float


def main() -> int:
    """Starts, measures, prints."""
    parser = argparse.ArgumentParser(description="What each kind of request costs.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--kinds", nargs="+", default=[])
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with web_process() as gateway:
        prepare(gateway)
        kinds = {name: kind for name, kind in kinds_of(gateway, options.users).items() if not options.kinds or name in options.kinds}
        print(f"medians of {options.rounds} rounds, by {load.TOOL}, seed {options.seed}")
        for clients in options.clients:
            report(clients, run(gateway, kinds, clients, options))
    return 0


def prepare(gateway: Gateway) -> None:
    """The tables, a former name, rows."""
    gateway.sql(load.CREATE)
    gateway.manage("capture_schema")
    gateway.sql(load.RENAME)
    gateway.sql(TABLES)
    gateway.sql(FILL)
    gateway.sql("VACUUM ANALYZE")
    gateway.manage("capture_schema")


def kinds_of(gateway: Gateway, users: int) -> dict[str, tuple[Place, Ask, int]]:
    """Who asks, what, and how many rows a request has."""
    place, parcels = beside.ours(gateway), "/rest/v1/parcels"
    merging = Place(place.url, place.pid, (*place.headers, "Prefer: resolution=merge-duplicates"))
    own = beside.ours(gateway, f"@{callers(gateway, users)[1]}", role="anon")
    row = PARCEL % "email_address"
    return {
        "insert": (place, Ask("POST", parcels, row), 1),
        "healed insert": (place, Ask("POST", parcels, PARCEL % "email"), 1),
        "a row of a bulk insert": (place, Ask("POST", parcels, f"[{','.join([row] * BATCH)}]"), BATCH),
        "select by key": (place, Ask("GET", f"{parcels}?id=eq.{{n}}", most=ROWS), 1),
        "update by key": (place, Ask("PATCH", f"{parcels}?id=eq.{{n}}", '{"weight_grams":{n}}', ROWS), 1),
        "upsert": (merging, Ask("POST", "/rest/v1/stock", STOCK, ROWS), 1),
        "insert of a user of many": (own, Ask("POST", "/rest/v1/notes", NOTE, users), 1),
    }


def run(gateway: Gateway, kinds: dict[str, tuple[Place, Ask, int]], clients: int, options: argparse.Namespace) -> dict[str, list[Cost]]:
    """The measured stretches of each kind, in another order each round; a first round warms up."""
    rng, found = random.Random(options.seed), {name: list[Cost]() for name in kinds}
    for number in range(options.rounds + 1):
        for name in rng.sample(list(kinds), len(kinds)):
            place, what, rows = kinds[name]
            seed, before = rng.randrange(1, 1 << 30), gateway.sql(SEEN)[0]
            block = beside.measured(
                place,
                beside.postmaster(gateway),
                lambda p=place, w=what, s=seed: beside.ask(p, w, clients, options.seconds if number else 1, s),  # type: ignore[misc]  # noqa: B023
            )
            after, requests = gateway.sql(SEEN)[0], max(1, block.speed.requests)
            wal, xids = float(after["wal"] - before["wal"]), max(1, after["xid"] - before["xid"] - 1)
            if number:
                each = Block(block.speed, block.server / rows, block.postgres / rows)
                found[name].append(Cost(each, wal / requests / rows, requests / xids if what.method != "GET" else 0.0))
    return found


def report(clients: int, found: dict[str, list[Cost]]) -> None:
    """One line a kind."""
    print(f"\n{f'{clients} clients':28}{'gateway µs':>12}{'Postgres µs':>13}{'WAL bytes':>11}{'together':>10}{'per second':>12}")
    for name, costs in found.items():
        server, postgres = (1e6 * median(getattr(c.block, part) for c in costs) for part in ("server", "postgres"))
        wal, together = median(c.wal for c in costs), median(c.together for c in costs)
        rate = median(c.block.speed.rate for c in costs)
        print(f"{name:28}{server:>12.1f}{postgres:>13.1f}{wal:>11.0f}{together:>10.1f}{rate:>12.0f}", flush=True)
        figure(f"{name}, {clients} clients: gateway + Postgres", f"{server + postgres:.0f} µs", "told", True)


if __name__ == "__main__":
    sys.exit(main())
