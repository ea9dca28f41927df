"""The fix language: JSON in and out, judgement, inverse, application."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healing.core import fixes
from healing.core.fixes import (
    Cast,
    DropKey,
    Fill,
    Fix,
    FixError,
    KeepName,
    MapValue,
    RenameColumn,
    RenameTable,
    Rescue,
    SplitBatch,
    Truncate,
    UseDefault,
)
from healing.core.types import Change, Json, Operation, Row, Statement
from schema_monitor.core.snapshot import Column, Constraint, EnumLabel, EnumType, Relation, Scope, Snapshot

USERS = Relation(
    oid=1,
    schema="public",
    name="users",
    kind="r",
    columns=(
        Column(1, "id", "integer", "int4", nullable=False, identity="a"),
        Column(2, "email_address", "text", "text", nullable=False),
        Column(3, "age", "integer", "int4"),
        Column(4, "mood", "mood", "mood", enum=9),
        Column(5, "status", "text", "text", nullable=False, default="'new'::text"),
        Column(6, "meta", "jsonb", "jsonb"),
        Column(7, "code", "character varying(5)", "varchar", length=5),
        Column(8, "twice", "integer", "int4", generated="s"),
        Column(9, "user_id", "uuid", "uuid", nullable=False),
        Column(10, "tags", "text[]", "text", array=True),
    ),
    constraints=(Constraint(1, "users_status_check", "c", (5,), allowed=("new", "old")),),
)
SNAPSHOT = Snapshot(Scope("1", 1), 180004, {1: USERS}, {9: EnumType(9, "public", "mood", (EnumLabel(1, "happy"), EnumLabel(2, "sad")))}, {})

EVERY_OP: list[dict[str, Json]] = [
    {"op": "rename_column", "from": "email", "to": "email_address"},
    {"op": "rename_table", "from": "people", "to": "users"},
    {"op": "cast", "column": "age", "to": "integer", "format": "whole_number"},
    {"op": "cast", "column": "age", "to": "integer"},
    {"op": "map_value", "column": "mood", "from": "Happy", "to": "happy"},
    {"op": "fill", "column": "status", "value": "new"},
    {"op": "fill", "column": "email_address", "from_key": "mail"},
    {"op": "fill", "column": "user_id", "claim": "sub"},
    {"op": "use_default", "column": "status"},
    {"op": "drop_key", "column": "nickname"},
    {"op": "truncate", "column": "code", "n": 5},
    {"op": "rescue", "column": "nickname", "into": "meta"},
    {"op": "split_batch"},
    {"op": "keep_name", "column": "status"},
]


@pytest.mark.parametrize("op", EVERY_OP, ids=lambda op: op["op"])
def test_an_op_is_exactly_its_json(op: dict[str, Json]) -> None:
    assert list(fixes.dump(fixes.parse([op]))) == [op]


@pytest.mark.parametrize("op", EVERY_OP, ids=lambda op: op["op"])
def test_every_op_says_itself_and_type_checks(op: dict[str, Json]) -> None:
    (fix,) = fixes.parse([op])
    assert fixes.say(fix).endswith(".")
    assert fixes.brief(fix).startswith(op["op"] + "(")
    assert fixes.brief(fix).isascii()
    assert fixes.typecheck((fix,), USERS, SNAPSHOT) == []
    assert hash(fix) == hash(fixes.parse([op])[0])


@pytest.mark.parametrize(
    ("ops", "said"),
    [
        ([], "1 to 64 ops"),
        ([{"op": "sql", "text": "drop table users"}], "sql"),
        ([{"op": "rename_column", "from": "a"}], "to"),
        ([{"op": "rename_column", "from": "a", "to": "a"}], "both"),
        ([{"op": "rename_column", "from": "", "to": "a"}], "empty"),
        ([{"op": "rename_column", "from": "a", "to": "b", "sql": "x"}], "sql"),
        ([{"op": "fill", "column": "a"}], "exactly one"),
        ([{"op": "fill", "column": "a", "value": 1, "claim": "sub"}], "exactly one"),
        ([{"op": "fill", "column": "a", "value": None}], "null"),
        ([{"op": "truncate", "column": "a", "n": -1}], "negative"),
        ([{"op": "truncate", "column": "a", "n": "5"}], "int"),
        ([{"op": "cast", "column": "a", "to": "integer", "format": "magic"}], "magic"),
        ([{"op": "cast", "column": "a", "to": "circle"}], "no exact format"),
        (["rename_column"], "object"),
    ],
)
def test_a_wrong_fix_says_what_is_wrong(ops: list[dict[str, Json]], said: str) -> None:
    with pytest.raises(FixError, match=said):
        fixes.parse(ops)


def test_floats_from_a_jsonb_column_become_the_decimals_that_they_print_as() -> None:
    (fix,) = fixes.parse([{"op": "fill", "column": "a", "value": 1.1}])
    assert fix == Fill("a", value=Decimal("1.1"))


@pytest.mark.parametrize(
    ("ops", "row", "after"),
    [
        ((RenameColumn("email", "email_address"),), {"email": "a", "age": 1}, {"email_address": "a", "age": 1}),
        ((RenameColumn("email", "email_address"),), {"age": 1}, {"age": 1}),
        ((RenameColumn("a", "b"), RenameColumn("b", "a")), {"a": 1, "b": 2}, {"b": 1, "a": 2}),
        ((Cast("age", "integer"),), {"age": "1.0"}, {"age": 1}),
        ((Cast("age", "integer"),), {"age": "x"}, {"age": "x"}),
        ((Cast("age", "integer", "empty_to_null"),), {"age": ""}, {"age": None}),
        ((Cast("at", "timestamptz", "epoch_seconds"),), {"at": 1704153600}, {"at": "2024-01-02T00:00:00Z"}),
        ((Cast("at", "timestamptz", "epoch_milliseconds"),), {"at": "1704153600123"}, {"at": "2024-01-02T00:00:00.123000Z"}),
        ((Cast("at", "date", "day_first"),), {"at": "31/12/2024"}, {"at": "2024-12-31"}),
        ((Cast("tags", "text[]", "comma_list"),), {"tags": "a, b"}, {"tags": ["a", "b"]}),
        ((Cast("tags", "text[]", "list_of_one"),), {"tags": "a"}, {"tags": ["a"]}),
        ((Cast("n", "integer", "grouped_number"),), {"n": "1,000"}, {"n": 1000}),
        ((Cast("meta", "jsonb", "json_text"),), {"meta": '{"a":1.10}'}, {"meta": {"a": Decimal("1.10")}}),
        ((Cast("meta", "jsonb", "json_text"),), {"meta": '{"a":1,"a":2}'}, {"meta": '{"a":1,"a":2}'}),
        ((MapValue("mood", "Happy", "happy"),), {"mood": "Happy"}, {"mood": "happy"}),
        ((MapValue("n", 1, 2),), {"n": True}, {"n": True}),
        ((Fill("status", value="new"),), {}, {"status": "new"}),
        ((Fill("status", value="new"),), {"status": None}, {"status": "new"}),
        ((Fill("status", value="new"),), {"status": "old"}, {"status": "old"}),
        ((Fill("user_id", claim="sub"),), {}, {"user_id": "u1"}),
        ((Fill("email_address", from_key="mail"), DropKey("mail")), {"mail": "m"}, {"email_address": "m"}),
        ((UseDefault("status"),), {"status": None, "age": 1}, {"age": 1}),
        ((UseDefault("status"),), {"status": "old"}, {"status": "old"}),
        ((DropKey("x"),), {"x": 1, "age": 2}, {"age": 2}),
        ((Truncate("code", 5),), {"code": "1234567"}, {"code": "12345"}),
        ((Rescue("x", "meta"),), {"x": 1}, {"meta": {"x": 1}}),
        ((Rescue("x", "meta"), Rescue("y", "meta")), {"x": 1, "meta": {"a": 0}, "y": 2}, {"meta": {"a": 0, "x": 1, "y": 2}}),
        ((SplitBatch(), KeepName("age"), RenameTable("a", "b")), {"age": 1}, {"age": 1}),
    ],
)
def test_fixes_apply_in_order(ops: tuple[Fix, ...], row: Row, after: Row) -> None:
    before = msgspec.json.encode(row)
    assert fixes.apply(ops, row, {"sub": "u1"}) == after
    assert msgspec.json.encode(row) == before


def test_a_rename_keeps_the_order_of_keys() -> None:
    assert list(fixes.apply((RenameColumn("b", "x"),), {"a": 1, "b": 2, "c": 3}, {})) == ["a", "x", "c"]


@pytest.mark.parametrize(
    ("ops", "row"),
    [
        ((RenameColumn("email", "email_address"),), {"email": 1, "email_address": 2}),
        ((RenameColumn("a", "x"), RenameColumn("b", "x")), {"a": 1, "b": 2}),
        ((Fill("user_id", claim="org"),), {}),
        ((Rescue("x", "meta"),), {"x": 1, "meta": {"x": 0}}),
        ((Rescue("x", "meta"),), {"x": 1, "meta": [1]}),
    ],
)
def test_no_value_is_ever_overwritten_or_made_up(ops: tuple[Fix, ...], row: Row) -> None:
    with pytest.raises(FixError):
        fixes.apply(ops, row, {"sub": "u1"})


@pytest.mark.parametrize(
    ("fix", "row", "operation", "why"),
    [
        (RenameColumn("email", "email_address"), {"email": "a"}, None, None),
        (RenameColumn("email", "email_address"), {"email": "a", "email_address": "b"}, None, "already in the payload"),
        (RenameColumn("email", "nope"), {"email": "a"}, None, "no column"),
        (RenameColumn("email", "nope"), {}, None, None),
        (RenameColumn("years", "age"), {"years": "many"}, None, "does not fit"),
        (RenameColumn("x", "twice"), {"x": 1}, None, "generated"),
        (RenameColumn("x", "id"), {"x": 1}, None, "identity"),
        (RenameColumn("x", "user_id"), {"x": None}, None, "no null"),
        (RenameColumn("x", "status"), {"x": "odd"}, None, "does not fit"),
        (RenameTable("people", "users"), {}, None, None),
        (RenameTable("users", "people"), {}, None, "not the table"),
        (Cast("age", "integer"), {"age": "1.0"}, None, None),
        (Cast("age", "integer"), {"age": "1.5"}, None, "is not"),
        (MapValue("status", "New", "new"), {"status": "New"}, None, None),
        (MapValue("status", "New", "odd"), {"status": "New"}, None, "does not fit"),
        (Fill("status", value="new"), {}, Operation.INSERT, None),
        (Fill("status", value="new"), {}, Operation.UPDATE, "must not set"),
        (Fill("status", from_key="state"), {}, None, "not in the payload"),
        (Fill("user_id", claim="sub"), {}, None, None),
        (UseDefault("status"), {"status": None}, Operation.INSERT, None),
        (UseDefault("status"), {"status": None}, Operation.UPDATE, "keeps the old value"),
        (UseDefault("email_address"), {"email_address": None}, None, "no default"),
        (Truncate("code", 5), {"code": "1234567"}, None, None),
        (Truncate("code", 6), {"code": "1234567"}, None, "does not fit"),
        (Rescue("x", "meta"), {"x": 1}, Operation.INSERT, None),
        (Rescue("x", "meta"), {"x": 1}, Operation.UPDATE, "overwrite"),
        (Rescue("x", "meta"), {"x": 1, "meta": {"x": 2}}, None, "already has"),
        (Rescue("x", "age"), {"x": 1}, None, "no jsonb"),
        (DropKey("x"), {"x": 1}, None, None),
        (KeepName("nope"), {}, None, "no column"),
    ],
)
def test_a_fix_knows_its_preconditions(fix: Fix, row: Row, operation: Operation | None, why: str | None) -> None:
    said = fixes.blocks(fix, row, USERS, operation)
    assert said is None if why is None else said is not None and why in said


def test_two_columns_may_swap_their_names_but_not_meet_in_one() -> None:
    swap = (RenameColumn("status", "email_address"), RenameColumn("email_address", "status"))
    assert fixes.blocked(swap, {"status": "a@b", "email_address": "new"}, USERS) is None
    assert fixes.blocked((RenameColumn("a", "age"), RenameColumn("b", "age")), {"a": 1, "b": 2}, USERS) is not None
    assert fixes.blocked((Fill("age", from_key="x"), DropKey("x")), {"x": 1}, USERS) is None


@pytest.mark.parametrize(
    ("fix", "why"),
    [
        (RenameColumn("email", "nope"), "no column"),
        (RenameColumn("email", "twice"), "generated"),
        (Fill("id", value=1), "identity"),
        (MapValue("mood", "Happy", "glad"), "does not fit"),
        (Fill("status", value="odd"), "does not fit"),
        (Fill("age", value="many"), "does not fit"),
        (Cast("age", "uuid"), "integer, not uuid"),
        (Truncate("age", 3), "no characters"),
        (Truncate("code", 9), "takes 5"),
        (Rescue("x", "age"), "no jsonb"),
        (UseDefault("email_address"), "no default"),
        (RenameTable("users", "people"), "no table"),
        (KeepName("nope"), "no column"),
    ],
)
def test_a_fix_that_makes_no_sense_for_the_live_schema_is_told(fix: Fix, why: str) -> None:
    assert any(why in said for said in fixes.typecheck((fix,), USERS, SNAPSHOT))


@pytest.mark.parametrize("name", ["integer", "int4", "INT", "int"])
def test_a_type_may_be_written_as_people_do(name: str) -> None:
    assert fixes.typecheck((Cast("age", name),), USERS, SNAPSHOT) == []


def test_exact_means_that_nothing_is_lost_or_made_up() -> None:
    exact = [RenameColumn("a", "b"), Cast("a", "integer"), MapValue("a", "Happy", "happy"), Rescue("a", "b"), SplitBatch()]
    lossy = [
        MapValue("a", "glad", "happy"),
        Cast("a", "integer", "round"),
        Fill("a", value=1),
        DropKey("a"),
        Truncate("a", 1),
        UseDefault("a"),
    ]
    assert all(map(fixes.is_exact, exact))
    assert not any(map(fixes.is_exact, lossy))


texts = st.text(min_size=1, max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.decimals(allow_nan=False, allow_infinity=False, places=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from("abcde")
rows = st.dictionaries(names, json_values, max_size=4)
any_fix: st.SearchStrategy[Fix] = st.one_of(
    st.tuples(names, names).filter(lambda p: p[0] != p[1]).map(lambda p: RenameColumn(*p)),
    st.builds(Cast, names, st.just("integer"), st.sampled_from(["whole_number", "empty_to_null", "round", "trim", "list_of_one"])),
    st.builds(MapValue, names, json_values, json_values),
    st.builds(Fill, names, value=json_values.filter(lambda v: v is not None)),
    st.tuples(names, names).map(lambda p: Fill(p[0], from_key=p[1])),
    st.builds(UseDefault, names),
    st.builds(DropKey, names),
    st.builds(Truncate, names, st.integers(0, 3)),
    st.tuples(names, names).filter(lambda p: p[0] != p[1]).map(lambda p: Rescue(*p)),
    st.just(SplitBatch()),
)


@given(any_fix, rows)
def test_the_inverse_gives_the_row_back(fix: Fix, row: Row) -> None:
    try:
        after = fixes.apply((fix,), row, {})
    except FixError:
        return
    back = fixes.inverse(fix, row)
    if back is not None:
        assert fixes.apply((back,), after, {}) == row


@given(st.lists(any_fix, min_size=1, max_size=5))
def test_fixes_survive_json_and_hash_to_one_text(program: list[Fix]) -> None:
    assert fixes.parse(fixes.dump(program)) == tuple(program)
    assert fixes.content_hash_text(program) == fixes.content_hash_text(fixes.parse(fixes.dump(program)))


@given(any_fix.filter(lambda f: not isinstance(f, RenameColumn | MapValue | Rescue | Cast)), rows)
def test_applying_twice_is_applying_once(fix: Fix, row: Row) -> None:
    once = fixes.apply((fix,), row, {})
    assert fixes.apply((fix,), once, {}) == once


def test_the_header_is_ascii_bounded_and_cannot_be_split() -> None:
    assert fixes.header((RenameColumn("email", "email_address"),)) == "rename_column(email->email_address)"
    assert fixes.header((RenameColumn("naïve\r\nX: y", "b, c(d)"),)) == "rename_column(na%C3%AFve%0D%0AX: y->b%2C c%28d%29)"
    many = fixes.header(tuple(RenameColumn(f"a{i}", f"b{i}") for i in range(200)))
    assert len(many) <= 600
    assert many.endswith(" more")


def test_changes_are_said_in_a_header_too() -> None:
    assert fixes.changes_header((Change("price", "1.239", "1.24"),)) == "price(1.239->1.24)"


def test_a_statement_is_mended_with_its_columns_and_conflict_target() -> None:
    statement = Statement(Operation.UPSERT, "public", "people", ({"email": "a", "x": 1},), columns=("email", "x"), on_conflict=("email",))
    program = (RenameTable("people", "users"), RenameColumn("email", "email_address"), Rescue("x", "meta"))
    assert fixes.mend(statement, program, {}) == Statement(
        Operation.UPSERT,
        "public",
        "users",
        ({"email_address": "a", "meta": {"x": 1}},),
        columns=("email_address", "meta"),
        on_conflict=("email_address",),
    )


def test_every_op_is_told_by_a_receipt_and_read_again() -> None:
    """What a receipt says beside an op (whoever adds it) never keeps the op from being read."""
    ops = fixes.parse(
        [
            {"op": "rename_column", "from": "a", "to": "b"}, {"op": "rename_table", "from": "a", "to": "b"},
            {"op": "cast", "column": "a", "to": "integer", "format": "round"}, {"op": "map_value", "column": "a", "from": 1, "to": 2},
            {"op": "fill", "column": "a", "value": 3}, {"op": "fill", "column": "a", "from_key": "b"},
            {"op": "fill", "column": "a", "claim": "sub"}, {"op": "use_default", "column": "a"}, {"op": "drop_key", "column": "a"},
            {"op": "truncate", "column": "a", "n": 2}, {"op": "rescue", "column": "a", "into": "b"}, {"op": "split_batch"},
            {"op": "keep_name", "column": "a"},
        ]
    )  # fmt: skip
    told = [{**op, "source": "ai", "rule": None, "rows": [0], "assist": {}, "certified": {}, "whatever": 1} for op in fixes.dump(ops)]
    assert fixes.parse([fixes.bare(each) for each in told]) == ops
