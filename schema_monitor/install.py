"""Installs and removes the DDL log in the target (``sql/monitor.sql``), and says what is there. psycopg only: no Django.

Needs a login that may create event triggers: a superuser, or what a managed service put in its place. Where it may not, nothing
is installed and nothing is broken: changes are then found by polling.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from psycopg import Connection, errors

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
    """This login may not install the DDL log; the message is the database's reason."""


def install(owner: Connection[Any], reader: str | None = None) -> None:
    """Install or bring up to date, all or nothing; ``reader`` is the login that captures with. Raises ``Refused``."""
    try:
        with owner.transaction():
            owner.execute("SELECT pg_catalog.set_config('mendgate.reader', %s, true)", [reader or ""])
            for each in (_LOCK, _PATH, _WAIT, statement("monitor")):
                owner.execute(each)
    except errors.InsufficientPrivilege as error:
        raise Refused(str(error).strip().split("\n", 1)[0]) from None


def remove(owner: Connection[Any]) -> None:
    """Take everything away that ``install`` made. Raises ``Refused``."""
    try:
        with owner.transaction():
            for each in (_LOCK, _PATH, _WAIT, statement("remove_monitor")):
                owner.execute(each)
    except errors.InsufficientPrivilege as error:
        raise Refused(str(error).strip().split("\n", 1)[0]) from None


def look(target: Connection[Any]) -> Monitor:
    """What there is now, for the login of this connection."""
    row = target.execute(statement("ddl_log_state")).fetchone()
    return Monitor(*row) if row else Monitor(readable=False, filled=False, notifies=False)
