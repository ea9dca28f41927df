"""SQL as text: quoted identifiers from the catalog, values as numbered parameters, types that are safe to cast to."""

from __future__ import annotations

import re

from msgspec import Struct

from healing.gateway.errors import DialectError, not_implemented
from schema_monitor.core.snapshot import Argument, Column, EnumType, Snapshot

Value = str | int | None
_MODIFIER = re.compile(r"\([^()\"]*\)$")
_TEXTUAL = frozenset({"text", "varchar", "name", "unknown"})
_BUILT_IN = frozenset(
    (
        "bit",
        "bool",
        "box",
        "bpchar",
        "bytea",
        "cid",
        "cidr",
        "circle",
        "date",
        "datemultirange",
        "daterange",
        "float4",
        "float8",
        "inet",
        "int2",
        "int4",
        "int4multirange",
        "int4range",
        "int8",
        "int8multirange",
        "int8range",
        "interval",
        "json",
        "jsonb",
        "jsonpath",
        "line",
        "lseg",
        "macaddr",
        "macaddr8",
        "money",
        "numeric",
        "nummultirange",
        "numrange",
        "oid",
        "path",
        "pg_lsn",
        "point",
        "polygon",
        "regclass",
        "regproc",
        "regtype",
        "tid",
        "time",
        "timestamp",
        "timestamptz",
        "timetz",
        "tsmultirange",
        "tsquery",
        "tsrange",
        "tstzmultirange",
        "tstzrange",
        "tsvector",
        "uuid",
        "varbit",
        "xml",
    )
)
_CASTS = {
    "bigint": "int8",
    "integer": "int4",
    "int": "int4",
    "smallint": "int2",
    "boolean": "bool",
    "real": "float4",
    "double precision": "float8",
    "float": "float8",
    "decimal": "numeric",
    "character varying": "varchar",
    "char": "bpchar",
    "character": "bpchar",
    "bit varying": "varbit",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
    "time with time zone": "timetz",
}


class Query(Struct, frozen=True):
    """A statement that yields ONE record, and its parameters ($1 is the first)."""

    sql: str
    params: tuple[Value, ...] = ()
    read_only: bool = False
    count_query: Query | None = None
    """an EXPLAIN whose first field is JSON with the planner's row count (see ``response.planned_rows``)."""


class Params:
    """Collects parameters while SQL is written."""

    def __init__(self, *first: Value) -> None:
        self._values: list[Value] = list(first)

    def add(self, value: Value) -> str:
        """The placeholder for one more value."""
        self._values.append(value)
        return f"${len(self._values)}"

    def text(self, value: str, type_: str = "") -> str:
        """A placeholder that is sent as text and cast to ``type_``."""
        return f"{self.add(value)}::text" + (f"::{type_}" if type_ else "")

    @property
    def values(self) -> tuple[Value, ...]:
        """All of them, in order."""
        return tuple(self._values)


def ident(name: str) -> str:
    """A quoted identifier."""
    if "\x00" in name:
        raise DialectError("PGRST100", 400, "an identifier has a NUL character")
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """A quoted identifier with its schema."""
    return f"{ident(schema)}.{ident(name)}"


def enum_type(enum: EnumType) -> str:
    """The enum as a type name."""
    return qualified(enum.schema, enum.name)


def compare_type(column: Column, snapshot: Snapshot) -> str:
    """The type that a value is cast to before it is compared with the column; '' for plain text. Lengths and scales are left
    off: a cast to ``varchar(3)`` would cut the value and match other rows."""
    element = element_type(column, snapshot)
    if column.array:
        return f"{element or 'text'}[]"
    return element


def element_type(column: Column, snapshot: Snapshot) -> str:
    """``compare_type`` of one element."""
    enum = snapshot.enums.get(column.enum) if column.enum is not None else None
    if enum is not None:
        return enum_type(enum)
    return "" if column.base in _TEXTUAL else _unlimited(column.base, column.type)


def argument_type(argument: Argument) -> str:
    """The type that a function's argument is read as; arguments have no length."""
    dimensions = argument.type[len(argument.type.rstrip("[]")) :]
    if argument.type.removesuffix("[]") in ("character", "bit"):  # as a cast, these alone would mean one character, one bit
        return ("pg_catalog.bpchar" if argument.type.startswith("c") else "pg_catalog.varbit") + dimensions
    return argument.type


def cast_type(asked: str, snapshot: Snapshot) -> str:
    """The type of a ``::cast``: a built-in one, or an enum of the catalog. Anything else is PGRST127."""
    name = " ".join(asked.lower().split())
    name = _CASTS.get(name, name)
    if name in _BUILT_IN or name in _TEXTUAL:
        return f"pg_catalog.{ident(name)}"
    for enum in snapshot.enums.values():
        if enum.name == asked:
            return enum_type(enum)
    raise not_implemented(f"a cast to the type '{asked}'")


def _unlimited(base: str, declared: str) -> str:
    if base in _BUILT_IN:
        return f"pg_catalog.{ident(base)}"
    return _MODIFIER.sub("", declared.rstrip("[]"))
