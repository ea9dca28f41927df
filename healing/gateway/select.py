"""``select=``: which columns, casts, aggregates and embedded relations the answer has."""

from __future__ import annotations

from msgspec import Struct

from healing.gateway.errors import DialectError
from healing.gateway.field import Field, parse_field
from healing.gateway.scan import Scanner

AGGREGATES = ("sum", "avg", "count", "max", "min")


class SelectField(Struct, frozen=True):
    """``alias:a->b::cast.sum()::cast``. ``*`` is the field of that name; ``count()`` counts rows (field ``*``)."""

    field: Field
    alias: str | None = None
    cast: str | None = None
    aggregate: str | None = None
    aggregate_cast: str | None = None


class SelectRelation(Struct, frozen=True):
    """``alias:name!hint!inner(…)``, or ``...name(…)`` which spreads its columns into the parent."""

    name: str
    items: tuple[SelectItem, ...] = ()
    alias: str | None = None
    hint: str | None = None
    join: str | None = None
    """'inner' | 'left' | None."""
    spread: bool = False

    @property
    def key(self) -> str:
        """What it is called in the answer, and in filters on it."""
        return self.alias or self.name


SelectItem = SelectField | SelectRelation
STAR = SelectField(Field("*"))


def parse_select(text: str) -> tuple[SelectItem, ...]:
    """The whole parameter."""
    scanner = Scanner(text, f"failed to parse select parameter ({text})")
    items = _items(scanner)
    scanner.expect_end()
    return items


def _items(scanner: Scanner) -> tuple[SelectItem, ...]:
    scanner.blanks()
    if scanner.done or scanner.peek() == ")":
        return ()
    items = [_item(scanner)]
    while scanner.take(","):
        items.append(_item(scanner))
    return tuple(items)


def _item(scanner: Scanner) -> SelectItem:
    scanner.blanks()
    start = scanner.at
    head = _relation_head(scanner)
    if head is None:
        scanner.at = start
        return _field(scanner)
    scanner.expect("(")
    scanner.deeper()
    items = _items(scanner)
    scanner.expect(")", '")" or ","')
    scanner.depth -= 1
    scanner.blanks()
    return SelectRelation(head.name, items, head.alias, head.hint, head.join, head.spread)


def _relation_head(scanner: Scanner) -> SelectRelation | None:
    """The part before the bracket, or None where this is a field."""
    spread = scanner.take("...")
    try:
        alias = None if spread else _alias(scanner)
        name = scanner.name()
        if name == "count" and not spread:
            return None
        params = [_embed_param(scanner) for _ in range(2) if scanner.take("!")]
    except DialectError:
        if spread:
            raise
        return None
    scanner.blanks()
    if not scanner.sees("("):
        if spread:
            raise scanner.error('"("')
        return None
    join = next((p for p in params if p in ("inner", "left")), None)
    hint = next((p for p in params if p not in ("inner", "left")), None)
    return SelectRelation(name, (), alias, hint, join, spread)


def _embed_param(scanner: Scanner) -> str:
    return scanner.name()


def _alias(scanner: Scanner) -> str | None:
    """``name:`` if that comes next, but not ``name::``."""
    start = scanner.at
    try:
        name = scanner.name()
    except DialectError:
        name = ""
    scanner.blanks()
    if name and scanner.sees(":") and not scanner.sees("::"):
        scanner.take(":")
        scanner.blanks()
        return name
    scanner.at = start
    return None


def _field(scanner: Scanner) -> SelectField:
    if scanner.take("*"):
        scanner.blanks()
        return _ended(scanner, STAR)
    alias = _alias(scanner)
    if scanner.take("count()"):
        return _ended(scanner, SelectField(Field("*"), alias, None, "count", _cast(scanner)))
    field = parse_field(scanner)
    cast = _cast(scanner)
    aggregate = _aggregate(scanner)
    after = _cast(scanner) if aggregate else None
    return _ended(scanner, SelectField(field, alias, cast, aggregate, after))


def _cast(scanner: Scanner) -> str | None:
    return scanner.words() if scanner.take("::") else None


def _aggregate(scanner: Scanner) -> str | None:
    if not scanner.take("."):
        return None
    for name in AGGREGATES:
        if scanner.take(f"{name}()"):
            return name
    raise scanner.error("aggregate function (sum, avg, count, max, min)")


def _ended(scanner: Scanner, field: SelectField) -> SelectField:
    scanner.blanks()
    if not scanner.done and scanner.peek() not in ",)":
        raise scanner.error('"->>", "->", "::", ".", ")", "," or end of input')
    return field
