"""The data API of a schema as an OpenAPI document (2.0, as PostgREST's is): what clients generate their types from. No I/O.

Paths for each relation and function that the caller has a right to, definitions with types, formats, enums, defaults, keys and comments.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from healing.gateway.functions import inputs_of
from healing.gateway.openapi_types import Json, definition, type_of
from schema_monitor.core.snapshot import Argument, Function, Relation, Snapshot

MEDIA = "application/openapi+json"
_PREFER = {
    "preferReturn": ["return=representation", "return=minimal", "return=headers-only"],
    "preferPost": ["return=representation", "return=minimal", "resolution=merge-duplicates", "resolution=ignore-duplicates"],
    "preferCount": ["count=exact", "count=planned", "count=estimated"],
    "preferParams": ["params=single-object"],
}
_COMMON = {
    "select": ("query", "Columns, and what is embedded"),
    "order": ("query", "Ordering"),
    "on_conflict": ("query", "Columns of a unique key"),
    "limit": ("query", "At most so many rows"),
    "offset": ("query", "Rows to skip"),
    "range": ("header", "Limiting and pagination"),
}
_ERROR = {
    "type": "object",
    "required": ["code", "message", "details", "hint"],
    "properties": {name: {"type": "string", "x-nullable": True} for name in ("code", "message", "details", "hint")},
}
_OTHERWISE = {
    "default": {
        "description": "Refused, or kept in quarantine (Mendgate-Quarantine)",
        "schema": {"$ref": "#/definitions/mendgate.error"},
    }
}
_READ = ("select", "order", "range", "offset", "limit", "preferCount")


def document(snapshot: Snapshot, schema: str, allowed: Collection[int]) -> bytes:
    """The document of ``schema``, of the relations and functions whose oids are ``allowed``."""
    relations = sorted((r for r in snapshot.relations.values() if r.schema == schema and r.oid in allowed), key=lambda r: r.name)
    functions = [f for f in snapshot.functions.values() if f.schema == schema and f.oid in allowed and f.returns != "trigger"]
    return msgspec.json.encode(
        {
            "swagger": "2.0",
            "info": {
                "title": f"Schema {schema}",
                "version": "1",
                "description": "The data API, in PostgREST's dialect; writes are healed.",
            },
            "basePath": "/rest/v1",
            "consumes": ["application/json"],
            "produces": ["application/json", "application/vnd.pgrst.object+json", "text/csv"],
            "securityDefinitions": {"apikey": {"type": "apiKey", "name": "apikey", "in": "header"}},
            "security": [{"apikey": []}],
            "paths": {"/": _root(), **{f"/{r.name}": _path(r) for r in relations}, **_calls(functions)},
            "definitions": {**{r.name: definition(snapshot, r) for r in relations}, "mendgate.error": _ERROR},
            "parameters": _parameters(relations),
        }
    )


def _root() -> Json:
    get = {"tags": ["Introspection"], "summary": "This document", "produces": [MEDIA, "application/json"]}
    return {"get": {**get, "responses": {"200": {"description": "OK"}, **_OTHERWISE}}}


def _path(relation: Relation) -> Json:
    name = relation.name
    summary, _, more = (relation.comment or "").partition("\n")
    said = {"tags": [name], **({"summary": summary} if summary else {}), **({"description": more.strip()} if more.strip() else {})}
    filters = [f"rowFilter.{name}.{column.name}" for column in relation.columns]
    rows = {"description": "OK", "schema": {"type": "array", "items": {"$ref": f"#/definitions/{_pointer(name)}"}}}
    changed = {"200": _is("OK"), "202": _is("Kept, to be replayed"), "204": _is("No content")}
    found = {"get": _operation(said, [*filters, *_READ], {"200": rows, "206": _is("Part of it")})}
    if relation.insertable:
        created = {"200": _is("Merged"), "201": _is("Created"), "202": _is("Kept, to be replayed")}
        found["post"] = _operation(said, [f"body.{name}", "select", "on_conflict", "preferPost"], created)
    if relation.updatable:
        found["patch"] = _operation(said, [*filters, f"body.{name}", "select", "preferReturn"], changed)
    if relation.deletable:
        found["delete"] = _operation(said, [*filters, "select", "preferReturn"], changed)
    return found


def _operation(said: Json, parameters: Iterable[str], responses: Json) -> Json:
    refs = [{"$ref": f"#/parameters/{_pointer(each)}"} for each in parameters]
    return {**said, "parameters": refs, "responses": {**responses, **_OTHERWISE}}


def _is(text: str) -> Json:
    return {"description": text}


def _pointer(name: str) -> str:
    """A name within a JSON pointer within a URI."""
    text = name.replace("~", "~0").replace("/", "~1")
    return "".join(c if c.isalnum() or c in "-._~" else "".join(f"%{byte:02X}" for byte in c.encode()) for c in text)


def _calls(functions: Iterable[Function]) -> Json:
    """Overloads share a path; the one that takes most tells."""
    return {f"/rpc/{f.name}": _call(f) for f in sorted(functions, key=lambda f: (f.name, len(f.arguments), f.oid))}


def _call(function: Function) -> Json:
    said = {"tags": [f"(rpc) {function.name}"]}
    named = [argument for argument in inputs_of(function) if argument.name]
    body = {
        "type": "object",
        "properties": {a.name: _argument(a) for a in named},
        **({"required": required} if (required := [a.name for a in named if not a.has_default]) else {}),
    }
    responses = {"200": _is("OK"), "204": _is("No content"), **_OTHERWISE}
    post = {**said, "parameters": [{"name": "args", "in": "body", "required": True, "schema": body}], "responses": responses}
    if function.volatility == "v":
        return {"post": post}
    given = [{"name": a.name, "in": "query", "required": not a.has_default, **_in_query(a)} for a in named]
    return {"get": {**said, "parameters": given, "responses": responses}, "post": post}


def _argument(argument: Argument) -> Json:
    return type_of(argument.type, argument.base, array=argument.type.endswith("[]"))


def _in_query(argument: Argument) -> Json:
    kind = _argument(argument)
    return {"format": kind["format"], "type": kind.get("type", "string") if kind.get("type") != "array" else "string"}


def _parameters(relations: Iterable[Relation]) -> Json:
    found: Json = {name: {"name": name, "in": place, "description": text, "type": "string"} for name, (place, text) in _COMMON.items()}
    found["range"]["name"] = "Range"
    for name, values in _PREFER.items():
        found[name] = {"name": "Prefer", "in": "header", "description": "Preference", "type": "string", "enum": values}
    for r in relations:
        schema = {"$ref": f"#/definitions/{_pointer(r.name)}"}
        found[f"body.{r.name}"] = {"name": r.name, "in": "body", "description": r.name, "schema": schema}
        for column in r.columns:
            said = {"description": column.comment} if column.comment else {}
            found[f"rowFilter.{r.name}.{column.name}"] = {
                "name": column.name,
                "in": "query",
                "type": "string",
                "format": column.type,
                **said,
            }
    return found
