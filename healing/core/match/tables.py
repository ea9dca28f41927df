"""An unknown table: which live one is meant, by its name and by how well the payload fits its columns."""

from __future__ import annotations

from healing.core.chance import percent
from healing.core.types import Json, Misfit, Operation, Proposal, Statement
from schema_monitor.core.snapshot import Relation, Snapshot

from .layout import writable
from .model import sigmoid
from .names import name_of, same_word
from .option import Option
from .scene import sample
from .shelves import Heard, Shelves, shelves_of
from .traps import trapped
from .values import family, fit, shape
from .whatif import would_change

LEAST = 0.05
MOST = 3


def proposals(statement: Statement, misfits: tuple[Misfit, ...], snapshot: Snapshot) -> tuple[Proposal, ...]:
    """Tables that may be meant, best first."""
    row, possible = sample(statement), [r for r in snapshot.relations.values() if _possible(r, statement)]
    shelves = shelves_of(tuple([r.name for r in possible]))
    heard = shelves.hear(name_of(statement.table))
    scored = [(chance(heard, place, shelves, relation, row), relation) for place, relation in enumerate(possible)]
    ranked = sorted(scored, key=lambda s: -s[0])[:MOST]
    total = max(1.0, sum(c for c, _ in ranked))
    runner = ranked[1] if len(ranked) > 1 else None
    return tuple(
        _proposal(statement, r, c / total, row, runner if i == 0 else ranked[0]) for i, (c, r) in enumerate(ranked) if c / total >= LEAST
    )


def _possible(relation: Relation, statement: Statement) -> bool:
    able = {
        Operation.INSERT: relation.insertable,
        Operation.UPSERT: relation.insertable and relation.updatable,
        Operation.UPDATE: relation.updatable,
        Operation.DELETE: relation.deletable,
    }
    return relation.schema == statement.schema and relation.kind in "rpvf" and able.get(statement.operation, False)


def chance(heard: Heard, place: int, shelves: Shelves, relation: Relation, row: dict[str, Json]) -> float:
    """Probability that this table is meant, before the others are looked at. It is the one at that place."""
    mine, theirs, kin = heard.reading, shelves.readings[place], shelves.kinship(heard, place)
    covered = covering(row, relation)
    value = (
        -8.3
        + 8.5 * kin.base
        + 1.5 * (min(kin.found, kin.held) > 0.97)
        + 4.0 * float(mine.name.letters.rstrip("s") == theirs.name.letters.rstrip("s"))
    )
    value -= 1.2 * len(trapped(mine.name, mine.signs, theirs.name, theirs.signs))
    if covered is not None:
        value += 4.0 * (covered - 0.6)
    return sigmoid(value)


def covering(row: dict[str, Json], relation: Relation) -> float | None:
    """Share of the payload's keys that the table has, with a type that takes the value; None where nothing can be said."""
    if not row or not relation.columns:
        return None
    return sum(_takes(relation, key, value) for key, value in row.items()) / len(row)


def _takes(relation: Relation, key: str, value: Json) -> bool:
    column = relation.column(key)
    return column is not None and writable(column) and fit(shape(value), family(column.base, column.array, column.enum is not None)) > 0


def _proposal(
    statement: Statement, relation: Relation, probability: float, row: dict[str, Json], other: tuple[float, Relation] | None
) -> Proposal:
    shared = [w for w in name_of(statement.table).words if any(same_word(w, x) >= 0.75 for x in name_of(relation.name).words)]
    covered = covering(row, relation)
    for_ = [f"the names share {' '.join(shared)}"] if shared else []
    against = [] if shared else ["the names share no word"]
    if covered is not None:
        (for_ if covered >= 0.7 else against).append(f"{round(covered * 100)} % of the payload's keys are columns of {relation.name}")
    evidence: dict[str, Json] = {"for": for_, "against": against}
    if other is not None:
        evidence["runner_up"] = f"{other[1].name} ({percent(other[0])})"
    option = Option("", {"op": "rename_table", "from": statement.table, "to": relation.name}, probability, "")
    evidence["would_change"] = would_change([option], {})
    return Proposal(
        ({"op": "rename_table", "from": statement.table, "to": relation.name},),
        round(probability, 4),
        "matcher",
        f"`{statement.table}` is probably the table `{relation.name}`.",
        evidence,
    )
