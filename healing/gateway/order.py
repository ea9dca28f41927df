"""``order=``: terms like ``name.desc.nullslast``, ``data->>age`` and, by an embedded relation, ``author(name)``."""

from __future__ import annotations

from msgspec import Struct

from healing.gateway.errors import DialectError
from healing.gateway.field import Field, parse_field
from healing.gateway.scan import Scanner


class Order(Struct, frozen=True):
    """One term. ``relation`` is the embedding whose column it is; None for the relation's own."""

    field: Field
    descending: bool | None = None
    nulls: str | None = None
    """'first' | 'last' | None."""
    relation: str | None = None


def parse_order(text: str) -> tuple[Order, ...]:
    """The whole parameter."""
    scanner = Scanner(text, f"failed to parse order ({text})")
    terms = [_term(scanner)]
    while scanner.take(","):
        terms.append(_term(scanner))
    scanner.expect_end()
    return tuple(terms)


def _term(scanner: Scanner) -> Order:
    relation = _relation(scanner)
    field = parse_field(scanner)
    if relation is not None:
        scanner.expect(")")
    descending = _direction(scanner)
    nulls = _nulls(scanner)
    scanner.blanks()
    if not scanner.done and not scanner.sees(","):
        raise scanner.error('"asc", "desc", "nullsfirst" or "nullslast"')
    return Order(field, descending, nulls, relation)


def _relation(scanner: Scanner) -> str | None:
    """``name(`` if that comes next."""
    scanner.blanks()
    start = scanner.at
    try:
        name = scanner.name()
    except DialectError:
        name = ""
    if name and scanner.take("("):
        return name
    scanner.at = start
    return None


def _direction(scanner: Scanner) -> bool | None:
    if scanner.take(".asc"):
        return False
    return True if scanner.take(".desc") else None


def _nulls(scanner: Scanner) -> str | None:
    if scanner.take(".nullsfirst"):
        return "first"
    return "last" if scanner.take(".nullslast") else None
