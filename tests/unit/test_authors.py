"""Who made a change, by what the DDL log says of the things it is about."""

from __future__ import annotations

from schema_monitor.core.changes import Change, change
from schema_monitor.core.ddl import Author, Authors, Entry, Names, SeenEnum, SeenRelation
from schema_monitor.core.snapshot import Snapshot
from tests.unit.test_lineage import HERE, enum, snap, table

ANN, BEN = Author("ALTER TABLE", "ann", "psql"), Author("CREATE TABLE", "ben", None)
OLD = snap(table(1, "orders", "1 id"), table(2, "items", "1 id"), enum(9, "1 fine"))
NEW = snap(table(1, "purchases", "1 id"), table(2, "items", "1 id"), enum(9, "1 well"))


def entry(number: int, author: Author, *relations: int, enums: tuple[int, ...] = ()) -> Entry:
    """An entry that touched these."""
    names = Names({oid: SeenRelation("public", f"t{oid}") for oid in relations}, {oid: SeenEnum("public", "mood") for oid in enums})
    return Entry(number, HERE, author, "table", None, False, names)


def about(name: str) -> Change:
    """A change of what is called so."""
    return change("table_renamed", ("public", name), "…")


def who(*entries: Entry, old: Snapshot = OLD, new: Snapshot = NEW, name: str = "orders") -> str | None:
    """The role that made a change."""
    author = Authors(entries, old, new).of(about(name))
    return author.usr if author else None


def test_who_touched_the_thing_made_the_change() -> None:
    """Under its former name and under its new one; a label is its enum's."""
    entries = (entry(1, BEN, 2), entry(2, ANN, 1), entry(3, BEN, enums=(9,)))
    assert [who(*entries, name=name) for name in ("orders", "purchases", "items", "mood")] == ["ann", "ann", "ben", "ben"]


def test_what_nobody_is_seen_to_have_touched_is_the_work_of_who_did_all() -> None:
    """Of one, or of nobody that can be named."""
    assert who(entry(1, BEN, 2), entry(2, BEN, 7)) == "ben"
    assert who(entry(1, BEN, 2), entry(2, ANN, 7)) is None
    assert who() is None


def test_two_who_touched_it_are_not_told_apart() -> None:
    """One's commands are listed, each tag once."""
    assert who(entry(1, BEN, 1), entry(2, ANN, 1)) is None
    both = (entry(1, Author("CREATE TABLE", "ann", "psql"), 1), entry(2, ANN, 1), entry(3, ANN, 1), entry(4, BEN, 2))
    found = Authors(both, OLD, NEW).of(about("orders"))
    assert found == Author("CREATE TABLE, ALTER TABLE", "ann", "psql")
