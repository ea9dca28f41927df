"""Verdicts over shapes, from values alone."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from schema_monitor.core.diff import diff
from schema_monitor.core.fingerprint import stamped
from schema_monitor.core.impact import World, judge
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Column, Function, Index, Relation, Scope, Snapshot
from schema_monitor.core.traffic import RecentShape
from schema_monitor.core.verdicts import Judged

ID, A, B = Column(1, "id", "integer", "int4", nullable=False, default="1"), Column(2, "a", "text", "text"), Column(3, "b", "text", "text")


def world(*columns: Column, **more: Any) -> Snapshot:
    relation = stamped(Relation(10, "public", "t", "r", columns, **more))
    return Snapshot(Scope("s", 1), 180000, {10: relation}, {}, {}, exposed=("public",))


def judged(live: Snapshot, after: Snapshot, *keys: str, operation: str = "insert", settled: Any = frozenset(), **more: Any) -> Judged:
    shape = RecentShape("public", 10, "t", operation, keys, more.pop("named", ()), "", more.pop("role", "authenticated"), requests=1)
    lineage = Lineage.start(live)
    (found,) = judge([shape], World(live, lineage), World(after, lineage.advance(live, after), settled), diff(live, after))
    return found


LIVE = world(ID, A, B, unique_indexes=(Index(5, "one", (2,)),))
CASES: list[tuple[str, Snapshot, tuple[str, ...], dict[str, Any], str]] = [
    ("nothing", LIVE, ("a", "b"), {}, "fits"),
    ("renamed", world(ID, replace(A, name="z"), B), ("a",), {}, "heals"),
    ("renamed, and both names are sent", world(ID, replace(A, name="z"), B), ("a", "z"), {}, "needs_rule"),
    ("renamed, all asked for", world(ID, replace(A, name="z"), B), (), {"operation": "select", "named": ("*",)}, "depends"),
    ("removed", world(ID, B), ("a",), {}, "needs_rule"),
    ("removed, and a rule answers", world(ID, B), ("a",), {"settled": frozenset({("public", "", "unknown_column:a")})}, "heals"),
    ("removed, in a filter", world(ID, B), ("b",), {"operation": "update", "named": ("a",)}, "breaks"),
    ("narrowed", world(ID, replace(A, type="integer", base="int4"), B), ("a",), {}, "depends"),
    ("not null, left out", world(ID, replace(A, nullable=False), B), ("b",), {}, "needs_rule"),
    ("not null, sent", world(ID, replace(A, nullable=False), B), ("a",), {}, "depends"),
    ("not null, updated", world(ID, replace(A, nullable=False), B), ("b",), {"operation": "update"}, "fits"),
    ("no key left", world(ID, A, B), ("a", "b"), {"operation": "upsert"}, "breaks"),
    ("row security", world(ID, A, B, row_security=True), ("a",), {}, "breaks"),
    ("row security does not bind", world(ID, A, B, row_security=True), ("a",), {"role": "service_role"}, "fits"),
    ("computed", world(ID, replace(A, generated="s", default="b"), B), ("a",), {}, "depends"),
    ("identity", world(replace(ID, identity="a", default=None), A, B), ("id", "a"), {}, "needs_rule"),
]


@pytest.mark.parametrize(("name", "after", "keys", "more", "verdict"), CASES, ids=[case[0] for case in CASES])
def test_each_change_has_its_verdict(name: str, after: Snapshot, keys: tuple[str, ...], more: dict[str, Any], verdict: str) -> None:
    found = judged(LIVE, after, *keys, **more)
    assert (found.verdict.value, found.today.value) == (verdict, "needs_rule" if "z" in keys else "fits"), found.reasons


def test_a_removed_column_may_move_to_a_new_one_of_its_type() -> None:
    (reason,) = judged(LIVE, world(ID, B, Column(9, "fresh", "text", "text")), "a").reasons
    assert reason.remedies[0].fix == ({"op": "rename_column", "from": "a", "to": "fresh"},)


def test_a_revoked_right_breaks_who_had_it_only_by_that() -> None:
    live = replace(LIVE, relations={10: stamped(replace(LIVE.relations[10], acl="anon=ar/o,authenticated=ar/o"))})
    after = replace(LIVE, relations={10: stamped(replace(LIVE.relations[10], acl="authenticated=ar/o"))})
    assert [judged(live, after, "a", role=role).verdict.value for role in ("anon", "authenticated")] == ["breaks", "fits"]


def test_a_function_that_is_called_must_stay() -> None:
    live = replace(LIVE, functions={20: Function(20, "public", "f", (), "void")})
    shape = RecentShape("public", 20, "f", "call", (), (), "", "anon", requests=1)
    lineage = Lineage.start(live)
    for after, verdict in ((live, "fits"), (LIVE, "breaks")):
        (found,) = judge([shape], World(live, lineage), World(after, lineage), diff(live, after))
        assert found.verdict.value == verdict
