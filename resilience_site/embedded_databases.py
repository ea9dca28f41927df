"""The roles and databases of an embedded Postgres. Everything here may run again and changes nothing then."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg import sql

from resilience_site.embedded_state import CONTROL, GATEWAY, OWNER, SCRATCH, TARGET, State

SQL = Path(__file__).parent / "sql"


def prepare(state: State) -> None:
    """Make the logins, the control database, and the target database as Supabase would have it."""
    with psycopg.connect(state.postgres_url(OWNER, "postgres"), autocommit=True) as owner:
        owner.execute(script("embedded_roles.sql"))
        _make_login(owner, CONTROL)
        _make_login(owner, SCRATCH)
        owner.execute(sql.SQL("ALTER ROLE {} NOINHERIT CREATEDB CONNECTION LIMIT 8").format(sql.Identifier(SCRATCH)))
        _set_password(owner, CONTROL, state.control_password)
        _set_password(owner, GATEWAY, state.gateway_password)
        _set_password(owner, SCRATCH, state.scratch_password)
        make_database(owner, CONTROL, owned_by=CONTROL)
    make_target(state, TARGET)


def make_target(state: State, database: str) -> None:
    """Make one target database, unless it exists, and let the gateway's login install the ``mendgate`` schema there."""
    with psycopg.connect(state.postgres_url(OWNER, "postgres"), autocommit=True) as owner:
        if not make_database(owner, database):
            return
        owner.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(sql.Identifier(database), sql.Identifier(GATEWAY)))
    with psycopg.connect(state.postgres_url(OWNER, database), autocommit=True) as owner:
        owner.execute(script("embedded_target.sql"))


def make_database(owner: psycopg.Connection, name: str, *, owned_by: str = OWNER, template: str = "template1") -> bool:
    """Make a database; False when it was there."""
    if owner.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        return False
    owner.execute(
        sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(owned_by), sql.Identifier(template))
    )
    return True


def script(name: str) -> str:
    """The text of one of our own SQL files."""
    return (SQL / name).read_text("utf-8")


def _make_login(owner: psycopg.Connection, role: str) -> None:
    if not owner.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))


def _set_password(owner: psycopg.Connection, role: str, password: str) -> None:
    owner.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password)))
