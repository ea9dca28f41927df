"""Selects by key through the gateway beside a hand-written endpoint: ``python -m benchmarks.selects [--rounds 5] [--seconds 2]
[--clients 1 64] [--seed 1]``.

One row by its primary key, all columns, a key by chance of 100,000 each time. The endpoint (FastAPI, asyncpg) does ``SELECT * … WHERE
id = $1``; the gateway also checks the API key, sets role and claims, and reads in a transaction of its caller.
"""

from __future__ import annotations

import argparse
import random
import sys

from benchmarks import beside, load
from benchmarks.beside import Ask
from benchmarks.figures import figure
from benchmarks.web_process import web_process
from tests.gateway_process import Gateway

ROWS = 100_000
FILL = """INSERT INTO parcels (sender, email_address, weight_grams, price, notes)
SELECT 'sender ' || n, 'p' || n || '@example.com', n % 5000, 12.5, 'two floors up' FROM generate_series(1, 100000) AS n"""
OURS, THEIRS = "gateway", "hand-written"


def main() -> int:
    """Starts, measures, prints; 1 where the gateway misses its aim."""
    parser = argparse.ArgumentParser(description="Selects by key through the gateway beside a hand-written endpoint.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with web_process() as gateway:
        prepare(gateway)
        with beside.handwritten(gateway) as peer:
            kinds = {
                THEIRS: (peer, Ask("GET", "/parcels/{n}", most=ROWS)),
                OURS: (beside.ours(gateway), Ask("GET", "/rest/v1/parcels?id=eq.{n}", most=ROWS)),
            }
            print(f"selects by key, medians of {options.rounds} rounds, by {load.TOOL}, seed {options.seed}")
            reached = []
            for clients in options.clients:
                rng = random.Random(options.seed)
                found = beside.rounds(kinds, beside.postmaster(gateway), clients, options.rounds, options.seconds, rng)
                ratio = beside.table(f"{clients} clients", found, THEIRS)[OURS]
                figure(f"select by key beside hand-written, {clients} clients", f"{ratio:.2f} ×", "≥ 0.9 ×", ratio >= 0.9)
                reached.append(ratio >= 0.9)
    return int(not all(reached))


def prepare(gateway: Gateway) -> None:
    """The table with its rows."""
    gateway.sql(load.CREATE)
    gateway.sql(load.RENAME)
    gateway.sql(FILL)
    gateway.sql("VACUUM ANALYZE parcels")
    gateway.manage("capture_schema")


if __name__ == "__main__":
    sys.exit(main())
