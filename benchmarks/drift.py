"""The drift data as the project's own values: relations, statements and misfits. Where the data only names a kind of value, one is
made up by seed; nothing here looks at the answer of a case, except to keep made-up values of the right type."""

from __future__ import annotations

import json
import os
import random
import re
import uuid
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from healing.core.match.names import name_of
from healing.core.match.values import hinted
from healing.core.types import Json
from schema_monitor.core.snapshot import Column, Constraint, EnumLabel, EnumType, Relation, Scope, Snapshot

Entry = dict[str, Any]
"""A column as the data has it: name, type, nullable, has_default, choices? check_in? enum? enum_array? generated?"""

_BASES = {
    "character varying": "varchar",
    "character": "bpchar",
    "integer": "int4",
    "int": "int4",
    "bigint": "int8",
    "smallint": "int2",
    "boolean": "bool",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "timestamp": "timestamp",
    "time without time zone": "time",
    "time with time zone": "timetz",
    "double precision": "float8",
    "real": "float4",
    "bit varying": "varbit",
}
_TYPE = re.compile(r"(?P<name>[^(\[]+?)\s*(\((?P<args>[\d, ]+)\))?(?P<rest> [a-z ]+)?(?P<array>\[\])?$")
WORDS = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "haven",
    "indigo",
    "juniper",
    "kestrel",
    "lagoon",
    "meadow",
    "north",
    "opal",
    "prairie",
    "quartz",
    "river",
    "sierra",
    "tundra",
]


def directory() -> Path:
    """Where the data is: DRIFT_DIR, or ``../shared/drift`` beside the repository."""
    return Path(os.environ.get("DRIFT_DIR") or Path(__file__).resolve().parent.parent.parent / "shared" / "drift")


@cache
def load(name: str) -> list[Entry]:
    """One of renames, wild, healthy (the dev part); read once, and nobody changes it."""
    with (directory() / f"{name}-dev.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line, parse_float=Decimal) for line in lines]


class Schema(Struct, frozen=True):
    """A relation with the snapshot that holds it."""

    relation: Relation
    snapshot: Snapshot


def split_type(text: str) -> tuple[str, tuple[int, ...], bool]:
    """``numeric(10,2)[]`` -> (numeric, (10, 2), True); the name is a ``typname``."""
    found = _TYPE.match(text.strip())
    if found is None:
        return text, (), False
    name = (found["name"] + (found["rest"] or "")).strip()
    args = tuple(int(a) for a in (found["args"] or "").split(",") if a.strip())
    return _BASES.get(name, name), args, bool(found["array"])


def column_of(entry: Entry, attnum: int, enum: int | None = None) -> Column:
    """One column value."""
    base, args, array = split_type(entry["type"])
    return Column(
        attnum=attnum,
        name=entry["name"],
        type=entry["type"],
        base=base,
        nullable=bool(entry.get("nullable", True)),
        array=array,
        enum=enum,
        length=args[0] if base in ("varchar", "bpchar") and args else None,
        precision=args[0] if base == "numeric" and args else None,
        scale=args[1] if base == "numeric" and len(args) > 1 else None,
        default="DEFAULT" if entry.get("has_default") else None,
        generated="s" if entry.get("generated") else "",
    )


def schema_of(table: str, entries: list[Entry], others: tuple[str, ...] = ()) -> Schema:
    """A snapshot with one described table, and further ones by name only."""
    enums: dict[int, EnumType] = {}
    columns, constraints = [], []
    for number, entry in enumerate(entries, 1):
        labels = entry.get("enum") or entry.get("enum_array")
        if labels:
            enums[50_000 + number] = EnumType(
                50_000 + number, "public", entry["type"], tuple(EnumLabel(i, x) for i, x in enumerate(labels))
            )
        columns.append(column_of(entry, number, 50_000 + number if labels else None))
        allowed = entry.get("check_in") or entry.get("choices")
        if allowed:
            constraints.append(Constraint(number, f"{table}_{entry['name']}_check", "c", (number,), allowed=tuple(map(str, allowed))))
    relation = Relation(1, "public", table, "r", tuple(columns), tuple(constraints))
    relations = {1: relation} | {i: Relation(i, "public", name, "r", ()) for i, name in enumerate(others, 2)}
    return Schema(relation, Snapshot(Scope("0", 1), 180000, relations, enums, {}))


def value_for(column: Column, labels: tuple[str, ...] | None, rng: random.Random) -> Json:
    """A value that the column takes."""
    if labels:
        label = rng.choice(labels)
        return [label] if column.array else label
    value = _plain_value(column, rng)
    return [value] if column.array else value


def _plain_value(column: Column, rng: random.Random) -> Json:
    base = column.base
    if base in ("int2", "int4", "int8"):
        return rng.randrange(1, 30_000)
    if base in ("numeric", "float4", "float8"):
        whole = 10 ** max(0, min(3, (column.precision or 9) - (column.scale or 0))) or 1
        return Decimal(rng.randrange(0, whole)) + (Decimal("0.5") if (column.scale is None or column.scale > 0) else 0)
    if base == "bool":
        return rng.random() < 0.5
    if base == "uuid":
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))
    if base in ("json", "jsonb"):
        return {rng.choice(WORDS): rng.randrange(100)}
    if base in ("timestamptz", "timestamp"):
        return f"2026-0{rng.randrange(1, 10)}-1{rng.randrange(10)}T0{rng.randrange(10)}:30:00" + ("+00:00" if base == "timestamptz" else "")
    if base == "date":
        return f"2026-0{rng.randrange(1, 10)}-1{rng.randrange(10)}"
    if base in ("time", "timetz"):
        return f"1{rng.randrange(10)}:30:00"
    if base == "interval":
        return f"{rng.randrange(1, 20)} days"
    if base == "inet":
        return f"10.0.{rng.randrange(250)}.{rng.randrange(1, 250)}"
    if base == "hstore":
        return "a=>1"
    if base == "bytea":
        return "\\x00ff"
    return _text(column, rng)


def _text(column: Column, rng: random.Random) -> str:
    words = column.name.split("_")
    value = rng.choice(WORDS)
    if "email" in words:
        value = f"{value}@example.com"
    elif "url" in words or "link" in words:
        value = f"https://example.com/{value}"
    elif "phone" in words:
        value = f"+1555{rng.randrange(1_000_000, 9_999_999)}"
    elif column.length is None or column.length > 60:
        value = " ".join([value, *rng.sample(WORDS, 2)])
    return value[: column.length] if column.length else value


def value_like(spec: Json, name: str, rng: random.Random) -> Json:
    """A value for what the data says about it (``{"$type": "iso_datetime"}``), or for the name where it says nothing."""
    if not (isinstance(spec, dict) and "$type" in spec):
        return spec
    if spec.get("values"):
        return rng.choice(spec["values"])
    kind = spec["$type"]
    if kind in ("unknown", "number") and kind == "unknown":
        return value_for(column_of({"name": name, "type": _TYPE_OF_HINT[hinted(name_of(name).words)]}, 1), None, rng)
    if kind == "string" and spec.get("fallback"):
        return spec["fallback"]
    if kind == "object":
        return {key: rng.choice(WORDS) for key in spec.get("keys", [])}
    if kind == "array":
        return [value_like({"$type": spec["of"]}, name, rng)] if spec.get("of") else [rng.choice(WORDS)]
    if kind == "epoch_ms":
        return 1_780_000_000_000 + rng.randrange(10**9)
    if kind == "json_string":
        return json.dumps({rng.choice(WORDS): 1})
    return value_for(column_of({"name": name, "type": _TYPE_OF_KIND.get(kind, "text")}, 1), None, rng)


_TYPE_OF_HINT = {
    "": "text",
    "bool": "boolean",
    "moment": "timestamp with time zone",
    "uuid": "uuid",
    "array": "text[]",
    "json": "jsonb",
    "number": "integer",
    "text": "text",
}
_TYPE_OF_KIND = {
    "id": "uuid",
    "uuid": "uuid",
    "iso_datetime": "timestamp with time zone",
    "date": "date",
    "integer": "integer",
    "number": "numeric",
    "boolean": "boolean",
    "string": "text",
}


def distinct(cases: list[Entry]) -> Iterator[Entry]:
    """One case of every group."""
    seen: set[str] = set()
    for case in cases:
        if case["group"] not in seen:
            seen.add(case["group"])
            yield case
