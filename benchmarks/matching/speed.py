"""How long one payload takes, in processor time: a busy machine does not blur it. ``python -m benchmarks.matching.speed`` asks the model
that ships."""

from __future__ import annotations

import random
from time import thread_time

from benchmarks.drift import WORDS, load, schema_of, value_for
from healing.core.match import propose
from healing.core.match.model import Model, shipped
from healing.core.types import Kind, Misfit, Operation, Statement
from resilience_site.garbage import settle


def milliseconds(model: Model, rounds: int = 300) -> dict[int, float]:
    """p99 for tables of 50 and 300 columns with three unknown keys, each payload with key names of its own, on a table seen before."""
    rng = random.Random(1)
    names = sorted({entry["name"] for case in load("wild") for entry in case["columns"] or []})
    settle()  # as a web process does: else Python looks through all that the benchmark holds
    return {size: _p99(size, names, rng, model, rounds) for size in (50, 300)}


def _p99(size: int, names: list[str], rng: random.Random, model: Model, rounds: int) -> float:
    entries = [{"name": n, "type": rng.choice(("text", "text", "integer", "uuid", "jsonb", "boolean"))} for n in rng.sample(names, size)]
    schema = schema_of("things", entries)
    times = []
    for number in range(rounds + 3):
        row = {c.name: value_for(c, None, rng) for c in schema.relation.columns if rng.random() < 0.4}
        keys = [f"{rng.choice(WORDS)}_{n}" for n in rng.sample(names, 3)]
        row |= dict.fromkeys(keys, "a text")
        statement = Statement(Operation.INSERT, "public", "things", (row,))
        misfits = tuple(Misfit(Kind.UNKNOWN_COLUMN, key, "a text") for key in keys)
        start = thread_time()
        propose(statement, misfits, schema.relation, schema.snapshot, claims={}, lineage=None, model=model)
        if number >= 3:
            times.append(thread_time() - start)
    return sorted(times)[int(rounds * 0.99)] * 1000


def main() -> None:
    """Prints both."""
    for columns, time in milliseconds(shipped()).items():
        print(f"p99 {time:.2f} ms on {columns} columns")


if __name__ == "__main__":
    main()
