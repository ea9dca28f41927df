"""What came back is what was meant, whatever its spelling."""

from __future__ import annotations

from decimal import Decimal

import pytest

from healing.core.types import Json
from healing.core.verify import compare, differs
from schema_monitor.core.snapshot import Column, Relation


def column(base: str, **rest: Json) -> Column:
    return Column(1, "c", base, base, **rest)


SAME: list[tuple[Column, Json, Json]] = [
    (column("int4"), "42", 42),
    (column("int4"), "0x2A", 42),
    (column("numeric"), Decimal("1.1"), Decimal("1.10")),
    (column("numeric"), "1e3", 1000),
    (column("numeric"), "NaN", "NaN"),
    (column("float8"), Decimal("0.1"), Decimal("0.1")),
    (column("float8"), "inf", "Infinity"),
    (column("float4"), Decimal("-0.006929283495992422"), Decimal("-0.0069292835")),
    (column("bool"), "Y", True),
    (column("bool"), 0, False),
    (column("text"), "a", "a"),
    (column("text"), Decimal("1.50"), "1.50"),
    (column("text"), True, "true"),
    (column("bpchar", length=3), "a", "a  "),
    (column("uuid"), "{550E8400-E29B-41D4-A716-446655440000}", "550e8400-e29b-41d4-a716-446655440000"),
    (column("jsonb"), {"b": 1, "a": [Decimal("1.0"), None]}, {"a": [1, None], "b": 1}),
    (column("date"), "20240102", "2024-01-02"),
    (column("date"), "Jan 2, 2024", "2024-01-02"),
    (column("timestamp"), "2024-01-02T10:00:00Z", "2024-01-02T10:00:00"),
    (column("timestamptz"), "2024-01-02T15:00:00+05:00", "2024-01-02T10:00:00+00:00"),
    (column("timestamptz"), "2024-01-02T10:00:00", "2024-01-02T10:00:00+01:00"),
    (column("timestamptz"), "2024-01-02T24:00:00Z", "2024-01-03T00:00:00+00:00"),
    (column("timestamptz"), "infinity", "infinity"),
    (column("timestamptz"), "epoch", "1970-01-01T00:00:00+00:00"),
    (column("time"), "10:00", "10:00:00"),
    (column("timetz"), "10:00+05", "10:00:00+05"),
    (column("interval"), "P1Y14M", "2 years 2 mons"),
    (column("interval"), 90, "00:01:30"),
    (column("interval"), "@ 1 minute ago", "-00:01:00"),
    (column("interval"), "1 day -2:03:04.5", "1 day -02:03:04.5"),
    (column("bytea"), "abc", "\\x616263"),
    (column("bytea"), "\\xAB", "\\xab"),
    (column("inet"), "::ffff:102:304", "::ffff:1.2.3.4"),
    (column("cidr"), "10.0.0.1", "10.0.0.1/32"),
    (column("macaddr"), "08002b:010203", "08:00:2b:01:02:03"),
    (column("bit"), "B101", "101"),
    (column("bit"), "x1F", "00011111"),
    (column("money"), Decimal("-1.5"), "-$1.50"),
    (column("int4range"), "[1,5]", "[1,6)"),
    (column("int4range"), "(1,2)", "empty"),
    (column("daterange"), "[2024-01-01,2024-01-31]", "[2024-01-01,2024-02-01)"),
    (column("tstzrange"), "[2024-01-01T05:00:00+05:00,)", '["2024-01-01 00:00:00+00",)'),
    (column("box"), "(1,2),(3,4)", "(3,4),(1,2)"),
    (column("vector"), [Decimal("0.1"), 2], "[0.1,2]"),
    (column("mood", enum=1), "happy", "happy"),
    (column("int4", array=True), "{1,NULL}", [1, None]),
    (column("text", array=True), '{a,"b c","NULL"}', ["a", "b c", "NULL"]),
    (column("int4", array=True), [[1, "2"], [3, 4]], [[1, 2], [3, 4]]),
    (column("point3d"), {"x": 1}, {"x": 1, "y": None}),
    (column("tsvector"), "'a' 'b'", "'a' 'b'"),
    (column("int4"), None, None),
]


@pytest.mark.parametrize(("col", "meant", "stored"), SAME, ids=lambda x: repr(x)[:30])
def test_another_spelling_is_the_same_value(col: Column, meant: Json, stored: Json) -> None:
    assert not differs(meant, stored, col)


DIFFERENT: list[tuple[Column, Json, Json]] = [
    (column("int4"), 42, 43),
    (column("int4"), 0, None),
    (column("int4"), None, 0),
    (column("numeric"), Decimal("1.239"), Decimal("1.24")),
    (column("float4"), 16777217, Decimal("1.6777216e+07")),
    (column("float8"), Decimal("0.1234567891234567891"), Decimal("0.12345678912345678")),
    (column("bool"), "n", True),
    (column("text"), "abc  ", "abc"),
    (column("text"), {"a": 1}, '{"a":1}'),
    (column("jsonb"), 1, True),
    (column("jsonb"), {"a": 1}, {"a": 1, "b": 2}),
    (column("jsonb"), '{"a":1}', {"a": 1}),
    (column("date"), "2024-01-02T10:00:00Z", "2024-01-02"),
    (column("date"), "now", "2024-01-02"),
    (column("timestamp"), "2024-01-02T10:00:00+05:00", "2024-01-02T10:00:00"),
    (column("timestamp"), "2024-01-02T10:00:00.1234567", "2024-01-02T10:00:00.123457"),
    (column("timestamptz"), "2024-01-02T10:00:00+05:00", "2024-01-02T10:00:00+00:00"),
    (column("time"), "10:00:00+05", "10:00:00"),
    (column("interval"), "1.5 months", "1 mon 15 days"),
    (column("bytea"), {"a": 1}, "\\x7b2261223a317d"),
    (column("macaddr8"), "08:00:2b:01:02:03", "08:00:2b:ff:fe:01:02:03"),
    (column("int4range"), "[1,5]", "[1,5)"),
    (column("int4", array=True), [1, 2], [1]),
    (column("text", array=True), ["a", None], ["a", "NULL"]),
    (column("text", array=True), "{a,NULL}", ["a", "NULL"]),
    (column("point3d"), {"x": 1, "z": 2}, {"x": 1, "y": None}),
]


@pytest.mark.parametrize(("col", "meant", "stored"), DIFFERENT, ids=lambda x: repr(x)[:30])
def test_another_value_is_told(col: Column, meant: Json, stored: Json) -> None:
    assert differs(meant, stored, col)


def test_a_row_is_compared_key_by_key_and_a_touched_column_must_come_back() -> None:
    relation = Relation(
        1, "public", "t", "r", (Column(1, "a", "integer", "int4"), Column(2, "b", "text", "text"), Column(3, "c", "text", "text"))
    )
    found = compare({"a": "1", "b": "x", "c": "y", "gone": 1}, {"a": 1, "b": "z"}, relation, frozenset({"a", "c"}))
    assert [(c.column, c.sent, c.stored) for c in found] == [("b", "x", "z"), ("c", "y", "")]
    assert compare({"c": "y"}, {}, relation, frozenset()) == ()
