"""The impact check on real databases: what it tries out, what it says, and what nobody can do with it."""

from __future__ import annotations

import resource
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
import pytest
from django.conf import LazySettings

from healing.impact import CheckStopped
from healing.impact import check as asked
from resilience_site.embedded import EmbeddedPostgres
from schema_monitor.capture import capture
from schema_monitor.core.export import Export, Piece
from schema_monitor.core.statements import split
from schema_monitor.impact.check import Impact, NoVersion, TooLarge, check
from schema_monitor.impact.limits import Limits
from schema_monitor.impact.scratch import Stopped, Unusable, scratch, sweep
from schema_monitor.impact.trial import try_out
from schema_monitor.traffic_models import PayloadShape
from tests.waiting import HANGS

pytestmark = pytest.mark.django_db(transaction=True)
QUICK = Limits(statement_seconds=1.0, seconds=2.0, most_bytes=40_000_000)


@pytest.fixture
def target(settings: LazySettings, target_url: str, owner: psycopg.Connection, postgres: EmbeddedPostgres) -> psycopg.Connection:
    """The owner's connection to a target with a few tables; checks read it."""
    known = {"target_database_url": target_url, "exposed_schemas": ("public",), "scratch_database_url": postgres.state.scratch_url}
    settings.MENDGATE = msgspec.structs.replace(settings.MENDGATE, **known)
    owner.execute("CREATE TYPE mood AS ENUM ('happy', 'sad')")
    owner.execute("CREATE TABLE people (id serial PRIMARY KEY, email text UNIQUE, age int, mood mood, notes jsonb)")
    owner.execute("CREATE TABLE pets (id int PRIMARY KEY, person int REFERENCES people, name text NOT NULL)")
    owner.execute("CREATE VIEW adults AS SELECT id, email FROM people WHERE age > 17")
    owner.execute("ALTER TABLE people ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON people TO authenticated USING (true)")
    owner.execute("GRANT INSERT, SELECT ON people TO authenticated")
    owner.execute("REVOKE ALL ON pets FROM anon")
    return owner


@pytest.fixture
def seen(target: psycopg.Connection) -> Callable[..., None]:
    """Notes that a shape was seen lately."""
    capture("start")

    def note(operation: str, table: str, *keys: str, named: tuple[str, ...] = (), requests: int = 10, role: str = "authenticated") -> None:
        (oid,) = target.execute("SELECT %s::regclass::oid::int8", [f"public.{table}"]).fetchone() or (0,)
        PayloadShape.objects.create(
            hour=datetime.now(UTC), schema="public", relation_oid=oid, name=table, operation=operation, key=uuid.UUID(int=1), caller="edge",
            role=role, keys=sorted(keys), named=sorted(named), shape=str(uuid.uuid4())[:32], requests=requests, rows=requests, misfits=0,
            healed=0, last_at=datetime.now(UTC),
        )  # fmt: skip

    return note


def verdicts(impact: Impact) -> dict[tuple[str, ...], str]:
    assert impact.refusal is None, impact.refusal
    return {(each.shape.operation, *each.shape.keys): each.verdict.value for each in impact.judged}


def kinds(impact: Impact) -> list[str]:
    return sorted(each.change.kind for each in impact.changes)


def test_what_is_proposed_is_judged_and_nothing_of_the_target_changes(target: psycopg.Connection, seen: Callable[..., None]) -> None:
    seen("insert", "people", "email", "age", requests=100)
    seen("insert", "people", "email", requests=5)
    seen("select", "people", named=("email",))
    seen("insert", "pets", "id", "name")
    before = target.execute("SELECT count(*), sum(xmin::text::int8) FROM pg_attribute").fetchone()
    impact = check("ALTER TABLE people RENAME email TO mail; ALTER TABLE people DROP COLUMN age CASCADE;")
    assert kinds(impact) == ["column_removed", "column_renamed", "table_removed"]
    assert verdicts(impact) == {("insert", "age", "email"): "needs_rule", ("insert", "email"): "heals", ("select",): "heals"}
    assert impact.untouched == 10
    (caller,) = impact.callers
    assert (caller.name, caller.worse, caller.verdicts) == ("edge", 115, {"needs_rule": 100, "heals": 15})
    (gone,) = [r for each in impact.judged for r in each.reasons if r.column == "age"]
    assert (gone.code, gone.message) == ("PGRST204", "Could not find the 'age' column of 'people' in the schema cache")
    assert [remedy.fix for remedy in gone.remedies] == [
        ({"op": "rescue", "column": "age", "into": "notes"},),
        ({"op": "drop_key", "column": "age"},),
    ]
    assert target.execute("SELECT count(*), sum(xmin::text::int8) FROM pg_attribute").fetchone() == before
    assert target.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'mendgate_scratch_%'").fetchone() == (0,)
    assert impact.notes == ()


def test_the_copy_knows_what_depends_on_what(target: psycopg.Connection, seen: Callable[..., None]) -> None:
    refusal = check("-- first\nALTER TABLE pets ADD x int;\n\nALTER TABLE people DROP COLUMN age;").refusal
    assert refusal is not None
    assert (refusal.number, refusal.line, refusal.code) == (2, 4, "2BP01")
    assert refusal.statement == "ALTER TABLE people DROP COLUMN age"
    assert refusal.details == "view adults depends on column age of table people"


def test_a_migration_file_may_be_pasted_as_it_is(target: psycopg.Connection, seen: Callable[..., None]) -> None:
    impact = check(
        "BEGIN;\nCREATE INDEX CONCURRENTLY by_age ON people (age);\n"
        "DO $$ BEGIN CREATE TYPE mood AS ENUM (); EXCEPTION WHEN duplicate_object THEN NULL; END $$;\n"
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;\n"
        "GRANT SELECT ON pets TO anon; CREATE POLICY p ON pets TO anon USING (true);\nCOMMIT;"
    )
    assert kinds(impact) == ["function_added", "grant_opened", "policy_opened"]
    assert len(impact.notes) == 2


def test_steps_are_suggested(target: psycopg.Connection, seen: Callable[..., None]) -> None:
    impact = check("ALTER TABLE pets ADD tag text NOT NULL; CREATE INDEX ON pets (name); ALTER TABLE pets ADD CHECK (name <> '')")
    first, check_, index = impact.plans
    assert "NOT VALID" in first.steps[3].sql and first.steps[0].sql == 'ALTER TABLE "public"."pets" ADD COLUMN "tag" text;'
    assert check_.steps[1].sql == 'ALTER TABLE "public"."pets" VALIDATE CONSTRAINT "pets_name_check";'
    assert index.steps[0].sql == "CREATE INDEX CONCURRENTLY ON pets (name);"


def test_without_a_version_there_is_nothing_to_copy(target: psycopg.Connection) -> None:
    with pytest.raises(NoVersion):
        check("SELECT 1")


def test_too_much_is_not_tried(target: psycopg.Connection, seen: Callable[..., None]) -> None:
    with pytest.raises(TooLarge):
        check("x" * 70_000)
    with pytest.raises(TooLarge):
        check("SELECT 1;" * 300)


PIECES = (Piece("", "CREATE SCHEMA IF NOT EXISTS public"), Piece("", "CREATE TABLE public.pets (id int, name text)"))
ATTACKS = [
    ("COPY pets FROM PROGRAM 'touch /tmp/mendgate-was-here'", "42501"),
    ("COPY pets TO '/tmp/mendgate-was-here'", "42501"),
    ("COPY pets TO STDOUT", "0A000"),
    ("SELECT pg_read_file('/etc/passwd')", "42501"),
    ("SELECT lo_import('/etc/passwd')", "42501"),
    ("CREATE EXTENSION dblink", "0A000"),
    ("CREATE EXTENSION postgres_fdw", "0A000"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE c AS '/lib/x86_64-linux-gnu/libc.so.6', 'getpid'", "42501"),
    ("SET ROLE service_role", "42501"),
    ("SET SESSION AUTHORIZATION postgres", "42501"),
    ("CREATE ROLE evil LOGIN", "42501"),
    ("ALTER ROLE mendgate_scratch SUPERUSER", "42501"),
    ("GRANT service_role TO mendgate_scratch", "42501"),
    ("CREATE DATABASE evil", "25001"),
    ("DROP DATABASE mendgate", "25001"),
    ("ALTER SYSTEM SET log_statement = 'all'", "25001"),
    ("COMMIT AND CHAIN", "0A000"),
    ("ROLLBACK", "0A000"),
    ("PREPARE TRANSACTION 'x'", "0A000"),
    ("DO $$ BEGIN COMMIT; END $$", "2D000"),
    ("CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'; CALL p()", "2D000"),
    ("CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()", "42501"),
    ("CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1' PUBLICATION p", "25001"),
    ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'", "42501"),
    ("CREATE EXTENSION plpython3u", "0A000"),
    ("SELECT rolpassword FROM pg_authid", "42501"),
    ("LOCK TABLE pg_catalog.pg_database IN ACCESS EXCLUSIVE MODE", "42501"),
    ("DO $$ BEGIN LOOP END LOOP; END $$", "57014"),
    ("SET statement_timeout = 0; DO $$ BEGIN LOOP END LOOP; END $$", "57014"),
    ("SELECT pg_sleep(60)", "57014"),
]


def test_no_statement_reaches_beyond_the_scratch_database(postgres: EmbeddedPostgres) -> None:
    limits = msgspec.structs.replace(QUICK, statement_seconds=0.2, seconds=60)
    with scratch(postgres.control_url, postgres.state.scratch_url, limits) as copy:
        codes = {ddl: refused(copy, ddl, limits, pieces=PIECES if number == 0 else ()) for number, (ddl, _) in enumerate(ATTACKS)}
    assert codes == dict(ATTACKS)


def refused(copy: psycopg.Connection[Any], ddl: str, limits: Limits, pieces: tuple[Piece, ...] = PIECES) -> str | None:
    """The code of the refusal."""
    refusal = try_out(copy, Export(pieces, ()), ["public"], ["public"], tuple(split(ddl)), limits).refusal
    return None if refusal is None else refusal.code


@pytest.fixture
def empty_copy(postgres: EmbeddedPostgres) -> Callable[[str], Any]:
    """Runs DDL as a check would, on an empty copy; the code of its refusal, or why it was stopped."""

    def run(ddl: str) -> Any:
        limits = msgspec.structs.replace(QUICK, statement_seconds=0.3)
        try:
            with scratch(postgres.control_url, postgres.state.scratch_url, limits) as copy:
                return refused(copy, ddl, limits)
        except Stopped as stopped:
            return str(stopped)

    return run


ENDLESS = "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(10); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$"
KILLER = """DO $$ BEGIN LOOP BEGIN PERFORM pg_stat_clear_snapshot(), pg_terminate_backend(pid) FROM pg_stat_activity
WHERE usename = current_user AND pid <> pg_backend_pid(); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$"""
HUGE = "CREATE TABLE big AS SELECT repeat(md5(i::text), 100) AS x FROM generate_series(1, 10000000) i"


@pytest.mark.parametrize(("ddl", "code"), [(ENDLESS, "It ran longer than 2 s."), (KILLER, "The watch over it was ended."), (HUGE, "57014")])
def test_what_will_not_end_is_ended_from_outside(ddl: str, code: str, empty_copy: Callable[[str], Any], postgres: EmbeddedPostgres) -> None:
    begun = time.monotonic()
    assert empty_copy(ddl) == code
    assert time.monotonic() - begun < HANGS
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as server:
        assert server.execute("SELECT datname FROM pg_database WHERE datname LIKE 'mendgate_scratch_%'").fetchall() == []


def test_a_login_with_more_rights_is_not_used(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(Unusable, match="postgres has SUPERUSER") as refused, scratch(postgres.control_url, postgres.url("postgres")):
        pass
    assert "CREATE ROLE mendgate_scratch LOGIN CREATEDB" in refused.value.fix
    with pytest.raises(Unusable, match="memberships"), scratch(postgres.control_url, postgres.url("postgres", "authenticator")):
        pass


def test_a_control_login_that_may_not_make_databases_is_told_the_fix(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(Unusable, match="may not make databases and roles") as refused, scratch(postgres.control_url):
        pass
    assert "SCRATCH_DATABASE_URL" in refused.value.fix


def test_a_control_login_that_may_make_roles_makes_one_without_rights(postgres: EmbeddedPostgres) -> None:
    with scratch(postgres.url("postgres")) as copy:
        assert copy.execute("SELECT current_user, current_setting('is_superuser')").fetchone() == ("mendgate_scratch", "off")
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as server:  # its password was changed: put ours back
        server.execute(f"ALTER ROLE mendgate_scratch PASSWORD '{postgres.state.scratch_password}'")


LONG_ERROR = "DO $$ BEGIN RAISE EXCEPTION '%', repeat('x', 90000000) USING DETAIL = repeat('y', 90000000); END $$"
LONG_INFO = "DO $$ BEGIN RAISE INFO '%', repeat('x', 180000000); END $$"


@pytest.mark.parametrize("ddl", [LONG_ERROR, LONG_INFO])
def test_a_huge_answer_costs_the_serving_process_nothing(ddl: str, target: psycopg.Connection, seen: Callable[..., None]) -> None:
    check("SELECT 1")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Stopped, match=r"^The DDL's answer was too large\.$"):
        check(ddl, limits=Limits(most_memory=300_000_000))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000
    assert target.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'mendgate_scratch_%'").fetchone() == (0,)


def test_a_long_answer_is_cut(target: psycopg.Connection, seen: Callable[..., None]) -> None:
    refusal = check("DO $$ BEGIN RAISE EXCEPTION '%', repeat('x', 5000); END $$").refusal
    assert refusal is not None
    assert (refusal.code, len(refusal.message)) == ("P0001", 2000)


def test_ddl_that_ends_its_own_connection_is_refused(target: psycopg.Connection, seen: Callable[..., None]) -> None:
    with pytest.raises(CheckStopped, match="The DDL ended its own trial: terminating connection"):
        asked("SELECT pg_terminate_backend(pg_backend_pid())", "me")


@pytest.mark.parametrize("character", ["\0", "\ud800"])
def test_what_no_ddl_can_hold_is_refused(character: str, target: psycopg.Connection, seen: Callable[..., None]) -> None:
    with pytest.raises(CheckStopped, match="DDL holds no NUL"):
        asked(f"SELECT '{character}'", "me")


def test_the_server_looks_whether_its_client_is_still_there(postgres: EmbeddedPostgres) -> None:
    with scratch(postgres.control_url, postgres.state.scratch_url) as copy:
        copy.execute("RESET ALL")
        assert copy.execute("SHOW client_connection_check_interval").fetchone() == ("1s",)


def test_what_was_left_is_swept_and_what_is_anothers_is_in_nobodys_way(postgres: EmbeddedPostgres) -> None:
    names = {"mendgate_scratch_1_aa", "mendgate_scratch_1_bb", f"mendgate_scratch_{int(time.time())}_cc"}
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as server:
        for name in names:
            server.execute(f"CREATE DATABASE {name} OWNER {'postgres' if name.endswith('aa') else 'mendgate_scratch'}")
        try:
            sweep(postgres.control_url, postgres.state.scratch_url)
            with scratch(postgres.control_url, postgres.state.scratch_url) as copy:
                copy.execute("SELECT 1")
            left = {row[0] for row in server.execute("SELECT datname FROM pg_database WHERE datname LIKE 'mendgate_scratch_%'")}
            assert left == names - {"mendgate_scratch_1_bb"}
        finally:
            for name in names:
                server.execute(f"DROP DATABASE IF EXISTS {name}")
