"""The demo's tables in the target. Only tables that carry our comment are ever touched."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import errors, sql

from healing.demo.stories import Story

MARK = "made by the demo of Mendgate"
_OURS = """SELECT obj_description(c.oid, 'pg_class') = %s FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relname = ANY(%s)"""


def make_tables(connection: psycopg.Connection, stories: Sequence[Story]) -> list[Story]:
    """Makes what is missing; returns the stories whose tables are ours. The connection is in autocommit."""
    return [story for story in stories if _is_ours(connection, story) or _make(connection, story)]


def rename(connection: psycopg.Connection, story: Story) -> str | None:
    """Renames there, or back when it is there already; returns what was done."""
    return swing(connection, story.rename or ())


def swing(connection: psycopg.Connection, there_and_back: Sequence[str]) -> str | None:
    """Runs the first of these statements that can be run now; returns it."""
    for statement in there_and_back:
        try:
            connection.execute(statement)
        except (errors.UndefinedColumn, errors.UndefinedTable, errors.InvalidParameterValue, errors.DuplicateColumn):
            continue
        return statement
    return None


def _is_ours(connection: psycopg.Connection, story: Story) -> bool:
    names = [story.table] + ([story.rename[0].rpartition(" ")[2]] if story.rename else [])
    found = connection.execute(_OURS, (MARK, names)).fetchall()
    return bool(found) and all(ours for (ours,) in found)


def _make(connection: psycopg.Connection, story: Story) -> bool:
    comment = sql.SQL("COMMENT ON TABLE {} IS {}").format(sql.Identifier(story.table), sql.Literal(MARK))
    try:
        with connection.transaction():
            for statement in story.create:
                connection.execute(statement)
            connection.execute(comment)
    except (errors.DuplicateTable, errors.DuplicateObject):
        return False  # somebody's own: leave it alone
    return True
