"""Filters: ``col=op.value``, ``or=(…)``, ``and=(…)``, as a tree."""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from healing.gateway.field import Field, parse_field
from healing.gateway.scan import Scanner

QUANTIFIABLE = ("eq", "gte", "gt", "lte", "lt", "like", "ilike", "match", "imatch")
SIMPLE = ("neq", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj", "isdistinct")
SEARCH = ("fts", "plfts", "phfts", "wfts")
IS = ("null", "not_null", "true", "false", "unknown")
_OPERATOR = re.compile(r"([a-z]+)(?:\(([\w $]*)\))?(?=\.)")
_LOGIC = re.compile(r"(not\.)?(and|or)[ \t]*\(")
_REST = re.compile(r".*", re.DOTALL)
_BARE = re.compile(r"[^,)]*")
_ARRAY = re.compile(r"\{[^{}]*\}")


class Filter(Struct, frozen=True):
    """One comparison. ``value`` is a tuple for ``in``; ``quantifier`` any | all | None; ``language`` for text search."""

    field: Field
    operator: str
    value: str | tuple[str, ...]
    negated: bool = False
    quantifier: str | None = None
    language: str | None = None


class Logic(Struct, frozen=True):
    """Several conditions joined by ``and`` or ``or``."""

    operator: str
    children: tuple[Condition, ...]
    negated: bool = False


Condition = Filter | Logic
Value = Callable[[Scanner], str]


def plain_eq(condition: Condition) -> str | None:
    """The column of a plain ``col=eq.value``; None where the condition is more than that."""
    if not isinstance(condition, Filter) or condition.operator != "eq" or condition.negated or condition.quantifier or condition.field.path:
        return None
    return condition.field.name


def parse_filter(field: Field, text: str) -> Filter:
    """The value of ``col=…``."""
    scanner = Scanner(text, f"failed to parse filter ({text})")
    found = _operation(scanner, field, _everything)
    scanner.expect_end()
    return found


def parse_logic(operator: str, negated: bool, text: str) -> Logic:
    """The value of ``or=…`` or ``and=…``."""
    scanner = Scanner(text, f"failed to parse logic tree ({text})")
    tree = Logic(operator, _children(scanner), negated)
    scanner.expect_end()
    return tree


def _condition(scanner: Scanner) -> Condition:
    scanner.blanks()
    group = scanner.match(_LOGIC)
    if group is not None:
        scanner.at = group.end() - 1
        return Logic(group[2], _children(scanner), group[1] is not None)
    field = parse_field(scanner)
    scanner.expect(".", "delimiter (.)")
    return _operation(scanner, field, _within_logic)


def _children(scanner: Scanner) -> tuple[Condition, ...]:
    scanner.blanks()
    scanner.expect("(")
    scanner.deeper()
    children = [_condition(scanner)]
    scanner.blanks()
    while scanner.take(","):
        children.append(_condition(scanner))
        scanner.blanks()
    scanner.expect(")", '"," or ")"')
    scanner.blanks()
    scanner.depth -= 1
    return tuple(children)


def _operation(scanner: Scanner, field: Field, value: Value) -> Filter:
    """``[not.]op[(…)].value``."""
    negated = scanner.take("not.")
    start = scanner.at
    found = scanner.match(_OPERATOR)
    name, inside = (found[1], found[2]) if found else ("", None)
    if not _known(name, inside):
        scanner.at = start
        raise scanner.error('"not" or operator (eq, gt, ...)' if not negated else "operator (eq, gt, ...)")
    scanner.expect(".", "delimiter (.)")
    if name == "in":
        return Filter(field, name, _list(scanner), negated)
    if name == "is":
        return Filter(field, name, _is(scanner), negated)
    if name in SEARCH:
        return Filter(field, name, value(scanner), negated, None, inside.strip() if inside else None)
    return Filter(field, name, value(scanner), negated, inside)


def _known(name: str, inside: str | None) -> bool:
    if name in QUANTIFIABLE:
        return inside in (None, "any", "all")
    if name in SEARCH:
        return inside is None or bool(inside.strip())
    return name in (*SIMPLE, "in", "is") and inside is None


def _is(scanner: Scanner) -> str:
    rest = scanner.text[scanner.at :].lower()
    for word in IS:
        after = rest[len(word) : len(word) + 1]
        if rest.startswith(word) and (not after or after in ",) "):
            scanner.at += len(word)
            return word
    raise scanner.error("isVal: (null, not_null, true, false, unknown)")


def _list(scanner: Scanner) -> tuple[str, ...]:
    scanner.blanks()
    scanner.expect("(")
    values = [_element(scanner)]
    while scanner.take(","):
        values.append(_element(scanner))
    scanner.expect(")", '"," or ")"')
    scanner.blanks()
    return tuple(values)


def _element(scanner: Scanner) -> str:
    """A quoted text that ends the element, or everything up to the next ``,`` or ``)``."""
    start = scanner.at
    quoted = scanner.quoted()
    if quoted is not None and (scanner.done or scanner.peek() in ",)"):
        return quoted
    scanner.at = start
    found = scanner.match(_BARE)
    return found[0] if found else ""


def _within_logic(scanner: Scanner) -> str:
    start = scanner.at
    if not scanner.sees('"'):
        array = scanner.match(_ARRAY)
        if array is not None:
            return array[0]
    scanner.at = start
    return _element(scanner)


def _everything(scanner: Scanner) -> str:
    found = scanner.match(_REST)
    return found[0] if found else ""
