"""The labelled questions for the column matcher: which live column is this unknown key meant for, if any?"""

from __future__ import annotations

import random
import zlib

from msgspec import Struct

from benchmarks.drift import Entry, Schema, column_of, distinct, load, schema_of, value_for, value_like
from healing.core.match.scene import labels_of
from healing.core.match.values import family, fit, shape
from healing.core.types import Kind, Misfit, Operation, Row, Statement

SETTINGS = ("bare", "typical", "former", "carried")
"""what is known beside the unknown key: nothing; 0.7 of the shared columns are sent; the former columns are known and
the shared ones sent; all former columns are sent, and it is not known that they are"""


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
    former: tuple[str, ...] | None = None
    weight: float = 1.0
    unsure: frozenset[str] = frozenset()
    """columns that may be right though the history does not say so: added shortly before the key was dropped, or holding the same.
    They are judged like all others."""
    clean: bool = True
    """False: the data itself marks this removal as doubtful."""


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
    value = _former_value(entry, rng)
    chance = {"bare": 0.0, "typical": 0.7}.get(setting, 1.0)
    row: Row = {old: value}
    for column in schema.relation.columns:
        if column.name in before and rng.random() < chance:
            row[column.name] = value_for(column, labels_of(column, schema.relation, schema.snapshot), rng)
    operation = Operation.UPDATE if rng.random() < 0.25 else Operation.INSERT
    former = tuple(before) if setting == "former" else None
    if setting == "carried":
        row |= {
            e["name"]: _former_value(e, rng)
            for e in event["columns_before"]
            if e["name"] not in row and not schema.relation.column(e["name"])
        }
    kind = "rename" if event["event"] == "rename_column" else "none"
    return Question(
        "renames",
        setting,
        event["project"],
        event["group"],
        kind,
        Statement(operation, "public", event["table"], (row,)),
        tuple(Misfit(Kind.UNKNOWN_COLUMN, name, sent) for name, sent in row.items() if schema.relation.column(name) is None),
        schema,
        {old: event["new"]},
        former,
        unsure=frozenset([*event.get("recent_adds", ()), *filter(None, [event.get("twin_live")])]) - {event["new"]},
        clean=event.get("clean_negative") is not False,
    )


def _former_value(entry: Entry, rng: random.Random) -> object:
    """A value of a column as the old schema had it."""
    value = value_for(column_of(entry, 1), tuple(map(str, entry.get("choices") or ())) or None, rng)
    if entry["type"] == "bigint" or (isinstance(value, int) and entry["name"].endswith("_id")):
        return rng.randrange(1, 10_000)
    return value


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
