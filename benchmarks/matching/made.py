"""Made questions with a sure answer: nothing. A live column is taken away from a table, so nothing that is left is it."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.drift import Entry, column_of, schema_of, value_for
from benchmarks.matching.cases import Question, seeded
from benchmarks.matching.tables import tables
from healing.core.match.likeness import kinship
from healing.core.match.names import name_of
from healing.core.match.scene import labels_of
from healing.core.types import Kind, Misfit, Operation, Row, Statement


def removals(seed: int = 0, per_table: int = 3) -> list[Question]:
    """Made questions with a sure answer: a live column is taken away from a table, so nothing that is left is it. Columns with a near
    namesake come first: that they lived side by side says that they are two things."""
    return [q for project, table, entries in tables() if len(entries) > 3 for q in _removed(project, table, entries, seed, per_table)]


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
