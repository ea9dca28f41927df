"""Healthy single-row inserts through the gateway beside a hand-written endpoint:
``python -m benchmarks.throughput [--rounds 5] [--seconds 3] [--clients 1 64 256]``.

Both write the same table of one durable Postgres, from one worker process each, with ten connections each; they take turns in
short blocks. The gateway also checks the API key, sets role and claims, and vets every value; the endpoint
(``benchmarks/handwritten.py``) does not.
"""

from __future__ import annotations

import argparse
import sys
from statistics import median

from benchmarks import load
from benchmarks.beside import handwritten
from benchmarks.figures import figure
from benchmarks.load import Speed
from benchmarks.web_process import web_process
from tests.gateway_process import Gateway

Place = tuple[str, dict[str, str]]
"""A URL and the headers to send there."""
SAME = "gateway, returning the id"


def main() -> int:
    """Starts, measures, prints; 1 where the gateway is slower than the endpoint."""
    parser = argparse.ArgumentParser(description="Healthy inserts through the gateway beside a hand-written endpoint.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 64, 256])
    options = parser.parse_args()
    with web_process() as gateway:
        gateway.sql(load.CREATE)
        gateway.sql(load.RENAME)
        gateway.manage("capture_schema")
        with handwritten(gateway) as peer:
            places = {"hand-written": (f"{peer.url}/parcels", {}), **gateway_places(gateway)}
            print(f"single-row inserts a second, medians of {options.rounds} rounds, by {load.TOOL}")
            ratios = [report(clients, run(places, clients, options.rounds, options.seconds)) for clients in options.clients]
    return int(min(ratios) < 1)


def gateway_places(gateway: Gateway) -> dict[str, Place]:
    """The gateway asked for the same answer, and as supabase-js inserts by default."""
    key = gateway.make_key()
    headers, url = {"apikey": key, "Authorization": f"Bearer {key}"}, f"{gateway.base_url}/rest/v1/parcels"
    return {
        SAME: (f"{url}?select=id", {**headers, "Prefer": "return=representation"}),
        "gateway, returning nothing": (url, headers),
    }


def run(places: dict[str, Place], clients: int, rounds: int, seconds: float) -> dict[str, list[Speed]]:
    """The measured blocks of each place, taking turns; a first round that warms up is thrown away."""
    found: dict[str, list[Speed]] = {name: [] for name in places}
    for number in range(rounds + 1):
        for name, (url, headers) in places.items():
            speed = load.insert(url, "email_address", headers, clients, seconds if number else 1)
            if number:
                found[name].append(speed)
    return found


def report(clients: int, found: dict[str, list[Speed]]) -> float:
    """One line a place; the ratios are medians of the rounds' ratios. Returns the gateway's for the same answer."""
    base, ratios = found["hand-written"], {}
    print(f"\n{f'{clients} clients':28}{'per second':>12}{'p50 ms':>9}{'p99 ms':>9}{'ratio':>8}")
    for name, speeds in found.items():
        ratio = ratios[name] = median(speed.rate / other.rate for speed, other in zip(speeds, base, strict=True))
        times = "".join(f"{1000 * median(times):>9.2f}" for times in ([s.p50 for s in speeds], [s.p99 for s in speeds]))
        print(f"{name:28}{median(s.rate for s in speeds):>12.0f}{times}{ratio:>8.2f}", flush=True)
    same = ratios[SAME]
    aim = 3 if clients == 64 else 1
    figure(f"healthy insert beside hand-written, {clients} clients", f"{same:.2f} ×", f"≥ {aim} ×", same >= aim)
    return same


if __name__ == "__main__":
    sys.exit(main())
