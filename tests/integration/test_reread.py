"""Reading only what the DDL log names gives the very snapshot that reading everything gives, or says that it cannot."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count

import psycopg
import pytest
from msgspec.structs import replace

from resilience_site.embedded import EmbeddedPostgres
from resilience_site.embedded_state import OWNER
from schema_monitor import catalog, ddl_log, reread
from schema_monitor.core.snapshot import Snapshot
from tests.integration.test_catalog_diff import CASES, START

numbers = count(1)
MORE = [
    "ALTER TABLE parent RENAME id TO key",
    "CREATE TABLE kid (id int REFERENCES parent); ALTER TABLE parent RENAME TO elders; ALTER TABLE elders RENAME id TO key",
    "CREATE POLICY p ON t USING (id IN (SELECT id FROM parent)); ALTER TABLE parent RENAME TO elders",
    "CREATE TABLE parted (id int, at date) PARTITION BY RANGE (at); CREATE TABLE part PARTITION OF parted DEFAULT; "
    "ALTER TABLE parted RENAME id TO nr; ALTER TABLE parted ADD CHECK (nr > 0); ALTER TABLE parted DETACH PARTITION part",
    'CREATE TABLE "Größe ""1""" ("ä b" int GENERATED ALWAYS AS IDENTITY, g int GENERATED ALWAYS AS (1 + 1) STORED); '
    'ALTER TABLE "Größe ""1""" RENAME "ä b" TO "ß"',
    "CREATE SEQUENCE s1; CREATE TABLE seq (id int DEFAULT nextval('s1')); ALTER SEQUENCE s1 RENAME TO s2; DROP SEQUENCE s2 CASCADE",
    "CREATE FUNCTION d() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER TABLE t ALTER p SET DEFAULT d(); ALTER FUNCTION d() RENAME TO e; "
    "DROP FUNCTION e() CASCADE",
    "CREATE FUNCTION rows() RETURNS SETOF t LANGUAGE sql AS 'SELECT * FROM t'; ALTER TABLE t RENAME TO things",
    "CREATE TYPE colour AS ENUM ('red'); CREATE TABLE painted (c colour); ALTER TYPE colour ADD VALUE 'blue'; "
    "ALTER TYPE colour RENAME VALUE 'red' TO 'rot'; ALTER TYPE colour RENAME TO farbe; DROP TYPE farbe CASCADE",
    "CREATE DOMAIN word AS text CHECK (VALUE <> ''); CREATE TABLE said (w word); ALTER DOMAIN word SET NOT NULL",
    "CREATE VIEW above AS SELECT * FROM v; ALTER TABLE t RENAME id TO nr; DROP VIEW v CASCADE",
    "ALTER TABLE t DROP CONSTRAINT t_pkey CASCADE; DROP TABLE t CASCADE",
    "CREATE TABLE son () INHERITS (parent); ALTER TABLE parent ADD x int; ALTER TABLE parent RENAME x TO y",
    "GRANT SELECT (a), UPDATE ON t TO anon; REVOKE ALL ON t FROM anon",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY; ALTER TABLE t DISABLE TRIGGER USER",
    "COMMENT ON TABLE t IS 'x'; COMMENT ON COLUMN t.a IS 'y'; COMMENT ON TYPE mood IS 'z'",
    "CREATE TABLE halves (id int, at date) PARTITION BY RANGE (at); CREATE TABLE half PARTITION OF halves DEFAULT; "
    "CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW;END'; "
    "CREATE TRIGGER told BEFORE INSERT ON half FOR EACH ROW EXECUTE FUNCTION told(); ALTER TRIGGER told ON half RENAME TO heard; "
    "ALTER TABLE half DISABLE TRIGGER heard; ALTER TABLE half ENABLE TRIGGER heard; ALTER TABLE half RENAME TO whole; DROP TABLE whole",
    "CREATE TABLE follower (id int, parent_id int REFERENCES parent ON UPDATE CASCADE, "
    "CHECK (current_setting('request.headers', true) IS NULL)); "
    "CREATE TABLE later (id int REFERENCES parent ON UPDATE SET NULL); CREATE RULE quiet AS ON UPDATE TO later DO INSTEAD NOTHING; "
    "CREATE RULE also AS ON INSERT TO parent DO ALSO NOTHING; ALTER TABLE follower DROP CONSTRAINT follower_parent_id_fkey; "
    "DROP TABLE later; DROP RULE also ON parent",
    "CREATE MATERIALIZED VIEW m AS SELECT id FROM t; CREATE UNIQUE INDEX ON m (id); REFRESH MATERIALIZED VIEW m; DROP MATERIALIZED VIEW m",
    "CREATE TABLE made AS SELECT * FROM t; ALTER TABLE made SET UNLOGGED; ALTER TABLE made RENAME CONSTRAINT nothing TO x",
]
STATEMENTS = [ddl for ddl, _ in CASES if ddl] + MORE


@pytest.fixture(scope="module")
def database(make_target: Callable[[], str], postgres: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    """A target with the DDL log that the tests of this module share, a schema each."""
    with psycopg.connect(postgres.url(make_target(), OWNER), autocommit=True) as owner:
        yield owner


class Looks:
    """Follows a schema by parts; each look is compared with a whole one."""

    def __init__(self, database: psycopg.Connection) -> None:
        self.database, self.schema = database, f"part_{next(numbers)}"
        database.execute(f"CREATE SCHEMA {self.schema}; SET search_path = {self.schema}, public")
        for statement in START.split(";\n"):
            database.execute(statement)
        self.snapshot = self.whole()
        self.parts = 0

    def whole(self) -> Snapshot:
        news = ddl_log.read_sync(self.database, 2**62)
        news = ddl_log.read_sync(self.database, 0) if news is None else news
        assert news is not None
        return replace(catalog.read_snapshot_sync(self.database, [self.schema]), horizon=news.horizon)

    def run(self, statement: str) -> None:
        try:
            self.database.execute(statement)
        except (psycopg.errors.UndefinedObject, psycopg.errors.UndefinedTable, psycopg.errors.DuplicateTable):
            return
        news = ddl_log.read_sync(self.database, self.snapshot.horizon)
        assert news is not None
        found = reread.read_changed(self.database, self.snapshot, news.within(self.snapshot.scope).entries)
        whole = self.whole()
        if found is not None:
            self.parts += 1
            assert found.relations == whole.relations, statement
            assert (found.enums, found.functions) == (whole.enums, whole.functions), statement
            assert (found.fingerprint, list(found.relations)) == (whole.fingerprint, list(whole.relations)), statement
        self.snapshot = whole


@pytest.mark.parametrize("ddl", STATEMENTS)
def test_by_parts_as_by_the_whole(ddl: str, database: psycopg.Connection) -> None:
    looks = Looks(database)
    for statement in ddl.split("; "):
        looks.run(statement)


def test_plain_changes_of_one_table_need_no_whole_reading(database: psycopg.Connection) -> None:
    looks = Looks(database)
    plain = [
        "CREATE TABLE x (id serial PRIMARY KEY, a text)",
        "ALTER TABLE x RENAME a TO b",
        "ALTER TABLE x ADD c int DEFAULT 1",
        "ALTER TABLE x ALTER c TYPE bigint",
        "ALTER TABLE x DROP b",
        "CREATE UNIQUE INDEX x_c ON x (c)",
        "DROP INDEX x_c",
        "ALTER TABLE x ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON x USING (true)",
        "GRANT SELECT ON x TO anon",
        "COMMENT ON COLUMN x.c IS 'y'",
        "ALTER TYPE mood ADD VALUE 'so'",
        "CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE x RENAME TO y",
        "DROP TABLE y",
    ]
    for statement in plain:
        looks.run(statement)
    assert looks.parts == len(plain)


def test_what_lies_outside_the_exposed_schemas_comes_and_goes_with_what_refers_to_it(database: psycopg.Connection) -> None:
    looks = Looks(database)
    other = f"{looks.schema}_o"
    for statement in (
        f"CREATE SCHEMA {other}",
        f"CREATE TABLE {other}.far (id int PRIMARY KEY, a text)",
        f"CREATE TYPE {other}.tone AS ENUM ('x')",
        f"CREATE TABLE near (id int REFERENCES {other}.far, tone {other}.tone)",
        f"CREATE VIEW looks AS SELECT * FROM {other}.far",
        f"ALTER TABLE {other}.far RENAME a TO b",
        "ALTER TABLE near DROP COLUMN tone",
        "ALTER TABLE near DROP CONSTRAINT near_id_fkey",
        "DROP VIEW looks",
    ):
        looks.run(statement)
    assert {relation.schema for relation in looks.snapshot.relations.values()} == {looks.schema}


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_commands(seed: int, database: psycopg.Connection) -> None:
    looks, choice = Looks(database), random.Random(seed)  # noqa: S311
    single = [statement for ddl in STATEMENTS for statement in ddl.split("; ")]
    for statement in choice.sample(single, 40):
        try:
            looks.run(statement)
        except psycopg.Error:
            continue
    assert looks.parts > 5
