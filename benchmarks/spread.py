"""Requests to all of many tables in turn, beside a hand-written endpoint: ``python -m benchmarks.spread [--tables 10000] [--rounds 8]
[--clients 16] [--seed 1]``.

Every request goes to another table: to one of 100, or of 10,000. Requests to different tables share nothing, neither here nor there; each
connection of Postgres learns each table anew, and a client's driver prepares each statement anew once it has met more than it remembers.
What of the growth is Postgres's and the driver's, the hand-written endpoint (FastAPI, asyncpg) has too: judged is the gateway's growth
beside its.
"""

from __future__ import annotations

import argparse
import random
import sys
from contextlib import ExitStack
from time import perf_counter

from benchmarks import beside, load
from benchmarks.beside import Ask
from benchmarks.figures import figure
from benchmarks.flatness import MOST, End, beside_of, measure
from benchmarks.many import tables, vacuum
from benchmarks.web_process import web_process

FEW = 100
TABLE = """CREATE TABLE other_{n} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, amount integer);
INSERT INTO other_{n} (name, amount) SELECT 'first', 1 FROM generate_series(1, 100)"""
ROW = '{"name":"n","amount":7}'


def main() -> int:
    """Starts, measures, prints; 1 where the gateway grows more than the endpoint."""
    parser = argparse.ArgumentParser(description="Requests to all of many tables, beside a hand-written endpoint.")
    parser.add_argument("--tables", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with ExitStack() as stack:
        began, ends = perf_counter(), list[End]()
        for number in (FEW, options.tables):
            ends += _ends(stack, number)
        for end in ends:
            end.warm_up(options.clients)
        print(f"medians of {options.rounds} rounds, by {load.TOOL}, seed {options.seed}, set up in {perf_counter() - began:.0f} s")
        measure(ends, options.rounds, options.clients, random.Random(options.seed))
    return int(not all([_told(name, ends, options.tables) for name in ends[0].asks]))


def _ends(stack: ExitStack, number: int) -> tuple[End, End]:
    """A gateway and an endpoint over so many tables."""
    gateway = stack.enter_context(web_process())
    gateway.stop()
    gateway.sql(load.CREATE.replace(" email ", " email_address "))  # the endpoint shows by it that it serves
    tables(gateway, number, TABLE)
    gateway.manage("capture_schema")
    vacuum(gateway)
    gateway.start()
    ours = {
        "insert": Ask("POST", "/rest/v1/other_{n}", ROW, number),
        "select": Ask("GET", "/rest/v1/other_{n}?id=eq.{r}", "-", number),
        "update": Ask("PATCH", "/rest/v1/other_{n}?id=eq.{r}", '{"amount":{n}}', number),
    }
    theirs = {
        "insert": Ask("POST", "/others/{n}", ROW, number),
        "select": Ask("GET", "/others/{n}/{r}", "-", number),
        "update": Ask("PATCH", "/others/{n}/{r}", '{"amount":{n}}', number),
    }
    peer, postgres = stack.enter_context(beside.handwritten(gateway)), beside.postmaster(gateway)
    return End(beside.ours(gateway), ours, postgres, number), End(peer, theirs, postgres, number)


def _told(name: str, ends: list[End], number: int) -> bool:
    """Two lines, and the figure."""
    few, few_by_hand, many, many_by_hand = ends
    grown, by_hand = beside_of(name, many, few), beside_of(name, many_by_hand, few_by_hand)
    print(f"{name:10}gateway     {few.told(name):>14}{many.told(name):>14} µs {grown:>7.2f} ×")
    print(f"{'':10}hand-written{few_by_hand.told(name):>14}{many_by_hand.told(name):>14} µs {by_hand:>7.2f} ×")
    reached = grown <= MOST * max(1.0, by_hand)
    figure(f"{name}: in turn to {number:,} tables beside {FEW}, by hand {by_hand:.2f} ×", f"{grown:.2f} ×", f"≤ {MOST} × that", reached)
    return reached


if __name__ == "__main__":
    sys.exit(main())
