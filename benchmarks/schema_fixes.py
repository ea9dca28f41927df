"""What is offered where there is no right column: a schema proposal with its type, rescue, drop. ``python -m benchmarks.schema_fixes``

Every case of wild-dev whose truth is ``none``, by kind of misfit. The type is judged where it is known: by the same table as it was later
(``later``), else by the same name in the project's other tables (``elsewhere``), else by the kind of value that the code sends (``code``).
Where the data does not say what is sent, a value of the later type is made up; ``names only`` leaves those values null.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from msgspec import Struct

from benchmarks.drift import Entry, column_of, load, schema_of, value_for, value_like
from benchmarks.figures import figure
from benchmarks.matching.cases import seeded
from healing.core.ddl import Cause, instead_of, schema_proposals
from healing.core.match.values import family
from healing.core.types import Json, Row

TRUSTED = ("strong", "judged")
_OF_KIND = {
    "id": "uuid", "uuid": "uuid", "iso_datetime": "timestamp with time zone", "date": "date", "integer": "integer", "number": "numeric",
    "boolean": "boolean", "string": "text", "object": "jsonb", "array": "text[]", "json_string": "text",
}  # fmt: skip
Types = dict[tuple[str, ...], Counter[str]]


class Verdict(Struct, frozen=True):
    """What one case was offered. ``right``: the type; None where nothing tells it."""

    schema: bool
    rescue: bool
    drop: bool
    known_by: str = ""
    right: bool | None = None
    said: str = ""


def known_types() -> tuple[Types, Types]:
    """Types of columns by project, table and name; and by project and name."""
    there: Types = {}
    anywhere: Types = {}
    for case in [*load("wild"), *load("healthy")]:
        for column in case["columns"] or ():
            there.setdefault((case["project"], case["table"], column["name"]), Counter())[column["type"]] += 1
            anywhere.setdefault((case["project"], column["name"]), Counter())[column["type"]] += 1
    return there, anywhere


def truth(case: Entry, there: Types, anywhere: Types) -> tuple[str, str]:
    """The right type and how it is known; empty texts where it is not."""
    spec = case["payload"].get(case["key"])
    for how, found in (
        ("later", there.get((case["project"], case["table"], case["key"]))),
        ("elsewhere", anywhere.get((case["project"], case["key"]))),
    ):
        if found and case["problem"] == "unknown_column":
            return found.most_common(1)[0][0], how
    if isinstance(spec, dict) and spec.get("$type") in _OF_KIND:
        return _OF_KIND[spec["$type"]], "code"
    literal = {bool: "boolean", int: "integer", Decimal: "numeric", str: "text", list: "jsonb", dict: "jsonb"}.get(type(spec), "")
    return literal, "code" if literal else ""


def judge(case: Entry, there: Types, anywhere: Types, *, names_only: bool) -> Verdict:
    """Asks for one case."""
    wanted, how = truth(case, there, anywhere)
    schema = schema_of(case["table"], case["columns"] or [], tuple(case.get("tables") or ()))
    row = _row(case, wanted, names_only)
    cause = Cause("public", case["table"], _signature(case), (row,), (row,))
    relation = None if case["problem"] == "unknown_table" else schema.relation
    snapshot = schema_of("-", [], tuple(case["tables"])).snapshot if relation is None else schema.snapshot
    offered, instead = schema_proposals(cause, relation, snapshot), instead_of(cause, relation)
    ops = {op["op"] for each in instead for op in each.fix}
    verdict = Verdict(bool(offered), "rescue" in ops, "drop_key" in ops)
    if case["problem"] != "unknown_column" or not offered or not how:
        return verdict
    said = offered[0].evidence["columns"][0]["type"]
    return Verdict(
        bool(offered), "rescue" in ops, "drop_key" in ops, how, _alike(said, wanted), f"{case['key']}: {said}, in truth {wanted}"
    )


def _row(case: Entry, wanted: str, names_only: bool) -> Row:
    rng = seeded(case["id"])
    return {key: _value(key, spec, case, wanted, names_only, rng) for key, spec in case["payload"].items()}


def _value(key: str, spec: Json, case: Entry, wanted: str, names_only: bool, rng: object) -> Json:
    if key == case["key"] and case["problem"] in ("enum_mismatch", "type_mismatch", "check_violation"):
        return case.get("value", spec)
    unsaid = isinstance(spec, dict) and spec.get("$type") in ("unknown", "string") and not spec.get("fallback")
    if key == case["key"] and unsaid:
        return None if names_only else value_for(column_of({"name": key, "type": wanted or "text"}, 1), None, rng)  # type: ignore[arg-type]
    return value_like(spec, key, rng)  # type: ignore[arg-type]


def _signature(case: Entry) -> str:
    key = case["key"]
    match case["problem"]:
        case "unknown_column":
            return f"unknown_column:{key}"
        case "enum_mismatch":
            return f"unknown_label:{key}={case.get('value', '')}"
        case "missing_required":
            return f"missing_value:{key}"
        case "unknown_table":
            return f"unknown_table:{case['table']}"
        case "type_mismatch":
            return f"invalid_value:{key}"
    return f"check:{key}"


def _alike(said: str, wanted: str) -> bool:
    """The same family: what one stores, the other stores too, and reads alike."""
    one, other = (column_of({"name": "x", "type": kind}, 1) for kind in (said, wanted))
    mine, theirs = (family(c.base, c.array, enum=False) for c in (one, other))
    numbers = {"int", "number"}
    return mine == theirs or {mine, theirs} <= numbers or (mine == "text" and theirs == "other")


def report() -> None:
    """Prints both tables."""
    there, anywhere = known_types()
    cases = [c for c in load("wild") if c["truth"]["action"] == "none" and c["conf"] in TRUSTED]
    for names_only in (False, True):
        found = [(case, judge(case, there, anywhere, names_only=names_only)) for case in cases]
        print(
            f"\n{'values that the code does not tell are null' if names_only else 'values of the later type where the code does not tell'}"
        )
        print(f"{'':18}{'cases':>6}{'schema':>8}{'rescue':>8}{'drop':>6}{'any':>6}")
        for problem in dict.fromkeys(case["problem"] for case, _ in found):
            mine = [v for case, v in found if case["problem"] == problem]
            _line(problem, mine)
        _line("all", [v for _, v in found])
        for how in ("later", "elsewhere", "code"):
            judged = [v for _, v in found if v.known_by == how]
            print(f"type right, known by {how:<10} {sum(v.right is True for v in judged)}/{len(judged)}")
        if not names_only:
            _figures([v for _, v in found])
        wrong = [v.said for _, v in found if v.right is False]
        print("wrong:", "; ".join(wrong[:12]) or "none")


def _figures(found: list[Verdict]) -> None:
    anything = sum(v.schema or v.rescue or v.drop for v in found) - sum(v.right is False for v in found)
    judged = [v for v in found if v.right is not None]
    right = sum(v.right is True for v in judged)
    figure("no right column: offered, and not of a wrong type", f"{anything}/{len(found)}", "≥ 90 %", anything >= 0.9 * len(found))
    figure("type of the proposed column", f"{right}/{len(judged)}", "≥ 90 %", right >= 0.9 * len(judged))


def _line(name: str, found: list[Verdict]) -> None:
    counts = [sum(v.schema for v in found), sum(v.rescue for v in found), sum(v.drop for v in found)]
    anything = sum(v.schema or v.rescue or v.drop for v in found)
    print(f"{name:18}{len(found):>6}{counts[0]:>8}{counts[1]:>8}{counts[2]:>6}{anything:>6}")


if __name__ == "__main__":
    report()
