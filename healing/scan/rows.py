"""The rows that an expression sends: objects, arrays, ``map``, variables that hold them, and what is added to those later."""

from __future__ import annotations

from collections.abc import Iterator

from ast_grep_py import SgNode
from msgspec import Struct
from msgspec.structs import replace

from healing.core.sources.calls import UNSEEN, Guess, Key, Payload
from healing.scan.scope import Declared
from healing.scan.source import FUNCTIONS, arguments, bare, called, function_around, inner, method, text_of
from healing.scan.unit import Unit
from healing.scan.values import constant_text, guess

_DEEP = 5
_LOOPS = frozenset({"for_statement", "for_in_statement", "while_statement", "do_statement"})
_SAME_ROWS = frozenset({"filter", "slice", "sort", "reverse", "concat", "toSorted"})
_NO_CHANGE = frozenset({"map", "filter", "forEach", "find", "some", "every", "slice", "join", "includes", "reduce", "entries", "keys"})


class Rows(Struct):
    """What is sent. ``payloads`` are the different shapes that can be seen; ``batch``: as an array; ``whole``: nothing else is sent."""

    payloads: tuple[Payload, ...]
    batch: bool
    whole: bool


def rows(node: SgNode, unit: Unit, depth: int = _DEEP) -> Rows | None:
    """The rows of an insert, or None where nothing of them can be seen."""
    node = bare(node)
    if depth < 0:
        return None
    match node.kind():
        case "array":
            return _array(node, unit, depth)
        case "call_expression":
            return _mapped(node, unit, depth) or _single(node, unit, depth)
        case "identifier":
            return _variable(node, unit, depth) or _single(node, unit, depth)
    return _single(node, unit, depth)


def payloads(node: SgNode, unit: Unit, depth: int = _DEEP) -> tuple[Payload, ...] | None:
    """The different objects that the expression may be, or None."""
    node = bare(node)
    if depth < 0:
        return None
    match node.kind():
        case "object":
            return (_object(node, unit, depth),)
        case "ternary_expression":
            return _all(
                payloads(branch, unit, depth - 1) for name in ("consequence", "alternative") if (branch := node.field(name)) is not None
            )
        case "identifier":
            return _held(node, unit, depth)
        case "call_expression":
            return _returned(node, unit, depth)
    return None


def _all(found: Iterator[tuple[Payload, ...] | None]) -> tuple[Payload, ...] | None:
    lists = list(found)
    return None if not lists or any(one is None for one in lists) else tuple(p for one in lists if one is not None for p in one)


def _single(node: SgNode, unit: Unit, depth: int) -> Rows | None:
    found = payloads(node, unit, depth)
    return None if found is None else Rows(found, batch=False, whole=True)


def _array(node: SgNode, unit: Unit, depth: int) -> Rows:
    """Each element is a row; a spread may bring others."""
    found: list[Payload] = []
    whole = True
    for child in inner(node):
        if child.kind() == "spread_element":
            other = rows(inner(child)[0], unit, depth - 1)
            found += () if other is None else other.payloads
            whole = whole and other is not None and other.whole
            continue
        one = payloads(child, unit, depth - 1)
        found += one or ()
        whole = whole and one is not None and len(one) == 1
    return Rows(tuple(found), batch=True, whole=whole)


def _mapped(node: SgNode, unit: Unit, depth: int) -> Rows | None:
    """``items.map((i) => ({…}))``, and what leaves rows as they are."""
    found = method(node)
    if found is None:
        return None
    receiver, name = found
    if name in _SAME_ROWS:
        return rows(receiver, unit, depth - 1)
    given = arguments(node)
    makes = given[0] if name in ("map", "flatMap") and given else given[1] if called(node) == "Array.from" and len(given) > 1 else None
    if makes is None or makes.kind() not in FUNCTIONS:
        return None
    shapes = _results(makes, unit, depth)
    return None if shapes is None else Rows(shapes, batch=True, whole=len(shapes) == 1 and name != "flatMap")


def _variable(node: SgNode, unit: Unit, depth: int) -> Rows | None:
    """An array in a variable, with what is pushed to it."""
    declared = unit.scope.find(node)
    if declared is None or declared.kind != "value" or declared.node is None:
        return None
    begin = bare(declared.node)
    if begin.kind() not in ("array", "call_expression"):
        return None
    found = rows(begin, unit, depth - 1)
    for change in sorted(unit.scope.changes(node.text(), declared), key=_start):
        if _replaces(change, node):
            found = rows(change.field("right"), unit, depth - 1)  # type: ignore[arg-type]
        elif found is not None:
            found = _pushed(found, change, unit, depth)
    return found if found is not None and found.batch and found.payloads else None


def _pushed(found: Rows, change: SgNode, unit: Unit, depth: int) -> Rows:
    called_method = method(change) if change.kind() == "call_expression" else None
    if called_method is not None and called_method[1] in ("push", "unshift"):
        shapes = [
            rows(inner(a)[0], unit, depth - 1) if a.kind() == "spread_element" else _single(a, unit, depth - 1) for a in arguments(change)
        ]
        seen = tuple(p for shape in shapes if shape is not None for p in shape.payloads)
        return Rows((*found.payloads, *seen), True, False)
    return found if called_method is not None and called_method[1] in _NO_CHANGE else Rows(found.payloads, found.batch, whole=False)


def _held(node: SgNode, unit: Unit, depth: int) -> tuple[Payload, ...] | None:
    """An object in a variable, with the keys that it is given later."""
    declared = unit.scope.find(node)
    if declared is None or declared.kind != "value" or declared.node is None:
        return None
    found = payloads(declared.node, unit, depth - 1)
    for change in sorted(unit.scope.changes(node.text(), declared), key=_start):
        if _replaces(change, node):
            found = payloads(change.field("right"), unit, depth - 1)  # type: ignore[arg-type]
        elif found is not None and _may_come_first(change, node):
            found = _changed(found, change, declared, unit, depth)
    return found


def _start(node: SgNode) -> int:
    return node.range().start.index


def _replaces(change: SgNode, use: SgNode) -> bool:
    """Whether what the name held before cannot be meant any more: a plain assignment before the use, in a block around it."""
    left, block = change.field("left"), next(iter(change.ancestors()[1:]), None)
    if change.kind() != "assignment_expression" or left is None or left.kind() != "identifier" or block is None:
        return False
    surely = function_around(change) == function_around(use) and any(above == block for above in use.ancestors())
    return surely and change.range().end.index <= _start(use)


def _may_come_first(change: SgNode, use: SgNode) -> bool:
    """Not what stands behind the use in the same function, or around it (``x = { ...x }``), unless both go round in a loop."""
    around = function_around(use)
    return (
        change.range().end.index <= _start(use)
        or function_around(change) != around
        or any(above.kind() in _LOOPS for above in use.ancestors())
    )


def _changed(found: tuple[Payload, ...], change: SgNode, declared: Declared, unit: Unit, depth: int) -> tuple[Payload, ...]:
    if change.kind() == "unary_expression" and (gone := _assigned_key(change.field("argument"), unit)) is not None:
        return tuple(_deleted(p, gone, sure=not _is_conditional(change)) for p in found)
    left = change.field("left") if change.kind() == "assignment_expression" else None
    if left is not None and left.kind() == "identifier":
        return (*found, *(payloads(right, unit, depth - 1) or (_OPEN,))) if (right := change.field("right")) is not None else found
    name = _assigned_key(left, unit)
    if left is not None and name is None and _is_deep(left):
        return found
    if name is None:
        return (
            found
            if change.kind() == "call_expression" and called(change) != "Object.assign"
            else tuple(replace(p, whole=False) for p in found)
        )
    sure = function_around(change) == (None if declared.node is None else function_around(declared.node))
    key = Key(name, guess(change.field("right"), unit.scope), unit.source.place(change), maybe=_is_conditional(change) or not sure)
    return tuple(_with(p, key) for p in found)


_OPEN = Payload((), whole=False)


def _is_deep(left: SgNode) -> bool:
    """``x.a.b = …`` changes a value, not the keys."""
    base = left.field("object")
    return left.kind() in ("member_expression", "subscript_expression") and base is not None and bare(base).kind() != "identifier"


def _assigned_key(left: SgNode | None, unit: Unit) -> str | None:
    if left is None or _is_deep(left):
        return None
    if left.kind() == "member_expression" and (name := left.field("property")) is not None:
        return name.text()
    if left.kind() == "subscript_expression":
        return constant_text(left.field("index"), unit.scope)
    return None


def _is_conditional(node: SgNode) -> bool:
    for above in node.ancestors():
        if above.kind() in FUNCTIONS:
            return False
        if above.kind() in (
            "if_statement",
            "switch_statement",
            "try_statement",
            "for_statement",
            "for_in_statement",
            "while_statement",
            "ternary_expression",
            "binary_expression",
        ):
            return True
    return False


def _deleted(payload: Payload, name: str, *, sure: bool) -> Payload:
    """Without a key, or with it as one that may be missing."""
    kept = tuple(replace(k, maybe=True) if k.name == name else k for k in payload.keys)
    return Payload(tuple(k for k in kept if k.name != name) if sure else kept, payload.whole)


def _with(payload: Payload, key: Key) -> Payload:
    others = tuple(k for k in payload.keys if k.name != key.name)
    replaced = next((k for k in payload.keys if k.name == key.name), None)
    if replaced is not None and key.maybe:
        return Payload((*payload.keys, key), payload.whole)
    return Payload((*others, key), payload.whole)


def _object(node: SgNode, unit: Unit, depth: int) -> Payload:
    """The keys of an object literal."""
    keys: dict[str, Key] = {}
    whole = True
    for child in inner(node):
        if child.kind() == "spread_element":
            spread = _spread(inner(child)[0], unit, depth - 1)
            whole = whole and spread is not None and spread.whole
            keys.update({k.name: k for k in (spread.keys if spread is not None else ())})
            continue
        key = _key(child, unit)
        if key is None:
            whole = whole and child.kind() == "method_definition"
        elif not (key.value.absent and key.value.sure and not key.value.values):
            keys[key.name] = key
    return Payload(tuple(keys.values()), whole)


def _key(child: SgNode, unit: Unit) -> Key | None:
    """A ``name: value`` or a shorthand; None for what has no name that can be seen."""
    if child.kind() == "shorthand_property_identifier":
        value = _shorthand(child, unit)
        return Key(child.text(), value, unit.source.place(child), value.absent)
    label = child.field("key")
    if child.kind() != "pair" or label is None:
        return None
    name = constant_text(inner(label)[0], unit.scope) if label.kind() == "computed_property_name" else (text_of(label) or label.text())
    if name is None:
        return None
    value = guess(child.field("value"), unit.scope)
    return Key(name, value, unit.source.place(child), value.absent)


def _shorthand(child: SgNode, unit: Unit) -> Guess:
    """The value of a shorthand ``{ name }``."""
    declared = unit.scope.find(child)
    if declared is None or declared.kind != "value" or not declared.constant:
        return UNSEEN
    return guess(declared.node, unit.scope)


def _spread(node: SgNode, unit: Unit, depth: int) -> Payload | None:
    """What ``...x`` brings: the keys of a known object, maybe, where it hangs on a condition."""
    node = bare(node)
    operator = node.field("operator") if node.kind() == "binary_expression" else None
    if operator is not None and operator.text() == "&&" and (right := node.field("right")) is not None:
        return _perhaps(payloads(right, unit, depth))
    found = payloads(node, unit, depth)
    return _perhaps(found) if found is not None and len(found) > 1 else found[0] if found else None


def _perhaps(found: tuple[Payload, ...] | None) -> Payload | None:
    """One payload with every key that any of them has."""
    if found is None:
        return None
    keys = {k.name: replace(k, maybe=True) for p in found for k in p.keys}
    return Payload(tuple(keys.values()), all(p.whole for p in found))


def _returned(node: SgNode, unit: Unit, depth: int) -> tuple[Payload, ...] | None:
    """What a function of the same file gives back."""
    callee = node.field("function")
    declared = unit.scope.find(callee) if callee is not None and callee.kind() == "identifier" else None
    if declared is None or declared.node is None:
        return None
    function = bare(declared.node)
    is_async = any(c.kind() == "async" for c in function.children())
    return _results(function, unit, depth - 1) if function.kind() in FUNCTIONS and not is_async else None


def _results(function: SgNode, unit: Unit, depth: int) -> tuple[Payload, ...] | None:
    """All objects that a function may give back."""
    body = function.field("body")
    if body is None or depth < 0:
        return None
    if body.kind() != "statement_block":
        return payloads(body, unit, depth - 1)
    values = [inner(r) for r in body.find_all(kind="return_statement") if function_around(r) == function]
    if not values or any(not v for v in values):
        return None
    return _all(payloads(v[0], unit, depth - 1) for v in values)
