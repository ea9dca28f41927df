"""No value that JSON can carry makes a check of the core fail: a fault of ours must never stop a healthy write."""

from __future__ import annotations

from decimal import Decimal

import pytest

from healing.core import arrays, classify, coerce, fixes, formats, guard, verify
from healing.core.types import Failure, Json, Operation, Statement
from healing.core.values import json_text
from schema_monitor.core.snapshot import Column, Relation


def nested(depth: int) -> Json:
    value: Json = []
    for _ in range(depth):
        value = [value]
    return value


NASTY: list[Json] = [
    *(None, True, "", " ", "abc", [], {}, [None], "\0", "9" * 5000, "{" * 2000, "[" * 2000, "(" * 2000 + "1,", "-" * 3000, "1:" * 2000),
    *(Decimal("NaN"), Decimal("-Infinity"), Decimal("1E+999999"), Decimal("1E-999999"), Decimal("1E+99999999999"), Decimal("-0.0")),
    *(
        10**400,
        10**4290,
        -(2**63),
        Decimal("1." + "0" * 4000 + "1"),
        "1e99999",
        "1e-99999",
        "0x" + "f" * 400,
        "1_" * 2000,
        "9" * 400 + "-01-01",
    ),
    *(
        "99999-99-99",
        "2024-13-45T99:99:99.9+99:99",
        "infinity",
        "P" + "1Y" * 3000,
        "1 day " * 1000,
        nested(400),
        {"a": nested(400)},
        "\\x0",
        "\ud7ff",
    ),
]
BASES = [
    *("int2", "int4", "int8", "numeric", "float4", "float8", "money", "oid", "bool", "uuid", "json", "jsonb", "bytea", "bit", "varbit"),
    *("text", "varchar", "bpchar", "name", "char", "citext", "macaddr", "macaddr8", "inet", "cidr", "tsvector", "point", "box", "vector"),
    *("date", "time", "timetz", "timestamp", "timestamptz", "interval", "int4range", "numrange", "daterange", "tsrange", "tstzrange"),
    "mycomposite",
]


@pytest.mark.parametrize("base", BASES)
def test_no_value_makes_a_check_fail(base: str) -> None:
    length = 3 if base in ("varchar", "bpchar") else None
    scalar = Column(1, "c", base, base, length=length, precision=4 if base == "numeric" else None)
    listed = Column(2, "l", base + "[]", base, array=True, length=length)
    checks = guard.checks(Relation(1, "public", "t", "r", (scalar, listed)))
    for value in NASTY:
        guard.losses({"c": value, "l": value}, checks)
        guard.losses({"l": [value, [value]]}, checks)
        for column in (scalar, listed):
            coerce.rejects(value, column, None)
            coerce.coerce(value, column, None)
            for stored in (value, 1, "x", Decimal("1.5"), [1], "2024-01-02", "00:00:01", "[1,2)", "empty"):
                verify.differs(value, stored, column)


@pytest.mark.parametrize("name", formats.FORMATS)
def test_no_value_makes_a_format_fail(name: str) -> None:
    for value in NASTY:
        found = formats.read(name, value)
        assert isinstance(found, formats.Unfit) or json_text(found)


def test_an_array_literal_too_long_to_look_at_is_told_of_as_not_looked_at() -> None:
    column = Column(1, "a", "numeric(6,2)[]", "numeric", precision=6, scale=2, array=True)
    prepared = guard.checks(Relation(1, "public", "t", "r", (column,)))
    short, long = "{1.23," + "1," * 10 + "1}", "{1.23," + "1," * arrays.LONGEST + "1}"
    assert guard.losses({"a": short}, prepared) == ()
    assert [change.stored for change in guard.losses({"a": long}, prepared)] == [guard.UNKNOWN]


@pytest.mark.parametrize("code", ["22P02", "22007", "22003", "22001", "22P05", "23502", "23503", "23514", "42703", "42P01", "428C9"])
@pytest.mark.parametrize("message", ["", "nonsense", 'invalid input syntax for type integer: "', 'column "', "numeric field overflow"])
def test_no_error_makes_classification_fail(code: str, message: str) -> None:
    relation = Relation(1, "public", "t", "r", (Column(1, "a", "integer", "int4"), Column(2, "b", "text", "text")))
    rows = tuple({"a": value, "b": value} for value in NASTY)
    for known in (relation, None):
        classify.misfit(Failure(code, message, details=message, hint=message), Statement(Operation.INSERT, "public", "t", rows), known)


def test_every_value_can_be_said_in_a_header() -> None:
    for value in NASTY:
        fix = fixes.MapValue("c", value, value)
        assert fixes.brief(fix).isascii()
        assert len(fixes.header([fix])) <= 600
        assert fixes.say(fix)
