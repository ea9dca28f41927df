"""What the catalog reader says about every kind of thing, on a real Postgres; both drivers say the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import psycopg
import pytest

from resilience_site.embedded import EmbeddedPostgres
from resilience_site.embedded_state import GATEWAY, OWNER
from schema_monitor import catalog
from schema_monitor.core.snapshot import Column, Relation, Snapshot

SCHEMA = """
CREATE SCHEMA other; CREATE SCHEMA "Größe"; CREATE SCHEMA hidden;
CREATE TYPE mood AS ENUM ('happy', 'sad');
CREATE TYPE "Größe"."Farbe 1" AS ENUM ('rot');
CREATE TYPE other.unused AS ENUM ('q');
CREATE DOMAIN short AS varchar(5) NOT NULL DEFAULT 'x' CHECK (VALUE IN ('x', 'y'));
CREATE DOMAIN other.shorter AS short CHECK (length(VALUE) < 3);
CREATE DOMAIN moods AS mood[];
CREATE TABLE other.parent (id int PRIMARY KEY);
CREATE TABLE hidden.base (id int PRIMARY KEY, secret text);
CREATE TABLE t (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Weird ""Name" text, m mood NOT NULL DEFAULT 'happy', ms mood[],
    f "Größe"."Farbe 1", s short, ss other.shorter, dm moods, arr numeric(6,2)[], n numeric(6,-2), plain numeric,
    ts timestamp(3),
    v varchar(64) UNIQUE, c char(3), iv interval(2), b bit(5), g int GENERATED ALWAYS AS (id * 2) STORED,
    parent int REFERENCES other.parent,
    status text CHECK (status IN ('a', 'b', 'it''s')), v2 varchar(9) CHECK (v2 IN ('a', 'b')), one text CHECK (one IN ('only')),
    low text CHECK (lower(low) IN ('a')), two text CHECK (two IN ('a') OR length(two) > 9), serial serial
);
CREATE UNIQUE INDEX t_part ON t (c, v) WHERE id > 5;
CREATE UNIQUE INDEX t_expression ON t (lower(v));
CREATE TABLE parted (id int REFERENCES other.parent, at date) PARTITION BY RANGE (at);
CREATE TABLE parted_2020 PARTITION OF parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE VIEW simple AS SELECT id AS nr, v, 1 AS one FROM t;
CREATE VIEW twice AS SELECT nr AS number FROM simple;
CREATE VIEW joined AS SELECT t.id, p.id AS pid, lower(v) AS lv FROM t LEFT JOIN other.parent p ON p.id = t.parent;
CREATE VIEW united AS SELECT id FROM t UNION SELECT id FROM parted;
CREATE VIEW nested AS SELECT q.v FROM (SELECT v, '} { :resno 9 :resorigtbl 4' AS x FROM t) q;
CREATE VIEW api AS SELECT id, secret FROM hidden.base;
CREATE MATERIALIZED VIEW kept AS SELECT id FROM t;
CREATE FUNCTION rows(a int, b text DEFAULT 'q', VARIADIC c int[] DEFAULT '{}') RETURNS SETOF t LANGUAGE sql STABLE AS 'SELECT * FROM t';
CREATE FUNCTION outs(OUT x int, INOUT y mood) LANGUAGE sql AS 'SELECT 1, y';
CREATE FUNCTION tab() RETURNS TABLE (q int, r text) LANGUAGE sql AS 'SELECT 1, ''a''';
CREATE FUNCTION nothing() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER before_t BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER after_parted AFTER INSERT ON parted FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER instead_joined INSTEAD OF INSERT ON joined FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Users see own" ON t FOR SELECT TO authenticated, anon USING (id > 1);
COMMENT ON TABLE t IS 'hello'; COMMENT ON COLUMN t.v IS 'vee';
"""


@pytest.fixture(scope="module")
def shop(make_databases: Callable[[], tuple[str, str]], postgres: EmbeddedPostgres) -> tuple[str, str]:
    """URLs of one target with the schema above: as the gateway logs in, as the owner. Not to be altered."""
    _, name = make_databases()
    with psycopg.connect(postgres.url(name, OWNER), autocommit=True) as owner:
        owner.execute(SCHEMA)
    return postgres.url(name, GATEWAY), postgres.url(name, OWNER)


@pytest.fixture(scope="module")
def snapshot(shop: tuple[str, str]) -> Snapshot:
    """As the gateway's login role reads it."""
    with psycopg.connect(shop[0], autocommit=True) as target:
        return catalog.read_snapshot_sync(target, ["public"])


def named(snapshot: Snapshot, name: str, schema: str = "public") -> Relation:
    (relation,) = snapshot.named(schema, name)
    return relation


def column(snapshot: Snapshot, name: str, table: str = "t") -> Column:
    found = named(snapshot, table).column(name)
    assert found is not None
    return found


def constraint(relation: Relation, name: str) -> Any:
    return next(k for k in relation.constraints if k.name == name)


def on(url: str, work: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
    """Runs ``work`` with an asyncpg connection."""

    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_types_are_valid_sql_anywhere_and_resolved_to_their_base(snapshot: Snapshot) -> None:
    said = {c.name: (c.type, c.base, c.array) for c in named(snapshot, "t").columns}
    assert said["m"] == ("public.mood", "mood", False)
    assert said["ms"] == ("public.mood[]", "mood", True)
    assert said["f"] == ('"Größe"."Farbe 1"', "Farbe 1", False)
    assert said["ss"] == ("other.shorter", "varchar", False)
    assert said["dm"] == ("public.moods", "mood", True)
    assert said["arr"] == ("numeric(6,2)[]", "numeric", True)
    assert said["id"] == ("bigint", "int8", False)
    assert said['Weird "Name'] == ("text", "text", False)


def test_every_type_text_works_as_a_record_definition(snapshot: Snapshot, shop: tuple[str, str]) -> None:
    columns = ", ".join(f"c{c.attnum} {c.type}" for c in named(snapshot, "t").columns)
    with psycopg.connect(shop[1]) as owner:
        owner.execute("SET search_path = other")
        owner.execute(f"SELECT * FROM json_to_recordset('[]') AS _({columns})")


def test_modifiers_are_lengths_precisions_and_scales(snapshot: Snapshot) -> None:
    parts = {c.name: (c.length, c.precision, c.scale) for c in named(snapshot, "t").columns}
    assert parts["v"] == (64, None, None)
    assert parts["s"] == parts["ss"] == (5, None, None)
    assert parts["c"] == (3, None, None)
    assert parts["b"] == (5, None, None)
    assert parts["arr"] == (None, 6, 2)
    assert parts["n"] == (None, 6, -2)
    assert parts["plain"] == (None, None, None)
    assert parts["ts"] == (None, 3, None)
    assert parts["iv"] == (None, 2, None)


def test_a_domain_lends_its_column_not_null_default_and_checks(snapshot: Snapshot) -> None:
    assert (column(snapshot, "s").nullable, column(snapshot, "s").default) == (False, "'x'::character varying")
    assert column(snapshot, "ss").domain == "other.shorter"
    here = (column(snapshot, "ss").attnum,)
    checks = {k.name: k.allowed for k in named(snapshot, "t").constraints if k.kind == "c" and k.columns == here}
    assert checks == {"short_check": ("x", "y"), "shorter_check": None}


def test_generated_identity_and_serial_columns(snapshot: Snapshot) -> None:
    assert (column(snapshot, "g").generated, column(snapshot, "id").identity) == ("s", "a")
    assert column(snapshot, "serial").default == "nextval('public.t_serial_seq'::regclass)"
    assert column(snapshot, "v").comment == "vee"


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("t_status_check", ("a", "b", "it's")),
        ("t_v2_check", ("a", "b")),
        ("t_one_check", ("only",)),
        ("t_low_check", None),
        ("t_two_check", None),
    ],
)
def test_check_lists_are_read_and_nothing_else_is_taken_for_one(snapshot: Snapshot, name: str, allowed: tuple[str, ...] | None) -> None:
    assert constraint(named(snapshot, "t"), name).allowed == allowed


def test_foreign_keys_reach_tables_outside_the_exposed_schemas(snapshot: Snapshot) -> None:
    parent = named(snapshot, "parent", "other")
    key = constraint(named(snapshot, "t"), "t_parent_fkey")
    assert (key.references, key.referenced_columns) == (parent.oid, (1,))
    assert not snapshot.serves(parent)


def test_only_unique_indexes_that_on_conflict_could_use_are_listed(snapshot: Snapshot) -> None:
    table = named(snapshot, "t")
    c, v = column(snapshot, "c").attnum, column(snapshot, "v").attnum
    assert {(i.name, i.columns, i.partial) for i in table.unique_indexes} == {
        ("t_pkey", (1,), False),
        ("t_v_key", (v,), False),
        ("t_part", (c, v), True),
    }
    assert table.primary_key == ("id",)


def test_partitioned_tables_and_their_partitions_are_there(snapshot: Snapshot) -> None:
    assert (named(snapshot, "parted").kind, named(snapshot, "parted_2020").kind) == ("p", "r")
    assert [k.kind for k in named(snapshot, "parted_2020").constraints] == ["f"]


def test_plain_columns_of_views_name_their_origin(snapshot: Snapshot) -> None:
    table, simple = named(snapshot, "t"), named(snapshot, "simple")
    v = column(snapshot, "v").attnum
    assert simple.view_columns == ((1, table.oid, 1), (2, table.oid, v))
    assert named(snapshot, "joined").view_columns == ((1, table.oid, 1), (2, named(snapshot, "parent", "other").oid, 1))
    assert named(snapshot, "united").view_columns == ()
    assert named(snapshot, "nested").view_columns == ((1, table.oid, v),)


def test_the_origin_is_followed_through_views_of_views_and_out_of_the_exposed_schemas(snapshot: Snapshot) -> None:
    origin = snapshot.origin(named(snapshot, "twice"), 1)
    assert origin is not None
    assert (origin[0].name, origin[1].name) == ("t", "id")
    hidden = snapshot.origin(named(snapshot, "api"), 2)
    assert hidden is not None
    assert (hidden[0].schema, hidden[1].name) == ("hidden", "secret")
    assert snapshot.origin(named(snapshot, "simple"), 3) is None


def test_what_may_be_written_is_known(snapshot: Snapshot) -> None:
    may = {r.name: (r.insertable, r.updatable, r.deletable) for r in snapshot.relations.values()}
    assert may["t"] == may["simple"] == may["twice"] == may["parted"] == (True, True, True)
    assert may["joined"] == (True, False, False)  # by its INSTEAD OF trigger
    assert may["united"] == may["kept"] == (False, False, False)


def test_row_security_policies_triggers_and_comments(snapshot: Snapshot) -> None:
    table = named(snapshot, "t")
    assert (table.row_security, table.force_row_security, table.comment) == (True, False, "hello")
    assert table.policies == ("Users see own PERMISSIVE FOR SELECT TO anon, authenticated USING ((id > 1))",)
    assert (table.has_before_triggers, named(snapshot, "parted").has_before_triggers) == (True, False)
    assert named(snapshot, "joined").has_before_triggers


def test_what_a_write_also_runs_is_known_by_event(owner: psycopg.Connection, target_url: str) -> None:
    """Of partitions, of tables that follow a key, of types inside of types; expressions only where they may ask for something."""
    owner.execute(
        """CREATE SCHEMA away; CREATE FUNCTION away.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TABLE public.top (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
        CREATE TABLE away.part PARTITION OF public.top FOR VALUES FROM (1) TO (9); CREATE TABLE away.rest PARTITION OF public.top DEFAULT;
        CREATE TRIGGER old AFTER DELETE ON away.part FOR EACH ROW EXECUTE FUNCTION away.f();
        CREATE TRIGGER new BEFORE INSERT ON away.rest FOR EACH ROW EXECUTE FUNCTION away.f();
        CREATE TRIGGER off BEFORE INSERT ON away.rest FOR EACH ROW EXECUTE FUNCTION away.f(); ALTER TABLE away.rest DISABLE TRIGGER off;
        ALTER TABLE away.rest ADD CONSTRAINT plain CHECK (n > 0), ADD CONSTRAINT asks CHECK (n > current_setting('request.headers')::int);
        CREATE TABLE away.kid (id int REFERENCES public.top ON UPDATE SET DEFAULT, g int DEFAULT current_setting('request.headers')::int);
        CREATE RULE r AS ON UPDATE TO away.kid DO ALSO NOTHING; CREATE TABLE away.still (id int REFERENCES public.top);
        CREATE TRIGGER never BEFORE UPDATE ON away.still FOR EACH ROW EXECUTE FUNCTION away.f();
        CREATE DOMAIN away.own AS int CHECK (VALUE > current_setting('request.headers')::int);
        CREATE TYPE away.pair AS (a int, b away.own[]);
        CREATE TABLE public.typed (p away.pair[]); CREATE RULE r AS ON INSERT TO public.typed DO INSTEAD NOTHING"""
    )
    snapshot = on(target_url, lambda conn: catalog.read_snapshot(conn, ["public"]))
    found = [(a.what, a.inserts, a.updates) for name in ("top", "typed") for a in named(snapshot, name).runs_also]
    assert found == [
        ("column g of away.kid", False, True),
        ("rule r of away.kid", False, True),
        ("trigger old of away.part", False, True),
        ("constraint asks of away.rest", True, True),
        ("trigger new of away.rest", True, True),
        ("constraint own_check of a type of public.typed", True, True),
        ("rule r of public.typed", True, False),
    ]


def test_enums_in_use_are_there_wherever_they_live(snapshot: Snapshot) -> None:
    assert {(e.schema, e.name): [x.name for x in e.labels] for e in snapshot.enums.values()} == {
        ("public", "mood"): ["happy", "sad"],
        ("Größe", "Farbe 1"): ["rot"],
    }
    assert column(snapshot, "f").enum in snapshot.enums


def test_functions_with_their_arguments(snapshot: Snapshot) -> None:
    by_name = {f.name: f for f in snapshot.functions.values()}
    assert set(by_name) == {"rows", "outs", "tab", "nothing"}
    rows = by_name["rows"]
    assert [(a.name, a.type, a.mode, a.has_default) for a in rows.arguments] == [
        ("a", "integer", "i", False),
        ("b", "text", "i", True),
        ("c", "integer[]", "v", True),
    ]
    assert (rows.returns_set, rows.returns_relation, rows.volatility) == (True, named(snapshot, "t").oid, "s")
    assert [a.mode for a in by_name["outs"].arguments] == ["o", "b"]
    assert [(a.name, a.mode) for a in by_name["tab"].arguments] == [("q", "t"), ("r", "t")]
    assert by_name["nothing"].returns == "void"


def test_our_own_schema_and_the_system_are_not_there(snapshot: Snapshot) -> None:
    assert {r.schema for r in snapshot.relations.values()} == {"public", "other", "hidden"}


def test_an_extension_s_members_are_not_there(owner: psycopg.Connection, target_url: str) -> None:
    owner.execute("CREATE EXTENSION vector; CREATE TABLE theirs (id int); ALTER EXTENSION vector ADD TABLE theirs")
    with psycopg.connect(target_url, autocommit=True) as target:
        snapshot = catalog.read_snapshot_sync(target, ["public"])
    assert (snapshot.relations, snapshot.functions) == ({}, {})


def test_both_drivers_read_the_same_and_one_relation_reads_like_all(snapshot: Snapshot, shop: tuple[str, str]) -> None:
    async def read(connection: asyncpg.Connection) -> None:
        assert await catalog.read_snapshot(connection, ["public"]) == snapshot
        for relation in snapshot.relations.values():
            assert await catalog.read_relation(connection, relation.schema, relation.name) == relation
            assert await catalog.read_relation_by_oid(connection, relation.oid) == relation
        assert set(await catalog.read_enums(connection, snapshot.enums)) == set(snapshot.enums.values())
        assert await catalog.read_relation(connection, "public", "nowhere") is None
        assert await catalog.read_relation(connection, "mendgate", "receipt") is None
        assert await catalog.read_relation(connection, "pg_catalog", "pg_class") is None

    on(shop[0], read)


def test_inside_a_transaction_of_the_caller_its_search_path_comes_back(snapshot: Snapshot, shop: tuple[str, str]) -> None:
    async def read(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE anon; SET LOCAL search_path = other, public")
            assert await catalog.read_relation(connection, "public", "t") == named(snapshot, "t")
            assert await connection.fetchval("SHOW search_path") == "other, public"

    on(shop[0], read)


def test_functions_that_pose_as_ours_are_not_called(owner: psycopg.Connection, target_url: str) -> None:
    owner.execute("CREATE TABLE t (id int)")
    owner.execute("CREATE FUNCTION format_type(oid, integer) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'called'; END $$")
    owner.execute("CREATE FUNCTION current_setting(unknown_name varchar) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'called'; END $$")

    async def read(connection: asyncpg.Connection) -> None:
        await connection.execute("SET search_path = public, pg_catalog")
        assert len((await catalog.read_snapshot(connection, ["public"])).relations) == 1
        async with connection.transaction():
            assert await catalog.read_relation(connection, "public", "t") is not None

    on(target_url, read)


def test_the_fingerprint_tells_shape_from_rights(owner: psycopg.Connection, target_url: str) -> None:
    def read() -> Relation:
        with psycopg.connect(target_url, autocommit=True) as target:
            return named(catalog.read_snapshot_sync(target, ["public"]), "t")

    owner.execute("CREATE TABLE t (id int)")
    first = read()
    owner.execute("REVOKE SELECT ON t FROM anon; COMMENT ON COLUMN t.id IS 'x'")
    second = read()
    owner.execute("ALTER TABLE t ADD CHECK (id > 0)")
    third = read()
    assert first.fingerprint != second.fingerprint
    assert first.shape == second.shape != third.shape
