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
    invalid_path,
    invalid_preferences,
    put_limits,
    rpc_method,
    unacceptable_schema,
    unsupported_method,
)
from healing.gateway.field import Field, parse_path
from healing.gateway.filters import Condition, parse_filter, parse_logic
from healing.gateway.order import Order, parse_order
from healing.gateway.preferences import NONE, Preferences, parse_preferences
from healing.gateway.querystring import pairs_of, segments_of
from healing.gateway.ranges import ALL, Range, from_query, with_header
from healing.gateway.scan import Scanner
from healing.gateway.select import STAR, SelectItem, parse_select

Path = tuple[str, ...]
"""Names of the embeddings from the root to where something applies; empty for the root."""
READS = ("GET", "HEAD")
_METHODS = {
    "table": ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"),
    "rpc": ("GET", "HEAD", "POST", "OPTIONS"),
    "root": ("GET", "HEAD", "OPTIONS"),
}
_RESERVED = ("select", "columns", "on_conflict")
_ENDINGS = ("order", "limit", "offset", "and", "or")
_CHANGES = ("POST", "PATCH", "PUT", "DELETE")
_SHORT = 1000
"""Longer requests (hundreds of ids in a filter) are not worth remembering."""
Pairs = list[tuple[str, str]]
Heads = tuple[str | None, str | None, str | None, str | None]
"""profile, Prefer, Accept, Range."""


class Placed(Struct, frozen=True):
    """A condition and the embedding that it filters."""

    path: Path
    condition: Condition


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


def parse(
    method: str, path: str, query: bytes, headers: Mapping[str, str], exposed: tuple[str, ...]
) -> Request:
    """Reads a request. ``path`` is what follows ``/rest/v1``; header names are in lower case; ``exposed`` are the schemas
    that may be named, the default first. What came before is remembered: a busy client sends the same few shapes."""
    header = "content-profile" if method in _CHANGES else "accept-profile"
    heads = (headers.get(header), headers.get("prefer"), headers.get("accept"), headers.get("range") if method == "GET" else None)
    size = len(query) + sum(len(head) for head in heads if head is not None)
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
    pairs = [(key, value) for key, value in pairs_of(query) if value is not None]
    first = dict(reversed(pairs))
    filters, arguments = _filters(pairs, rpc=kind == "rpc" and method in READS)
    return Request(
        method=method,
        kind=kind,
        name=name,
        schema=schema,
        profile_given=given,
        select=parse_select(first["select"]) if "select" in first else (STAR,),
        select_given="select" in first,
        filters=filters,
        orders={_path(key)[:-1]: parse_order(value) for key, value in pairs if _ending(key) == "order"},
        ranges=_ranges(method, pairs, range_),
        columns=_names("columns", first.get("columns")),
        on_conflict=_names("on_conflict", first.get("on_conflict")),
        accept=parse_accept(accept),
        preferences=preferences,
        arguments=arguments,
        query=query.decode("latin-1"),
    )


_remembered = lru_cache(maxsize=2048)(_parse)


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


def _ending(key: str) -> str:
    return key.rsplit(".", 1)[-1]


def _filters(pairs: Pairs, *, rpc: bool) -> tuple[tuple[Placed, ...], tuple[tuple[str, str], ...]]:
    """The conditions and, for a function called by GET, the arguments: what has no operator."""
    placed: list[Placed] = []
    arguments: list[tuple[str, str]] = []
    for key, value in pairs:
        ending = _ending(key)
        if ending in ("and", "or"):
            path = _path(key)
            negated = "not" in path
            placed.append(Placed(tuple(p for p in path[:-1] if p != "not"), parse_logic(ending, negated, value)))
        elif key not in _RESERVED and ending not in _ENDINGS:
            found = _filter(key, value, rpc=rpc)
            if found is None:
                arguments.append((key, value))
            else:
                placed.append(found)
    return tuple(placed), tuple(arguments)


def _filter(key: str, value: str, *, rpc: bool) -> Placed | None:
    try:
        *path, name = _path(key)
        scanner = Scanner(key, f"failed to parse tree path ({key})")
        scanner.at = len(key) - len(_steps_text(key))
        return Placed(tuple(path), parse_filter(Field(name, parse_path(scanner)), value))
    except DialectError:
        if rpc:
            return None
        raise


def _path(key: str) -> Path:
    """The dotted names of a key, without the JSON path."""
    scanner = Scanner(key, f"failed to parse tree path ({key})")
    names = [scanner.name()]
    while scanner.take("."):
        names.append(scanner.name())
    if not scanner.done and not scanner.sees("->"):
        raise scanner.error('"->>", "->", delimiter (.) or end of input')
    return tuple(names)


def _steps_text(key: str) -> str:
    scanner = Scanner(key, "")
    scanner.name()
    while scanner.take("."):
        scanner.name()
    return key[scanner.at :]


def _names(what: str, text: str | None) -> tuple[str, ...] | None:
    """A comma-separated list of names."""
    if text is None:
        return None
    scanner = Scanner(text, f"failed to parse {what} parameter ({text})")
    names = [_name(scanner)]
    while scanner.take(","):
        names.append(_name(scanner))
    scanner.expect_end()
    return tuple(dict.fromkeys(names))


def _name(scanner: Scanner) -> str:
    scanner.blanks()
    name = scanner.name()
    scanner.blanks()
    return name


def _ranges(method: str, pairs: Pairs, header: str | None) -> dict[Path, Range]:
    limits = {_path(key)[:-1]: value for key, value in pairs if _ending(key) == "limit"}
    offsets = {_path(key)[:-1]: value for key, value in pairs if _ending(key) == "offset"}
    ranges = {path: from_query(limits.get(path), offsets.get(path)) for path in (*limits, *offsets)}
    if method == "GET":
        ranges[()] = with_header(ranges.get((), ALL), header)
    if method == "PUT" and not ranges.get((), ALL).everything:
        raise put_limits()
    return ranges
