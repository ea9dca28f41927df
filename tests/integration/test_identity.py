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
        ("ALTER TABLE {t} ALTER COLUMN {c} TYPE varchar(5)", False),
        ("ALTER TABLE {t} ALTER COLUMN other TYPE varchar(5)", True),
        ("CREATE TRIGGER x BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()", False),
        ("CREATE TRIGGER x BEFORE UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()", True),
    ],
)
def test_the_proof_holds_exactly_while_the_names_mean_the_same(owner: psycopg.Connection[Any], ddl: str, holds: bool) -> None:
    """A name that moved, went, was taken over, or a former name that is a column again."""
    owner.execute(f"DROP TABLE IF EXISTS moved; DROP TABLE IF EXISTS {_T}; {TABLE}")  # type: ignore[arg-type]
    snapshot = catalog.read_snapshot_sync(owner, ["public"])
    relation = next(r for r in snapshot.relations.values() if r.name == "Odd 'name")
    proof = identity_sql(relation, ["é\\mail"], ["former", "x" * 70], untouched=True)
    owner.execute(ddl.format(t=_T, c='"é\\mail"'))  # type: ignore[arg-type]
    assert bool(owner.execute(f"SELECT {proof}").fetchone()[0]) is holds  # type: ignore[arg-type,index]


@pytest.mark.parametrize("path", ["pg_catalog", "public, extensions", "odd, public"])
def test_types_are_known_under_every_search_path(owner: psycopg.Connection[Any], path: str) -> None:
    """Enums, arrays, domains, and types with a modifier, in a schema that is searched and in one that is not."""
    owner.execute("""CREATE SCHEMA odd; CREATE TYPE odd."My mood" AS ENUM ('a'); CREATE DOMAIN public.short AS varchar(3);
        CREATE TABLE odd.t (a odd."My mood", b odd."My mood"[], c public.short, d numeric(6,2)[], e timestamptz(3), f "char", g bit(3))""")
    relation = next(r for r in catalog.read_snapshot_sync(owner, ["odd"]).relations.values() if r.name == "t")
    proof = identity_sql(relation, [column.name for column in relation.columns])
    owner.execute(f"SET search_path = {path}")  # type: ignore[arg-type]
    assert owner.execute(f"SELECT {proof}").fetchone() == (True,)  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [[], ["a1"], [f"a{number}" for number in range(1, 12)]])
def test_another_table_of_the_same_columns_is_never_taken_for_it(owner: psycopg.Connection[Any], names: list[str]) -> None:
    """However many columns are named: none, one, many."""
    columns = ", ".join(f"a{number} int" for number in range(1, 12))
    owner.execute(f"CREATE TABLE people ({columns}); CREATE TABLE people_new ({columns})")  # type: ignore[arg-type]
    relation = next(r for r in catalog.read_snapshot_sync(owner, ["public"]).relations.values() if r.name == "people")
    proof = identity_sql(relation, names)
    assert owner.execute(f"SELECT {proof}").fetchone() == (True,)  # type: ignore[arg-type]
    owner.execute("ALTER TABLE people RENAME TO people_old; ALTER TABLE people_new RENAME TO people")
    assert not owner.execute(f"SELECT {proof}").fetchone()[0]  # type: ignore[arg-type,index]


_T = '"Odd \'name"'
