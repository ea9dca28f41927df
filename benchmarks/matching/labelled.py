"""Labels, tables and missing values of the wild data, through the matcher's front door."""

from __future__ import annotations

from collections.abc import Callable

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


def report(model_of: Callable[[str], Model]) -> None:
    """Prints right, wrong and silent by problem."""
    for problem in ("enum_mismatch", "missing_required", "unknown_table", "unknown_column"):
        cases = [c for c in load("wild") if c["problem"] == problem and c["conf"] in TRUSTED and (c["columns"] or c.get("tables"))]
        have = [c for c in cases if c["truth"]["action"] in ("map_value", "fill", "table", "rename")]
        none = [c for c in cases if c["truth"]["action"] == "none"]
        first = sum(right(c, proposals(c, model_of(c["project"]))[:1]) for c in have)
        among = sum(right(c, proposals(c, model_of(c["project"]))) for c in have)
        claimed = sum(any(p.probability > 0.5 and touches(c, p) for p in proposals(c, model_of(c["project"]))) for c in none)
        print(f"{problem:18} right first {first}/{len(have)}, among all {among}; above 0.5 though there is none {claimed}/{len(none)}")


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
