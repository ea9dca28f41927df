"""The labelled questions for the column matcher: which live column is this unknown key meant for, if any?"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator

from msgspec import Struct

from benchmarks.drift import Entry, Schema, column_of, distinct, load, schema_of, value_for, value_like
from healing.core.match.likeness import kinship
from healing.core.match.names import name_of
from healing.core.match.scene import labels_of
from healing.core.match.values import family, fit, shape
from healing.core.types import Kind, Misfit, Operation, Row, Statement

SETTINGS = ("bare", "typical", "former")


class Question(Struct, frozen=True):
    """One statement with its misfits; ``answers`` says for each unknown key the right column, None for none; keys whose truth is
    not known are missing from it."""

    source: str
    setting: str
    project: str
    group: str
    kind: str
    statement: Statement
    misfits: tuple[Misfit, ...]
    schema: Schema
    answers: dict[str, str | None]
    newer: frozenset[str] | None = None
    weight: float = 1.0


def seeded(*parts: object) -> random.Random:
    """A generator that depends on the parts only."""
    return random.Random(zlib.crc32(repr(parts).encode()))


def renames(setting: str, seed: int = 0) -> list[Question]:
    """Renamed columns and cleanly removed ones of real histories."""
    events = load("renames")
    renamed = distinct([e for e in events if e["event"] == "rename_column"])
    removed = distinct([e for e in events if e["event"] == "remove_column" and _clean(e)])
    return [_rename_question(e, setting, seed) for e in [*renamed, *removed]]


def _clean(event: Entry) -> bool:
    return not event["replaced_by_hint"] and not event.get("likely_successor") and not event["same_file_added"]


def _rename_question(event: Entry, setting: str, seed: int) -> Question:
    rng = seeded(event["id"], setting, seed)
    schema = schema_of(event["table"], event["columns_after"])
    old = event["old"]
    before = {entry["name"]: entry for entry in event["columns_before"]}
    entry = before.get(old) or {"name": old, "type": event["type_before"], "nullable": True}
    value = value_for(column_of(entry, 1), tuple(map(str, entry.get("choices") or ())) or None, rng)
    if event["type_before"] == "bigint" or (isinstance(value, int) and old.endswith("_id")):
        value = rng.randrange(1, 10_000)
    chance = {"bare": 0.0, "typical": 0.7, "former": 1.0}[setting]
    row: Row = {old: value}
    for column in schema.relation.columns:
        if column.name in before and rng.random() < chance:
            row[column.name] = value_for(column, labels_of(column, schema.relation, schema.snapshot), rng)
    operation = Operation.UPDATE if rng.random() < 0.25 else Operation.INSERT
    newer = frozenset(c.name for c in schema.relation.columns if c.name not in before) if setting == "former" else None
    kind = "rename" if event["event"] == "rename_column" else "none"
    return Question(
        "renames",
        setting,
        event["project"],
        event["group"],
        kind,
        Statement(operation, "public", event["table"], (row,)),
        (Misfit(Kind.UNKNOWN_COLUMN, old, value),),
        schema,
        {old: event["new"]},
        newer,
    )


def wild(seed: int = 0, trusted: bool = True) -> list[Question]:
    """Unknown columns in real write calls, one question a call; only keys whose truth is known are asked."""
    calls: dict[str, list[Entry]] = {}
    for case in load("wild"):
        if case["columns"]:
            calls.setdefault(repr((case["project"], case["table"], case["op"], case["payload"])), []).append(case)
    questions = [_wild_question(cases, seed, trusted) for cases in calls.values()]
    return [q for q in questions if q.answers]


def _wild_question(cases: list[Entry], seed: int, trusted: bool) -> Question:
    first = cases[0]
    rng = seeded(first["id"], seed)
    schema = schema_of(first["table"], first["columns"])
    truths = {
        c["key"]: c
        for c in cases
        if c["problem"] == "unknown_column" and c["conf"] in (("strong", "judged") if trusted else ("strong", "judged", "medium"))
    }
    answers: dict[str, str | None] = {}
    row: Row = {key: wild_value(key, spec, schema, truths.get(key), rng) for key, spec in first["payload"].items()}
    for key, case in truths.items():
        if case["truth"]["action"] in ("rename", "none"):
            answers[key] = case["truth"].get("to") if case["truth"]["action"] == "rename" else None
    live = {c.name for c in schema.relation.columns}
    misfits = tuple(Misfit(Kind.UNKNOWN_COLUMN, k, v) for k, v in row.items() if k not in live)
    statement = Statement(Operation(first["op"]), "public", first["table"], (row,))
    return Question("wild", "wild", first["project"], first["id"], "wild", statement, misfits, schema, answers)


def wild_value(key: str, spec: object, schema: Schema, case: Entry | None, rng: random.Random) -> object:
    """Known kinds as they are; an unknown one by the key's name, unless the right column could not take it."""
    column = schema.relation.column(key)
    if column is not None and isinstance(spec, dict) and spec.get("$type") == "unknown":
        return value_for(column, labels_of(column, schema.relation, schema.snapshot), rng)
    value = value_like(spec, key, rng)
    target = schema.relation.column(case["truth"].get("to")) if case and case["truth"]["action"] == "rename" else None
    if target is not None and fit(shape(value), family(target.base, target.array, target.enum is not None)) <= 0.3:
        return value_for(target, labels_of(target, schema.relation, schema.snapshot), rng)
    return value


def removals(seed: int = 0, per_table: int = 3) -> list[Question]:
    """Made questions with a sure answer: a live column is taken away from a table, so nothing that is left is it. Columns with a near
    namesake come first: that they lived side by side says that they are two things."""
    return [q for project, table, entries in _tables() if len(entries) > 3 for q in _removed(project, table, entries, seed, per_table)]


def _tables() -> Iterator[tuple[str, str, list[Entry]]]:
    """Every table once, as it was last seen."""
    last = {(e["project"], e["table"]): e["columns_after"] for e in load("renames")}
    last |= {(c["project"], c["table"]): c["columns"] for name in ("healthy", "wild") for c in load(name) if c["columns"]}
    yield from ((project, table, entries) for (project, table), entries in last.items())


def _removed(project: str, table: str, entries: list[Entry], seed: int, count: int) -> Iterator[Question]:
    rng, of_table = seeded(project, table, seed), name_of(table)
    names = [name_of(e["name"]) for e in entries]
    likest = [max(kinship(one, other, of_table).base for other in names if other is not one) for one in names]
    order = sorted(range(len(entries)), key=lambda i: -likest[i])
    picked = {*rng.sample(order[: max(2, len(order) // 2)], 1), *rng.sample(order, min(count - 1, len(order)))}
    for i in sorted(picked):
        if entries[i]["name"] != "id" and not entries[i].get("generated"):
            yield _without(project, table, entries, i, rng)


def _without(project: str, table: str, entries: list[Entry], index: int, rng: random.Random) -> Question:
    entry = entries[index]
    schema = schema_of(table, [e for e in entries if e is not entry])
    allowed = entry.get("check_in") or entry.get("choices") or entry.get("enum") or ()
    value = rng.randrange(1, 10_000) if entry["type"] == "bigint" else value_for(column_of(entry, 1), tuple(map(str, allowed)) or None, rng)
    row: Row = {entry["name"]: value}
    chance = rng.choice((0.0, 0.3, 0.7))
    for column in schema.relation.columns:
        if rng.random() < chance:
            row[column.name] = value_for(column, labels_of(column, schema.relation, schema.snapshot), rng)
    operation = Operation.UPDATE if rng.random() < 0.25 else Operation.INSERT
    misfits = (Misfit(Kind.UNKNOWN_COLUMN, entry["name"], value),)
    statement = Statement(operation, "public", table, (row,))
    return Question("made", "made", project, table, "none", statement, misfits, schema, {entry["name"]: None})
