"""Where an address comes from: spelled out, a setting of the function, one of our own helpers, or unseen."""

from __future__ import annotations

from ast_grep_py import SgNode
from msgspec import Struct

from healing.scan.scope import Declared
from healing.scan.source import arguments, bare, called, inner, text_of, unescaped
from healing.scan.unit import Unit
from healing.scan.values import constant_text

GATEWAY_SETTING = "MENDGATE_URL"
HELPER = "_shared/mendgate.ts"
AI_HELPER = "_shared/mendgate_ai.ts"
"""The files that patches add, below the folder of functions."""
_OURS = ("/mendgate.ts", "/mendgate_ai.ts")
_READS = frozenset({"Deno.env.get", "process.env", "import.meta.env", "Bun.env"})
_DEEP = 6


class Address(Struct, frozen=True):
    """``text`` as far as it is spelled out ('' = not), ``settings`` the environment variables that decide it, ``moved``: it goes through
    our helper already, ``seen``: nothing else has a part in it."""

    text: str = ""
    settings: tuple[str, ...] = ()
    moved: bool = False
    seen: bool = True


UNSEEN = Address(seen=False)


def address(node: SgNode | None, unit: Unit, depth: int = _DEEP) -> Address:
    """Follows constants, ``??`` and templates."""
    if node is None or depth < 0:
        return UNSEEN
    node = bare(node)
    text = text_of(node)
    if text is not None:
        return Address(text)
    match node.kind():
        case "template_string":
            return _template(node, unit, depth)
        case "binary_expression":
            return _joined(node, unit, depth)
        case "identifier":
            return _named(node, unit, depth)
        case "call_expression":
            return _called(node, unit, depth)
        case "new_expression" if called(node) == "URL":
            return _joined_parts(arguments(node)[:1], unit, depth)
        case "member_expression" if node.text().rsplit(".", 1)[0] in _READS:
            return Address(settings=(node.text().rsplit(".", 1)[1],))
        case "subscript_expression" if (base := node.field("object")) is not None and base.text() in _READS:
            return Address(settings=(constant_text(node.field("index"), unit.scope) or "?",))
    return UNSEEN


def _template(node: SgNode, unit: Unit, depth: int) -> Address:
    parts: list[Address] = []
    for child in node.children():
        if child.kind() == "string_fragment":
            parts.append(Address(unescaped(child.text())))
        elif child.kind() == "template_substitution":
            parts.append(address(inner(child)[0], unit, depth - 1))
    return _together(parts)


def _joined_parts(nodes: list[SgNode], unit: Unit, depth: int) -> Address:
    return _together([address(node, unit, depth - 1) for node in nodes])


def _together(parts: list[Address]) -> Address:
    """Texts behind each other; unseen parts leave a gap."""
    text = "".join(p.text if p.seen or p.text else "\0" for p in parts)
    return Address(text, tuple(s for p in parts for s in p.settings), any(p.moved for p in parts), all(p.seen for p in parts))


def _joined(node: SgNode, unit: Unit, depth: int) -> Address:
    operator, left, right = (node.field(name) for name in ("operator", "left", "right"))
    sides = [address(side, unit, depth - 1) for side in (left, right)]
    if operator is None or operator.text() == "+":
        return _together(sides)
    if operator.text() not in ("??", "||"):
        return UNSEEN
    text = next((side.text for side in sides if side.text), "")
    return Address(text, tuple(s for side in sides for s in side.settings), any(s.moved for s in sides), all(s.seen for s in sides))


def _named(node: SgNode, unit: Unit, depth: int) -> Address:
    declared = unit.scope.find(node)
    if declared is None or declared.kind == "parameter":
        return UNSEEN
    if declared.kind == "import":
        return _imported(declared, unit, depth)
    if declared.kind != "value" or not _is_constant(node.text(), declared, unit):
        return UNSEEN
    return address(declared.node, unit, depth - 1)


def _imported(declared: Declared, unit: Unit, depth: int) -> Address:
    found = unit.imported(declared)
    if found is None or found[1].kind != "value" or not found[1].constant:
        return UNSEEN
    return address(found[1].node, found[0], depth - 1)


def _is_constant(name: str, declared: Declared, unit: Unit) -> bool:
    if declared.constant:
        return True
    return not any(c.kind() != "call_expression" for c in unit.scope.changes(name, declared))


def _called(node: SgNode, unit: Unit, depth: int) -> Address:
    name, given = called(node), arguments(node)
    if name == "Deno.env.get" and given:
        return Address(settings=(constant_text(given[0], unit.scope) or "?",))
    callee = node.field("function")
    if callee is not None and callee.kind() == "identifier":
        declared = unit.scope.find(callee)
        if declared is not None and declared.kind == "import" and is_ours(declared.origin):
            below = address(given[0], unit, depth - 1) if given else UNSEEN
            return Address(below.text, below.settings, True, below.seen)
        if declared is not None and declared.kind == "function" and declared.node is not None and len(given) == 1:
            return _required_env(declared.node, given[0], unit)
    return UNSEEN


def is_ours(origin: str) -> bool:
    """Whether an import leads to one of the helpers, from wherever."""
    return origin.endswith(_OURS)


def _required_env(function: SgNode, given: SgNode, unit: Unit) -> Address:
    """``function must(name) { const v = Deno.env.get(name); if (!v) throw …; return v; }``: a setting, looked up with care."""
    name = constant_text(given, unit.scope)
    looks = "Deno.env.get(" in function.text() and len(function.find_all(kind="call_expression")) <= 3
    return Address(settings=(name,)) if name is not None and looks else UNSEEN
