"""What clients send: kinds of requests that carry a mark of their own, and the ends that each may come to. Values in, values out.

Tables of the scratch target; ``remark`` is the former name of ``orders.note`` (or whatever it is called by now).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from healing.core.ledger import End

TABLES = """
CREATE TABLE plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mark text NOT NULL, amount int);
CREATE INDEX plain_mark ON plain (mark);
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mark text NOT NULL, remark text);
CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mark text NOT NULL, order_id bigint NOT NULL REFERENCES orders,
    title text);
CREATE TABLE stock (sku text PRIMARY KEY, mark text NOT NULL, amount int);
CREATE TABLE tickets (id bigint PRIMARY KEY, mark text);
CREATE TABLE once (id int PRIMARY KEY, mark text);
INSERT INTO tickets SELECT n FROM generate_series(1, 200000) AS n;
INSERT INTO once VALUES (0, NULL);
GRANT ALL ON ALL TABLES IN SCHEMA public TO service_role;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO service_role;
"""
DRIFT = "ALTER TABLE orders RENAME COLUMN remark TO note"
NAMES = ("plain", "orders", "items", "stock", "tickets", "once")
REST = "/rest/v1/"


class Request(Struct, frozen=True):
    """One request. ``wants``: rows of its mark, by table, if it lands; ``ends``: those that need no explanation; ``keyed``: sent again
    under its Idempotency-Key until it is answered for good; ``bare``: needs neither healing nor quarantine."""

    mark: str
    path: str
    body: Any
    wants: Mapping[str, int]
    ends: frozenset[End]
    method: str = "POST"
    headers: Mapping[str, str] = {}
    keyed: bool = True
    bare: bool = False


_LANDS, _WAITS, _REFUSED = frozenset({End.COMMITTED}), frozenset({End.KEPT}), frozenset({End.REFUSED})
Kind = Callable[[str, int], Request]
"""Makes the n-th request, with its mark."""


def plain(mark: str, n: int) -> Request:
    """A healthy row."""
    return Request(mark, REST + "plain", {"mark": mark, "amount": n}, {"plain": 1}, _LANDS, bare=True)


def unkeyed(mark: str, n: int) -> Request:
    """A healthy row of who knows no Idempotency-Key: sent once."""
    return Request(mark, REST + "plain", {"mark": mark, "amount": n}, {"plain": 1}, _LANDS | _REFUSED, keyed=False, bare=True)


def batch(mark: str, n: int) -> Request:
    """Three healthy rows."""
    return Request(mark, REST + "plain", [{"mark": mark, "amount": n + k} for k in range(3)], {"plain": 3}, _LANDS, bare=True)


def drifted(mark: str, n: int) -> Request:
    """A row under the column's first name, whatever it is called by now."""
    return Request(mark, REST + "orders", {"mark": mark, "remark": f"r{n}"}, {"orders": 1}, _LANDS)


def misfit(mark: str, n: int) -> Request:
    """A column that nothing fits: kept, the caller gets the error."""
    return Request(mark, REST + "orders", {"mark": mark, "colour": "red"}, {"orders": 1}, _WAITS)


def accepted(mark: str, n: int) -> Request:
    """A column that comes and goes, from a caller who accepts that it waits and lands by itself later."""
    headers = {"prefer": "quarantine=accept"}
    return Request(mark, REST + "orders", {"mark": mark, "extra": f"e{n}"}, {"orders": 1}, _LANDS | _WAITS, headers=headers)


def upsert(mark: str, n: int) -> Request:
    """A row by its key, there or not."""
    headers = {"prefer": "resolution=merge-duplicates"}
    body = {"sku": mark, "mark": mark, "amount": n}
    return Request(mark, REST + "stock?on_conflict=sku", body, {"stock": 1}, _LANDS, headers=headers, bare=True)


def update(mark: str, n: int) -> Request:
    """A ticket of its own is taken."""
    return Request(mark, f"{REST}tickets?id=eq.{n}", {"mark": mark}, {"tickets": 1}, _LANDS, method="PATCH", bare=True)


def duplicate(mark: str, n: int) -> Request:
    """A key that is taken: refused."""
    return Request(mark, REST + "once", {"id": 0, "mark": mark}, {"once": 1}, _REFUSED, bare=True)


def together(mark: str, n: int) -> Request:
    """A transaction over two tables, healed inside."""
    return _transaction(mark, n, {"orders": 1, "items": 2}, _LANDS)


def torn(mark: str, n: int) -> Request:
    """A transaction whose last operation is refused: nothing of it may be there."""
    last = {"op": "insert", "table": "once", "rows": [{"id": 0, "mark": mark}]}
    return _transaction(mark, n, {"orders": 1, "items": 2, "once": 1}, _REFUSED, last)


def _transaction(mark: str, n: int, wants: Mapping[str, int], ends: frozenset[End], *more: dict[str, Any]) -> Request:
    rows = [{"mark": mark, "order_id": {"$ref": "o.0.id"}, "title": f"t{k}"} for k in range(2)]
    first = {"op": "insert", "table": "orders", "rows": [{"mark": mark, "remark": f"r{n}"}], "as": "o"}
    operations = [first, {"op": "insert", "table": "items", "rows": rows}, *more]
    isolation = ("read committed", "repeatable read")[n % 2]
    return Request(mark, "/api/v1/transactions", {"isolation": isolation, "operations": operations}, wants, ends)


WEIGHTS: Mapping[Kind, int] = {
    plain: 6, unkeyed: 2, batch: 2, drifted: 4, misfit: 1, accepted: 1, upsert: 3, update: 3, duplicate: 1, together: 3, torn: 1,
}  # fmt: skip
