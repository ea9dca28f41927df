"""What the statements of one write yielded, before it is committed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct, field

from healing.core.types import Row
from healing.gateway import receipts


class Outcome(Struct):
    """Rows of one executed plan, added up over the statements of a split batch. ``places`` are the payload rows that went into them."""

    body: str | None = None
    affected: int = 0
    inserted: int | None = None
    total: int | None = None
    back: list[Row] | None = None
    before: list[Row] | None = None
    """the rows that were there before, in no order; None where nobody looked."""
    writers: list[str] | None = None
    """who wrote each of those last; None where the caller may not see that."""
    xid: str | None = None
    location: str | None = None
    places: list[int] = field(default_factory=list)

    def put_in_order(self) -> None:
        """The rows in the payload's order, where every row that went in came back."""
        order = sorted(range(len(self.places)), key=self.places.__getitem__)
        if order == list(range(len(order))):
            return
        if self.back is not None and len(self.back) == len(order):
            self.back = [self.back[i] for i in order]
        rows = msgspec.json.decode(self.body, type=list[msgspec.Raw]) if self.body is not None else []
        if len(rows) == len(order):
            self.body = "[" + ", \n ".join([bytes(rows[i]).decode() for i in order]) + "]"

    def add(self, record: Mapping[str, Any], places: list[int], wants_back: bool) -> None:
        """One more statement's record (``plan_write``), which wrote the payload's rows ``places``."""
        self.affected += record["n"]
        self.places += places
        self.xid, self.location = record["xid"], record["location"]
        self.total = record["total"] if self.total is None else self.total + (record["total"] or 0)
        if record["inserted"] is not None:
            self.inserted = (self.inserted or 0) + record["inserted"]
        if record["body"] is not None:
            self.body = record["body"] if self.body is None else _joined(self.body, record["body"])
        if wants_back:
            self.back = (self.back or []) + list(receipts.decode(record["back"] or "[]"))


def _joined(first: str, second: str) -> str:
    """Two JSON arrays as one."""
    if second.strip() == "[]":
        return first
    return second if first.strip() == "[]" else first.rstrip()[:-1] + "," + second.lstrip()[1:]
