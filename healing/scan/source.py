"""One source file as a tree, with what every reader of it needs: places, texts, and the expression below casts and brackets."""

from __future__ import annotations

import re
from functools import cached_property

from ast_grep_py import Range, SgNode, SgRoot

from healing.core.sources.calls import Place

_WRAPPERS = frozenset({"as_expression", "satisfies_expression", "non_null_expression", "parenthesized_expression", "type_assertion"})
_ESCAPE = re.compile(r"\\(u\{[0-9a-fA-F]+\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|\r\n|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": "", "\r\n": ""}
FUNCTIONS = frozenset(
    {"function_declaration", "function_expression", "arrow_function", "method_definition", "generator_function_declaration"}
)


class Source:
    """A file's text and tree. ``path`` is what places say."""

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        self.root: SgNode = SgRoot(text, "tsx" if path.endswith((".tsx", ".jsx")) else "typescript").root()

    def place(self, node: SgNode) -> Place:
        """Where a node begins."""
        start = node.range().start
        return Place(self.path, start.line + 1, start.column + 1)

    @cached_property
    def broken(self) -> list[SgNode]:
        """The parts that are no TypeScript, or none that the parser knows."""
        return self.root.find_all(kind="ERROR")

    @cached_property
    def doubtful(self) -> list[Range]:
        """The statements at the top of the file that hold such a part: nothing is claimed of what stands in them."""
        tops = [([node, *node.ancestors()][-2:] or [node])[0] for node in self.broken]
        return [top.range() for top in tops]


def inner(node: SgNode) -> list[SgNode]:
    """The named children that are no comments."""
    return [child for child in node.children() if child.is_named() and child.kind() != "comment"]


def bare(node: SgNode) -> SgNode:
    """The expression below casts, brackets and ``!``."""
    while node.kind() in _WRAPPERS:
        below = inner(node)
        if not below:
            return node
        node = below[-1] if node.kind() == "type_assertion" else below[0]
    return node


def wrapped(node: SgNode) -> SgNode:
    """The outermost node that is the same value: the inverse of ``bare``."""
    parent = node.parent()
    while (
        parent is not None
        and parent.kind() in _WRAPPERS
        and (node == bare(parent) or bare(parent).range().start.index == node.range().start.index)
    ):
        node, parent = parent, parent.parent()
    return node


def arguments(call: SgNode) -> list[SgNode]:
    """The arguments of a call or a ``new``."""
    found = call.field("arguments")
    return [] if found is None else inner(found)


def method(call: SgNode) -> tuple[SgNode, str] | None:
    """(receiver, name) of ``receiver.name(…)``."""
    function = call.field("function")
    if function is None or function.kind() != "member_expression":
        return None
    receiver, name = function.field("object"), function.field("property")
    return None if receiver is None or name is None else (receiver, name.text())


def called(call: SgNode) -> str:
    """The text of what is called: ``Deno.env.get``."""
    function = call.field("function") or call.field("constructor")
    return "" if function is None else function.text()


def text_of(node: SgNode) -> str | None:
    """The text that a string or a template without substitutions spells."""
    node = bare(node)
    if node.kind() == "string" or (node.kind() == "template_string" and all(c.kind() != "template_substitution" for c in inner(node))):
        return unescaped(node.text()[1:-1])
    return None


def unescaped(text: str) -> str:
    """A string's content as JavaScript reads it."""
    return _ESCAPE.sub(lambda found: _escape(found.group(1)), text) if "\\" in text else text


def _escape(code: str) -> str:
    if code[0] in "ux" and len(code) > 1:
        return chr(int(code[1:].strip("{}"), 16))
    return _ESCAPED.get(code, code)


def function_around(node: SgNode) -> SgNode | None:
    """The function that a node belongs to."""
    return next((above for above in node.ancestors() if above.kind() in FUNCTIONS), None)
