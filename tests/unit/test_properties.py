"""What a fix promises, on made-up rows: held by the ops that promise it, and broken where somebody breaks it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from healing.core import fixes
from healing.core import properties as tested
from healing.core.doubts import doubts
from healing.core.labels import of
from healing.core.refusals import rejects
from healing.core.samples import fitting
from schema_monitor.core.snapshot import Column, Constraint, EnumLabel, EnumType, Relation

ENUMS = {7: EnumType(7, "public", "mood", (EnumLabel(1, "happy"), EnumLabel(2, "sad")))}
BASES = (
    "int2", "int4", "int8", "float4", "float8", "numeric", "bool", "text", "varchar", "uuid", "json", "jsonb", "date", "time", "timetz",
    "timestamp", "timestamptz", "interval", "bytea", "inet",
)  # fmt: skip
TABLE = Relation(
    oid=1, schema="public", name="t", kind="r",
    columns=(
        Column(1, "id", "integer", "int4", nullable=False, identity="a"),
        Column(2, "name", "character varying(8)", "varchar", length=8),
        Column(3, "age", "integer", "int4"),
        Column(4, "mood", "mood", "mood", enum=7),
        Column(5, "rest", "jsonb", "jsonb"),
        Column(6, "born", "date", "date", nullable=False, default="now()"),
        Column(7, "size", "text", "text"),
        Column(8, "tags", "text[]", "text", array=True),
    ),
    constraints=(Constraint(1, "size_list", "c", (7,), allowed=("S", "M")),),
)  # fmt: skip


def run(*ops: dict[str, Any], runs: int = 150) -> dict[str, tested.Property]:
    """Every promise of a fix."""
    made = tested.properties(fixes.parse(list(ops)), TABLE, ENUMS, random.Random(3), runs)  # noqa: S311 - made-up rows
    return {each.name: each for each in made}


@pytest.mark.parametrize(
    "ops",
    [
        ({"op": "rename_column", "from": "nick", "to": "name"},),
        ({"op": "cast", "column": "age", "to": "integer"},),
        ({"op": "cast", "column": "rest", "to": "jsonb", "format": "json_text"},),
        ({"op": "rename_column", "from": "a", "to": "name"}, {"op": "rename_column", "from": "b", "to": "size"}),
        ({"op": "rescue", "column": "extra", "into": "rest"},),
        ({"op": "map_value", "column": "mood", "from": "Happy", "to": "happy"},),
    ],
)
def test_exact_fixes_keep_every_promise(ops: tuple[dict[str, Any], ...]) -> None:
    for name, each in run(*ops).items():
        assert each.holds, (name, each)


@pytest.mark.parametrize(
    "op",
    [
        {"op": "drop_key", "column": "extra"},
        {"op": "truncate", "column": "name", "n": 4},
        {"op": "fill", "column": "age", "value": 3},
        {"op": "fill", "column": "age", "from_key": "years"},
        {"op": "fill", "column": "name", "claim": "sub"},
        {"op": "use_default", "column": "born"},
        {"op": "cast", "column": "age", "to": "integer", "format": "round"},
    ],
)
def test_what_is_not_exact_promises_no_way_back_and_keeps_the_rest(op: dict[str, Any]) -> None:
    found = run(op)
    assert not found["reversible"].promised and found["reversible"].runs == 0
    for name in ("type-safe", "confined", "idempotent"):
        assert found[name].holds, (name, found[name])


def test_a_fix_that_its_own_preconditions_never_let_through_has_proven_nothing() -> None:
    """A text does not fit an integer column under its new name either, whatever a later cast would make of it."""
    found = run({"op": "rename_column", "from": "years", "to": "age"}, {"op": "cast", "column": "age", "to": "integer"})
    assert all(each.runs == 0 and not each.holds for each in found.values())


def test_a_broken_promise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename that also eats another key, and one that writes anything."""
    honest = fixes.apply

    def eats(ops: Any, row: Any, claims: Any) -> Any:
        return {key: value for key, value in honest(ops, row, claims).items() if key != "size"}

    monkeypatch.setattr(fixes, "apply", eats)
    found = run({"op": "rename_column", "from": "nick", "to": "name"})
    assert found["confined"].failed and found["reversible"].failed
    monkeypatch.setattr(fixes, "apply", lambda ops, row, claims: {**honest(ops, row, claims), "name": "far too long for it"})
    assert run({"op": "rename_column", "from": "nick", "to": "name"})["type-safe"].failed


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("array", [False, True])
def test_made_up_values_fit_their_column(base: str, array: bool) -> None:
    column = Column(1, "c", base, base, nullable=False, array=array, length=4 if base == "varchar" else None)
    relation, chance = Relation(oid=1, schema="s", name="r", kind="r", columns=(column,)), random.Random(1)  # noqa: S311
    for _ in range(40):
        assert rejects(fitting(column, of(column, relation, {}), chance), column, None) is None


@pytest.mark.parametrize(("precision", "scale"), [(6, 2), (3, 3), (2, 0), (None, None), (40, 10)])
def test_made_up_numerics_fit_their_precision(precision: int | None, scale: int | None) -> None:
    column, chance = Column(1, "c", "numeric", "numeric", nullable=False, precision=precision, scale=scale), random.Random(1)  # noqa: S311
    for _ in range(40):
        assert rejects(fitting(column, None, chance), column, None) is None


def test_doubts_name_what_no_test_can_tell() -> None:
    renamed = doubts(fixes.parse([{"op": "rename_column", "from": "nick", "to": "name"}]), TABLE)
    assert renamed[0] == "`nick` means something else than `name`: then every such value lands in a wrong column."
    assert "takes almost anything" in renamed[1]
    every = [
        {"op": "rename_table", "from": "old", "to": "t"}, {"op": "cast", "column": "age", "to": "integer", "format": "round"},
        {"op": "map_value", "column": "mood", "from": "glad", "to": "happy"}, {"op": "fill", "column": "age", "value": 3},
        {"op": "fill", "column": "age", "from_key": "years"}, {"op": "fill", "column": "name", "claim": "sub"},
        {"op": "use_default", "column": "born"}, {"op": "drop_key", "column": "x"}, {"op": "truncate", "column": "name", "n": 2},
        {"op": "rescue", "column": "x", "into": "rest"}, {"op": "keep_name", "column": "age"},
    ]  # fmt: skip
    for op in every:
        assert doubts(fixes.parse([op]), TABLE), op
