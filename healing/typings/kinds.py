"""What a value of the database is in TypeScript, as PostgREST's JSON has it."""

from __future__ import annotations

import json
import re

from schema_monitor.core.snapshot import Column, Snapshot

_NUMBERS = frozenset({"int2", "int4", "int8", "float4", "float8", "numeric"})
_TEXTS = frozenset(
    {"bytea", "bpchar", "varchar", "text", "citext", "uuid", "vector", "name", "date", "time", "timetz", "timestamp", "timestamptz"}
)
_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_BASES = {
    "boolean": "bool", "smallint": "int2", "integer": "int4", "bigint": "int8", "real": "float4", "double precision": "float8",
    "character varying": "varchar", "character": "bpchar", "time without time zone": "time", "time with time zone": "timetz",
    "timestamp without time zone": "timestamp", "timestamp with time zone": "timestamptz",
}  # fmt: skip


class Kinds:
    """The types of one snapshot. ``schemas`` are those that the document has: others' types are ``unknown``."""

    def __init__(self, snapshot: Snapshot, schemas: tuple[str, ...]) -> None:
        self.snapshot, self.schemas = snapshot, schemas
        self._enums = {
            (e.schema, e.name): f'Database{key(e.schema)}["Enums"]{key(e.name)}' for e in snapshot.enums.values() if e.schema in schemas
        }

    def column(self, column: Column) -> str:
        """The type of a column's value, without null."""
        enum = self.snapshot.enums.get(column.enum) if column.enum is not None else None
        one = self._enum(enum.schema, enum.name) if enum is not None else basic(column.base)
        return listed(one) if column.array else one

    def named(self, type_name: str, base: str = "") -> str:
        """The type of what ``format_type`` calls so: an argument or a result."""
        if type_name.endswith("[]"):
            return listed(self.named(type_name.removesuffix("[]"), base.removeprefix("_")))
        plain = re.sub(r"\(.*?\)", "", type_name)
        known = basic(base or _BASES.get(plain, plain))
        return known if known != "unknown" else self._of_schema(plain)

    def row(self, oid: int | None) -> str | None:
        """The row type of a relation of the document."""
        relation = self.snapshot.relations.get(oid) if oid is not None else None
        if relation is None or relation.schema not in self.schemas:
            return None
        kind = "Views" if relation.kind in ("v", "m") else "Tables"
        return f'Database{key(relation.schema)}["{kind}"]{key(relation.name)}["Row"]'

    def _of_schema(self, type_name: str) -> str:
        """An enum or a table by its name, with or without schema."""
        schema, _, name = type_name.replace('"', "").rpartition(".")
        for each in (schema,) if schema else self.schemas:
            if (each, name) in self._enums:
                return self._enums[each, name]
            relations = self.snapshot.named(each, name)
            if relations and (row := self.row(relations[0].oid)) is not None:
                return row
        return "unknown"

    def _enum(self, schema: str, name: str) -> str:
        """An enum of another schema is spelled out: the document has no place for its name."""
        if (schema, name) in self._enums:
            return self._enums[schema, name]
        labels = next((e.labels for e in self.snapshot.enums.values() if (e.schema, e.name) == (schema, name)), ())
        return " | ".join(text(label.name) for label in labels) or "string"


def basic(base: str) -> str:
    """The type of one of Postgres's own types; ``unknown`` for any other."""
    if base == "bool":
        return "boolean"
    if base in _NUMBERS:
        return "number"
    if base in _TEXTS:
        return "string"
    return {"json": "Json", "jsonb": "Json", "void": "undefined", "record": "Record<string, unknown>"}.get(base, "unknown")


def listed(one: str) -> str:
    """An array of it."""
    return f"({one})[]" if " | " in one else f"{one}[]"


def name(plain: str) -> str:
    """A property's name."""
    return plain if _PLAIN.fullmatch(plain) else text(plain)


def key(plain: str) -> str:
    """Access to a property."""
    return f"[{text(plain)}]"


def text(plain: str) -> str:
    """A string literal."""
    return json.dumps(plain, ensure_ascii=False)
