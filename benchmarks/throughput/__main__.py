"""A healthy insert through Mendgate against a hand-written endpoint, same table, same run: ``python -m benchmarks.throughput``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from statistics import median

import httpx

from benchmarks.load import Load, load
from benchmarks.stage import Stage, arguments, stage_of
from resilience_site.embedded_state import free_port

TABLE = """CREATE TABLE IF NOT EXISTS bench_orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
customer text NOT NULL, email text NOT NULL, quantity integer NOT NULL, price numeric(10,2) NOT NULL, note text,
paid boolean NOT NULL DEFAULT false, created_at timestamptz NOT NULL DEFAULT now())"""
ROW = {"customer": "Ada Lovelace", "email": "ada@example.com", "quantity": 3, "price": 19.5, "note": "ring twice", "paid": True}
BODY = json.dumps(ROW).encode()


def main() -> None:
    """Measures in turns, prints medians and the ratio."""
    parser = arguments(argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--clients", type=int, nargs="+", default=[64])
    options = parser.parse_args()
    with stage_of(options) as stage:
        stage.sql(TABLE, "GRANT ALL ON bench_orders TO service_role")
        stage.capture()
        port = free_port()
        peer = _start_peer(stage, port)
        try:
            for clients in options.clients:
                _compare(stage, f"http://127.0.0.1:{port}/orders", clients, options.rounds, options.seconds)
        finally:
            peer.terminate()
            peer.wait()
            stage.sql("DROP TABLE bench_orders")


def _compare(stage: Stage, peer_url: str, clients: int, rounds: int, seconds: float) -> None:
    headers = {"apikey": stage.key, "authorization": f"Bearer {stage.key}", "prefer": "return=representation"}
    ours: list[Load] = []
    theirs: list[Load] = []
    for number in range(rounds + 1):
        for found, url, sent in ((ours, f"{stage.base_url}/rest/v1/bench_orders", headers), (theirs, peer_url, {})):
            measured = load(url, BODY, sent, clients, seconds if number else 1)
            if number:
                found.append(measured)
        stage.sql("TRUNCATE bench_orders")
    for name, found in (("mendgate", ours), ("FastAPI + asyncpg", theirs)):
        print(
            f"{clients} clients  {name:18} {_rates(found)}  p50 {median(m.p50 for m in found):.1f} ms  p99 {median(m.p99 for m in found):.1f} ms"
        )
    ratio = median(m.rate for m in ours) / median(m.rate for m in theirs)
    errors = f"{sum(m.errors for m in ours)} / {sum(m.errors for m in theirs)}"
    print(f"{clients} clients  ratio {ratio:.2f}×  (target ≥ 3×)  errors {errors}")


def _rates(found: list[Load]) -> str:
    return f"{median(m.rate for m in found):8.0f} inserts/s ({min(m.rate for m in found):.0f}–{max(m.rate for m in found):.0f})"


def _start_peer(stage: Stage, port: int) -> subprocess.Popen[bytes]:
    words = [
        sys.executable,
        "-m",
        "uvicorn",
        "benchmarks.throughput.peer:app",
        "--port",
        str(port),
        "--log-level",
        "warning",
        "--loop",
        "uvloop",
    ]
    peer = subprocess.Popen(words, env={**os.environ, "PEER_DATABASE_URL": stage.owner_url})
    for _ in range(100):
        try:
            httpx.get(f"http://127.0.0.1:{port}/docs", timeout=1, trust_env=False)
            return peer
        except httpx.HTTPError:
            time.sleep(0.2)
    peer.kill()
    raise SystemExit("the peer did not start")


if __name__ == "__main__":
    main()
