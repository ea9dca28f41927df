"""What a known fix costs beside a healthy insert: ``python -m benchmarks.heal_cost [--rounds 7] [--seconds 1.5] [--clients 1 16 64]``.

The same rows go to the same table of one durable Postgres: under the live names, under the former name of a renamed column
(lineage), and under a name that a person's rule maps; a healed row also gets its sealed receipt. The three take turns in short
blocks, in another order each round, so that a slow moment of the machine hits all; the figures are medians of the rounds' ratios.
``gateway µs`` and ``Postgres µs`` are processor time per insert, which a busy machine does not change.
"""

from __future__ import annotations

import argparse
import json
import random
from statistics import median

import httpx
from msgspec import Struct

from benchmarks import cpu, load
from benchmarks.figures import figure
from benchmarks.load import Speed, parcel
from benchmarks.web_process import approve, web_process
from tests.gateway_process import Gateway

KEYS = {"healthy": "email_address", "lineage": "email", "rule": "contact"}
FIX = json.dumps([{"op": "rename_column", "from": "contact", "to": "email_address"}])


def main() -> None:
    """Starts, measures, prints."""
    parser = argparse.ArgumentParser(description="What a known fix costs beside a healthy insert.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with web_process() as gateway:
        prepare(gateway)
        print(f"medians of {options.rounds} rounds, by {load.TOOL}, seed {options.seed}")
        for clients in options.clients:
            report(clients, run(gateway, clients, options.rounds, options.seconds, random.Random(options.seed)))


def prepare(gateway: Gateway) -> None:
    """The table, its rename that was captured, and the rule."""
    gateway.sql(load.CREATE)
    gateway.manage("capture_schema")
    gateway.sql(load.RENAME)
    gateway.manage("capture_schema")
    with gateway.client() as client:
        kept = client.post("/rest/v1/parcels", json=parcel("contact", 0))
        approve(gateway, kept.headers["mendgate-quarantine"], FIX)
        for name, key in KEYS.items():
            expect(name, client.post("/rest/v1/parcels", json=parcel(key, 0)))


def expect(name: str, answer: httpx.Response) -> None:
    """Each kind of insert does what its name says, or the figures would mean nothing."""
    assert answer.status_code == 201, answer.text
    assert ("mendgate-healed" in answer.headers) is (name != "healthy"), answer.headers


class Block(Struct, frozen=True):
    """A measured stretch, and the processor seconds an insert took in the gateway and in Postgres."""

    speed: Speed
    gateway: float
    postgres: float


def run(gateway: Gateway, clients: int, rounds: int, seconds: float, rng: random.Random) -> dict[str, list[Block]]:
    """The measured blocks of each kind; a first round that warms up is thrown away."""
    key, url = gateway.make_key(), f"{gateway.base_url}/rest/v1/parcels"
    headers = {"apikey": key, "Authorization": f"Bearer {key}"}
    found: dict[str, list[Block]] = {name: [] for name in KEYS}
    for number in range(rounds + 1):
        for name in rng.sample(sorted(KEYS), len(KEYS)):
            before = _spent(gateway)
            speed = load.insert(url, KEYS[name], headers, clients, seconds if number else 1)
            used = [(now - then) / speed.requests for now, then in zip(_spent(gateway), before, strict=True)]
            if number:
                found[name].append(Block(speed, *used))
    return found


def _spent(gateway: Gateway) -> tuple[float, float]:
    assert gateway.process is not None
    postmaster = int((gateway.home / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
    return cpu.spent(gateway.process.pid), cpu.spent(postmaster)


def report(clients: int, found: dict[str, list[Block]]) -> None:
    """One line a kind."""
    titles = f"{'per second':>12}{'p50 ms':>9}{'latency ×':>11}{'gateway µs':>12}{'Postgres µs':>13}{'processor ×':>13}"
    print(f"\n{f'{clients} clients':14}{titles}")
    for name, blocks in found.items():
        pairs = list(zip(blocks, found["healthy"], strict=True))
        latency = median(b.speed.p50 / h.speed.p50 for b, h in pairs)
        cost = median((b.gateway + b.postgres) / (h.gateway + h.postgres) for b, h in pairs)
        speed = f"{median(b.speed.rate for b in blocks):>12.0f}{1000 * median(b.speed.p50 for b in blocks):>9.2f}{latency:>11.2f}"
        used = f"{1e6 * median(b.gateway for b in blocks):>12.0f}{1e6 * median(b.postgres for b in blocks):>13.0f}{cost:>13.2f}"
        print(f"{name:14}{speed}{used}", flush=True)
        if name != "healthy":
            figure(f"heal by {name} beside healthy, {clients} clients, p50", f"{latency:.2f} ×", "≤ 1.1 ×", latency <= 1.1)


if __name__ == "__main__":
    main()
