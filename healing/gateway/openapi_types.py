"""Relations and types of the catalog as definitions of an OpenAPI document, in the words that generators of types know from PostgREST."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from schema_monitor.core.snapshot import Column, Relation, Snapshot

Json = dict[str, Any]
_TYPES = {
    **dict.fromkeys(("int2", "int4", "int8"), "integer"),
    **dict.fromkeys(("float4", "float8", "numeric"), "number"),
    "bool": "boolean",
}
_ANY = frozenset({"json", "jsonb"})
_QUOTED = re.compile(r"'((?:[^']|'')*)'(::.*)?")


def definition(snapshot: Snapshot, relation: Relation) -> Json:
    """A row of it."""
    properties = {column.name: _property(snapshot, relation, column) for column in relation.columns}
    required = [column.name for column in relation.columns if not column.nullable]
    said = {"description": relation.comment} if relation.comment else {}
    return {**said, "type": "object", **({"required": required} if required else {}), "properties": properties}


def _property(snapshot: Snapshot, relation: Relation, column: Column) -> Json:
    notes = [*(["This is a Primary Key.<pk/>"] if column.name in relation.primary_key else []), *_refers(snapshot, relation, column)]
    text = "\n\n".join([*([column.comment] if column.comment else []), *(["Note:\n" + "\n".join(notes)] if notes else [])])
    enum = snapshot.enums.get(column.enum) if column.enum is not None and not column.array else None
    return {
        **type_of(column.type, column.base, array=column.array),
        **({"description": text} if text else {}),
        **({"enum": [label.name for label in enum.labels]} if enum else {}),
        **({"maxLength": column.length} if column.length is not None and not column.array else {}),
        **_default(column),
    }


def _refers(snapshot: Snapshot, relation: Relation, column: Column) -> list[str]:
    """The foreign key of one column, as generators of types look for it."""
    for constraint in relation.constraints:
        there = (
            snapshot.relations.get(constraint.references or 0)
            if constraint.kind == "f" and constraint.columns == (column.attnum,)
            else None
        )
        other = there.by_attnum(constraint.referenced_columns[0]) if there else None
        if there and other:
            return [f"This is a Foreign Key to `{there.name}.{other.name}`.<fk table='{there.name}' column='{other.name}'/>"]
    return []


def type_of(name: str, base: str, *, array: bool) -> Json:
    """Type and format; JSON has no type."""
    kind = {} if base in _ANY else {"type": _TYPES.get(base, "string")}
    plain = re.sub(r"\([^)]*\)", "", name)
    return {"type": "array", "items": kind, "format": plain} if array else {**kind, "format": plain}


def _default(column: Column) -> Json:
    """A literal as its value; another expression as its text, where the type is one that has text."""
    if column.default is None or column.array or column.base in _ANY:
        return {}
    kind = _TYPES.get(column.base, "string")
    if kind == "string":
        quoted = _QUOTED.fullmatch(column.default)
        return {"default": quoted[1].replace("''", "'") if quoted else column.default}
    try:
        return {"default": msgspec.json.decode(column.default)}
    except msgspec.DecodeError:
        return {}
