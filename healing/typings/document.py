"""The whole file: ``Json``, ``Database``, the types that pick from it, and the enums as values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from healing.typings.functions import function
from healing.typings.kinds import Kinds, name, text
from healing.typings.tables import VIEWS, relation
from schema_monitor.core.snapshot import EnumType, Function, Relation, Snapshot

DIALECT = "14.5"
"""The version of PostgREST whose dialect the data API speaks: supabase-js's types ask for it."""
_TABLES = ("r", "p", "f")
_WIDTH = 80
_TAIL = Path(__file__).parent / "tail.ts"
_NOTHING = "[_ in never]: never"


def typescript(snapshot: Snapshot, schemas: tuple[str, ...]) -> str:
    """The file's text. The first schema is the default one."""
    kinds = Kinds(snapshot, schemas)
    database = [line for schema in sorted(schemas) for line in _schema(schema, kinds)]
    tail = _TAIL.read_text(encoding="utf-8").replace('"public"', text(schemas[0]))
    return "\n".join([*_head(), *_indented(database), "}", "", tail.rstrip(), "", *_constants(kinds), ""])


def _head() -> Iterator[str]:
    yield "export type Json ="
    yield from (f"  | {kind}" for kind in ("string", "number", "boolean", "null", "{ [key: string]: Json | undefined }", "Json[]"))
    yield from ("", "export type Database = {", "  // which dialect createClient is to expect", "  __InternalSupabase: {")
    yield from (f"    PostgrestVersion: {text(DIALECT)}", "  }")


def _schema(schema: str, kinds: Kinds) -> Iterator[str]:
    relations = sorted((r for r in kinds.snapshot.relations.values() if r.schema == schema), key=lambda r: r.name)
    yield f"{name(schema)}: {{"
    yield from _indented(_relations("Tables", [r for r in relations if r.kind in _TABLES], kinds))
    yield from _indented(_relations("Views", [r for r in relations if r.kind in VIEWS], kinds))
    yield from _indented(_section("Functions", _functions(schema, kinds)))
    yield from _indented(_section("Enums", [line for enum in _enums(schema, kinds) for line in _enum(enum)]))
    yield from _indented(_section("CompositeTypes", []))
    yield "}"


def _section(title: str, lines: list[str]) -> Iterator[str]:
    yield f"{title}: {{"
    yield from _indented(lines or [_NOTHING])
    yield "}"


def _relations(title: str, relations: list[Relation], kinds: Kinds) -> Iterator[str]:
    return _section(title, [line for each in relations for line in relation(each, kinds)])


def _functions(schema: str, kinds: Kinds) -> list[str]:
    by_name: dict[str, list[Function]] = defaultdict(list)
    for each in kinds.snapshot.functions.values():
        if each.schema == schema and each.returns not in ("trigger", "event_trigger"):
            by_name[each.name].append(each)
    return [line for title in sorted(by_name) for line in function(title, by_name[title], kinds, indent=6)]


def _enums(schema: str, kinds: Kinds) -> list[EnumType]:
    return sorted((e for e in kinds.snapshot.enums.values() if e.schema == schema), key=lambda e: e.name)


def _enum(enum: EnumType) -> list[str]:
    labels = [text(label.name) for label in enum.labels] or ["never"]
    whole = f"{name(enum.name)}: {' | '.join(labels)}"
    return [whole] if len(whole) + 6 <= _WIDTH else [f"{name(enum.name)}:", *(f"  | {label}" for label in labels)]


def _constants(kinds: Kinds) -> Iterator[str]:
    yield "export const Constants = {"
    for schema in sorted(kinds.schemas):
        lists = [line for enum in _enums(schema, kinds) for line in _values(enum)]
        enums = ["Enums: {", *_indented(lists), "},"] if lists else ["Enums: {},"]
        yield from (f"  {name(schema)}: {{", *(f"    {line}" for line in enums), "  },")

    yield "} as const"


def _values(enum: EnumType) -> list[str]:
    labels = [text(label.name) for label in enum.labels]
    whole = f"{name(enum.name)}: [{', '.join(labels)}],"
    return [whole] if len(whole) + 6 <= _WIDTH else [f"{name(enum.name)}: [", *(f"  {label}," for label in labels), "],"]


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
