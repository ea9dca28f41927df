"""A request of PostgREST's dialect as one value: what is asked, before any look at the schema.

``parse`` raises ``DialectError`` for what cannot be read. Names stay as the caller wrote them; ``names.Names`` resolves them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct, field

from healing.gateway.accept import JSON, Accept, parse_accept
from healing.gateway.errors import (
    DialectError,
    bad_query,
    invalid_path,
    invalid_preferences,
    rpc_method,
    unacceptable_schema,
    unsupported_method,
)
from healing.gateway.filters import Condition
from healing.gateway.order import Order
from healing.gateway.parameters import Path, Placed, filters_of, names_of, orders_of, ranges_of
from healing.gateway.preferences import NONE, Preferences, parse_preferences
from healing.gateway.querystring import pairs_of, segments_of
from healing.gateway.ranges import ALL, Range
from healing.gateway.select import STAR, SelectItem, parse_select

PREFIX = "/rest/v1"
"""what paths of the data API begin with."""
READS = ("GET", "HEAD")
_METHODS = {
    "table": ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"),
    "rpc": ("GET", "HEAD", "POST", "OPTIONS"),
    "root": ("GET", "HEAD", "OPTIONS"),
}
_CHANGES = ("POST", "PATCH", "PUT", "DELETE")
_CHOOSE_ROWS = ("PATCH", "DELETE")
_SHORT = 1000
"""Longer requests (hundreds of ids in a filter) are not worth remembering."""
Heads = tuple[str | None, str | None, str | None, str | None]
"""profile, Prefer, Accept, Range."""


class Request(Struct, frozen=True, kw_only=True):
    """One request. ``filters`` are joined by AND."""

    method: str
    kind: str
    """'table' | 'rpc' | 'root'."""
    name: str
    """of the table or function; '' for the root."""
    schema: str
    profile_given: bool = False
    select: tuple[SelectItem, ...] = (STAR,)
    select_given: bool = False
    filters: tuple[Placed, ...] = ()
    orders: dict[Path, tuple[Order, ...]] = field(default_factory=dict)
    ranges: dict[Path, Range] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] | None = None
    accept: Accept = JSON
    preferences: Preferences = NONE
    arguments: tuple[tuple[str, str], ...] = ()
    """of a function called by GET; a name may come several times (variadic)."""
    query: str = ""
    """the query string as it came."""

    @property
    def range(self) -> Range:
        """The range of the root."""
        return self.ranges.get((), ALL)

    @property
    def limit(self) -> int | None:
        """The root's limit."""
        return self.range.limit

    @property
    def offset(self) -> int:
        """The root's offset."""
        return self.range.offset

    @property
    def order(self) -> tuple[Order, ...]:
        """The root's order."""
        return self.orders.get((), ())

    @property
    def head(self) -> bool:
        """Only the headers are wanted."""
        return self.method == "HEAD"

    @property
    def is_write(self) -> bool:
        """It changes a table."""
        return self.kind == "table" and self.method in _CHANGES

    @property
    def root_filters(self) -> tuple[Condition, ...]:
        """Conditions on the root relation."""
        return tuple(placed.condition for placed in self.filters if not placed.path)


def parse(method: str, path: str, query: bytes, headers: Mapping[str, str], exposed: tuple[str, ...]) -> Request:
    """Reads a request. ``path`` is what follows ``/rest/v1``; header names are in lower case; ``exposed`` are the schemas
    that may be named, the default first. What came before is remembered: a busy client sends the same few shapes."""
    header = "content-profile" if method in _CHANGES else "accept-profile"
    heads = (headers.get(header), headers.get("prefer"), headers.get("accept"), headers.get("range") if method == "GET" else None)
    size = len(path) + len(query) + sum(len(head) for head in heads if head is not None)
    read = _remembered if size <= _SHORT else _parse
    return read(method, path, query, heads, exposed)


def _parse(method: str, path: str, query: bytes, heads: Heads, exposed: tuple[str, ...]) -> Request:
    profile, prefer, accept, range_ = heads
    kind, name = _resource(path)
    _check_method(kind, method)
    schema, given = _schema(profile, exposed)
    preferences = parse_preferences(prefer)
    if preferences.strict and preferences.unknown:
        raise invalid_preferences(preferences.unknown)
    parts = pairs_of(query)
    pairs = [(key, value) for key, value in parts if value is not None]
    if method in _CHOOSE_ROWS and len(pairs) != len(parts):
        raise _no_filter(next(key for key, value in parts if value is None))
    first = dict(reversed(pairs))
    filters, arguments = filters_of(pairs, rpc=kind == "rpc" and method in READS)
    return Request(
        method=method,
        kind=kind,
        name=name,
        schema=schema,
        profile_given=given,
        select=parse_select(first["select"]) if "select" in first else (STAR,),
        select_given="select" in first,
        filters=filters,
        orders=orders_of(pairs),
        ranges=ranges_of(method, pairs, range_),
        columns=names_of("columns", first.get("columns")),
        on_conflict=names_of("on_conflict", first.get("on_conflict")),
        accept=parse_accept(accept if kind != "root" else None),
        preferences=preferences,
        arguments=arguments,
        query=query.decode("latin-1"),
    )


_remembered = lru_cache(maxsize=2048)(_parse)


def _no_filter(name: str) -> DialectError:
    """PostgREST passes over a parameter without ``=``: a filter that was cut off there would mean every row."""
    return bad_query(f"'{name}' has no value, so it is no filter; a filter is written column=operator.value, e.g. id=eq.1")


def _resource(path: str) -> tuple[str, str]:
    match segments_of(path):
        case ():
            return "root", ""
        case (name,):
            return "table", name
        case ("rpc", name):
            return "rpc", name
        case _:
            raise invalid_path()


def _check_method(kind: str, method: str) -> None:
    if method in _METHODS[kind]:
        return
    raise rpc_method(method) if kind == "rpc" else unsupported_method(method)


def _schema(profile: str | None, exposed: tuple[str, ...]) -> tuple[str, bool]:
    if profile is None:
        return exposed[0], len(exposed) > 1
    if profile not in exposed:
        raise unacceptable_schema(profile, exposed)
    return profile, True
