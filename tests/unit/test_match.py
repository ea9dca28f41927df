"""The matcher: whole payloads against small tables."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healing.core import fixes
from healing.core.match import propose
from healing.core.match.assign import assign
from healing.core.match.features import FEATURES
from healing.core.match.lexicon import QUALIFIERS
from healing.core.match.model import shipped
from healing.core.match.names import jaro, name_of, same_word
from healing.core.match.suggest import column_for
from healing.core.match.traps import traps
from healing.core.types import Json, Kind, Misfit, Operation, Proposal, Row, Statement
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Column, Constraint, Relation, Scope, Snapshot

USER = "7b7e0f06-0c8e-4f6a-8d2c-111111111111"
POSTS = Relation(
    1,
    "public",
    "posts",
    "r",
    (
        Column(1, "id", "uuid", "uuid", nullable=False, default="gen_random_uuid()"),
        Column(2, "title", "text", "text", nullable=False),
        Column(3, "user_id", "uuid", "uuid", nullable=False),
        Column(4, "body", "text", "text"),
        Column(5, "metadata", "jsonb", "jsonb"),
        Column(6, "status", "text", "text", nullable=False, default="'open'::text"),
        Column(7, "words", "integer", "int4", generated="s"),
    ),
    (Constraint(1, "posts_status_check", "c", (6,), allowed=("open", "closed")),),
)
OTHERS = {2: Relation(2, "public", "training_step_completions", "r", ()), 3: Relation(3, "public", "invoices", "r", ())}
SNAPSHOT = Snapshot(Scope("1", 1), 180000, {1: POSTS, **OTHERS}, {}, {})


def proposals(
    row: Row,
    *misfits: Misfit,
    relation: Relation | None = POSTS,
    table: str = "posts",
    claims: dict[str, Json] | None = None,
    lineage: Lineage | None = None,
    operation: Operation = Operation.INSERT,
) -> tuple[Proposal, ...]:
    """What the matcher proposes for one row."""
    statement = Statement(operation, "public", table, (row,))
    return propose(statement, misfits, relation, SNAPSHOT, claims=claims or {}, lineage=lineage)


def unknown(key: str, value: Json = None) -> Misfit:
    """An unknown column."""
    return Misfit(Kind.UNKNOWN_COLUMN, key, value)


def test_a_key_in_another_spelling_is_renamed_first() -> None:
    best = proposals({"Title": "Hello", "user_id": USER}, unknown("Title"))[0]
    assert best.fix == ({"op": "rename_column", "from": "Title", "to": "title"},)
    assert best.probability > 0.7
    assert best.evidence["for"]


def test_a_required_value_that_an_unknown_key_supplies_is_settled_by_the_rename() -> None:
    found = proposals({"name": "Hello", "user_id": USER}, unknown("name"), Misfit(Kind.MISSING_VALUE, "title"))
    assert found[0].fix == ({"op": "rename_column", "from": "name", "to": "title"},)
    assert not [a for a in found[0].evidence["against"] if "open" in a]


def test_a_column_that_the_payload_has_already_is_never_a_target() -> None:
    found = proposals({"heading": "a", "title": "b", "user_id": USER}, unknown("heading", "a"))
    assert all(op.get("to") != "title" for p in found for op in p.fix)


def test_a_generated_column_is_never_a_target() -> None:
    found = proposals({"title": "b", "user_id": USER, "word_count": 3}, unknown("word_count", 3))
    assert all(op.get("to") != "words" for p in found for op in p.fix)


def test_one_column_is_not_given_to_two_keys() -> None:
    found = proposals({"Title": "a", "TITLE": "b", "user_id": USER}, unknown("Title", "a"), unknown("TITLE", "b"))
    for proposal in found:
        targets = [op["to"] for op in proposal.fix if op["op"] == "rename_column"]
        assert len(targets) == len(set(targets))


def test_what_has_no_column_is_offered_the_catch_all_and_dropping_with_what_is_lost() -> None:
    found = proposals({"title": "a", "user_id": USER, "paypal_id": "x"}, unknown("paypal_id", "x"))
    ops = [p.fix[0]["op"] for p in found]
    assert {"rescue", "drop_key"} <= set(ops)
    assert all(p.probability < 0.5 for p in found)


def test_a_label_is_mapped_to_the_allowed_value_that_means_the_same() -> None:
    best = proposals({"title": "a", "user_id": USER, "status": "Done"}, Misfit(Kind.UNKNOWN_LABEL, "status", "Done"))[0]
    assert best.fix == ({"op": "map_value", "column": "status", "from": "Done", "to": "closed"},)


def test_a_missing_user_comes_from_the_verified_claim_and_is_never_invented() -> None:
    missing = Misfit(Kind.MISSING_VALUE, "user_id")
    best = proposals({"title": "a"}, missing, claims={"sub": USER})[0]
    assert best.fix == ({"op": "fill", "column": "user_id", "claim": "sub"},)
    assert proposals({"title": "a"}, missing) == ()
    assert proposals({"title": "a"}, missing, claims={"sub": "not a uuid"}) == ()


def test_an_explicit_null_may_give_way_to_the_default() -> None:
    best = proposals({"title": "a", "user_id": USER, "status": None}, Misfit(Kind.MISSING_VALUE, "status"))[0]
    assert best.fix == ({"op": "use_default", "column": "status"},)


def test_an_unknown_table_is_found_by_name_and_silence_is_kept_where_none_is_near() -> None:
    misfit = Misfit(Kind.UNKNOWN_TABLE, "training_step_completion")
    best = proposals({"x": 1}, misfit, relation=None, table="training_step_completion")[0]
    assert best.fix == ({"op": "rename_table", "from": "training_step_completion", "to": "training_step_completions"},)
    assert proposals({"x": 1}, Misfit(Kind.UNKNOWN_TABLE, "weather"), relation=None, table="weather") == ()


def test_a_reused_name_gets_both_readings() -> None:
    before = Relation(1, "public", "t", "r", (Column(1, "name", "text", "text"),))
    between = Relation(1, "public", "t", "r", (Column(1, "full_name", "text", "text"),))
    after = Relation(1, "public", "t", "r", (Column(1, "full_name", "text", "text"), Column(2, "name", "integer", "int4")))
    lineage = Lineage.start(Snapshot(SNAPSHOT.scope, 180000, {1: before}, {}, {}))
    lineage = lineage.advance_relation(before, between).advance_relation(between, after)
    found = proposals({"name": "Ada"}, Misfit(Kind.REUSED_NAME, "name", "Ada"), relation=after, table="t", lineage=lineage)
    assert [p.fix[0]["op"] for p in found] == ["rename_column", "keep_name"]
    assert found[0].probability < 0.999


def test_a_key_without_a_column_comes_with_the_column_that_would_take_it() -> None:
    found = proposals({"title": "a", "user_id": USER, "paypal_fee": Decimal("1.20")}, unknown("paypal_fee", Decimal("1.20")))
    dropped = next(p for p in found if p.fix[0]["op"] == "drop_key")
    assert dropped.evidence["add_column"] == [{"name": "paypal_fee", "type": "numeric", "nullable": True}]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "bigint"),
        ([1, Decimal("1.5")], "numeric"),
        ([True, None], "boolean"),
        (["2026-01-02T03:04:05Z", "2026-01-02"], "timestamp with time zone"),
        (["a", USER], "text"),
        ([["a"]], "text[]"),
        ([{"a": 1}, "x"], "jsonb"),
    ],
)
def test_the_type_of_a_new_column_takes_every_value(values: list[Json], kind: str) -> None:
    assert column_for("x", [{"x": value} for value in values])["type"] == kind


def test_a_null_leaves_the_type_to_the_name() -> None:
    assert column_for("paid_at", [{"paid_at": None}])["type"] == "timestamp with time zone"


def test_ids_of_two_tables_are_not_taken_for_each_other_lightly() -> None:
    relation = Relation(
        1, "public", "visits", "r", (Column(1, "id", "uuid", "uuid", default="x"), Column(2, "customer_id", "uuid", "uuid"))
    )
    alone = Snapshot(SNAPSHOT.scope, 180000, {1: relation}, {}, {})
    tables = {2: Relation(2, "public", "suppliers", "r", ()), 3: Relation(3, "public", "customers", "r", ())}
    both = Snapshot(SNAPSHOT.scope, 180000, {1: relation, **tables}, {}, {})
    statement = Statement(Operation.INSERT, "public", "visits", ({"supplier_id": USER},))
    said = [propose(statement, (unknown("supplier_id", USER),), relation, s, claims={}, lineage=None) for s in (alone, both)]
    chances = [sum(p.probability for p in found if p.fix[0]["op"] == "rename_column") for found in said]
    assert chances[1] < chances[0]
    assert any("another for customer" in reason for reason in said[1][0].evidence["against"])


def test_the_shipped_model_was_trained_for_the_features_of_this_program() -> None:
    model = shipped()
    assert model.features == FEATURES
    assert list(model.curve.y) == sorted(model.curve.y)
    assert model.curve.at(-1) >= 0
    assert model.curve.at(2) <= 1


def test_every_op_that_is_proposed_belongs_to_the_fix_language() -> None:
    rows: list[tuple[Row, tuple[Misfit, ...]]] = [
        ({"name": "a", "color": "b", "status": "Done"}, (unknown("name"), unknown("color"), Misfit(Kind.UNKNOWN_LABEL, "status", "Done"))),
        ({"title": "a"}, (Misfit(Kind.MISSING_VALUE, "user_id"),)),
        ({"title": "a", "status": None}, (Misfit(Kind.MISSING_VALUE, "status"),)),
        ({"title": "a", "words": 3}, (Misfit(Kind.GENERATED, "words", 3),)),
        ({"metadata": ""}, (Misfit(Kind.INVALID_VALUE, "metadata", ""),)),
    ]
    for row, misfits in rows:
        for proposal in proposals(row, *misfits, claims={"sub": USER}):
            assert fixes.parse(list(proposal.fix))


@pytest.mark.parametrize("count", [fixes.MOST_OPS, fixes.MOST_OPS + 1, 90])
def test_of_very_many_misfits_nothing_is_proposed_that_is_no_fix(count: int) -> None:
    """A proposal that cannot be read would keep the payload from being kept."""
    words = sorted(QUALIFIERS)[:count]
    columns = tuple(Column(i, f"{word}_weight", "text", "text") for i, word in enumerate(words, 1))
    row: Row = {f"{word}Weight": "a text" for word in words}
    found = proposals(row, *(unknown(key, "a text") for key in row), relation=Relation(1, "public", "posts", "r", columns))
    assert max(len(proposal.fix) for proposal in found) == (count if count <= fixes.MOST_OPS else 1)
    assert all(fixes.parse(list(proposal.fix)) for proposal in found)


@pytest.mark.parametrize(
    ("key", "column"),
    [
        ("weight_g", "weight_kg"),
        ("ip_address", "ip_hash"),
        ("password", "password_encrypted"),
        ("start_date", "end_date"),
        ("title", "role"),
        ("view_count", "view_average"),
        ("sender_id", "recipient_id"),
        ("reporter_id", "reported_user_id"),
        ("employer_id", "employee_id"),
        ("paid", "is_unpaid"),
        ("is_rated", "not_rated"),
        ("address_line_1", "address_line_2"),
    ],
)
def test_traps_are_named(key: str, column: str) -> None:
    assert traps(name_of(key), name_of(column))


@pytest.mark.parametrize(
    ("key", "column"),
    [
        ("reporter_id", "reported_by_id"),
        ("order_id", "ordered_at"),
        ("unit", "unit_name"),
        ("address1", "address_line_1"),
        ("notes", "note"),
    ],
)
def test_two_ways_to_say_the_same_are_no_trap(key: str, column: str) -> None:
    assert not traps(name_of(key), name_of(column))


@pytest.mark.parametrize("name", ["created_at", "title", "view_count", "user_id", "_"])
def test_a_name_is_no_trap_for_itself(name: str) -> None:
    assert not traps(name_of(name), name_of(name))


def test_names_meet_across_spelling_and_abbreviation() -> None:
    assert name_of("createdAt").letters == name_of("created_at").letters
    assert name_of("qty").words == name_of("quantity").words
    assert same_word("completion", "completed") == 1.0
    assert same_word("message", "body") > 0.5


@given(st.text(max_size=20), st.text(max_size=20))
def test_likeness_of_words_is_between_zero_and_one(a: str, b: str) -> None:
    assert 0.0 <= jaro(a, b) <= 1.0
    assert 0.0 <= same_word(a, b) <= 1.0
    name_of(a)


@given(st.dictionaries(st.sampled_from("abcdef"), st.dictionaries(st.sampled_from("uvwxyz"), st.floats(0.01, 0.5), max_size=4), max_size=6))
def test_an_assignment_takes_each_column_once(weights: dict[str, dict[str, float]]) -> None:
    found = assign(weights)
    assert len(set(found.values())) == len(found)
    assert all(column in weights[key] for key, column in found.items())


@given(
    st.dictionaries(
        st.sampled_from(["Name", "text", "user_id", "color", "status", "title", "meta", "ünïcode", "", "1"]),
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.lists(st.integers(), max_size=2)),
    ),
)
def test_every_proposal_for_any_payload_is_well_formed(row: Row) -> None:
    live = {c.name for c in POSTS.columns}
    for proposal in proposals(row, *(unknown(k, v) for k, v in row.items() if k not in live), claims={"sub": USER}):
        assert 0.0 <= proposal.probability <= 1.0
        written = [op.get("to") or op["column"] for op in proposal.fix if op["op"] in ("rename_column", "fill")]
        assert len(written) == len(set(written))
        assert not set(written) & set(row)
        assert proposal.sentence.endswith(".")


def test_a_column_that_lived_beside_a_dropped_one_is_not_it() -> None:
    both = Relation(
        1, "public", "orders", "r", (Column(1, "total_price", "numeric", "numeric"), Column(2, "price_total", "numeric", "numeric"))
    )
    after = Relation(1, "public", "orders", "r", (Column(1, "total_price", "numeric", "numeric"),))
    snapshot = Snapshot(SNAPSHOT.scope, 180000, {1: both}, {}, {})
    lineage = Lineage.start(snapshot).advance_relation(both, after)
    sent: Row = {"price_total": Decimal("1.5")}
    statement = Statement(Operation.INSERT, "public", "orders", (sent,))
    misfits = (unknown("price_total", Decimal("1.5")),)
    now = Snapshot(SNAPSHOT.scope, 180000, {1: after}, {}, {})
    known = [propose(statement, misfits, after, now, claims={}, lineage=each) for each in (None, lineage)]
    chances = [max((p.probability for p in found if p.fix[0]["op"] == "rename_column"), default=0.0) for found in known]
    assert chances[0] > 0.3 > 0.05 > chances[1]


def test_a_table_of_a_restored_database_is_matched_by_what_it_had_before() -> None:
    now = Relation(
        1, "public", "books", "r", tuple(Column(i, n, "text", "text") for i, n in enumerate(("id", "notice", "blurb", "shelf"), 1))
    )
    snapshot = Snapshot(SNAPSHOT.scope, 180000, {1: now}, {}, {})
    statement = Statement(Operation.INSERT, "public", "books", ({"heading": "a", "blurb": "b"},))
    misfits = (unknown("heading", "a"),)
    found = [
        propose(statement, misfits, now, snapshot, claims={}, lineage=None, former=former)
        for former in (None, ("id", "heading", "blurb", "shelf"))
    ]
    chances = [max(p.probability for p in each if p.fix[0].get("to") == "notice") for each in found]
    assert chances[1] > chances[0] + 0.1
