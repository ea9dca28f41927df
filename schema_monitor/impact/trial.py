"""DDL tried on a copy: the copy is made from an export, the DDL runs in a transaction there, and that is rolled back.

Each statement runs through ``EXECUTE``: inside a function Postgres itself refuses COMMIT, COPY to or from the client, and whatever may not
run in a transaction. No parsing of ours keeps anybody safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from msgspec import Struct
from psycopg import sql

from schema_monitor import catalog
from schema_monitor.core.export import Export, Piece
from schema_monitor.core.snapshot import Snapshot
from schema_monitor.core.statements import Statement
from schema_monitor.impact.limits import Limits
from schema_monitor.impact.scratch import Stopped

_BUILDING = "SET check_function_bodies = off; SET search_path = ''; SET synchronous_commit = off; SET client_min_messages = error"
_RUN = "DO $mendgate$ BEGIN EXECUTE pg_catalog.current_setting('mendgate.ddl'); END $mendgate$"
_MOST_CATALOG = 30_000_000
_MOST_TEXT = 2_000


class Refusal(Struct, frozen=True):
    """A statement that the database refused. ``number`` counts from 1, ``line`` is where it begins."""

    number: int
    line: int
    statement: str
    code: str
    message: str
    details: str | None = None
    hint: str | None = None


class Trial(Struct, frozen=True):
    """The copy before and after. ``after`` is None where a statement was refused; ``lacking`` is what could not be rebuilt."""

    before: Snapshot
    after: Snapshot | None
    refusal: Refusal | None
    lacking: tuple[str, ...]


def try_out(
    copy: psycopg.Connection[Any],
    original: Export,
    exposed: Sequence[str],
    path: Sequence[str],
    statements: Sequence[Statement],
    limits: Limits,
) -> Trial:
    """Rebuilds, runs and reads. ``path`` is the search path of the DDL. Raises ``Stopped``, and ``psycopg.Error`` where the copy
    cannot be made."""
    lacking = _build(copy, original.pieces, limits)
    before = catalog.read_snapshot_sync(copy, exposed)
    copy.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ  # as the catalog is read, which comes inside this transaction
    try:
        with copy.transaction(force_rollback=True):
            refusal = _run(copy, path, statements, limits)
            after = None if refusal is not None else _read(copy, exposed, limits)
    except psycopg.Error as error:
        raise Stopped(_ended(error)) from error
    return Trial(before, after, refusal, lacking)


def _build(copy: psycopg.Connection[Any], pieces: Iterable[Piece], limits: Limits) -> tuple[str, ...]:
    """Makes what can be made, in rounds: what fails may need something that comes later. Returns what is missing."""
    copy.execute(_BUILDING)
    copy.execute(_timeout(limits, "SESSION"))
    roles = {row[0] for row in copy.execute("SELECT rolname FROM pg_catalog.pg_roles").fetchall()}
    waiting = [piece for piece in pieces if piece.sql and roles.issuperset(piece.roles)]
    lacking = [f"{piece.what} (no such role here)" for piece in pieces if not roles.issuperset(piece.roles)]
    progress = True
    while waiting and progress:
        failed = _round(copy, waiting)
        waiting, progress = failed, len(failed) < len(waiting)
    copy.execute("RESET ALL")
    return (*lacking, *(piece.what for piece in waiting if piece.matters))


def _round(copy: psycopg.Connection[Any], pieces: list[Piece]) -> list[Piece]:
    """One transaction for all of them; those that failed."""
    failed = []
    with copy.transaction():
        for piece in pieces:
            try:
                with copy.transaction():
                    copy.execute(piece.sql.encode())
            except psycopg.Error as error:
                if copy.closed or error.sqlstate is None:
                    raise
                failed.append(piece)
    return failed


def _ended(error: psycopg.Error) -> str:
    """Why there is no answer: from the DDL on, that is its own doing."""
    text = str(error).strip()[:_MOST_TEXT]
    if error.sqlstate is None and "memory" in text:
        return "The DDL's answer was too large."
    return f"The DDL ended its own trial: {text.splitlines()[0] if text else type(error).__name__}"


def _run(copy: psycopg.Connection[Any], path: Sequence[str], statements: Sequence[Statement], limits: Limits) -> Refusal | None:
    copy.execute(sql.SQL("SET LOCAL search_path = {}").format(sql.SQL(", ").join(sql.Identifier(schema) for schema in path)))
    copy.execute("SET LOCAL client_min_messages = error")  # nobody reads notices
    for number, statement in enumerate(statements, 1):
        if statement.is_transaction_command:
            continue
        try:
            with copy.transaction():
                copy.execute(_timeout(limits, "LOCAL"))
                copy.execute("SELECT pg_catalog.set_config('mendgate.ddl', %s, true)", [statement.in_transaction])
                copy.execute(_RUN)
        except psycopg.Error as error:
            if copy.closed or error.sqlstate is None:
                raise
            return _refusal(number, statement, error)
    return None


def _refusal(number: int, statement: Statement, error: psycopg.Error) -> Refusal:
    diag = error.diag
    said = (diag.message_primary or str(error), diag.message_detail, diag.message_hint)
    message, details, hint = (None if text is None else text[:_MOST_TEXT] for text in said)
    return Refusal(number, statement.line, statement.summary, error.sqlstate or "", message or "", details, hint)


def _read(copy: psycopg.Connection[Any], exposed: Sequence[str], limits: Limits) -> Snapshot:
    """The catalog as the DDL left it; its settings must not change how it is read, nor its size what that costs us."""
    copy.execute("RESET ALL")
    copy.execute(_timeout(limits, "LOCAL"))
    copy.execute("SET LOCAL search_path = pg_catalog, pg_temp")
    row = copy.execute(catalog.statement("catalog_size")).fetchone()
    if row is None or row[0] > _MOST_CATALOG:
        raise Stopped("It makes the catalog larger than an impact check reads.")
    return catalog.read_snapshot_sync(copy, exposed)


def _timeout(limits: Limits, scope: str) -> sql.Composed:
    milliseconds = sql.Literal(int(limits.statement_seconds * 1000))
    return sql.SQL("SET {} statement_timeout = {}").format(sql.SQL(scope), milliseconds)
