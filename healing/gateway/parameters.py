"""The parameters of a query string, sorted by what they are: conditions, arguments of a function, orders, ranges, names."""

from __future__ import annotations

from msgspec import Struct

from healing.gateway.errors import DialectError, put_limits
from healing.gateway.field import Field, Step, parse_path
from healing.gateway.filters import Condition, parse_filter, parse_logic
from healing.gateway.order import Order, parse_order
from healing.gateway.ranges import ALL, Range, from_query, with_header
from healing.gateway.scan import Scanner

Path = tuple[str, ...]
"""Names of the embeddings from the root to where something applies; empty for the root."""
Pairs = list[tuple[str, str]]
_RESERVED = ("select", "columns", "on_conflict")
_ENDINGS = ("order", "limit", "offset", "and", "or")


class Placed(Struct, frozen=True):
    """A condition and the embedding that it filters."""

    path: Path
    condition: Condition


def filters_of(pairs: Pairs, *, rpc: bool) -> tuple[tuple[Placed, ...], tuple[tuple[str, str], ...]]:
    """The conditions and, for a function called by GET, the arguments: what has no operator."""
    placed: list[Placed] = []
    arguments: list[tuple[str, str]] = []
    for key, value in pairs:
        ending = _ending(key)
        if ending in ("and", "or"):
            placed.append(_logic(key, ending, value))
        elif key not in _RESERVED and ending not in _ENDINGS:
            found = _filter(key, value, rpc=rpc)
            if found is None:
                arguments.append((key, value))
            else:
                placed.append(found)
    return tuple(placed), tuple(arguments)


def orders_of(pairs: Pairs) -> dict[Path, tuple[Order, ...]]:
    """The orders by the embedding that they sort."""
    return {_place(key): parse_order(value) for key, value in pairs if _ending(key) == "order"}


def ranges_of(method: str, pairs: Pairs, header: str | None) -> dict[Path, Range]:
    """The ranges by the embedding that they cut; the root's is merged with the ``Range`` header."""
    limits = {_place(key): value for key, value in pairs if _ending(key) == "limit"}
    offsets = {_place(key): value for key, value in pairs if _ending(key) == "offset"}
    ranges = {path: from_query(limits.get(path), offsets.get(path)) for path in (*limits, *offsets)}
    if method == "GET":
        ranges[()] = with_header(ranges.get((), ALL), header)
    if method == "PUT" and not ranges.get((), ALL).everything:
        raise put_limits()
    return ranges


def names_of(what: str, text: str | None) -> tuple[str, ...] | None:
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


def _ending(key: str) -> str:
    return key.rsplit(".", 1)[-1]


def _logic(key: str, operator: str, value: str) -> Placed:
    path = _place(key)
    return Placed(tuple(name for name in path if name != "not"), parse_logic(operator, "not" in path, value))


def _filter(key: str, value: str, *, rpc: bool) -> Placed | None:
    try:
        names, steps = _parts(key)
        return Placed(names[:-1], parse_filter(Field(names[-1], steps), value))
    except DialectError:
        if rpc:
            return None
        raise


def _place(key: str) -> Path:
    """The names before the last."""
    return _parts(key)[0][:-1]


def _parts(key: str) -> tuple[Path, tuple[Step, ...]]:
    """The dotted names of a key and the JSON path after them."""
    scanner = Scanner(key, f"failed to parse tree path ({key})")
    names = [scanner.name()]
    while scanner.take("."):
        names.append(scanner.name())
    steps = parse_path(scanner)
    if not scanner.done:
        raise scanner.error('"->>", "->", delimiter (.) or end of input')
    return tuple(names), steps
