"""What a rule would have done, told by the function that heals."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from healing.core import fixes
from healing.core.backtest import Case, Ending, crossed, replayed, try_on
from healing.core.healthy import felt
from healing.core.mend import Context
from healing.core.types import Healing, Operation, Row, Rule, Statement
from healing.core.vet import compile_vet
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Column, Relation, Scope, Snapshot
from schema_monitor.core.traffic import RecentShape

USERS = Relation(
    oid=100, schema="public", name="users", kind="r", fingerprint="f1",
    columns=(
        Column(1, "id", "integer", "int4", nullable=False, identity="d"),
        Column(2, "email_address", "text", "text"),
        Column(3, "details", "jsonb", "jsonb"),
        Column(4, "status", "text", "text", nullable=False, default="'new'::text"),
        Column(5, "owner", "uuid", "uuid", nullable=False),
        Column(6, "age", "integer", "int4"),
    ),
)  # fmt: skip
SNAPSHOT = Snapshot(Scope("1", 1), 180000, {100: USERS}, {}, {})
LINEAGE = Lineage.start(SNAPSHOT)
VET = compile_vet(USERS, SNAPSHOT, LINEAGE)
OWNER = "6f1c1d5e-0000-4000-8000-000000000001"
RENAME = {"op": "rename_column", "from": "email", "to": "email_address"}


def contexts(statement: Statement) -> Context | None:
    """What the gateway would know."""
    return Context(USERS if statement.table == "users" else None, SNAPSHOT, LINEAGE, VET, Healing.APPROVED)


def chance() -> random.Random:
    """The same each time."""
    return random.Random(1)  # noqa: S311 - made-up rows


def rule(signature: str, *ops: dict[str, Any]) -> Rule:
    """A rule that is not yet in force."""
    return Rule("r", "public", "users", "", signature, ops)


def case(row: Row, signature: str = "unknown_column:email", **more: Any) -> Case:
    """A kept insert."""
    return Case("c", Statement(Operation.INSERT, "public", "users", (row,)), signature, **more)


def shape(*keys: str, requests: int = 10, misfits: int = 0, operation: str = "insert") -> RecentShape:
    """Requests of one caller."""
    return RecentShape(
        "public",
        100,
        "users",
        operation,
        keys,
        (),
        "s",
        "anon",
        caller="shop",
        requests=requests,
        misfits=misfits,
        last_at=datetime.now(UTC),
    )


def test_a_kept_write_is_healed_blocked_partly_healed_or_none_of_its_business() -> None:
    put = rule("unknown_column:email", RENAME)
    assert try_on(put, case({"email": "a", "owner": OWNER}), contexts).ending is Ending.HEALED
    both = try_on(put, case({"email": "a", "email_address": "b", "owner": OWNER}), contexts)
    assert both.ending is Ending.BLOCKED
    assert "already in the payload" in both.why
    two = try_on(put, case({"email": "a", "colour": "red", "owner": OWNER}), contexts)
    assert (two.ending, two.why) == (Ending.PARTLY, "still does not fit: unknown_column:colour")
    assert try_on(put, case({"colour": "red"}), contexts).ending is Ending.OTHER
    assert try_on(put, case({"email_address": "a", "owner": OWNER}), contexts).ending is Ending.NOT_NEEDED


def test_what_only_the_database_could_say_is_taken_from_the_case() -> None:
    fill = rule("missing_value:owner", {"op": "fill", "column": "owner", "claim": "sub"})
    kept = case({"age": 3}, "missing_value:owner", claims={"sub": OWNER})
    assert try_on(fill, kept, contexts).ending is Ending.HEALED
    assert try_on(fill, case({"age": 3}, "missing_value:owner"), contexts).why == "the caller lacks the claim that it fills from"
    check = rule("check:age_is_sane", {"op": "drop_key", "column": "age"})
    assert try_on(check, case({"age": -1, "owner": OWNER}, "check:age_is_sane"), contexts).ending is Ending.HEALED
    still = try_on(rule("unknown_column:email", RENAME), case({"email": "a"}, "missing_value:owner + unknown_column:email"), contexts)
    assert still.ending is Ending.PARTLY


def test_cases_are_counted_with_examples_of_each_shape_and_counter_examples() -> None:
    rows: list[Row] = [{"email": str(n), "owner": OWNER} for n in range(50)]
    rows += [{"email": "x", "age": 1, "owner": OWNER}, {"email": "x", "email_address": "y"}]
    found = replayed(rule("unknown_column:email", RENAME), [case(row) for row in rows], contexts)
    assert (found.cases, found.healed, found.endings["blocked"]) == (52, 51, 1)
    assert len(found.examples) == 2
    assert [each.why for each in found.against] == ["`email_address` is already in the payload"]


def test_a_write_that_landed_otherwise_speaks_against_the_rule() -> None:
    put = rule("unknown_column:email", RENAME)
    into = tuple(fixes.parse([{"op": "rescue", "column": "email", "into": "details"}]))
    same = tuple(fixes.parse([RENAME]))
    landed = [case({"email": "a"}, done=into), case({"email": "a"}, done=same), case({"email_address": "a"})]
    found = crossed(put, landed, contexts)
    assert (found.cases, found.agree, found.differ) == (3, 1, 1)
    assert "rescue" in found.against[0].why


def test_a_fill_for_a_column_with_a_default_would_change_healthy_writes_and_says_so() -> None:
    fill = rule("missing_value:status", {"op": "fill", "column": "status", "value": "open"})
    traffic = [shape("owner", requests=900), shape("owner", "status", requests=50), shape("email", misfits=10), shape("age", requests=7)]
    found = felt(fill, traffic, contexts, chance())
    assert (found.requests, found.touched) == (950, 900)  # without owner a write does not fit today
    assert found.where == ("shop: insert with owner",)


def test_a_rename_touches_no_healthy_write() -> None:
    traffic = [
        shape("owner", "email_address"),
        shape("owner", "age", "details"),
        shape("email", "owner", misfits=4),
        shape(operation="select"),
    ]
    found = felt(rule("unknown_column:email", RENAME), traffic, contexts, chance())
    assert (found.requests, found.touched, found.perhaps) == (20, 0, 0)


def test_a_fill_that_null_would_set_off_is_told_apart() -> None:
    fill = rule("missing_value:age", {"op": "fill", "column": "age", "value": 1})
    found = felt(fill, [shape("owner", "age")], contexts, chance())
    assert (found.touched, found.perhaps) == (0, 10)


def test_a_cast_leaves_values_that_fit_alone() -> None:
    cast = rule("invalid_value:age", {"op": "cast", "column": "age", "to": "integer", "format": "round"})
    found = felt(cast, [shape("owner", "age")], contexts, chance())
    assert (found.requests, found.touched, found.perhaps) == (10, 0, 0)


def test_what_it_says_of_a_case_quotes_no_value() -> None:
    into_age = rule("unknown_column:email", {"op": "rename_column", "from": "email", "to": "age"})
    rows = [{"email": f"canary-{n} does not fit `x` in `y` is not", "owner": OWNER} for n in range(3)]
    found = replayed(into_age, [case(row) for row in rows], contexts)
    assert found.reasons == {"a value does not fit `age` (integer)": 3}
    cast = rule("invalid_value:age", {"op": "cast", "column": "age", "to": "integer", "format": "round"})
    tried = try_on(cast, case({"age": "canary", "owner": OWNER}, "invalid_value:age"), contexts)
    assert tried.why == "a value in `age` is not rounded half up to a whole number"
