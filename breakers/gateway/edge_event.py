"""One change of a breaker as an event: its place, how the log in Valkey writes it, and how it goes over the wire."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct

from breakers.core.types import State

Place = tuple[int, int]
"""The id of an entry of the log: its time in ms and a number."""
START: Place = (0, 0)
_ID = re.compile(r"(\d{1,16})-(\d{1,16})", re.ASCII)


class Event(Struct, frozen=True):
    """One change, as it goes over the wire: ``plain``, and ``full`` with the reason."""

    at: Place
    plain: dict[str, Any]
    why: Any = None

    @property
    def wire(self) -> bytes:
        """For everybody."""
        return event_bytes(self.at, "breaker", self.plain)

    @property
    def full(self) -> bytes:
        """For service_role."""
        return event_bytes(self.at, "breaker", {**self.plain, "why": self.why})


def parsed(text: str) -> Place:
    """The place that an event's id names. Raises ``ValueError``."""
    found = _ID.fullmatch(text)
    if found is None:
        raise ValueError("is none of ours")
    return int(found[1]), int(found[2])


def told(entry: Any) -> Event:
    """An entry of the log."""
    at, fields = place_of(entry[0]), _fields(entry[1])
    why = msgspec.json.decode(fields.get("why") or b"null")
    state = fields.get("after", b"").decode()
    plain: dict[str, Any] = {"name": fields.get("name", b"").decode(), "state": state, "before": fields.get("before", b"").decode()}
    happened = int(fields.get("at") or at[0] - int(fields.get("age", 0)))
    plain |= {"version": int(fields.get("ver", 0)), "config_version": int(fields.get("cfgv", 0)), "at_ms": happened}
    left = int(1000 * (why or {}).get("seconds", 0)) if state == State.OPEN else 0
    plain |= {"remaining_ms": left, "shared": fields.get("scope") != b"local"}
    return Event(at, plain, why)


def _fields(given: Any) -> dict[str, bytes]:
    pairs = given.items() if isinstance(given, dict) else zip(given[::2], given[1::2], strict=True)
    return {name.decode(): value for name, value in pairs}


def place_of(raw: bytes) -> Place:
    """The place of an entry."""
    stamp, _, number = raw.decode().partition("-")
    return int(stamp), int(number)


def text_of(place: Place) -> str:
    """The id of a place."""
    return f"{place[0]}-{place[1]}"


def event_bytes(at: Place, name: str, data: dict[str, Any]) -> bytes:
    """An event as bytes."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (text_of(at).encode(), name.encode(), msgspec.json.encode(data))
