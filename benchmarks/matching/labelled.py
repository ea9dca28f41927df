"""Labels, tables and missing values of the wild data, through the matcher's front door."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from benchmarks.drift import Entry, load, schema_of
from benchmarks.matching.cases import seeded, wild_value
from healing.core.match import propose
from healing.core.match.model import Model
from healing.core.types import Json, Kind, Misfit, Operation, Proposal, Statement

CLAIMS: dict[str, Json] = {"sub": "5d0c9d0e-6f0a-4f5e-9d2e-0c5b8e8b7a11", "role": "authenticated", "email": "ada@example.com"}
TRUSTED = ("strong", "judged")


def proposals(case: Entry, model: Model) -> tuple[Proposal, ...]:
    """What the matcher proposes for one case with all misfits of its call."""
    rng = seeded(case["id"])
    schema = schema_of(case["table"], case["columns"], tuple(case.get("tables") or ()))
    row = {key: wild_value(key, spec, schema, case if key == case["key"] else None, rng) for key, spec in case["payload"].items()}
    live = {c.name for c in schema.relation.columns}
    misfits = [Misfit(Kind.UNKNOWN_COLUMN, k, v) for k, v in row.items() if k not in live]
    if case["problem"] == "enum_mismatch":
        value = case["truth"].get("from", case["value"])
        row[case["key"]] = value
        misfits.append(Misfit(Kind.UNKNOWN_LABEL, case["key"], value))
    if case["problem"] == "missing_required":
        misfits.append(Misfit(Kind.MISSING_VALUE, case["key"]))
    statement = Statement(Operation(case["op"]), "public", case["table"], (row,))
    if case["problem"] == "unknown_table":
        misfits = [Misfit(Kind.UNKNOWN_TABLE, case["table"])]
        snapshot = schema_of("-", [], tuple(case["tables"])).snapshot
        return propose(statement, tuple(misfits), None, snapshot, claims=CLAIMS, lineage=None, model=model)
    return propose(statement, tuple(misfits), schema.relation, schema.snapshot, claims=CLAIMS, lineage=None, model=model)


class Row(Struct, frozen=True):
    """One problem: how often the first proposal is right, one of those offered, and what was claimed where there is nothing."""

    problem: str
    first: int
    offered: int
    have: int
    claimed: int
    none: int


def rows(model_of: Callable[[str], Model]) -> list[Row]:
    """Right, wrong and silent by problem."""
    return [_row(name, [c for c in load("wild") if _asked(c) and belongs(c)], model_of) for name, belongs in PROBLEMS.items()]


PROBLEMS: dict[str, Callable[[Entry], bool]] = {
    "unknown column": lambda c: c["problem"] == "unknown_column",
    "value outside an enum or check list": lambda c: c["problem"] == "enum_mismatch",
    "missing value that another key has": lambda c: c["problem"] == "missing_required" and bool(c["truth"].get("from_key")),
    "missing value that only the author knows": lambda c: c["problem"] == "missing_required" and not c["truth"].get("from_key"),
    "unknown table, by name only": lambda c: c["problem"] == "unknown_table",
}


def _asked(case: Entry) -> bool:
    return case["conf"] in TRUSTED and bool(case["columns"] or case.get("tables"))


def _row(name: str, cases: list[Entry], model_of: Callable[[str], Model]) -> Row:
    told = [(case, proposals(case, model_of(case["project"]))) for case in cases]
    have = [(c, found) for c, found in told if c["truth"]["action"] in ("map_value", "fill", "table", "rename")]
    none = [(c, found) for c, found in told if c["truth"]["action"] == "none"]
    return Row(
        name,
        sum(right(c, found[:1]) for c, found in have),
        sum(right(c, found) for c, found in have),
        len(have),
        sum(any(p.probability > 0.5 and touches(c, p) for p in found) for c, found in none),
        len(none),
    )


def right(case: Entry, found: tuple[Proposal, ...]) -> bool:
    return any(_answers(case, op) for proposal in found for op in proposal.fix)


def _answers(case: Entry, op: dict[str, Json]) -> bool:
    truth, key = case["truth"], case["key"]
    match truth["action"]:
        case "rename":
            return op.get("from") == key and op.get("to") == truth["to"]
        case "map_value":
            return op["op"] == "map_value" and op["column"] == key and op["to"] == truth["to"]
        case "table":
            return op["op"] == "rename_table" and op["to"] == truth["to"]
        case "fill" if truth.get("from_key"):
            return (op["op"] == "rename_column" and op["from"] == truth["from_key"] and op["to"] == key) or (
                op["op"] == "fill" and op["column"] == key and op.get("from_key") == truth["from_key"]
            )
        case _:
            return op["op"] == "fill" and op["column"] == key


def touches(case: Entry, proposal: Proposal) -> bool:
    key = case["key"]
    return any(
        op["op"] == "rename_table" or (op["op"] in ("rename_column", "map_value", "fill") and key in (op.get("from"), op.get("column")))
        for op in proposal.fix
    )
