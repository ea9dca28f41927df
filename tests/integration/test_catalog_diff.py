"""Real DDL and what the diff says about it: kind, severity, whom it breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import psycopg
import pytest

from resilience_site.embedded import EmbeddedPostgres
from resilience_site.embedded_state import OWNER
from schema_monitor import catalog
from schema_monitor.core.changes import Change
from schema_monitor.core.diff import diff, summary
from schema_monitor.core.snapshot import Scope, Snapshot

START = """
CREATE TYPE mood AS ENUM ('happy', 'sad');
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE t (id int PRIMARY KEY, a text, b int NOT NULL DEFAULT 1, c varchar(5), m mood, n numeric(6,2), p int, u int UNIQUE,
                s text CONSTRAINT s_list CHECK (s IN ('x', 'y')));
CREATE UNIQUE INDEX t_a ON t (a);
CREATE VIEW v AS SELECT id, a FROM t;
CREATE FUNCTION f(x int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE POLICY "own rows" ON t FOR SELECT TO authenticated USING (id > 1);
"""
W, R, WR = "writers", "readers", "writers readers"
numbers = count(1)
Look = Callable[[str], Snapshot]


@pytest.fixture(scope="module")
def database(make_target: Callable[[], str], postgres: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    """A target that the tests of this module share, a schema each."""
    with psycopg.connect(postgres.url(make_target(), OWNER), autocommit=True) as owner:
        yield owner


@pytest.fixture
def look(database: psycopg.Connection) -> Look:
    """Runs DDL in a fresh schema that begins as START, and takes a snapshot."""
    schema = f"case_{next(numbers)}"
    database.execute(f"CREATE SCHEMA {schema}; SET search_path = {schema}, public")
    database.execute(START)

    def run(ddl: str) -> Snapshot:
        if ddl:
            database.execute(ddl)
        return catalog.read_snapshot_sync(database, [schema])

    return run


def said(change: Change) -> tuple[str, str, str]:
    breaks = [who for who, so in ((W, change.breaks_old_writers), (R, change.breaks_old_readers)) if so]
    return (change.kind, change.severity, " ".join(breaks))


CASES = [
    ("", []),
    ("CREATE TABLE new (id int)", [("table_added", "low", "")]),
    ("DROP VIEW v", [("table_removed", "critical", WR)]),
    ("ALTER TABLE parent RENAME TO elders", [("table_renamed", "high", WR)]),
    ("DROP TABLE parent; CREATE TABLE parent (id int PRIMARY KEY)", [("table_replaced", "high", WR)]),
    ("DROP TABLE parent; CREATE TABLE parent (id int PRIMARY KEY, x int)", [("table_replaced", "high", WR), ("column_added", "low", "")]),
    ("ALTER TABLE t ADD x int", [("column_added", "low", "")]),
    ("ALTER TABLE t ADD x int NOT NULL DEFAULT 0", [("column_added", "low", "")]),
    ("ALTER TABLE t ADD x int NOT NULL", [("required_column_added", "critical", W)]),
    ("ALTER TABLE t DROP p", [("column_removed", "critical", WR)]),
    ("ALTER TABLE t RENAME p TO q", [("column_renamed", "high", WR)]),
    ("ALTER TABLE t RENAME s TO status", [("column_renamed", "high", WR)]),
    ("ALTER TABLE t RENAME u TO p2; ALTER TABLE t RENAME p TO u", [("column_renamed", "high", WR)] * 2),
    ("ALTER TABLE t ALTER p TYPE bigint", [("type_widened", "medium", "")]),
    ("ALTER TABLE t ALTER c TYPE varchar(9)", [("type_widened", "medium", "")]),
    ("ALTER TABLE t ALTER c TYPE text", [("type_widened", "medium", "")]),
    ("ALTER TABLE t ALTER n TYPE numeric(8,4)", [("type_widened", "medium", "")]),
    ("ALTER TABLE t ALTER n TYPE numeric(8,5)", [("type_changed", "critical", WR)]),
    ("ALTER TABLE t ALTER c TYPE varchar(3)", [("type_changed", "critical", WR)]),
    ("ALTER TABLE t ALTER p TYPE text", [("type_changed", "critical", WR)]),
    ("ALTER TABLE t ALTER p SET NOT NULL", [("not_null_set", "high", W)]),
    ("ALTER TABLE t ALTER b DROP NOT NULL", [("not_null_dropped", "medium", R)]),
    ("ALTER TABLE t ALTER b DROP DEFAULT", [("required_default_removed", "critical", W)]),
    ("ALTER TABLE t ALTER b SET DEFAULT 2", [("default_changed", "medium", "")]),
    ("ALTER TABLE t ALTER p SET DEFAULT 2", [("default_added", "medium", "")]),
    ("ALTER TABLE t ALTER id ADD GENERATED ALWAYS AS IDENTITY", [("generation_changed", "high", W)]),
    ("ALTER TABLE t DROP CONSTRAINT t_pkey", [("primary_key_changed", "critical", W)]),
    ("ALTER TABLE t ADD UNIQUE (p)", [("unique_added", "high", W)]),
    ("CREATE UNIQUE INDEX ON t (p)", [("unique_added", "high", W)]),
    ("CREATE INDEX ON t (p)", [("index_added", "low", "")]),
    ("CREATE UNIQUE INDEX ON t ((p::text))", [("unique_added", "high", W)]),
    ("ALTER TABLE t DROP CONSTRAINT t_u_key", [("unique_removed", "high", W)]),
    ("DROP INDEX t_a", [("unique_removed", "high", W)]),
    ("REINDEX TABLE t; VACUUM FULL t", []),
    ("ALTER TABLE t ADD FOREIGN KEY (p) REFERENCES parent", [("foreign_key_added", "high", W)]),
    ("ALTER TABLE t ADD CHECK (p > 1)", [("check_added", "high", W)]),
    ("ALTER TABLE t DROP CONSTRAINT s_list", [("check_removed", "medium", "")]),
    (
        "ALTER TABLE t DROP CONSTRAINT s_list, ADD CONSTRAINT s_list CHECK (s IN ('x', 'y', 'z'))",
        [("check_loosened", "medium", "")],
    ),
    ("ALTER TABLE t DROP CONSTRAINT s_list, ADD CONSTRAINT s_list CHECK (s IN ('x'))", [("check_changed", "high", W)]),
    ("ALTER TABLE t DROP CONSTRAINT s_list, ADD CONSTRAINT s_list CHECK (s IN ('x', 'y'))", []),
    ("ALTER TABLE t RENAME CONSTRAINT s_list TO s_values", [("constraint_renamed", "low", "")]),
    ("ALTER TABLE t ENABLE ROW LEVEL SECURITY", [("row_security_on", "high", WR)]),
    ("ALTER TABLE parent ENABLE ROW LEVEL SECURITY", [("row_security_on_without_policy", "critical", WR)]),
    ("CREATE POLICY all_rows ON t FOR SELECT USING (true)", [("policy_opened", "critical", "")]),
    ("CREATE POLICY few ON t AS RESTRICTIVE FOR SELECT USING (true)", [("policy_restricted", "high", WR)]),
    ('ALTER POLICY "own rows" ON t USING (id > 2)', [("policy_changed", "high", WR)]),
    ('DROP POLICY "own rows" ON t', [("policy_removed", "high", WR)]),
    ("GRANT SELECT ON t TO anon", [("grant_opened", "critical", "")]),
    ("GRANT SELECT (a) ON t TO PUBLIC", [("grant_opened", "critical", "")]),
    ("GRANT SELECT ON t TO authenticated", [("grant_added", "medium", "")]),
    ("CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION touch()", [("trigger_added", "medium", "")]),
    ("CREATE OR REPLACE VIEW v AS SELECT DISTINCT id, a FROM t", [("writes_lost", "high", W)]),
    ("COMMENT ON TABLE t IS 'x'; COMMENT ON COLUMN t.a IS 'y'", [("comment_changed", "low", "")] * 2),
    ("ALTER TYPE mood ADD VALUE 'angry'", [("label_added", "medium", R)]),
    ("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'", [("label_renamed", "high", WR)]),
    ("ALTER TYPE mood RENAME TO feeling", [("enum_renamed", "low", "")]),
    ("CREATE DOMAIN word AS text; DROP VIEW v; ALTER TABLE t ALTER a TYPE word", [("table_removed", "critical", WR)]),
    ("CREATE FUNCTION g() RETURNS void LANGUAGE sql AS ''", [("function_added", "low", "")]),
    ("DROP FUNCTION f", [("function_removed", "high", WR)]),
    ("ALTER FUNCTION f RENAME TO g", [("function_renamed", "high", WR)]),
    ("DROP FUNCTION f; CREATE FUNCTION f(x int) RETURNS text LANGUAGE sql AS 'SELECT ''a'''", [("function_changed", "high", WR)]),
]


@pytest.mark.parametrize(("ddl", "expected"), CASES, ids=[ddl or "nothing" for ddl, _ in CASES])
def test_ddl_is_said_as(look: Look, ddl: str, expected: list[tuple[str, str, str]]) -> None:
    before, after = look(""), look("")
    for statement in ddl.split("; "):
        after = look(statement)
    found = diff(before, after)
    assert [said(change) for change in found] == expected
    assert not found or before.fingerprint != after.fingerprint


def test_a_revoke_is_told_from_a_grant(look: Look) -> None:
    before = look("GRANT SELECT, INSERT ON t TO anon")
    (change,) = diff(before, look("REVOKE INSERT ON t FROM anon"))
    assert (change.kind, change.object, change.new) == ("grant_removed", "anon", "a")


def test_a_sentence_says_what_a_person_needs(look: Look) -> None:
    before = look("")
    changes = diff(before, look("ALTER TABLE t RENAME a TO title; ALTER TABLE t ADD x int"))
    schema = before.exposed[0]
    assert changes[0].sentence == f"Column {schema}.t.a was renamed to title."
    assert (changes[0].object, changes[0].old, changes[0].new) == ("title", "a", "title")
    assert summary(changes) == f"Column {schema}.t.a was renamed to title. And 1 more change."


def test_in_another_database_everything_is_matched_by_name_and_marked_inferred(look: Look) -> None:
    before, after = look(""), look("ALTER TABLE t ADD x int")
    elsewhere = Snapshot(
        Scope("other", 1), after.server_version, after.relations, after.enums, after.functions, exposed=after.exposed, monitor=after.monitor
    )
    changes = diff(before, elsewhere)
    assert [(c.kind, c.inferred) for c in changes] == [("scope_changed", False), ("column_added", True)]


def test_a_dropped_index_is_told_and_one_that_was_renamed_or_built_anew_is_not(look: Look) -> None:
    """What an index covers counts, not its name."""
    look("CREATE INDEX one ON t (p)")
    before = look("CREATE INDEX two ON t ((p::text))")
    same = look("ALTER INDEX one RENAME TO uno; DROP INDEX two; CREATE INDEX two_again ON t ((p::text))")
    assert diff(before, same) == ()
    assert [said(change) for change in diff(same, look("DROP INDEX uno"))] == [("index_removed", "medium", "")]
