"""The proof that names still mean what they meant, asked of the real catalog."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from healing.gateway.identity import identity_sql
from schema_monitor import catalog

TABLE = 'CREATE TABLE "Odd \'name" (id int, "é\\mail" text, other text)'


@pytest.mark.parametrize(
    ("ddl", "holds"),
    [
        ("SELECT 1", True),
        ("ALTER TABLE {t} ADD COLUMN more int", True),
        ("ALTER TABLE {t} RENAME COLUMN other TO another", True),
        ("ALTER TABLE {t} RENAME COLUMN {c} TO mail", False),
        ("ALTER TABLE {t} DROP COLUMN {c}", False),
        ("ALTER TABLE {t} RENAME COLUMN {c} TO mail; ALTER TABLE {t} RENAME COLUMN other TO {c}", False),
        ("ALTER TABLE {t} ADD COLUMN former text", False),
        ("ALTER TABLE {t} RENAME TO moved", False),
        ("DROP TABLE {t}; " + TABLE, False),
    ],
)
def test_the_proof_holds_exactly_while_the_names_mean_the_same(owner: psycopg.Connection[Any], ddl: str, holds: bool) -> None:
    """A name that moved, went, was taken over, or a former name that is a column again."""
    owner.execute(f"DROP TABLE IF EXISTS moved; DROP TABLE IF EXISTS {_T}; {TABLE}")  # type: ignore[arg-type]
    snapshot = catalog.read_snapshot_sync(owner, ["public"])
    relation = next(r for r in snapshot.relations.values() if r.name == "Odd 'name")
    proof = identity_sql(relation, ["é\\mail"], ["former", "x" * 70])
    owner.execute(ddl.format(t=_T, c='"é\\mail"'))  # type: ignore[arg-type]
    assert bool(owner.execute(f"SELECT {proof}").fetchone()[0]) is holds  # type: ignore[arg-type,index]


_T = '"Odd \'name"'
