"""How long one payload takes, in processor time: a busy machine blurs it less. ``python -m benchmarks.matching.speed`` asks the model
that ships."""

from __future__ import annotations

import random
from collections.abc import Iterator
from time import thread_time

from msgspec import Struct

from benchmarks.drift import WORDS, Schema, load, schema_of, value_for
from benchmarks.figures import figure
from healing.core.match import propose
from healing.core.match.model import Model, shipped
from healing.core.types import Kind, Misfit, Operation, Statement
from resilience_site.garbage import settle

AIMS = {50: 2.0, 300: 10.0}
"""columns -> milliseconds at p99, for names never seen before"""
TABLES = 5
FIRST = 3
"""payloads that a table has seen before: what comes after is asked"""
Payload = tuple[Statement, tuple[Misfit, ...]]


class Times(Struct, frozen=True):
    """Milliseconds of each payload, in order of length."""

    sorted: list[float]

    def at(self, share: float) -> float:
        """So many of all took at most that."""
        return self.sorted[int(len(self.sorted) * share)]

    def __str__(self) -> str:
        return f"p50 {self.at(0.5):.2f}, p90 {self.at(0.9):.2f}, p99 {self.at(0.99):.2f} ms"


def milliseconds(model: Model, rounds: int = 1_000) -> dict[int, float]:
    """p99 for tables of 50 and 300 columns with three unknown keys, each payload with key names of its own, on tables seen before."""
    return {size: new.at(0.99) for size, (new, _) in measured(model, rounds).items()}


def measured(model: Model, rounds: int) -> dict[int, tuple[Times, Times]]:
    """Columns -> how long payloads took whose keys no table saw before, and the same payloads once more."""
    rng = random.Random(1)
    names = sorted({entry["name"] for case in load("wild") for entry in case["columns"] or []})
    settle()  # as a web process does: else Python looks through all that the benchmark holds
    return {size: _of_size(size, names, rng, model, rounds) for size in AIMS}


def _of_size(size: int, names: list[str], rng: random.Random, model: Model, rounds: int) -> tuple[Times, Times]:
    new, known = [], []
    for _ in range(TABLES):
        schema = _schema(size, names, rng)
        payloads = list(_payloads(schema, names, rng, rounds // TABLES + FIRST))
        new += [_took(payload, schema, model) for payload in payloads][FIRST:]
        known += [_took(payload, schema, model) for payload in payloads][FIRST:]
    return Times(sorted(new)), Times(sorted(known))


def _schema(size: int, names: list[str], rng: random.Random) -> Schema:
    kinds = ("text", "text", "integer", "uuid", "jsonb", "boolean")
    return schema_of("things", [{"name": name, "type": rng.choice(kinds)} for name in rng.sample(names, size)])


def _payloads(schema: Schema, names: list[str], rng: random.Random, count: int) -> Iterator[Payload]:
    for _ in range(count):
        row = {c.name: value_for(c, None, rng) for c in schema.relation.columns if rng.random() < 0.4}
        keys = [f"{rng.choice(WORDS)}_{n}" for n in rng.sample(names, 3)]
        row |= dict.fromkeys(keys, "a text")
        yield (
            Statement(Operation.INSERT, "public", "things", (row,)),
            tuple(Misfit(Kind.UNKNOWN_COLUMN, key, "a text") for key in keys),
        )


def _took(payload: Payload, schema: Schema, model: Model) -> float:
    statement, misfits = payload
    start = thread_time()
    propose(statement, misfits, schema.relation, schema.snapshot, claims={}, lineage=None, model=model)
    return (thread_time() - start) * 1000


def main() -> None:
    """Prints them, new names first."""
    for columns, (new, known) in measured(shipped(), 2_000).items():
        print(f"p99 {new.at(0.99):.2f} ms on {columns} columns ({len(new.sorted)} payloads on {TABLES} tables)")
        print(f"    names never seen before {new}; the same payloads once more {known}")
        figure(f"matcher: p99 on {columns} columns", f"{new.at(0.99):.2f} ms", f"< {AIMS[columns]:.0f} ms", new.at(0.99) < AIMS[columns])


if __name__ == "__main__":
    main()
