"""The guard's own logic; what Postgres really stores is checked in tests/integration/test_guard_losses.py."""

from __future__ import annotations

from decimal import Decimal

import pytest

from healing.core import guard
from schema_monitor.core.snapshot import Column, Relation


def table(*columns: Column) -> Relation:
    return Relation(1, "public", "t", "r", columns)


PRICE = Column(1, "price", "numeric(6,2)", "numeric", precision=6, scale=2)


def test_a_change_says_the_column_what_was_sent_what_is_stored_and_why() -> None:
    (change,) = guard.losses({"price": Decimal("1.239"), "other": 1}, guard.checks(table(PRICE)))
    assert (change.column, change.sent, change.stored) == ("price", "1.239", "1.24")
    assert change.why == "rounded to 2 digits after the point"


def test_columns_that_lose_nothing_cost_nothing() -> None:
    bases = ["int2", "int4", "int8", "numeric", "bool", "uuid", "json", "jsonb", "inet", "int4range"]
    columns = [Column(i, f"c{i}", base, base) for i, base in enumerate(bases)]
    assert guard.checks(table(*columns, Column(99, "mood", "mood", "mood", enum=7))) == {}


def test_an_object_in_a_composite_column_may_lose_keys() -> None:
    (change,) = guard.losses({"c": {"x": 1}}, guard.checks(table(Column(1, "c", "address", "address"))))
    assert change.stored == guard.UNKNOWN


@pytest.mark.parametrize("fields", ["interval year to month", "interval minute", "interval day to hour"])
def test_an_interval_of_fewer_fields_drops_the_others(fields: str) -> None:
    checks = guard.checks(table(Column(1, "c", fields, "interval"), Column(2, "d", "interval day to second", "interval")))
    assert [c.column for c in guard.losses({"c": "1 day 02:03:04", "d": "1 day 02:03:04"}, checks)] == ["c"]
