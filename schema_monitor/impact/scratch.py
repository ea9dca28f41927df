"""A scratch database: made empty, used once, dropped; and the login that may do nothing anywhere else.

Where: on the server of ``SCRATCH_DATABASE_URL``, else on the control database's. Who: with the former, that login, which must be able
to make databases and nothing else; with the latter, a role ``mendgate_scratch`` that the control login makes and that has no rights and
no memberships. One check runs at a time per control database.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from msgspec import Struct
from psycopg import conninfo, errors, sql

from schema_monitor.impact.limits import LIMITS, Limits

log = logging.getLogger("mendgate.impact")

ROLE = "mendgate_scratch"
_PREFIX = "mendgate_scratch_"
_NAME = re.compile(rf"{_PREFIX}(\d+)_[0-9a-f]+")
_LOCK = 0x6D6773637261746368 >> 8
_STALE = 120
"""Seconds: longer than any check runs."""
_ABOUT = """
SELECT r.rolname, r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolreplication, r.rolbypassrls,
       EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.member = r.oid)
FROM pg_catalog.pg_roles r WHERE r.rolname = {who}"""


class Unusable(Exception):
    """There can be no scratch database; the message is why, ``fix`` what to do."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


class Busy(Exception):
    """Another check is running."""


class Stopped(Exception):
    """What ran took too long or too much; the message says which."""


class About(Struct, frozen=True):
    """A role and what it may do."""

    name: str
    superuser: bool
    makes_databases: bool
    makes_roles: bool
    replicates: bool
    bypasses: bool
    is_member: bool


def new_name(url: str) -> str:
    """For a scratch database on that server, with its time in it."""
    with _admin(url) as admin:
        return f"{_PREFIX}{_server_time(admin)}_{secrets.token_hex(4)}"


def sweep(control_url: str, scratch_url: str | None = None) -> None:
    """Drops what killed processes left; nothing where there is no place for scratch databases."""
    with suppress(Unusable), _admin(scratch_url or control_url) as admin:
        _sweep(admin)


@contextmanager
def scratch(
    control_url: str, scratch_url: str | None = None, limits: Limits = LIMITS, name: str | None = None
) -> Iterator[psycopg.Connection[Any]]:
    """A connection to an empty database, as a login that may do nothing elsewhere; it is dropped afterwards, whatever happened.

    1. One at a time: wait for the lock, else ``Busy``. 2. Sweep what a killed process left. 3. Make sure of the login, else ``Unusable``.
    4. Make the database. 5. Hand it out under watch: past ``limits`` the connection is ended from outside, which is ``Stopped``.
    """
    url = scratch_url or control_url
    with _locked(control_url, limits), _admin(url) as admin:
        user, password = _login(admin, separate=scratch_url is not None)
        _sweep(admin)
        name = name or new_name(url)
        _make(admin, name, user)
        try:
            with _watched(url, _at(url, name, user, password), name, limits) as connection:
                yield connection
        finally:
            drop(url, name)


@contextmanager
def _locked(control_url: str, limits: Limits) -> Iterator[None]:
    with psycopg.connect(control_url, autocommit=True, connect_timeout=5, application_name="mendgate scratch") as control:
        until = time.monotonic() + limits.wait
        while not _has(control.execute("SELECT pg_catalog.pg_try_advisory_lock(%s)", [_LOCK])):
            if time.monotonic() > until:
                raise Busy
            time.sleep(0.1)
        yield


def _has(cursor: psycopg.Cursor[Any]) -> bool:
    row = cursor.fetchone()
    return bool(row and row[0])


def _admin(url: str) -> psycopg.Connection[Any]:
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=5, application_name="mendgate scratch")
    except psycopg.OperationalError as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise Unusable(f"The server for scratch databases does not answer: {reason}", "Check SCRATCH_DATABASE_URL.") from None


def _about(admin: psycopg.Connection[Any], who: sql.Composable) -> About | None:
    row = admin.execute(sql.SQL(_ABOUT).format(who=who)).fetchone()
    return None if row is None else About(*row)


def _login(admin: psycopg.Connection[Any], *, separate: bool) -> tuple[str, str | None]:
    """Who runs what people paste: name, and a new password where the role is ours."""
    me = _about(admin, sql.SQL("current_user"))
    assert me is not None
    if separate:
        _check_harmless(me)
        if not me.makes_databases:
            raise Unusable(
                f"{me.name} of SCRATCH_DATABASE_URL may not make databases.", f"As a superuser run ALTER ROLE {me.name} CREATEDB;"
            )
        return me.name, None
    if not (me.superuser or (me.makes_databases and me.makes_roles)):
        raise Unusable(
            f"The control login {me.name} may not make databases and roles, so there is nowhere to try DDL out.",
            f"As a superuser run CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '…'; and set SCRATCH_DATABASE_URL to it. "
            f"(Or: ALTER ROLE {me.name} CREATEDB CREATEROLE;)",
        )
    return ROLE, _own_role(admin, me)


def _check_harmless(role: About) -> None:
    rights = ("SUPERUSER", "CREATEROLE", "REPLICATION", "BYPASSRLS")
    held = [right for right, has in zip(rights, (role.superuser, role.makes_roles, role.replicates, role.bypasses), strict=True) if has]
    if held or role.is_member:
        what = ", ".join(held) or "memberships in other roles"
        fix = f"Use a login that has CREATEDB and nothing else: CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '…';"
        raise Unusable(f"{role.name} has {what}: what people paste would run with that.", fix)


def _own_role(admin: psycopg.Connection[Any], me: About) -> str:
    password = secrets.token_urlsafe(24)
    role = sql.Identifier(ROLE)
    try:
        with admin.transaction():
            if _about(admin, sql.Literal(ROLE)) is None:
                admin.execute(sql.SQL("CREATE ROLE {} LOGIN NOINHERIT CONNECTION LIMIT 4").format(role))
            admin.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(password)))
            if not me.superuser and not _has(admin.execute("SELECT pg_catalog.pg_has_role(%s, 'MEMBER')", [ROLE])):
                admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
    except errors.InsufficientPrivilege as error:
        fix = f"As a superuser run DROP ROLE {ROLE}; it is made again with the rights that it needs."
        raise Unusable(f"Role {ROLE} is there and not ours to use: {_first(error)}", fix) from None
    found = _about(admin, sql.Literal(ROLE))
    assert found is not None
    _check_harmless(found)
    return password


def _server_time(admin: psycopg.Connection[Any]) -> int:
    """Seconds; never by the clock of a host that asks, or one that is off would drop what another is using."""
    row = admin.execute("SELECT extract(epoch FROM clock_timestamp())::bigint").fetchone()
    assert row is not None
    return int(row[0])


def _sweep(admin: psycopg.Connection[Any]) -> None:
    stale = _server_time(admin) - _STALE
    for (name,) in admin.execute("SELECT datname FROM pg_catalog.pg_database WHERE datname LIKE %s", [_PREFIX + "%"]).fetchall():
        found = _NAME.fullmatch(name)
        if found and int(found[1]) < stale:
            try:
                admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            except psycopg.Error as error:  # another login's, say
                log.warning("left-over scratch database %s cannot be dropped: %s", name, _first(error))


def _make(admin: psycopg.Connection[Any], name: str, owner: str) -> None:
    database = sql.Identifier(name)
    try:
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(database, sql.Identifier(owner)))
        admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    except errors.InsufficientPrivilege as error:
        fix = "Set SCRATCH_DATABASE_URL to a login with CREATEDB."
        raise Unusable(f"No scratch database can be made: {_first(error)}", fix) from None
    with suppress(psycopg.Error):  # where the server can look: what runs for a client that is gone is ended
        admin.execute(sql.SQL("ALTER DATABASE {} SET client_connection_check_interval = '1s'").format(database))


def _at(url: str, database: str, user: str, password: str | None) -> str:
    own = {} if password is None else {"user": user, "password": password}
    return conninfo.make_conninfo(url, dbname=database, connect_timeout=5, application_name="mendgate scratch", **own)


@contextmanager
def _watched(url: str, dsn: str, name: str, limits: Limits) -> Iterator[psycopg.Connection[Any]]:
    """A connection that is ended from outside when it has run too long or grown too large; statements cannot stop that, whatever they
    set or catch."""
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        watch = _Watch(url, name, connection, limits)
        thread = threading.Thread(target=watch.run, name="mendgate-scratch-watch", daemon=True)
        thread.start()
        try:
            yield connection
        except Stopped:
            if watch.why is not None:
                raise Stopped(watch.why) from None
            raise
        except psycopg.Error as error:
            if watch.why is not None and (connection.closed or isinstance(error, psycopg.OperationalError)):
                raise Stopped(watch.why) from None
            raise
        finally:
            watch.done.set()
            thread.join(timeout=10)


class _Watch:
    """Looks every quarter of a second from a connection of its own, and in the end closes our side, so that nobody waits for a server
    that does not listen."""

    def __init__(self, url: str, name: str, watched: psycopg.Connection[Any], limits: Limits) -> None:
        self._url, self._name, self._limits = url, name, limits
        self._socket = socket.socket(fileno=os.dup(watched.fileno()))
        self._until = time.monotonic() + limits.seconds
        self.done = threading.Event()
        self.why: str | None = None

    def run(self) -> None:
        """Until told that it is over, or it ends it."""
        with self._socket:
            with suppress(psycopg.Error), _admin(self._url) as admin:
                while self.why is None and not self.done.wait(0.25):
                    self.why = self._why(admin)
            if self.done.is_set():
                return
            self.why = self.why or "The watch over it was ended."
            with suppress(psycopg.Error, Unusable), _admin(self._url) as admin:
                admin.execute(
                    "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = %s", [self._name]
                )
            self.done.wait(1.0)
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _why(self, admin: psycopg.Connection[Any]) -> str | None:
        if time.monotonic() > self._until:
            return f"It ran longer than {self._limits.seconds:g} s."
        row = admin.execute("SELECT pg_catalog.pg_database_size(%s)", [self._name]).fetchone()
        if row is not None and row[0] > self._limits.most_bytes:
            return f"It filled more than {self._limits.most_bytes // 1_000_000} MB."
        return None


def drop(url: str, name: str) -> None:
    """Again where somebody in there ends our connections; what is left is swept by a later check."""
    for _ in range(20):
        with suppress(psycopg.Error, Unusable), _admin(url) as admin:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            return
        time.sleep(0.05)
    log.error("scratch database %s could not be dropped; the next checks try again", name)


def _first(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]
