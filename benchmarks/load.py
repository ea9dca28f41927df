"""Concurrent inserts of parcels: with wrk where it is installed, else with our own client, which takes more of the machine."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import uvloop
from msgspec import Struct

from benchmarks.wire import measure, request

SCRIPT = Path(__file__).parent / "insert.lua"
WRK = shutil.which("wrk")
TOOL = "wrk" if WRK else "our own client (wrk is not installed)"
CREATE = """
CREATE TABLE parcels (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sender text NOT NULL, email text NOT NULL, weight_grams integer,
    price numeric(10, 2), fragile boolean NOT NULL DEFAULT false, notes text, sent_at timestamptz NOT NULL DEFAULT now())"""
RENAME = "ALTER TABLE parcels RENAME COLUMN email TO email_address"


class Speed(Struct, frozen=True):
    """Requests per second; latencies in seconds."""

    rate: float
    p50: float
    p99: float
    requests: int


def parcel(column: str, number: int) -> dict[str, object]:
    """A row whose address is under ``column``."""
    fixed = {"weight_grams": number % 5000, "price": 12.5, "notes": "two floors up"}
    return {"sender": f"sender {number}", column: f"p{number}@example.com", **fixed}


def insert(url: str, column: str, headers: dict[str, str], clients: int, seconds: float) -> Speed:
    """Inserts one row a request for ``seconds``. Raises where an answer is not a success: a failed insert is no speed."""
    if WRK and seconds >= 1:
        return _wrk(WRK, url, column, headers, clients, seconds)
    place = urlsplit(url)
    path, numbers = place.path + (f"?{place.query}" if place.query else ""), itertools.count()
    block = uvloop.run(
        measure(url, lambda: request("POST", path, json.dumps(parcel(column, next(numbers))).encode(), headers), clients, seconds)
    )
    return Speed(block.rate, block.quantile(0.5), block.quantile(0.99), len(block.latencies))


def _wrk(wrk: str, url: str, column: str, headers: dict[str, str], clients: int, seconds: float) -> Speed:
    command = [wrk, "-t1", f"-c{clients}", f"-d{round(seconds)}s", "--timeout", "10s", "-s", str(SCRIPT), url, "--", column]
    done = subprocess.run([*command, *(f"{name}: {value}" for name, value in headers.items())], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    if found["failed"] or not found["requests"]:
        raise AssertionError(f"{url}: {found}")
    return Speed(found["requests"] / found["seconds"], found["p50"], found["p99"], found["requests"])
