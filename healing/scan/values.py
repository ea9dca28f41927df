"""What an expression may yield, as far as its file says. Anything else is unseen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from ast_grep_py import SgNode

from healing.core.sources.calls import UNSEEN, Guess
from healing.core.types import Json
from healing.scan.scope import Declared, Scope
from healing.scan.source import bare, called, inner, method, text_of

_DEEP = 6
"""names and branches followed; more is unseen."""
_NUMBER = re.compile(r"(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?")
_COMPARISONS = frozenset({"==", "===", "!=", "!==", "<", ">", "<=", ">=", "in", "instanceof"})
_CALLS = {
    "Date.now": "epoch", "crypto.randomUUID": "uuid", "Math.round": "int", "Math.floor": "int", "Math.ceil": "int", "Boolean": "bool",
    "String": "text", "JSON.stringify": "text", "parseInt": "int", "Number.parseInt": "int",
}  # fmt: skip
_METHODS = {"toISOString": "moment", "join": "text", "toFixed": "text", "toString": "text", "getTime": "epoch"}
_KINDS = {"object": "object", "array": "array", "template_string": "text", "regex": "object"}


def guess(node: SgNode | None, scope: Scope, depth: int = _DEEP) -> Guess:
    """What the expression may yield."""
    if node is None or depth < 0:
        return UNSEEN
    node = bare(node)
    literal = _literal(node)
    if literal is not None:
        return literal
    match node.kind():
        case "identifier":
            return _named(node, scope, depth)
        case "ternary_expression":
            return either(guess(node.field(branch), scope, depth - 1) for branch in ("consequence", "alternative"))
        case "binary_expression":
            return _binary(node, scope, depth)
        case "unary_expression":
            return _unary(node, scope, depth)
        case "call_expression":
            return _call(node)
        case "new_expression":
            return Guess(kind="moment") if called(node) == "Date" else UNSEEN
        case "member_expression":
            return _member(node, scope, depth)
        case "subscript_expression":
            return Guess(kind="date") if re.search(r"toISOString\(\)\s*\.split\(['\"]T['\"]\)\s*\[0\]$", node.text()) else UNSEEN
    return Guess(kind=_KINDS.get(node.kind(), ""))


def either(guesses: Iterable[Guess]) -> Guess:
    """One of several."""
    found = list(guesses)
    values = tuple({repr(v): v for g in found for v in g.values}.values())
    kinds = {g.kind for g in found if not g.sure}
    return Guess(values, kinds.pop() if len(kinds) == 1 else "", any(g.absent for g in found), all(g.sure for g in found))


def _literal(node: SgNode) -> Guess | None:
    text = text_of(node)
    if text is not None:
        return Guess((text,), sure=True)
    match node.kind():
        case "number":
            number = _number(node.text())
            return UNSEEN if number is None else Guess((number,), sure=True)
        case "true" | "false":
            return Guess((node.kind() == "true",), sure=True)
        case "null":
            return Guess((None,), sure=True)
        case "undefined":
            return Guess(absent=True, sure=True)
        case "array":
            return _list(node)
    return None


def _number(text: str) -> Json:
    """As JSON would carry it: ``1.0`` is 1."""
    if not _NUMBER.fullmatch(text):
        return None
    value = Decimal(text.replace("_", ""))
    return int(value) if value == value.to_integral_value() and value.adjusted() < 21 else value


def _list(node: SgNode) -> Guess:
    """An array of literals is spelled out; any other is an array."""
    found = [_literal(bare(child)) for child in inner(node)]
    if any(g is None or len(g.values) != 1 or not g.sure for g in found):
        return Guess(kind="array")
    return Guess(([g.values[0] for g in found if g is not None],), sure=True)


def _named(node: SgNode, scope: Scope, depth: int) -> Guess:
    declared = scope.find(node)
    if declared is None or declared.kind != "value":
        return UNSEEN
    return guess(declared.node, scope, depth - 1) if declared.constant else _variable(node.text(), declared, scope, depth)


def _variable(name: str, declared: Declared, scope: Scope, depth: int) -> Guess:
    """A ``let``: what it begins with and everything it is given later. Null and '' are places that are filled before use."""
    given: list[Guess] = []
    for change in scope.changes(name, declared):
        left = change.field("left")
        if change.kind() == "augmented_assignment_expression":
            return UNSEEN
        if change.kind() == "assignment_expression" and left is not None and left.kind() == "identifier":
            given.append(guess(change.field("right"), scope, depth - 1))
    if declared.node is not None:
        begins = guess(declared.node, scope, depth - 1)
        given.append(begins)
    found = either(given) if given else UNSEEN
    return Guess(tuple(v for v in found.values if v is not None and v != ""), found.kind, found.absent)


def _binary(node: SgNode, scope: Scope, depth: int) -> Guess:
    operator = node.field("operator")
    sign = operator.text() if operator is not None else ""
    left, right = (guess(node.field(side), scope, depth - 1) for side in ("left", "right"))
    if sign in _COMPARISONS:
        return Guess(kind="bool")
    if sign in ("??", "||"):
        kept = tuple(v for v in left.values if (v is not None if sign == "??" else bool(v)))
        return (
            either((Guess(kept, left.kind, False, left.sure and not left.absent and bool(kept)), right))
            if not _settled(left, sign)
            else left
        )
    if sign == "&&":
        return either((Guess(kind=""), right))
    if sign == "+" and any(isinstance(v, str) for g in (left, right) for v in g.values):
        return Guess(kind="text")
    return UNSEEN


def _settled(left: Guess, sign: str) -> bool:
    """The left side alone decides."""
    return left.sure and not left.absent and bool(left.values) and all(v is not None if sign == "??" else bool(v) for v in left.values)


def _unary(node: SgNode, scope: Scope, depth: int) -> Guess:
    sign, value = node.children()[0].text(), node.field("argument")
    if sign == "!":
        return Guess(kind="bool")
    if sign == "void":
        return Guess(absent=True, sure=True)
    found = guess(value, scope, depth - 1)
    if sign == "-" and found.sure and all(isinstance(v, (int, Decimal)) and not isinstance(v, bool) for v in found.values):
        return Guess(tuple(-v for v in found.values), sure=True)
    return UNSEEN


def _call(node: SgNode) -> Guess:
    name = called(node)
    if name in _CALLS:
        return Guess(kind=_CALLS[name])
    found = method(node)
    if found is not None and found[1] in _METHODS:
        return Guess(kind=_METHODS[found[1]])
    return UNSEEN


def _member(node: SgNode, scope: Scope, depth: int) -> Guess:
    """``PLAN.name`` of a constant object that is spelled out and never changed."""
    base, name = node.field("object"), node.field("property")
    if base is None or name is None or base.kind() != "identifier":
        return UNSEEN
    declared = scope.find(base)
    if declared is None or declared.kind != "value" or declared.node is None or not declared.constant:
        return UNSEEN
    value = bare(declared.node)
    if value.kind() != "object" or any(c.kind() != "call_expression" for c in scope.changes(base.text(), declared)):
        return UNSEEN
    for pair in inner(value):
        key = pair.field("key")
        if pair.kind() == "pair" and key is not None and (text_of(key) or key.text()) == name.text():
            return guess(pair.field("value"), scope, depth - 1)
    return UNSEEN


def constant_text(node: SgNode | None, scope: Scope) -> str | None:
    """The one text that the expression surely is."""
    found = guess(node, scope)
    return found.values[0] if found.sure and len(found.values) == 1 and not found.absent and isinstance(found.values[0], str) else None
