"""What a known fix costs beside a healthy insert: ``python -m benchmarks.heal_cost [--blocks 7] [--seconds 1.5] [--clients 1 16 64]``.

The same rows go to the same table of one durable Postgres: under the live names, under the former name of a renamed column (lineage), and
under a name that a person's rule maps. The three alternate in short blocks, in another order each round, so that a slow moment of the
machine hits all; the figures are medians of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from statistics import median

import httpx
import uvloop

from benchmarks.web_process import approve, web_process
from benchmarks.wire import Block, measure, request
from tests.gateway_process import Gateway

CREATE = """
CREATE TABLE parcels (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sender text NOT NULL, email text NOT NULL, weight_grams integer,
    price numeric(10, 2), fragile boolean NOT NULL DEFAULT false, notes text, sent_at timestamptz NOT NULL DEFAULT now())"""
RENAME = "ALTER TABLE parcels RENAME COLUMN email TO email_address"
KEYS = {"healthy": "email_address", "lineage": "email", "rule": "contact"}
FIX = json.dumps([{"op": "rename_column", "from": "contact", "to": "email_address"}])


def main() -> None:
    """Starts, measures, prints."""
    parser = argparse.ArgumentParser(description="What a known fix costs beside a healthy insert.")
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with web_process() as gateway:
        prepare(gateway)
        for clients in options.clients:
            report(clients, run(gateway, clients, options.blocks, options.seconds, options.seed))


def prepare(gateway: Gateway) -> None:
    """The table, its rename that was captured, and the rule."""
    gateway.sql(CREATE)
    gateway.manage("capture_schema")
    gateway.sql(RENAME)
    gateway.manage("capture_schema")
    with gateway.client() as client:
        kept = client.post("/rest/v1/parcels", json=row("contact", 0))
        approve(gateway, kept.headers["mendgate-quarantine"], FIX)
        for name, key in KEYS.items():
            expect(name, client.post("/rest/v1/parcels", json=row(key, 0)))


def expect(name: str, answer: httpx.Response) -> None:
    """Each kind of insert does what its name says, or the figures would mean nothing."""
    assert answer.status_code == 201, answer.text
    assert ("mendgate-healed" in answer.headers) is (name != "healthy"), answer.headers


def row(key: str, number: int) -> dict[str, object]:
    """A parcel whose address is under ``key``."""
    return {
        "sender": f"sender {number}",
        key: f"p{number}@example.com",
        "weight_grams": number % 5000,
        "price": 12.5,
        "notes": "two floors up",
    }


def run(gateway: Gateway, clients: int, blocks: int, seconds: float, seed: int) -> dict[str, list[Block]]:
    """The measured blocks of each kind, in rounds; a first round that warms up is thrown away."""
    key, rng = gateway.make_key(), random.Random(seed)
    numbers = itertools.count()
    made = {
        name: (
            lambda column=column: request(
                "POST", "/rest/v1/parcels", json.dumps(row(column, next(numbers))).encode(), apikey=key, authorization=f"Bearer {key}"
            )
        )
        for name, column in KEYS.items()
    }
    found: dict[str, list[Block]] = {name: [] for name in KEYS}
    for number in range(blocks + 1):
        for name in rng.sample(sorted(KEYS), len(KEYS)):
            block = uvloop.run(measure(gateway.base_url, made[name], clients, seconds if number else 0.5))
            if number:
                found[name].append(block)
    return found


def report(clients: int, found: dict[str, list[Block]]) -> None:
    """One line a kind."""
    print(f"\n{clients} client{'s' if clients > 1 else ''}: medians of {len(found['healthy'])} rounds")
    print(f"{'':10}{'per second':>12}{'p50 ms':>9}{'p99 ms':>9}{'latency ×':>11}{'throughput ×':>14}")
    for name, blocks in found.items():
        pairs = list(zip(blocks, found["healthy"], strict=True))
        latency = median(b.quantile(0.5) / h.quantile(0.5) for b, h in pairs)
        rate = median(b.rate / h.rate for b, h in pairs)
        speeds = (median(b.rate for b in blocks), *(1000 * median(b.quantile(q) for b in blocks) for q in (0.5, 0.99)))
        print(f"{name:10}{speeds[0]:>12.0f}{speeds[1]:>9.2f}{speeds[2]:>9.2f}{latency:>11.2f}{rate:>14.2f}", flush=True)


if __name__ == "__main__":
    main()
