"""Installs and removes the DDL log in the target (``sql/monitor.sql``), and says what is there.

Needs a login that may create event triggers: a superuser, or what a managed service put in its place. Where it may not, nothing
is installed and nothing is broken: changes are then found by polling. Who removes it is remembered (``consent``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import psycopg
from msgspec import Struct
from psycopg import Connection, errors
from psycopg.conninfo import conninfo_to_dict

from schema_monitor import consent
from schema_monitor.catalog import statement

_LOCK = "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('mendgate.install'))"
_PATH = "SET LOCAL search_path = pg_catalog, pg_temp"
_WAIT = "SET LOCAL lock_timeout = '10s'"


class Monitor(Struct, frozen=True):
    """What the connected login finds: it may read the log; triggers fill it; they notify."""

    readable: bool
    filled: bool
    notifies: bool

    @property
    def works(self) -> bool:
        """Changes are logged, and we see them."""
        return self.readable and self.filled


class Refused(Exception):
    """This login may not do that, or the target does not answer; the message is the database's reason."""


class Logins(Struct, frozen=True):
    """URLs of the target: ``owner`` may install, ``reader`` captures."""

    owner: str
    reader: str


_logins: list[Callable[[], Logins]] = []


def configure(logins: Callable[[], Logins]) -> None:
    """Says how the target is reached; asked for when needed."""
    _logins[:] = [logins]


def sql_to_install() -> str:
    """What ``install`` runs, to read."""
    return statement("monitor")


def sql_to_remove() -> str:
    """What ``remove`` runs, to read."""
    return statement("remove_monitor")


def install(owner: Connection[Any] | None = None, reader: str | None = None) -> None:
    """Install or bring up to date, all or nothing, with the configured logins or these: an autocommit connection, and the role that
    captures. Raises ``Refused``."""
    if owner is None:
        reader = role_of(_configured().reader)
    with _connected(owner) as connection, _all_or_nothing(connection):
        connection.execute("SELECT pg_catalog.set_config('mendgate.reader', %s, true)", [reader or ""])
        _run(connection, sql_to_install())
    if owner is None:
        consent.give()


def remove(owner: Connection[Any] | None = None) -> None:
    """Take everything away that ``install`` made. With the configured login it is remembered as somebody's wish. Raises ``Refused``."""
    if owner is None:
        consent.withdraw()  # first: where the watcher sees it gone before we get here, it was on purpose already
    with _connected(owner) as connection, _all_or_nothing(connection):
        _run(connection, sql_to_remove())


def role_of(url: str) -> str | None:
    """The role that a URL names."""
    user = conninfo_to_dict(url).get("user")
    return None if user is None else str(user)


def _configured() -> Logins:
    if not _logins:
        raise Refused("no login of the target is configured")
    return _logins[0]()


def _connected(owner: Connection[Any] | None) -> Any:
    if owner is not None:
        return nullcontext(owner)
    try:
        return psycopg.connect(_configured().owner, autocommit=True, connect_timeout=5, application_name="mendgate-setup")
    except psycopg.OperationalError as error:
        raise Refused(_reason(error)) from None


@contextmanager
def _all_or_nothing(connection: Connection[Any]) -> Iterator[None]:
    try:
        with connection.transaction():
            yield
    except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction, errors.LockNotAvailable) as error:
        raise Refused(_reason(error)) from None


def _run(connection: Connection[Any], script: str) -> None:
    for each in (_LOCK, _PATH, _WAIT, script):
        connection.execute(each)


def _reason(error: psycopg.Error) -> str:
    return str(error).strip().split("\n", 1)[0]


def look(target: Connection[Any]) -> Monitor:
    """What there is now, for the login of this connection."""
    row = target.execute(statement("ddl_log_state")).fetchone()
    return Monitor(*row) if row else Monitor(readable=False, filled=False, notifies=False)
