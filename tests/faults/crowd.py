"""Callers of every kind that write by a ledger while something goes wrong: in tests and in ``benchmarks.faults``.

``SCHEMA`` and ``RENAME`` make the tables, and a trigger function ``hold`` that waits while somebody has the advisory lock 4711. Kinds:
``plain`` and ``healed`` go through the lanes without a key and are sent once; ``keyed``, ``batch`` (three rows), ``several`` (a
transaction over two tables) and ``misfit`` (kept) have a key and are sent until they are answered.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.gateway_process import Gateway
from tests.ledger import Heard, Ledger, send

SCHEMA = """
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mark text NOT NULL, text text);
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mark text NOT NULL);
CREATE TABLE items (order_id bigint REFERENCES orders, mark text NOT NULL);
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW; END';
"""
RENAME = "ALTER TABLE notes RENAME COLUMN text TO body"
TABLES = ("notes", "orders", "items")
KINDS = ("plain", "keyed", "healed", "batch", "several", "misfit")
UNKEYED = ("plain", "healed")
TRIES = 1_000_000
"""As good as for ever: what goes on for too long ends in ``Crowd``."""
PATIENCE = 120.0
"""Seconds; only there to end a hang."""


def tables(gateway: Gateway) -> Gateway:
    """Makes the tables, with a renamed column whose past is known; and a key."""
    gateway.sql(SCHEMA)
    gateway.manage("capture_schema")
    gateway.sql(RENAME)
    gateway.manage("capture_schema")
    gateway.make_key()
    return gateway


class Crowd:
    """``size`` callers in threads, each with its own dice, until the block ends; each finishes what it began. ``url``: where they send
    to, where it is not the gateway itself."""

    def __init__(self, gateway: Gateway, ledger: Ledger, *, url: str = "", size: int = 6, kinds: tuple[str, ...] = KINDS) -> None:
        self.ledger, self.kinds, self.answered = ledger, kinds, 0
        self._url = url or gateway.base_url
        key = gateway.make_key()
        self._headers = {"apikey": key, "authorization": f"Bearer {key}"}
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(number,), daemon=True) for number in range(size)]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in self._threads), "a caller never came to an end"

    def more(self, count: int) -> None:
        """Waits until so many more requests have come to an end."""
        aim = self.answered + count
        wait_for(lambda: self.answered >= aim)

    def heard(self, matches: Callable[[Heard], bool]) -> None:
        """Waits until somebody hears such an answer from now on."""
        seen = {mark: len(tries) for mark, tries in list(self.ledger.heard.items())}
        wait_for(lambda: any(matches(each) for mark, tries in list(self.ledger.heard.items()) for each in tries[seen.get(mark, 0) :]))

    def _write(self, caller: int) -> None:
        dice = random.Random(f"{self.ledger.seed} {caller}")  # noqa: S311
        number = 0
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=PATIENCE / 2) as client:
            while not self._over.is_set():
                number += 1
                kind = dice.choice(self.kinds)
                write_one(self.ledger, client, kind, f"{kind}-{caller}-{number}")
                self.answered += 1


def write_one(ledger: Ledger, client: httpx.Client, kind: str, mark: str) -> Heard:
    """One request of a kind."""
    path, body, wants = request_of(kind, mark)
    return send(ledger, client, mark, path, body, wants, tries=1 if kind in UNKEYED else TRIES, keyed=kind not in UNKEYED)


def request_of(kind: str, mark: str) -> tuple[str, Any, dict[str, int]]:
    """Path, body, and what it wants to be stored."""
    row = {"mark": mark, "body": "x"}
    if kind == "several":
        items = [{"order_id": {"$ref": "o.0.id"}, "mark": mark}] * 2
        operations = [
            {"op": "insert", "table": "orders", "rows": [{"mark": mark}], "as": "o"},
            {"op": "insert", "table": "items", "rows": items},
        ]
        return "/api/v1/transactions", {"operations": operations}, {"orders": 1, "items": 2}
    bodies: dict[str, Any] = {"batch": [row] * 3, "healed": {"mark": mark, "text": "x"}, "misfit": {"mark": mark, "colour": "red"}}
    return "/rest/v1/notes", bodies.get(kind, row), {"notes": 3 if kind == "batch" else 1}


def wait_for(holds: Callable[[], bool], why: Callable[[], str] = lambda: "it never came true") -> None:
    """Looks until it holds; the limit only ends a hang."""
    ends = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < ends, why()
        time.sleep(0.01)
