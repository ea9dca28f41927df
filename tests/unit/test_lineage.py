"""What a name means after renames, drops and swaps: cases a person would ask about, one each."""

from __future__ import annotations

from itertools import pairwise

import msgspec

from schema_monitor.core.lineage import Ambiguous, Gone, Lineage, Live, Renamed, Reused, Unknown
from schema_monitor.core.snapshot import Column, EnumLabel, EnumType, Relation, Scope, Snapshot

HERE = Scope("7001", 5)
ELSEWHERE = Scope("7002", 5)


def table(oid: int, name: str, *columns: str, schema: str = "public", kind: str = "r") -> Relation:
    """A relation whose columns are ``"<attnum> <name>"``."""
    parts = tuple(text.split() for text in columns)
    return Relation(oid, schema, name, kind, tuple(Column(int(n), c, "text", "text") for n, c in parts))


def enum(oid: int, *labels: str) -> EnumType:
    parts = tuple(text.split() for text in labels)
    return EnumType(oid, "public", "mood", tuple(EnumLabel(int(n), c) for n, c in parts))


def snap(*things: Relation | EnumType, scope: Scope = HERE, exposed: tuple[str, ...] = ("public",)) -> Snapshot:
    relations = {t.oid: t for t in things if isinstance(t, Relation)}
    enums = {t.oid: t for t in things if isinstance(t, EnumType)}
    return Snapshot(scope, 180004, relations, enums, {}, exposed=exposed)


def after(*snapshots: Snapshot) -> Lineage:
    """The lineage after these snapshots, stored and loaded at each step as the product does."""
    lineage = Lineage.start(snapshots[0])
    for old, new in pairwise(snapshots):
        lineage = lineage.advance(old, new)
        lineage = msgspec.json.decode(msgspec.json.encode(lineage), type=Lineage)
    return lineage


def column(name: str, *versions: tuple[str, ...]) -> str:
    """What ``name`` resolves to after a table had these columns in turn, in short words."""
    snapshots = [snap(table(1, "t", *version)) for version in versions]
    match after(*snapshots).resolve_column(snapshots[-1].relations[1], name):
        case Live(value):
            return f"live {value.attnum}"
        case Renamed(value):
            return f"renamed {value.attnum}"
        case Reused(live, former):
            return f"reused {live.attnum} formerly {[c.attnum for c in former]}"
        case Ambiguous(candidates):
            return f"ambiguous {[c.attnum for c in candidates]}"
        case Gone(attnum):
            return f"gone {attnum}"
        case Unknown():
            return "unknown"


def test_a_name_that_never_changed_is_live() -> None:
    assert column("a", ("1 a",)) == "live 1"


def test_a_name_nobody_ever_had_is_unknown() -> None:
    assert column("z", ("1 a",), ("1 b",)) == "unknown"


def test_a_renamed_column_answers_to_its_former_name() -> None:
    assert column("a", ("1 a",), ("1 b",)) == "renamed 1"


def test_every_name_of_a_chain_of_renames_leads_to_the_column() -> None:
    chain = (("1 a",), ("1 b",), ("1 c",))
    assert [column(name, *chain) for name in "abc"] == ["renamed 1", "renamed 1", "live 1"]


def test_a_name_taken_by_a_new_column_while_the_former_lives_is_reused() -> None:
    assert column("a", ("1 a",), ("1 b",), ("1 b", "2 a")) == "reused 2 formerly [1]"


def test_reuse_is_seen_when_both_happen_between_two_looks() -> None:
    assert column("a", ("1 a",), ("1 b", "2 a")) == "reused 2 formerly [1]"


def test_two_names_that_swapped_are_both_reused() -> None:
    swap = (("1 a", "2 b"), ("1 b", "2 a"))
    assert [column(name, *swap) for name in "ab"] == ["reused 2 formerly [1]", "reused 1 formerly [2]"]


def test_a_swap_undone_leaves_both_names_reused() -> None:
    swap = (("1 a", "2 b"), ("1 b", "2 a"), ("1 a", "2 b"))
    assert [column(name, *swap) for name in "ab"] == ["reused 1 formerly [2]", "reused 2 formerly [1]"]


def test_renamed_away_and_back_is_live_and_the_name_between_still_works() -> None:
    there_and_back = (("1 a",), ("1 b",), ("1 a",))
    assert [column(name, *there_and_back) for name in "ab"] == ["live 1", "renamed 1"]


def test_dropped_is_gone() -> None:
    assert column("a", ("1 a", "2 b"), ("2 b",)) == "gone 1"


def test_dropped_and_added_again_is_live() -> None:
    assert column("a", ("1 a", "2 b"), ("2 b",), ("2 b", "3 a")) == "live 3"


def test_a_new_column_that_replaces_the_old_under_its_name_answers_to_its_building_name() -> None:
    replaced = (("1 a",), ("1 a", "2 a_new"), ("2 a",))
    assert [column(name, *replaced) for name in ("a", "a_new")] == ["live 2", "renamed 2"]


def test_a_renamed_column_that_was_dropped_later_is_gone_under_all_its_names() -> None:
    dropped = (("1 a", "2 x"), ("1 b", "2 x"), ("2 x",))
    assert [column(name, *dropped) for name in "ab"] == ["gone 1", "gone 1"]


def test_a_former_name_of_two_living_columns_is_ambiguous() -> None:
    assert column("a", ("1 a",), ("1 b",), ("1 b", "2 a"), ("1 b", "2 c")) == "ambiguous [1, 2]"


def test_a_former_name_shared_with_a_dropped_column_is_not_exact() -> None:
    assert column("a", ("1 a",), ("1 b",), ("1 b", "2 a"), ("1 b",)) == "ambiguous [1]"


def test_names_of_columns_that_were_never_renamed_take_no_room() -> None:
    same = snap(table(1, "t", "1 a", "2 b"))
    assert msgspec.json.encode(after(same, same).columns) == b"{}"


def test_column_names_resolves_all_at_once() -> None:
    old, new = snap(table(1, "t", "1 a", "2 x")), snap(table(1, "t", "1 b", "2 x"))
    relation = new.relations[1]
    names = after(old, new).column_names(relation)
    assert names == {"a": Renamed(relation.columns[0]), "b": Live(relation.columns[0]), "x": Live(relation.columns[1])}


def test_a_renamed_table_answers_to_its_former_name() -> None:
    old, new = snap(table(1, "t")), snap(table(1, "u"))
    assert after(old, new).resolve_relation(new, "public", "t") == Renamed(new.relations[1])


def test_a_table_moved_to_another_exposed_schema_is_found() -> None:
    exposed = ("public", "api")
    old, new = snap(table(1, "t"), exposed=exposed), snap(table(1, "t", schema="api"), exposed=exposed)
    assert after(old, new).resolve_relation(new, "public", "t") == Renamed(new.relations[1])


def test_a_table_moved_out_of_what_is_served_is_not_followed() -> None:
    old, new = snap(table(1, "t")), snap(table(1, "t", schema="private"))
    assert after(old, new).resolve_relation(new, "public", "t") == Gone(1)
    assert after(old, new).resolve_relation(new, "private", "t") == Unknown()


def test_a_table_name_taken_by_another_table_is_reused() -> None:
    old, new = snap(table(1, "t")), snap(table(1, "t_old"), table(2, "t"))
    assert after(old, new).resolve_relation(new, "public", "t") == Reused(new.relations[2], (new.relations[1],))


def test_a_view_over_the_renamed_table_stands_in_for_it() -> None:
    view = msgspec.structs.replace(table(2, "t", "1 a", kind="v"), view_columns=((1, 1, 1),))
    old, new = snap(table(1, "t", "1 a")), snap(table(1, "t_base", "1 a"), view)
    assert after(old, new).resolve_relation(new, "public", "t") == Live(new.relations[2])


def test_a_replaced_table_is_live_and_starts_without_former_column_names() -> None:
    lineage = after(snap(table(1, "t", "1 a")), snap(table(1, "t", "1 b")), new := snap(table(2, "t", "1 b")))
    assert lineage.resolve_relation(new, "public", "t") == Live(new.relations[2])
    assert lineage.resolve_column(new.relations[2], "a") == Unknown()


def test_a_table_that_left_and_came_back_is_no_longer_exact() -> None:
    lineage = after(snap(table(1, "t", "1 a")), snap(), new := snap(table(1, "t", "1 b")))
    assert lineage.resolve_column(new.relations[1], "a") == Ambiguous((new.relations[1].columns[0],))


def test_a_dropped_table_is_gone() -> None:
    lineage = after(snap(table(1, "t")), new := snap())
    assert lineage.resolve_relation(new, "public", "t") == Gone(1)


def test_very_many_dropped_tables_are_forgotten_by_identity_but_not_by_name() -> None:
    empty = snap()
    lineage = after(snap(*(table(n, f"t{n}", "1 a") for n in range(1, 701))), empty)
    assert (len(lineage.relations.names), len(lineage.columns)) == (501, 500)
    assert lineage.resolve_relation(empty, "public", "t1") == Gone(0)
    assert lineage.resolve_relation(empty, "public", "t700") == Gone(700)


def test_a_renamed_label_answers_to_its_former_name() -> None:
    old, new = snap(enum(9, "91 happy", "92 sad")), snap(enum(9, "91 glad", "92 sad"))
    lineage = after(old, new)
    assert lineage.resolve_label(new.enums[9], "happy") == Renamed(EnumLabel(91, "glad"))
    assert lineage.resolve_label(new.enums[9], "sad") == Live(EnumLabel(92, "sad"))
    assert lineage.resolve_label(new.enums[9], "angry") == Unknown()


def test_a_label_name_given_to_a_new_label_is_reused() -> None:
    lineage = after(snap(enum(9, "91 happy")), snap(enum(9, "91 glad")), new := snap(enum(9, "91 glad", "93 happy")))
    assert lineage.resolve_label(new.enums[9], "happy") == Reused(EnumLabel(93, "happy"), (EnumLabel(91, "glad"),))


def test_in_a_restored_database_former_names_are_known_but_never_exact() -> None:
    lineage = after(
        snap(table(1, "t", "1 a", "2 x"), enum(9, "91 happy")),
        snap(table(1, "u", "1 b", "2 x"), enum(9, "91 glad")),
        new := snap(table(70, "u", "1 b", "2 x"), enum(90, "910 glad"), scope=ELSEWHERE),
    )
    relation = new.relations[70]
    assert lineage.scope == ELSEWHERE
    assert lineage.resolve_column(relation, "a") == Ambiguous((relation.columns[0],))
    assert lineage.resolve_column(relation, "x") == Live(relation.columns[1])
    assert lineage.resolve_relation(new, "public", "t") == Ambiguous((relation,))
    assert lineage.resolve_label(new.enums[90], "happy") == Ambiguous((EnumLabel(910, "glad"),))


def test_what_the_restored_database_lacks_makes_later_renames_of_that_name_doubtful() -> None:
    restored = snap(table(70, "t", "1 x", "2 a"), scope=ELSEWHERE)
    lineage = after(snap(table(1, "t", "1 a", "2 x")), snap(table(1, "t", "2 x")), restored)
    renamed = snap(table(70, "t", "1 x", "2 b"), scope=ELSEWHERE)
    lineage = lineage.advance(restored, renamed)
    assert lineage.resolve_column(renamed.relations[70], "a") == Ambiguous((renamed.relations[70].columns[1],))


def test_renames_in_the_new_scope_are_exact_again() -> None:
    first = snap(table(70, "u", "1 b"), scope=ELSEWHERE)
    second = snap(table(70, "u", "1 c"), scope=ELSEWHERE)
    lineage = after(snap(table(1, "u", "1 a")), snap(table(1, "u", "1 b")), first, second)
    assert lineage.resolve_column(second.relations[70], "b") == Renamed(second.relations[70].columns[0])


def test_one_relation_read_in_band_advances_alone() -> None:
    old, new = table(1, "t", "1 a"), table(1, "u", "1 b")
    lineage = Lineage.start(snap(old)).advance_relation(old, new)
    assert lineage.resolve_column(new, "a") == Renamed(new.columns[0])
    assert lineage.resolve_relation(snap(new), "public", "t") == Renamed(new)


def test_a_name_borne_by_two_relations_of_a_patched_snapshot_is_ambiguous() -> None:
    stale = snap(table(1, "t"), table(2, "t"))
    assert isinstance(Lineage.start(stale).resolve_relation(stale, "public", "t"), Ambiguous)


def test_a_name_that_was_only_sighted_between_captures_is_followed() -> None:
    """Created as ``email`` and renamed before anybody captured: a gateway saw both."""
    from msgspec.structs import replace

    from schema_monitor.core.lineage import Lineage, Renamed, Sighting
    from schema_monitor.core.snapshot import Column, Relation, Scope, Snapshot

    scope = Scope("1", 1)
    as_made = Relation(7, "public", "people", "r", (Column(1, "id", "integer", "int4"), Column(2, "email", "text", "text")))
    renamed = replace(as_made, name="persons", columns=(as_made.columns[0], replace(as_made.columns[1], name="email_address")))
    before, now = Snapshot(scope, 180000, {}, {}, {}), Snapshot(scope, 180000, {7: renamed}, {}, {})
    lineage = Lineage.start(before).advance(before, now).recall([Sighting.of(scope, as_made), Sighting.of(scope, renamed)], now)
    assert lineage.resolve_column(renamed, "email") == Renamed(renamed.columns[1])
    assert lineage.resolve_relation(now, "public", "people") == Renamed(renamed)
    elsewhere = Sighting.of(Scope("2", 1), as_made)
    assert Lineage.start(now).recall([elsewhere], now) == Lineage.start(now)
