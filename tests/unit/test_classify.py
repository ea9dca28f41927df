"""Database errors, as a real Postgres 18 words them, read into misfits and actions."""

from __future__ import annotations

import pytest

from healing.core.classify import Action, action, misfit, reason
from healing.core.explain import source_patch
from healing.core.fixes import Cast, Fill, KeepName, MapValue, RenameColumn, RenameTable, SplitBatch
from healing.core.types import Failure, Json, Kind, Operation, Row, Statement
from schema_monitor.core.snapshot import Column, Constraint, Relation

PETS = Relation(
    oid=1,
    schema="public",
    name="pets",
    kind="r",
    columns=(
        Column(1, "id", "integer", "int4", nullable=False),
        Column(2, "name", "character varying(5)", "varchar", length=5),
        Column(3, "nick", "character varying(9)", "varchar", length=9),
        Column(4, "age", "integer", "int4"),
        Column(5, "legs", "integer", "int4"),
        Column(6, "mood", "mood", "mood", enum=9, nullable=False),
        Column(7, "state", "text", "text"),
        Column(8, "price", "numeric(4,2)", "numeric", precision=4, scale=2),
        Column(9, "owner_id", "uuid", "uuid"),
        Column(10, "born", "date", "date"),
        Column(11, "toys", "integer[]", "int4", array=True),
        Column(12, "meta", "jsonb", "jsonb"),
        Column(13, "rank", "integer", "int4", domain="posint"),
        Column(14, "twice", "integer", "int4", generated="s"),
    ),
    constraints=(
        Constraint(1, "pets_pkey", "p", (1,)),
        Constraint(2, "pets_state_check", "c", (7,), "CHECK (…)", allowed=("in", "out")),
        Constraint(3, "pets_age_check", "c", (4,), "CHECK ((age > 0))"),
        Constraint(4, "legs_and_age", "c", (4, 5), "CHECK ((legs > age))"),
        Constraint(5, "pets_owner_id_fkey", "f", (9,), references=2, referenced_columns=(1,)),
    ),
)


def found(
    code: str, message: str, *rows: Row, on_conflict: tuple[str, ...] = (), relation: Relation | None = PETS, **rest: str
) -> tuple[Json, ...]:
    read = misfit(Failure(code, message, **rest), Statement(Operation.INSERT, "public", "pets", rows, on_conflict=on_conflict), relation)
    return () if read is None else (read.kind, read.column, read.value, read.rows)


@pytest.mark.parametrize(
    "message",
    [
        'column "breed" of relation "pets" does not exist',
        'column "breed" does not exist',
        "column pets.breed does not exist",
        "Could not find the 'breed' column of 'pets' in the schema cache",
    ],
)
def test_an_unknown_column_is_named_however_it_is_worded(message: str) -> None:
    code = "PGRST204" if message.startswith("Could") else "42703"
    assert found(code, message, {"id": 1}, {"breed": "cat"}) == (Kind.UNKNOWN_COLUMN, "breed", "cat", (1,))


def test_a_field_that_a_trigger_misses_is_not_the_payloads_fault() -> None:
    assert found("42703", 'record "new" has no field "breed"', {"breed": "cat"}) == ()
    assert found("42P01", 'relation "audit_log" does not exist', {"id": 1}) == ()


@pytest.mark.parametrize("message", ['relation "pets" does not exist', 'relation "public.pets" does not exist'])
def test_an_unknown_table_is_the_statements_own(message: str) -> None:
    assert found("42P01", message, {"id": 1}, relation=None) == (Kind.UNKNOWN_TABLE, "pets", None, ())


BY_VALUE: list[tuple[str, str, Row, Kind, str]] = [
    ("22P02", 'invalid input syntax for type integer: "1.0"', {"age": "1.0", "state": "1.0"}, Kind.INVALID_VALUE, "age"),
    ("22P02", 'invalid input syntax for type integer: "x"', {"toys": [1, "x"]}, Kind.INVALID_VALUE, "toys"),
    ("22P02", 'invalid input syntax for type integer: "x"', {"toys": "{1,x}"}, Kind.INVALID_VALUE, "toys"),
    ("22P02", 'invalid input value for enum mood: "Happy"', {"mood": "Happy", "name": "Happy"}, Kind.UNKNOWN_LABEL, "mood"),
    ("22P02", 'invalid input syntax for type uuid: ""', {"owner_id": "", "name": ""}, Kind.INVALID_VALUE, "owner_id"),
    ("22P02", 'malformed array literal: "a,b"', {"toys": "a,b", "state": "a,b"}, Kind.INVALID_VALUE, "toys"),
    ("22008", 'date/time field value out of range: "2024-02-30"', {"born": "2024-02-30"}, Kind.INVALID_VALUE, "born"),
    ("22007", 'invalid input syntax for type date: "x"', {"born": "x", "name": "x"}, Kind.INVALID_VALUE, "born"),
    ("22003", 'value "99999999999" is out of range for type integer', {"age": 99999999999}, Kind.OUT_OF_RANGE, "age"),
    ("22001", "value too long for type character varying(5)", {"name": "abcdef", "nick": "abcdef"}, Kind.TOO_LONG, "name"),
    ("22P05", "unsupported Unicode escape sequence", {"meta": {"a": "x\0"}, "name": "x"}, Kind.UNTRANSLATABLE, "meta"),
    ("428C9", 'cannot insert a non-DEFAULT value into column "twice"', {"twice": 1}, Kind.GENERATED, "twice"),
]


@pytest.mark.parametrize(("code", "message", "row", "kind", "column"), BY_VALUE, ids=lambda x: repr(x)[:40])
def test_the_responsible_key_is_found(code: str, message: str, row: Row, kind: Kind, column: str) -> None:
    assert found(code, message, {"id": 1}, row)[:2] == (kind, column)
    assert found(code, message, {"id": 1}, row)[3] == (1,)


def test_a_numeric_overflow_is_found_by_precision_and_value() -> None:
    details = "A field with precision 4, scale 2 must round to an absolute value less than 10^2."
    assert found("22003", "numeric field overflow", {"price": 5}, {"price": 123}, details=details) == (
        Kind.OUT_OF_RANGE,
        "price",
        123,
        (1,),
    )


def test_where_two_keys_could_be_meant_none_is_named() -> None:
    assert found("22P02", 'invalid input syntax for type integer: "x"', {"age": "x", "legs": "x"})[:2] == (Kind.INVALID_VALUE, "")


def test_a_key_that_the_hint_names_is_believed() -> None:
    read = found("22P02", "expected JSON array", {"toys": 5}, hint='See the value of key "toys".')
    assert read == (Kind.INVALID_VALUE, "toys", 5, (0,))


def test_a_missing_value_names_its_rows() -> None:
    message = 'null value in column "mood" of relation "pets" violates not-null constraint'
    assert found("23502", message, {"mood": "happy"}, {"id": 2}, column="mood") == (Kind.MISSING_VALUE, "mood", None, (1,))
    assert found("23502", message, {"id": 2}) == (Kind.MISSING_VALUE, "mood", None, (0,))


def test_a_missing_parent_is_found_by_constraint_or_detail_and_a_child_that_still_refers_is_none() -> None:
    message = 'insert or update on table "pets" violates foreign key constraint "pets_owner_id_fkey"'
    details = 'Key (owner_id)=(u2) is not present in table "owners".'
    rows: tuple[Row, ...] = ({"owner_id": "u1"}, {"owner_id": "u2"})
    expected = (Kind.MISSING_PARENT, "owner_id", "u2", (1,))
    assert found("23503", message, *rows, details=details, constraint="pets_owner_id_fkey") == expected
    assert found("23503", message, *rows, details=details, relation=None) == expected
    assert found("23503", 'update or delete on table "pets" violates foreign key constraint "x" on table "toys"', {"id": 1}) == ()


def test_a_check_names_its_column_its_label_or_nothing() -> None:
    message = 'new row for relation "pets" violates check constraint "…"'
    assert found("23514", message, {"state": "in"}, {"state": "IN"}, constraint="pets_state_check") == (
        Kind.UNKNOWN_LABEL,
        "state",
        "IN",
        (1,),
    )
    assert found("23514", message, {"age": -1}, constraint="pets_age_check") == (Kind.CHECK, "age", -1, (0,))
    assert found("23514", message, {"age": 1, "legs": 1}, constraint="legs_and_age") == (Kind.CHECK, "", None, ())
    domain = "value for domain posint violates check constraint"
    assert found("23514", f'{domain} "posint_check"', {"rank": -1}, constraint="posint_check") == (Kind.CHECK, "rank", -1, (0,))


def test_a_bad_conflict_target_is_told_as_sent() -> None:
    message = "there is no unique or exclusion constraint matching the ON CONFLICT specification"
    assert found("42P10", message, {"id": 1}, on_conflict=("id", "name")) == (Kind.CONFLICT_TARGET, "id,name", None, ())


def test_errors_about_no_part_of_the_payload_have_no_misfit() -> None:
    for code in ("42501", "23505", "P0001", "40001", "57014", "08006", "XX000"):
        assert found(code, "whatever", {"id": 1}) == ()


@pytest.mark.parametrize(
    ("codes", "wanted"),
    [
        ("42703 42P01 PGRST204 PGRST205 42804", Action.REREAD),
        ("22P02 22007 22008 PGRST102 42P10 21000 428C9", Action.HEAL),
        ("22003 22001 22P05 23502 23503 23514 23P01", Action.QUARANTINE),
        ("40001 40P01", Action.RETRY),
        ("57014", Action.AWAY),
        ("PGRST003", Action.AWAY),
        ("55P03", Action.BOUNDED),
        ("57P01 53300 08000 08006 08P01 53100 25006", Action.UNAVAILABLE),
        ("42501 55000 42883 42601 28000 PGRST100", Action.REFUSE),
        ("P0001 PT409 23505 XX000 54001", Action.PASS),
    ],
)
def test_every_code_has_one_action_and_a_reason(codes: str, wanted: Action) -> None:
    for code in codes.split():
        assert action(code) is wanted, code
        assert reason(code)


def test_the_message_tells_two_meanings_of_a_code_apart() -> None:
    assert action("23503", 'update or delete on table "pets" violates …') is Action.PASS
    assert action("0A000", "cached plan must not change result type") is Action.RETRY


def test_a_fix_is_explained_as_an_edit_of_the_callers_code() -> None:
    statement = Statement(Operation.INSERT, "public", "projects")
    assert source_patch(statement, [RenameColumn("name", "title")]) == "in .from('projects').insert: `name` → `title`"
    program = [RenameTable("projects", "works"), MapValue("m", "Happy", "happy"), Fill("u", claim="sub"), KeepName("x")]
    edits = ["in .from('projects').insert: .from('projects') → .from('works')", '`m`: "Happy" → "happy"', "add `u` with the caller's `sub`"]
    assert source_patch(statement, program, {"m"}) == "; ".join(edits)
    cast = source_patch(statement, [Cast("n", "integer")])
    assert cast.startswith("in .from('projects').insert: send `n` as integer (a whole number")
    assert source_patch(statement, [SplitBatch()]) == ""
