"""How traffic moves the severity of a change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from schema_monitor.core.changes import Change
from schema_monitor.core.diff import diff
from schema_monitor.core.felt import FELT
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.severity import WEIGHTS
from schema_monitor.core.snapshot import Argument, Column, Constraint, EnumLabel, EnumType, Function, Relation, Scope, Snapshot
from schema_monitor.core.traffic import RecentShape
from schema_monitor.core.weigh import Weighed, World, concerned, weigh

HERE = Scope("1", 1)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ID = Column(1, "id", "integer", "int4", nullable=False, identity="d")
TITLE = Column(2, "title", "text", "text")
SIZE = Column(3, "size", "integer", "int4")
MOOD = Column(4, "mood", "mood", "mood", enum=9)
TABLE = Relation(7, "public", "notes", "r", (ID, TITLE, SIZE, MOOD), constraints=(Constraint(70, "notes_pkey", "p", (1,)),))
VIEW = Relation(8, "public", "titles", "v", (Column(1, "heading", "text", "text"),), view_columns=((1, 7, 2),))
ENUM = EnumType(9, "public", "mood", (EnumLabel(90, "glad"),))
CALL = Function(20, "public", "add", (Argument("a", "integer"),), "integer")


def snapshot(*relations: Relation, enum: EnumType = ENUM, functions: Sequence[Function] = (CALL,)) -> Snapshot:
    return Snapshot(HERE, 180000, {r.oid: r for r in relations}, {enum.oid: enum}, {f.oid: f for f in functions})


def with_columns(*columns: Column, **more: Any) -> Snapshot:
    return snapshot(replace(TABLE, columns=columns, **more), VIEW)


OLD = snapshot(TABLE, VIEW)


def shape(operation: str, keys: Sequence[str] = (), named: Sequence[str] = (), oid: int = 7, **more: Any) -> RecentShape:
    facts = {"role": "anon", "caller": "signup", "key": "k1", "requests": 5, "last_at": NOON, **more}
    return RecentShape("public", oid, "notes", operation, tuple(keys), tuple(named), "s", **facts)


def weighed(new: Snapshot, *shapes: RecentShape, certain: bool = True, old: Snapshot = OLD) -> dict[str, Weighed]:
    before = Lineage.start(old)
    world = World(old, new, before, before.advance(old, new))
    changes = diff(old, new)
    return {each.change.kind: each for each in weigh(changes, world, shapes, certain=certain)}


INSERT = shape("insert", ["id", "title", "size", "mood"])
REMOVED = with_columns(ID, SIZE, MOOD)
RENAMED = with_columns(ID, replace(TITLE, name="headline"), SIZE, MOOD)
REQUIRED = with_columns(ID, TITLE, replace(SIZE, nullable=False), MOOD)
WIDENED = with_columns(ID, TITLE, replace(SIZE, type="bigint", base="int8"), MOOD)
OPEN = with_columns(ID, TITLE, SIZE, MOOD, acl="{postgres=arwd/postgres,anon=r/postgres}")


@pytest.mark.parametrize(
    ("new", "kind", "sent", "severity"),
    [
        (REMOVED, "column_removed", [INSERT], "critical"),
        (REMOVED, "column_removed", [shape("insert", ["size"])], "high"),
        (REMOVED, "column_removed", [shape("select", named=["*"])], "critical"),
        (REMOVED, "column_removed", [shape("update", ["size"], ["title"])], "critical"),
        (RENAMED, "column_renamed", [], "medium"),
        (RENAMED, "column_renamed", [INSERT], "critical"),
        (RENAMED, "column_renamed", [shape("select", named=["id", "size"])], "medium"),
        (RENAMED, "column_renamed", [shape("select", named=["heading"], oid=8)], "critical"),
        (REQUIRED, "not_null_set", [shape("insert", ["title"])], "critical"),
        (REQUIRED, "not_null_set", [shape("update", ["title"])], "medium"),
        (REQUIRED, "not_null_set", [shape("update", ["size"])], "critical"),
        (REQUIRED, "not_null_set", [shape("select", named=["size"])], "medium"),
        (WIDENED, "type_widened", [INSERT], "high"),
        (WIDENED, "type_widened", [shape("select", named=["title"])], "low"),
        (WIDENED, "type_widened", [shape("insert", ["…"])], "high"),
    ],
)
def test_a_change_weighs_more_where_requests_touch_it_and_less_where_none_does(
    new: Snapshot, kind: str, sent: list[RecentShape], severity: str
) -> None:
    assert weighed(new, *sent)[kind].change.severity == severity


def test_nothing_is_lowered_where_not_everything_was_recorded() -> None:
    found = weighed(RENAMED, certain=False)["column_renamed"]
    assert (found.change.severity, found.base, found.hits) == ("high", "high", {})


def test_security_is_never_lowered() -> None:
    assert weighed(OPEN)["grant_opened"].change.severity == "critical"
    policy = "read PERMISSIVE FOR SELECT TO authenticated USING (true)"
    base = replace(TABLE, row_security=True, policies=(policy,))
    new = replace(base, policies=(policy.replace("true", "false"),))
    assert weighed(snapshot(new, VIEW), old=snapshot(base, VIEW))["policy_changed"].change.severity == "high"


def test_low_changes_stay_low_and_what_no_request_feels_stays_as_it_is() -> None:
    added = with_columns(ID, TITLE, SIZE, MOOD, Column(5, "extra", "text", "text"))
    assert weighed(added, INSERT)["column_added"].change.severity == "low"
    checked = replace(TABLE, constraints=(*TABLE.constraints, Constraint(71, "c", "c", (3,), "CHECK ((size > 0))")))
    assert weighed(OLD, INSERT, old=snapshot(checked, VIEW))["check_removed"].change.severity == "medium"


def test_who_is_hit_is_told_by_caller() -> None:
    other = shape("select", named=["title"], key=None, caller="authenticated", role="authenticated", requests=50)
    hits = weighed(RENAMED, INSERT, shape("insert", ["title"]), other)["column_renamed"].hits
    assert hits["requests"] == 60
    assert [(c["name"], c["key"], c["requests"]) for c in hits["callers"]] == [("authenticated", None, 50), ("signup", "k1", 10)]
    assert hits["callers"][0]["last_at"] == NOON.isoformat()


def test_a_rename_whose_name_was_taken_has_no_alias() -> None:
    """Old callers of title would reach another column."""
    taken = with_columns(ID, replace(TITLE, name="headline"), replace(SIZE, name="title"), MOOD)
    old_name = [each for each in weigh(diff(OLD, taken), world(taken), (), certain=False) if each.change.old == "title"]
    assert [each.base for each in old_name] == ["critical"]


def world(new: Snapshot) -> World:
    start = Lineage.start(OLD)
    return World(OLD, new, start, start.advance(OLD, new))


def test_a_renamed_table_keeps_its_alias_and_one_behind_a_view_too() -> None:
    moved = replace(TABLE, name="articles")
    assert weighed(snapshot(moved, VIEW), certain=False)["table_renamed"].base == "high"
    stand_in = replace(VIEW, oid=30, name="notes")
    assert weighed(snapshot(moved, VIEW, stand_in), certain=False)["table_renamed"].base == "high"
    stranger = replace(TABLE, oid=31)
    assert weighed(snapshot(moved, VIEW, stranger), certain=False)["table_renamed"].base == "critical"


def test_a_label_weighs_by_the_columns_of_its_type() -> None:
    renamed = snapshot(TABLE, VIEW, enum=replace(ENUM, labels=(EnumLabel(90, "happy"),)))
    assert weighed(renamed, shape("insert", ["mood"]))["label_renamed"].change.severity == "critical"
    assert weighed(renamed, shape("insert", ["title"]))["label_renamed"].change.severity == "medium"


def test_a_function_weighs_by_its_calls() -> None:
    new = snapshot(TABLE, VIEW, functions=(replace(CALL, returns="text"),))
    assert weighed(new, shape("call", ["a"], oid=20))["function_changed"].change.severity == "critical"
    assert weighed(new, shape("call", ["a"], oid=21))["function_changed"].change.severity == "medium"


def test_former_names_count_for_the_column_they_mean() -> None:
    """title became headline last week; callers still send title; now headline is dropped."""
    start = Lineage.start(OLD)
    old, new = RENAMED, with_columns(ID, SIZE, MOOD)
    before = start.advance(OLD, old)
    found = weigh(diff(old, new), World(old, new, before, before.advance(old, new)), [INSERT], certain=True)
    assert found[0].change.severity == "critical" and found[0].hits["requests"] == 5


def test_what_is_concerned_is_the_table_the_views_over_it_and_the_function() -> None:
    functions = (replace(CALL, returns="text"), Function(21, "public", "other", (), "integer"))
    new = snapshot(replace(TABLE, columns=(ID, SIZE, MOOD)), VIEW, functions=functions)
    assert concerned(diff(OLD, new), world(new)) == {7, 8, 20}


def test_every_kind_that_may_be_felt_exists() -> None:
    assert set(FELT) <= set(WEIGHTS)
    loud = {kind for kind, weight in WEIGHTS.items() if weight.writers or weight.readers}
    assert {kind for kind in loud if kind not in FELT and not kind.startswith("function_")} == set()


def test_changes_come_worst_first() -> None:
    new = with_columns(ID, replace(SIZE, type="bigint", base="int8"), MOOD, Column(5, "extra", "text", "text"))
    start = Lineage.start(OLD)
    levels = [
        each.change.severity for each in weigh(diff(OLD, new), World(OLD, new, start, start.advance(OLD, new)), [INSERT], certain=True)
    ]
    assert levels == ["critical", "high", "low"]
    assert isinstance(diff(OLD, new)[0], Change)
