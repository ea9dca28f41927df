"""A finding's fix as a change of the source, where the place says exactly what to write: a name, or one spelled-out value."""

from __future__ import annotations

import re

from ast_grep_py import SgNode

from healing.core.sources.edits import Edit, apply
from healing.core.sources.findings import Finding
from healing.core.types import Json
from healing.scan.source import arguments, method, text_of
from healing.scan.unit import Unit

Difference = tuple[str, str]
"""The line as it is, and as it would be."""
_MOST = 400


def edit_of(finding: Finding, unit: Unit) -> Edit | None:
    """The one edit that mends it; None where a person has to see to it."""
    op = finding.ops[0] if len(finding.ops) == 1 else {}
    node = _at(finding, unit)
    if node is None:
        return None
    match op.get("op"):
        case "rename_column":
            return _renamed(node, str(op["from"]), str(op["to"]))
        case "map_value" if isinstance(op["to"], str):
            return _mapped(node, op["from"], op["to"])
        case "rename_table":
            return _table(node, str(op["from"]), str(op["to"]))
    return None


def difference(finding: Finding, unit: Unit) -> Difference | None:
    """The line that the edit changes, before and after; without a fix that can be written down, None."""
    edit = edit_of(finding, unit)
    if edit is None:
        return None
    text = unit.source.text
    start = text.rfind("\n", 0, edit.start) + 1
    end = text.find("\n", edit.end)
    line = text[start : end if end >= 0 else len(text)]
    changed = apply(line, [Edit(edit.start - start, edit.end - start, edit.text)])
    return line.strip()[:_MOST], changed.strip()[:_MOST]


def _at(finding: Finding, unit: Unit) -> SgNode | None:
    """The node of the place that is meant: a pair, a shorthand, a string, or a method's name."""
    kinds = ("pair", "shorthand_property_identifier", "string", "property_identifier")
    nodes = (node for kind in kinds for node in unit.source.root.find_all(kind=kind))
    return next((node for node in nodes if unit.source.place(node) == finding.place), None)


def _renamed(node: SgNode, old: str, new: str) -> Edit | None:
    span = node.range()
    if node.kind() == "shorthand_property_identifier":
        return Edit(span.start.index, span.start.index, f"{_key(new)}: ")
    if node.kind() == "pair":
        label = node.field("key")
        if label is None or (text_of(label) or label.text()) != old:
            return None
        here = label.range()
        return Edit(here.start.index, here.end.index, _requoted(label, new) if label.kind() == "string" else _key(new))
    if node.kind() == "string":
        return _in_string(node, old, new)
    return None


def _in_string(node: SgNode, old: str, new: str) -> Edit | None:
    """A filter's column; or one column of a select list, which keeps its name in the answer."""
    span, text = node.range(), node.text()[1:-1]
    if text_of(node) == old:
        return Edit(span.start.index, span.end.index, _requoted(node, f"{new}" if not _is_select(node) else f"{old}:{new}"))
    found = list(re.finditer(rf'(?<![\w":.>-]){re.escape(old)}(?![\w":(.-])', text))
    if len(found) != 1 or not _is_select(node):
        return None
    start = span.start.index + 1
    return Edit(start + found[0].start(), start + found[0].end(), f"{old}:{new}")


def _is_select(node: SgNode) -> bool:
    call = next((above for above in node.ancestors() if above.kind() == "call_expression"), None)
    called = method(call) if call is not None else None
    return called is not None and called[1] == "select"


def _mapped(node: SgNode, old: Json, new: str) -> Edit | None:
    """The one string in the pair that spells the value."""
    value = node.field("value") if node.kind() == "pair" else None
    if value is None:
        return None
    spelled = [n for n in (value, *value.find_all(kind="string")) if n.kind() == "string" and text_of(n) == old]
    places = {n.range().start.index: n for n in spelled}
    if len(places) != 1:
        return None
    only = next(iter(places.values()))
    span = only.range()
    return Edit(span.start.index, span.end.index, _requoted(only, new))


def _table(node: SgNode, old: str, new: str) -> Edit | None:
    """The argument of the ``from`` before the method."""
    access = node.parent()
    call = access.field("object") if access is not None else None
    given = arguments(call) if call is not None and call.kind() == "call_expression" else []
    only = given[0] if len(given) == 1 and given[0].kind() == "string" and text_of(given[0]) == old else None
    span = only.range() if only is not None else None
    return None if only is None or span is None else Edit(span.start.index, span.end.index, _requoted(only, new))


def _requoted(node: SgNode, text: str) -> str:
    quote = node.text()[0]
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_$][\w$]*", name) else '"' + name.replace('"', '\\"') + '"'
