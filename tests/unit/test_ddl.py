"""Schema proposals as values: which type takes everything that was sent, what else would let writes land, and what each way loses."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from healing.core.ddl import Cause, file_name, file_text, instead_of, schema_proposals, settled
from healing.core.ddl.column_type import column_type
from healing.core.fixes import MOST_OPS
from healing.core.types import Json
from schema_monitor.core.snapshot import Column, Constraint, EnumLabel, EnumType, Relation, Scope, Snapshot

MOOD = EnumType(900, "public", "mood", (EnumLabel(1, "happy"), EnumLabel(2, "sad")))
LOGS = Relation(
    1,
    "public",
    "activity_logs",
    "r",
    (
        Column(1, "id", "uuid", "uuid", nullable=False, default="gen_random_uuid()"),
        Column(2, "action", "text", "text", nullable=False),
        Column(3, "details", "jsonb", "jsonb"),
        Column(4, "mood", "mood", "mood", enum=900),
        Column(5, "status", "text", "text", nullable=False, default="'open'::text"),
        Column(6, "points", "smallint", "int2"),
        Column(7, "price", "numeric(6,2)", "numeric", precision=6, scale=2),
        Column(8, "code", "character varying(4)", "varchar", length=4),
        Column(9, "due", "date", "date"),
        Column(10, "owner_id", "uuid", "uuid"),
    ),
    (
        Constraint(1, "activity_logs_pkey", "p", (1,)),
        Constraint(2, "status_check", "c", (5,), "CHECK …", allowed=("open", "it's done")),
        Constraint(3, "owner_fkey", "f", (10,), references=2, referenced_columns=(1,)),
    ),
)
OTHERS = [
    Relation(
        oid,
        "public",
        name,
        "r",
        (
            Column(1, "id", "uuid", "uuid"),
            Column(2, "organization_id", "uuid", "uuid", nullable=False),
            Column(3, "is_active", "boolean", "bool", nullable=False, default="true"),
            Column(4, "made_on", "date", "date", default="now()"),
        ),
        (Constraint(oid + 50, f"{name}_pkey", "p", (1,)),),
    )
    for oid, name in ((2, "organizations"), (3, "teams"))
]
WORLD = Snapshot(Scope("1", 1), 180000, {r.oid: r for r in (LOGS, *OTHERS)}, {900: MOOD}, {})


def cause(signature: str, *rows: dict[str, Json], table: str = "activity_logs") -> Cause:
    """A cause whose rows are all its own."""
    return Cause("public", table, signature, rows, rows)


def first_sql(signature: str, *rows: dict[str, Json]) -> str:
    """The SQL of the best proposal."""
    return schema_proposals(cause(signature, *rows), LOGS, WORLD)[0].sql


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        ("n", [1, 2], "integer"),
        ("n", [1, 3_000_000_000], "bigint"),
        ("n", [1, 2**70], "numeric"),
        ("n", [1, Decimal("1.5")], "numeric"),
        ("price", [5], "numeric"),
        ("n", [True, None], "boolean"),
        ("n", ["2026-01-01T10:00:00Z"], "timestamp with time zone"),
        ("n", ["2026-01-01T10:00:00"], "timestamp without time zone"),
        ("n", ["2026-01-01"], "date"),
        ("n", ["2026-13-99"], "text"),
        ("n", ["2026-01-01", "2026-01-01T10:00:00Z"], "timestamp with time zone"),
        ("n", ["5d0c9d0e-6f0a-4f5e-9d2e-0c5b8e8b7a11"], "uuid"),
        ("n", ["5d0c9d0e-6f0a-4f5e-9d2e-0c5b8e8b7a11", ""], "text"),
        ("n", ["5d0c9d0e-6f0a-4f5e-9d2e-0c5b8e8b7a11", "manual"], "text"),
        ("n", [{"a": 1}], "jsonb"),
        ("n", [{"a": 1}, "x"], "jsonb"),
        ("n", [["a", "b"], []], "text[]"),
        ("n", [[1, 2]], "integer[]"),
        ("n", [[{"a": 1}]], "jsonb"),
        ("n", [[1, None]], "jsonb"),
        ("tags", [[]], "text[]"),
        ("n", [[]], "jsonb"),
        ("n", [1, "x"], "text"),
        ("n", [1, "42"], "text"),
        ("n", ["a\u0000b"], "text"),
        ("seen_at", [None], "timestamp with time zone"),
        ("is_done", [], "boolean"),
        ("whatever", [None], "text"),
        ("owner_id", [None], "uuid"),
        ("organization_id", [None], "uuid"),
        ("organization_id", ["not a uuid"], "text"),
    ],
)
def test_the_type_takes_everything_that_was_sent(name: str, values: list[Json], wanted: str) -> None:
    """And no wider one is chosen than the values, the name and the other tables ask for."""
    assert column_type(name, values, LOGS, WORLD, "public").type == wanted


def test_one_value_that_is_another_kind_widens_the_type() -> None:
    """The type is for all callers, not for the first."""
    rows: list[dict[str, Json]] = [{"n": i} for i in range(50)]
    assert 'ADD COLUMN "n" integer' in first_sql("unknown_column:n", *rows)
    assert 'ADD COLUMN "n" text' in first_sql("unknown_column:n", *rows, {"n": "many"})


def test_a_default_that_all_other_tables_have_is_taken_over() -> None:
    """Only a constant: ``now()`` would make up the past."""
    assert first_sql("unknown_column:is_active", {"is_active": False}).endswith('ADD COLUMN "is_active" boolean NOT NULL DEFAULT true;')
    assert first_sql("unknown_column:made_on", {"made_on": "2026-01-01"}).endswith('ADD COLUMN "made_on" date;')


def test_a_null_keeps_the_column_from_being_required() -> None:
    """A row with null waits; NOT NULL would keep it out."""
    assert first_sql("unknown_column:is_active", {"is_active": None}).endswith('ADD COLUMN "is_active" boolean DEFAULT true;')


def test_all_unknown_keys_become_one_migration_and_each_its_own() -> None:
    """A person may want one of them only."""
    found = schema_proposals(cause("unknown_column:a + unknown_column:b", {"a": 1, "b": "x"}), LOGS, WORLD)
    assert found[0].sql == 'ALTER TABLE "public"."activity_logs" ADD COLUMN "a" integer, ADD COLUMN "b" text;'
    assert found[0].leaves == ()
    assert [p.leaves for p in found[1:]] == [("unknown_column:b",), ("unknown_column:a",)]


def test_misfits_of_several_kinds_are_settled_together() -> None:
    """One file lets the rows land."""
    found = schema_proposals(cause("unknown_column:a + missing_value:action", {"a": 1}), LOGS, WORLD)
    assert found[0].kind == "several"
    assert found[0].statements[1] == 'ALTER TABLE "public"."activity_logs" ALTER COLUMN "action" DROP NOT NULL'


@pytest.mark.parametrize(
    "key", ["", "a b", 'a"; DROP TABLE x; --', "ctid", "1st", "x" * 64, "a\nb", "a'b", "ä" * 40], ids=lambda key: repr(key)[:20]
)
def test_a_name_that_no_column_should_have_is_not_proposed(key: str) -> None:
    """Callers make keys up."""
    assert schema_proposals(cause(f"unknown_column:{key}", {key: 1}), LOGS, WORLD) == ()


def test_two_values_of_one_check_list_are_allowed_together() -> None:
    """One after the other would take the first out again."""
    signature = "unknown_label:status=gone + unknown_label:status=lost"
    found = schema_proposals(cause(signature, {"status": "gone"}, {"status": "lost"}), LOGS, WORLD)
    assert [p.kind for p in found] == ["allow_value"] * 3
    assert (found[0].leaves, found[0].sql.count("IN ('open', 'it''s done', 'gone', 'lost')"), len(found[0].statements)) == ((), 1, 2)


@pytest.mark.parametrize(
    ("signature", "row"),
    [
        ("unknown_label:mood=a + unknown_column:evil", {"mood": "a + unknown_column:evil"}),
        ("unknown_column:x + unknown_column:evil", {"x + unknown_column:evil": 1}),
        ("unknown_column:x + unknown_label:mood=evil", {"x + unknown_label:mood=evil": 1}),
    ],
)
def test_what_no_row_holds_is_not_proposed(signature: str, row: dict[str, Json]) -> None:
    """A caller's key or value that reads like several misfits."""
    assert schema_proposals(cause(signature, row), LOGS, WORLD) == ()


def test_a_label_and_a_check_value_are_quoted() -> None:
    """A check list is written anew with the rest of it, first unvalidated."""
    assert first_sql("unknown_label:mood=so'so", {"mood": "so'so"}) == """ALTER TYPE "public"."mood" ADD VALUE IF NOT EXISTS 'so''so';"""
    assert first_sql("unknown_label:status=gone", {"status": "gone"}) == (
        'ALTER TABLE "public"."activity_logs" DROP CONSTRAINT "status_check", ADD CONSTRAINT "status_check"'
        """ CHECK ("status" IN ('open', 'it''s done', 'gone')) NOT VALID;\n"""
        'ALTER TABLE "public"."activity_logs" VALIDATE CONSTRAINT "status_check";'
    )


def test_another_spelling_of_a_label_is_told() -> None:
    """Then the schema is right and the caller is not."""
    found = schema_proposals(cause("unknown_label:mood=Happy", {"mood": "Happy"}), LOGS, WORLD)
    assert any("another spelling of `happy`" in word for word in found[0].evidence["against"])


@pytest.mark.parametrize(
    ("signature", "row", "wanted"),
    [
        ("out_of_range:points", {"points": 40_000}, 'ALTER COLUMN "points" TYPE integer;'),
        ("out_of_range:points", {"points": 2**40}, 'ALTER COLUMN "points" TYPE bigint;'),
        ("out_of_range:price", {"price": Decimal("123456.789")}, 'ALTER COLUMN "price" TYPE numeric(9,3);'),
        ("too_long:code", {"code": "abcdef"}, 'ALTER COLUMN "code" TYPE text;'),
        ("invalid_value:points", {"points": "many"}, 'ALTER COLUMN "points" TYPE text USING "points"::text;'),
        ("invalid_value:due", {"due": {"day": 1}}, 'ALTER COLUMN "due" TYPE jsonb USING to_jsonb("due");'),
    ],
)
def test_a_type_is_widened_to_what_was_sent(signature: str, row: dict[str, Json], wanted: str) -> None:
    """No further."""
    assert first_sql(signature, row).endswith(wanted)


def test_a_column_of_a_foreign_key_keeps_its_type() -> None:
    """It would no longer be comparable."""
    assert schema_proposals(cause("invalid_value:owner_id", {"owner_id": "manual"}), LOGS, WORLD) == ()


def test_a_primary_key_stays_required() -> None:
    """Postgres would refuse."""
    assert schema_proposals(cause("missing_value:id", {}), LOGS, WORLD) == ()


def test_a_missing_table_is_made_from_what_was_sent_and_is_closed() -> None:
    """Row security on: a new table in an exposed schema must not be open to everybody."""
    rows = ({"name": "a", "n": 1}, {"name": "b", "tags": ["x"]})
    (found,) = schema_proposals(cause("unknown_table:leads", *rows, table="leads"), None, WORLD)
    assert found.statements[0].split("\n") == [
        'CREATE TABLE "public"."leads" (',
        '    "id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),',
        '    "name" text,',
        '    "n" integer,',
        '    "tags" text[]',
        ")",
    ]
    assert found.statements[1] == 'ALTER TABLE "public"."leads" ENABLE ROW LEVEL SECURITY'


def test_an_id_that_was_sent_is_the_key_where_it_can_be() -> None:
    """Twice the same id is no key."""
    for ids, wanted in (((1, 2), '"id" integer PRIMARY KEY'), ((1, 1), '"id" integer')):
        (found,) = schema_proposals(cause("unknown_table:t", *({"id": i} for i in ids), table="t"), None, WORLD)
        assert found.statements[0].split("\n")[1].strip() == wanted


def test_the_ways_without_ddl_say_what_they_lose() -> None:
    """Rescue loses the checks, dropping loses the values."""
    rescue, drop = instead_of(cause("unknown_column:a", {"a": 1, "action": "x"}, {"a": None, "action": "y"}), LOGS)
    assert rescue.fix == ({"op": "rescue", "column": "a", "into": "details"},)
    assert "No value is lost" in rescue.loses
    assert drop.fix == ({"op": "drop_key", "column": "a"},)
    assert drop.loses.startswith("1 value in 2 waiting rows would not be stored")
    assert (rescue.fits, drop.fits, drop.rows) == (2, 2, 2)


def test_a_required_column_is_not_offered_to_be_left_out() -> None:
    """It would be the next misfit."""
    found = instead_of(cause("invalid_value:action", {"action": 1}), LOGS)
    assert found == ()


@pytest.mark.parametrize(("keys", "ways"), [(MOST_OPS, 2), (MOST_OPS + 1, 0)])
def test_more_keys_than_a_fix_can_hold_are_not_offered_a_way_without_ddl(keys: int, ways: int) -> None:
    """Reading the offers must not fail: the list of kept writes shows them."""
    names = [f"key{i}" for i in range(keys)]
    found = instead_of(cause(" + ".join(f"unknown_column:{name}" for name in names), dict.fromkeys(names, 1)), LOGS)
    assert len(found) == ways


def test_a_migration_file_is_named_and_commented() -> None:
    """A line break in a name or a reason does not end the comment."""
    (found,) = schema_proposals(cause("unknown_label:mood=meh", {"mood": "meh"}), LOGS, WORLD)
    assert file_name(found, datetime(2026, 1, 31, 9, 45, tzinfo=UTC)) == "20260131094500_add_meh_to_mood.sql"
    text = file_text(found, "1 write waits\nDROP TABLE users;")
    assert [line for line in text.splitlines() if line and not line.startswith("--")] == found.sql.splitlines()


@pytest.mark.parametrize(
    ("signature", "rows", "wanted"),
    [
        ("unknown_column:details", (), True),
        ("unknown_column:nothing", (), False),
        ("unknown_column:details + unknown_column:nothing", (), False),
        ("unknown_label:mood=sad", (), True),
        ("unknown_label:mood=meh", (), False),
        ("missing_value:details", (), True),
        ("missing_value:action", (), False),
        ("out_of_range:points", ({"points": 5},), True),
        ("out_of_range:points", ({"points": 2**20},), False),
        ("check:whatever", (), False),
        ("", (), False),
    ],
)
def test_the_schema_is_seen_to_have_caught_up(signature: str, rows: tuple[dict[str, Json], ...], wanted: bool) -> None:
    """Every misfit of the signature must be gone."""
    assert settled(signature, LOGS, WORLD, rows) is wanted
