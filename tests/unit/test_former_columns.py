"""What a gateway remembers of a database that is not served any more (restored, branched)."""

from __future__ import annotations

from healing.gateway.state import State, former_of
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Column, Relation, Scope, Snapshot


def snapshot(scope: str, *columns: str) -> Snapshot:
    """One table."""
    relation = Relation(1, "public", "books", "r", tuple(Column(i, n, "text", "text") for i, n in enumerate(columns, 1)))
    return Snapshot(Scope(scope, 1), 180000, {1: relation}, {}, {})


def state(of: Snapshot) -> State:
    """A state that serves it."""
    return State(1, of, Lineage.start(of))


def test_another_database_leaves_the_columns_that_are_gone_there_to_be_remembered() -> None:
    old = state(snapshot("1", "id", "title"))
    assert former_of(old, snapshot("2", "id", "name")) == {("public", "books"): ("id", "title")}


def test_nothing_is_remembered_of_a_table_that_kept_its_columns() -> None:
    assert former_of(state(snapshot("1", "id", "title")), snapshot("2", "id", "title", "more")) == {}


def test_in_the_same_database_lineage_knows_so_nothing_changes() -> None:
    assert former_of(state(snapshot("1", "id", "title")), snapshot("1", "id", "name")) == {}
