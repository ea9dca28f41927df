"""``Args`` and ``Returns`` of the functions that /rpc serves."""

from __future__ import annotations

from collections.abc import Iterator

from healing.gateway.functions import OUTPUTS, inputs_of
from healing.typings.kinds import Kinds, listed, name
from schema_monitor.core.snapshot import Function

WIDTH = 80


def function(title: str, overloads: list[Function], kinds: Kinds, indent: int) -> Iterator[str]:
    """The entry of one name; several functions of it are a union."""
    entries = [_entry(each, kinds, indent) for each in sorted(overloads, key=lambda f: [a.name for a in f.arguments])]
    if len(entries) == 1:
        yield from _headed(f"{name(title)}: ", entries[0], indent)
        return
    yield f"{name(title)}:"
    for entry in entries:
        yield from (f"  {line}" for line in _headed("| ", entry, indent + 2))


def _headed(head: str, lines: list[str], indent: int) -> list[str]:
    whole = head + _one_line(lines)
    return [whole] if len(whole) + indent <= WIDTH else [head + lines[0], *lines[1:]]


def _one_line(lines: list[str]) -> str:
    inside = "; ".join(line.strip() for line in lines[1:-1])
    return f"{{ {inside} }}" if all("{" not in line or line.rstrip().endswith("}") for line in lines[1:-1]) else "\0" * WIDTH


def _entry(each: Function, kinds: Kinds, indent: int) -> list[str]:
    return ["{", *_indented(_args(each, kinds, indent + 2)), *_indented(_returns(each, kinds)), "}"]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _args(each: Function, kinds: Kinds, indent: int) -> list[str]:
    given = sorted(inputs_of(each), key=lambda a: a.name)
    if not given:
        return ["Args: never"]
    fields = [f"{name(a.name)}{'?' * a.has_default}: {kinds.named(a.type, a.base)}" for a in given]
    whole = f"Args: {{ {'; '.join(fields)} }}"
    return [whole] if len(whole) + indent <= WIDTH else ["Args: {", *_indented(fields), "}"]


def _returns(each: Function, kinds: Kinds) -> list[str]:
    many = "[]" if each.returns_set else ""
    row = kinds.row(each.returns_relation)
    if row is not None:
        return [f"Returns: {row}{many}"]
    outputs = [a for a in each.arguments if a.mode in OUTPUTS]
    if outputs and (each.returns_set or len(outputs) > 1 or any(a.mode == "t" for a in outputs)):
        fields = [f"{name(a.name)}: {kinds.named(a.type, a.base)}" for a in sorted(outputs, key=lambda a: a.name)]
        return ["Returns: {", *_indented(fields), f"}}{many}"]
    one = kinds.named(each.returns)
    return [f"Returns: {listed(one) if many else one}"]
