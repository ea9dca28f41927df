"""Makes a target database ready, with the least that is needed: three roles, and our own schema ``mendgate``.

Nothing else of the target is touched. Rights that we give: where a role is missing and we may make it, ``anon`` and
``authenticated`` may only pass the exposed schemas, ``service_role`` may use what is in them. Roles that exist keep exactly
the rights they have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psycopg
from msgspec import Struct
from psycopg import errors, sql

import healing

ROLES = ("anon", "authenticated", "service_role")
LEAST_VERSION = 140000
TARGET_SQL = Path(str(healing.__file__)).parent / "sql" / "target.sql"


class TargetError(Exception):
    """The target cannot be used as it is. The message says what is wrong and the fix."""


class Finding(Struct, frozen=True):
    """One thing that was looked at, for ``doctor``. ``fix`` is empty where all is well."""

    part: str
    ok: bool
    state: str
    fix: str = ""


def prepare(url: str, schemas: Sequence[str], owner_url: str | None = None) -> None:
    """1. connect, 2. check the version, 3. make and join the roles, 4. install ``mendgate`` (as its owner, where that login is known).
    Raises ``TargetError``."""
    with connected(url) as target, connected(owner_url or url) as owner:
        _check_version(target)
        _prepare_roles(target, schemas)
        install(owner)


def install(target: psycopg.Connection) -> None:
    """Install or bring up to date the schema ``mendgate``; nothing happens when it is there as it should be."""
    try:
        with target.transaction():
            target.execute("SELECT pg_advisory_xact_lock(hashtext('mendgate.install'))")
            target.execute(TARGET_SQL.read_text("utf-8"))
    except errors.InsufficientPrivilege as error:
        if _examine_schema(target).ok:
            return  # another login installed it, for us to use
        raise TargetError(
            f"Schema mendgate cannot be installed in the target: {_first(error)} Fix: run GRANT CREATE ON DATABASE … TO {_user(target)}, "
            "or run healing/sql/target.sql once as the database's owner."
        ) from None


def examine(url: str) -> Iterator[Finding]:
    """Look at everything ``prepare`` makes, changing nothing."""
    try:
        target = connected(url)
    except TargetError as error:
        what, _, fix = str(error).partition(" Fix: ")
        yield Finding("target", False, what, f"{fix[:1].upper()}{fix[1:]}")
        return
    with target:
        version = target.info.server_version
        yield Finding(
            "target",
            version >= LEAST_VERSION,
            f"Postgres {version // 10000}",
            "" if version >= LEAST_VERSION else "Use Postgres 14 or newer.",
        )
        for role in ROLES:
            yield _examine_role(target, role)
        yield _examine_schema(target)


def connected(url: str) -> psycopg.Connection:
    """An autocommit connection for setting up. Raises ``TargetError``."""
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=5, application_name="mendgate-setup")
    except psycopg.OperationalError as error:
        raise TargetError(_refused(error)) from None


def _refused(error: psycopg.OperationalError) -> str:
    """A server that answered says FATAL and why; else nobody answered."""
    _, fatal, why = str(error).partition("FATAL:")
    if fatal:
        said = _first(Exception(why))
        return f"The target database refuses the login: {said} Fix: check user, password and database in TARGET_DATABASE_URL."
    return f"The target database does not answer: {_first(error)} Fix: check host and port in TARGET_DATABASE_URL, and the server."


def _check_version(target: psycopg.Connection) -> None:
    version = target.info.server_version
    if version < LEAST_VERSION:
        raise TargetError(f"The target is Postgres {version // 10000}. Fix: use Postgres 14 or newer.")


def _prepare_roles(target: psycopg.Connection, schemas: Sequence[str]) -> None:
    made = [role for role in ROLES if not _role_exists(target, role)]
    for role in made:
        _make_role(target, role)
    if made:
        _grant_to_made(target, made, schemas)
    for role in ROLES:
        if not _can_become(target, role):
            _join(target, role)


def _make_role(target: psycopg.Connection, role: str) -> None:
    name = sql.Identifier(role)
    try:
        target.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(name))
    except errors.InsufficientPrivilege as error:
        raise TargetError(f"Role {role} cannot be made in the target: {_first(error)} Fix: as a superuser run {_role_sql(role)}") from None
    except errors.DuplicateObject:
        return  # another process was faster
    if role == "service_role":
        with suppress(errors.InsufficientPrivilege):  # then row security holds for it too: less, never more
            target.execute(sql.SQL("ALTER ROLE {} BYPASSRLS").format(name))


def _grant_to_made(target: psycopg.Connection, made: Sequence[str], schemas: Sequence[str]) -> None:
    """Give the roles that we made what they need at least; see the module's docstring."""
    try:
        for schema in schemas:
            for role in made:
                _grant(target, "GRANT USAGE ON SCHEMA {schema} TO {role}", schema, role)
            if "service_role" in made:
                for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
                    _grant(target, f"GRANT ALL ON ALL {kind} IN SCHEMA {{schema}} TO {{role}}", schema, "service_role")
                    _grant(target, f"ALTER DEFAULT PRIVILEGES IN SCHEMA {{schema}} GRANT ALL ON {kind} TO {{role}}", schema, "service_role")
    except (errors.InsufficientPrivilege, errors.InvalidSchemaName) as error:
        raise TargetError(
            f"Rights on the exposed schemas cannot be granted: {_first(error)} Fix: grant them as the owner, and check EXPOSED_SCHEMAS."
        ) from None


def _grant(target: psycopg.Connection, statement: str, schema: str, role: str) -> None:
    target.execute(sql.SQL(statement).format(schema=sql.Identifier(schema), role=sql.Identifier(role)))


def _join(target: psycopg.Connection, role: str) -> None:
    # Where Postgres can tell them apart: we may become the role, but do not have its rights before we do.
    how = " WITH INHERIT FALSE, SET TRUE" if target.info.server_version >= 160000 else ""
    try:
        target.execute(sql.SQL("GRANT {} TO CURRENT_USER" + how).format(sql.Identifier(role)))
    except psycopg.Error as error:
        raise TargetError(
            f"We cannot act as {role} in the target: {_first(error)} Fix: as a superuser run GRANT {role} TO {_user(target)}."
        ) from None
    if not _can_become(target, role):
        raise TargetError(f"We cannot act as {role} in the target. Fix: run GRANT {role} TO {_user(target)} WITH SET TRUE.")


def _can_become(target: psycopg.Connection, role: str) -> bool:
    try:
        with target.transaction():
            target.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
    except psycopg.Error:
        return False
    return True


def _role_exists(target: psycopg.Connection, role: str) -> bool:
    return target.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None


def _examine_role(target: psycopg.Connection, role: str) -> Finding:
    part = f"role {role}"
    if not _role_exists(target, role):
        return Finding(part, False, "missing", f"As a superuser run {_role_sql(role)}, or: python manage.py doctor --fix")
    if not _can_become(target, role):
        return Finding(part, False, "we may not act as it", f"As a superuser run GRANT {role} TO {_user(target)};")
    return Finding(part, True, "ready")


def _examine_schema(target: psycopg.Connection) -> Finding:
    fix = "python manage.py doctor --fix"
    names = [f"mendgate.{table}" for table in ("receipts", "undone", "idempotency")]
    missing = [n for n in names if target.execute("SELECT to_regclass(%s)", [n]).fetchone() == (None,)]
    if missing:
        return Finding("schema mendgate", False, f"{', '.join(missing)} missing", fix)
    rights = [target.execute("SELECT has_table_privilege(%s, 'INSERT, SELECT')", [n]).fetchone() for n in names]
    if rights != [(True,)] * len(names):
        return Finding(
            "schema mendgate", False, "we may not write there", f"Run GRANT ALL ON ALL TABLES IN SCHEMA mendgate TO {_user(target)};"
        )
    return Finding("schema mendgate", True, "installed")


def _role_sql(role: str) -> str:
    return f"CREATE ROLE {role} NOLOGIN{' BYPASSRLS' if role == 'service_role' else ''};"


def _user(target: psycopg.Connection) -> str:
    return target.info.user


def _first(error: BaseException) -> str:
    text = str(error).strip().split("\n", 1)[0]
    return text if text.endswith(".") else text + "."
