"""What changed on a copy, carried over to the original."""

from __future__ import annotations

from msgspec.structs import replace

from schema_monitor.core.diff import diff
from schema_monitor.core.fingerprint import snapshot_fingerprint, stamped
from schema_monitor.core.lineage import Lineage, Renamed
from schema_monitor.core.snapshot import Column, Constraint, EnumLabel, EnumType, Relation, Scope, Snapshot
from schema_monitor.core.transplant import transplant


def snapshot(scope: int, *relations: Relation, enums: tuple[EnumType, ...] = ()) -> Snapshot:
    made = Snapshot(Scope("s", scope), 180000, {r.oid: stamped(r) for r in relations}, {e.oid: e for e in enums}, {}, exposed=("public",))
    return replace(made, fingerprint=snapshot_fingerprint(made))


def table(oid: int, name: str, *columns: Column, **more: object) -> Relation:
    return Relation(oid, "public", name, "r", columns, **more)  # type: ignore[arg-type]


def column(attnum: int, name: str, base: str = "text", **more: object) -> Column:
    return Column(attnum, name, base, base, **more)  # type: ignore[arg-type]


LIVE = snapshot(
    1,
    table(10, "t", column(1, "id"), column(4, "a"), policies=("p PERMISSIVE FOR ALL TO elsewhere",), acl="o=r/o,elsewhere=r/o"),
    table(11, "not_copied", column(1, "x")),
)
BEFORE = snapshot(2, table(90, "t", column(1, "id"), column(2, "a")))


def test_a_copy_that_did_not_change_changes_nothing() -> None:
    assert diff(LIVE, transplant(LIVE, BEFORE, BEFORE)) == ()


def test_a_rename_is_one_of_the_original_and_its_lineage_follows() -> None:
    after = transplant(LIVE, BEFORE, snapshot(2, table(90, "t", column(1, "id"), column(2, "b"))))
    assert [(c.kind, c.old, c.new) for c in diff(LIVE, after)] == [("column_renamed", "a", "b")]
    lineage = Lineage.start(LIVE).advance(LIVE, after)
    assert isinstance(lineage.resolve_column(after.relations[10], "a"), Renamed)
    assert after.relations[10].policies == LIVE.relations[10].policies
    assert 11 in after.relations


def test_drop_and_add_is_another_column_and_what_is_new_has_numbers_of_its_own() -> None:
    after = transplant(LIVE, BEFORE, snapshot(2, table(90, "t", column(1, "id"), column(3, "a")), table(91, "fresh", column(1, "x"))))
    assert sorted(c.kind for c in diff(LIVE, after)) == ["column_added", "column_removed", "table_added"]
    assert LIVE.relations.keys() < after.relations.keys()


def test_a_dropped_table_is_gone_and_one_that_was_not_copied_is_not() -> None:
    after = transplant(LIVE, BEFORE, snapshot(2))
    assert [c.kind for c in diff(LIVE, after)] == ["table_removed"]


def test_grants_and_policies_are_added_to_those_that_the_copy_could_not_have() -> None:
    changed = table(90, "t", column(1, "id"), column(2, "a"), policies=("q PERMISSIVE FOR ALL TO anon",), acl="me=ar/me,anon=r/me")
    after = transplant(LIVE, BEFORE, snapshot(2, changed))
    assert sorted(c.kind for c in diff(LIVE, after)) == ["grant_opened", "policy_opened"]
    assert len(after.relations[10].policies) == 2


def test_a_constraint_that_stays_keeps_its_identity_and_a_new_one_gets_one() -> None:
    def constrained(oid: int, attnum: int, *names: str) -> Relation:
        checks = tuple(Constraint(oid * 10 + i, name, "c", (attnum,), f"CHECK ({name})") for i, name in enumerate(names))
        return table(oid, "t", column(attnum, "a"), constraints=checks)

    live, before = snapshot(1, constrained(10, 4, "one")), snapshot(2, constrained(90, 2, "one"))
    after = transplant(live, before, snapshot(2, constrained(90, 2, "one", "two")))
    assert [(c.kind, c.object) for c in diff(live, after)] == [("check_added", "two")]
    gone = transplant(live, before, snapshot(2, constrained(90, 2)))
    assert [(c.kind, c.object) for c in diff(live, gone)] == [("check_removed", "one")]


def test_labels_keep_their_identity() -> None:
    def mood(oid: int, *labels: tuple[int, str]) -> EnumType:
        return EnumType(oid, "public", "mood", tuple(EnumLabel(*label) for label in labels))

    live, before = snapshot(1, enums=(mood(5, (51, "sad")),)), snapshot(2, enums=(mood(70, (71, "sad")),))
    after = transplant(live, before, snapshot(2, enums=(mood(70, (71, "gloomy"), (72, "new")),)))
    assert sorted(c.kind for c in diff(live, after)) == ["label_added", "label_renamed"]
