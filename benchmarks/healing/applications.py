"""Write calls of real applications, drifted (wild) and fitting (healthy), against real tables."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.drift import Entry, load, schema_of
from benchmarks.healing.case import COLD, Case
from benchmarks.healing.ddl import create, literal, quoted
from benchmarks.healing.histories import required, value_of
from benchmarks.matching.cases import seeded, wild_value
from healing.core.types import Row

TRUSTED = ("strong", "judged")


def wild(seed: int) -> Iterator[Case]:
    """Calls that do not fit. All are cold: nobody saw another schema."""
    for number, call in enumerate(c for c in load("wild") if c["columns"] and not c["partial"]):
        rng = seeded(call["id"], seed)
        table = f"{call['table'][:40]}__w{number}"
        schema = schema_of(table, call["columns"])
        row = {key: wild_value(key, spec, schema, call if key == call["key"] else None, rng) for key, spec in call["payload"].items()}
        if call["problem"] in ("enum_mismatch", "check_violation", "type_mismatch") and "value" in call:
            row[call["key"]] = call["truth"].get("from", call["value"])
        if call["problem"] != "check_violation":  # the data does not say what the check was
            yield _case("wild", call, table, row, rng, _truths(call), _may_land(call, row))


def healthy(seed: int) -> Iterator[Case]:
    """Calls that fit: they must land as they are, untouched."""
    for number, call in enumerate(c for c in load("healthy") if not c["partial"]):
        rng = seeded(call["id"], seed)
        table = f"{call['table'][:40]}__h{number}"
        described = {e["name"]: e for e in call["columns"]}
        row = {key: _fitting(spec, described[key], rng) for key, spec in call["payload"].items() if key in described}
        yield _case("healthy", call, table, row, rng, None, row)


def _fitting(spec: object, entry: Entry, rng: random.Random) -> object:
    if isinstance(spec, dict) and "$type" in spec:
        return value_of(entry, rng)
    return spec


def _may_land(call: Entry, row: Row) -> Row | None:
    """What may land without anybody's approval: a lossless cast, or the one label that the value is in another spelling."""
    match call["truth"]["action"]:
        case "cast":
            return row
        case "map_value":
            return {**row, call["key"]: call["truth"]["to"]}
        case _:
            return None


def _truths(call: Entry) -> tuple[dict[str, object], ...] | None:
    """Ops of which one must be proposed first; () where there is no right answer; None where nobody is sure."""
    truth, key = call["truth"], call["key"]
    if call["conf"] not in TRUSTED:
        return None
    match truth["action"]:
        case "rename":
            return ({"op": "rename_column", "from": key, "to": truth["to"]},)
        case "into_json":
            return ({"op": "rescue", "column": key, "into": truth["to"]},)
        case "map_value":
            return ({"op": "map_value", "column": key, "to": truth["to"]},)
        case "fill" if truth.get("from_key"):
            source = truth["from_key"]
            return ({"op": "rename_column", "from": source, "to": key}, {"op": "fill", "column": key, "from_key": source})
        case "drop_key":
            return ({"op": "drop_key", "column": key},)
        case "none":
            return ()
        case _:
            return None


def _case(
    source: str, call: Entry, table: str, row: Row, rng: random.Random, truths: tuple[dict[str, object], ...] | None, intended: Row | None
) -> Case:
    ddl = create(table, call["columns"])
    kind, key = call["problem"] or "fits", call.get("key") or ""
    if call["op"] == "update":
        base = {e["name"]: value_of(e, rng) for e in call["columns"] if required(e) or e["name"] == "id"}
        names = ", ".join(map(quoted, base)) or ""
        values = ", ".join(_constant(v) for v in base.values())
        ddl.append(f"INSERT INTO {quoted(table)} " + (f"({names}) VALUES ({values})" if base else "DEFAULT VALUES"))
        path = f"/rest/v1/{table}" + (f"?id=eq.{base['id']}" if base.get("id") is not None else f"?{_any_column(call)}=not.is.null")
        return Case(source, kind, COLD, table, "PATCH", path, {}, row, intended, truths, key, tuple(ddl))
    headers = {"prefer": "resolution=merge-duplicates"} if call["op"] == "upsert" and "id" in row else {}
    return Case(source, kind, COLD, table, "POST", f"/rest/v1/{table}", headers, row, intended, truths, key, tuple(ddl))


def _any_column(call: Entry) -> str:
    filled = [e["name"] for e in call["columns"] if not e.get("nullable", True)]
    return filled[0] if filled else str(call["columns"][0]["name"])


def _constant(value: object) -> str:
    if isinstance(value, list):
        return "'{" + ",".join(f'"{v}"' for v in value) + "}'"
    if isinstance(value, dict):
        return "'{}'"
    return literal(str(value))
