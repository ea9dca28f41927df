"""An HTTP answer as a value, and the answers the gateway gives in its own name."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from healing.gateway.errors import DialectError

JSON = ("Content-Type", "application/json; charset=utf-8")


class Deed(Struct, frozen=True):
    """What was done for an answer, for the metrics: ``table`` is the live relation, ``heals`` (kind of fix, source) of each distinct
    fix, ``waited`` the seconds that the caller wished to wait for a proof."""

    table: str
    operation: str
    rows: int = 1
    heals: tuple[tuple[str, str], ...] = ()
    waited: float = 0.0


class Answer(Struct, frozen=True):
    """Status, headers as sent, and the whole body. ``deed`` is not sent. ``ready`` are the first headers as bytes, where an answer of
    its kind was given before."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    deed: Deed | None = None
    ready: tuple[tuple[bytes, bytes], ...] = ()

    def plus(self, *headers: tuple[str, str]) -> Answer:
        """The same with more headers."""
        return Answer(self.status, [*self.headers, *headers], self.body, self.deed, self.ready)

    def of(self, deed: Deed | None) -> Answer:
        """The same for a deed."""
        return Answer(self.status, self.headers, self.body, deed, self.ready)

    def prepared(self) -> Answer:
        """The same, for answers of this kind to come."""
        return Answer(self.status, self.headers, self.body, self.deed, tuple(encoded(self.headers)))


def encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Headers as they go over the wire."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]


def of_error(error: DialectError) -> Answer:
    """An error as its caller reads it: always the four keys."""
    return Answer(error.status, [JSON, *error.headers], error.to_body())


def of_value(status: int, value: object, *headers: tuple[str, str]) -> Answer:
    """A JSON answer."""
    return Answer(status, [JSON, *headers], msgspec.json.encode(value))
