"""What a name in a file means: the innermost declaration around its use, and what happens to it later."""

from __future__ import annotations

from collections import defaultdict

from ast_grep_py import SgNode
from msgspec import Struct

from healing.scan.source import FUNCTIONS, arguments, bare, called, inner, method, text_of

_BLOCKS = frozenset({"statement_block", "program", "for_statement", "for_in_statement", "switch_body", "class_body"}) | FUNCTIONS
_HOISTED = FUNCTIONS | {"program"}


class Declared(Struct):
    """A declaration. ``kind``: value | parameter | import | function | part (of a destructured value); ``node`` its initializer, the
    function, or the whole parameter; ``origin`` the specifier of an import, ``name`` what it is called there."""

    kind: str
    node: SgNode | None
    start: int
    end: int
    constant: bool = True
    origin: str = ""
    name: str = ""


class Scope:
    """All declarations and changes of one file, read once."""

    def __init__(self, root: SgNode) -> None:
        self._declared: dict[str, list[Declared]] = defaultdict(list)
        self._changes: dict[str, list[SgNode]] = defaultdict(list)
        self.names: set[str] = set()
        for node in root.find_all(kind="import_statement"):
            self._imported(node)
        for node in root.find_all(kind="variable_declarator"):
            self._variable(node)
        for kind in ("required_parameter", "optional_parameter"):
            for node in root.find_all(kind=kind):
                self._parameter(node)
        for node in root.find_all(kind="arrow_function"):
            single = node.field("parameter")
            if single is not None:
                self._add(single.text(), Declared("parameter", single, *_range(node)))
        for node in root.find_all(kind="function_declaration"):
            name = node.field("name")
            if name is not None:
                self._add(name.text(), Declared("function", node, *_range(_around(node, _BLOCKS))))
        for node in root.find_all(kind="catch_clause"):
            caught = node.field("parameter")
            if caught is not None:
                self._bind(caught, Declared("parameter", caught, *_range(node)))
        self._note_changes(root)

    def find(self, use: SgNode, name: str = "") -> Declared | None:
        """What the identifier means where it stands."""
        at = use.range().start.index
        around = [d for d in self._declared.get(name or use.text(), ()) if d.start <= at < d.end]
        return min(around, key=lambda d: d.end - d.start) if around else None

    def changes(self, name: str, declared: Declared) -> list[SgNode]:
        """Assignments to the name, to its members, calls of its methods, and calls that take it, within its scope."""
        return [n for n in self._changes.get(name, ()) if declared.start <= n.range().start.index < declared.end]

    def top(self, name: str) -> Declared | None:
        """The declaration at the top of the file, for importers."""
        found = [d for d in self._declared.get(name, ()) if d.start == 0 or d.kind == "function"]
        return max(found, key=lambda d: d.end - d.start) if found else None

    def _add(self, name: str, declared: Declared) -> None:
        self._declared[name].append(declared)
        self.names.add(name)

    def _imported(self, node: SgNode) -> None:
        source = node.field("source")
        origin = (text_of(source) or "") if source is not None else ""
        clause = next((c for c in node.children() if c.kind() == "import_clause"), None)
        if clause is None:
            return
        whole = _range(node.ancestors()[-1])
        for child in inner(clause):
            if child.kind() == "identifier":
                self._add(child.text(), Declared("import", node, *whole, origin=origin, name="default"))
            elif child.kind() == "namespace_import":
                self._add(inner(child)[0].text(), Declared("import", node, *whole, origin=origin, name="*"))
            elif child.kind() == "named_imports":
                for each in inner(child):
                    name, alias = each.field("name"), each.field("alias")
                    if name is not None:
                        self._add((alias or name).text(), Declared("import", node, *whole, origin=origin, name=name.text()))

    def _variable(self, node: SgNode) -> None:
        name, value, statement = node.field("name"), node.field("value"), node.parent()
        if name is None or statement is None:
            return
        keyword = statement.children()[0].text()
        around = _around(node, _HOISTED if keyword == "var" else _BLOCKS)
        if name.kind() == "identifier":
            self._add(name.text(), Declared("value", value, *_range(around), constant=keyword == "const"))
            return
        origin = _dynamic_import(value)
        self._bind(name, Declared("import" if origin else "part", value, *_range(around), constant=keyword == "const", origin=origin))

    def _parameter(self, node: SgNode) -> None:
        pattern = node.field("pattern")
        if pattern is not None:
            self._bind(pattern, Declared("parameter", node, *_range(_around(node, FUNCTIONS))))

    def _bind(self, pattern: SgNode, declared: Declared) -> None:
        if pattern.kind() == "identifier":
            self._add(pattern.text(), declared)
            return
        for kind in ("shorthand_property_identifier_pattern", "identifier"):
            for name in pattern.find_all(kind=kind):
                self._add(name.text(), _renamed(declared, _outer_name(name)))

    def _note_changes(self, root: SgNode) -> None:
        for kind in ("assignment_expression", "augmented_assignment_expression"):
            for node in root.find_all(kind=kind):
                self._note(node.field("left"), node)
        for node in root.find_all(kind="unary_expression"):
            if node.children() and node.children()[0].text() == "delete":
                self._note(node.field("argument"), node)
        for node in root.find_all(kind="call_expression"):
            found = method(node)
            if found is not None and found[0].kind() == "identifier":
                self._changes[found[0].text()].append(node)
            if called(node) == "Object.assign":
                for argument in arguments(node)[:1]:
                    self._note(argument, node)

    def _note(self, target: SgNode | None, node: SgNode) -> None:
        while target is not None and target.kind() in ("member_expression", "subscript_expression", "non_null_expression"):
            target = target.field("object") or next(iter(inner(target)), None)
        if target is not None:
            self._changes[bare(target).text()].append(node)


def _range(node: SgNode) -> tuple[int, int]:
    found = node.range()
    return (0 if node.kind() == "program" else found.start.index), found.end.index


def _around(node: SgNode, kinds: frozenset[str]) -> SgNode:
    return next((above for above in node.ancestors() if above.kind() in kinds), node.ancestors()[-1] if node.ancestors() else node)


def _dynamic_import(value: SgNode | None) -> str:
    """The specifier of ``await import("…")``."""
    if value is None or value.kind() != "await_expression":
        return ""
    call = inner(value)[0]
    given = arguments(call) if call.kind() == "call_expression" and called(call) == "import" else []
    return (text_of(given[0]) or "") if given else ""


def _outer_name(name: SgNode) -> str:
    """What a destructured name is called in the value that it comes from."""
    pair = name.parent()
    key = pair.field("key") if pair is not None and pair.kind() == "pair_pattern" else None
    return (key or name).text()


def _renamed(declared: Declared, name: str) -> Declared:
    return Declared(declared.kind, declared.node, declared.start, declared.end, declared.constant, declared.origin, name)
