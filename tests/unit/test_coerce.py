"""Lossless coercion, and what Postgres would surely refuse."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healing.core import fixes
from healing.core.coerce import coerce, misfits, refusals, rejects
from healing.core.types import Json, Kind
from schema_monitor.core.snapshot import Column, Relation

MOOD = ("happy", "sad", "Ok", "OK")


def column(base: str, type_name: str = "", **rest: Json) -> Column:
    return Column(1, "c", type_name or base, base, **rest)


LOSSLESS: list[tuple[Column, Json, Json, str]] = [
    (column("int4"), Decimal("1.0"), 1, "whole_number"),
    (column("int4"), "1.0", 1, "whole_number"),
    (column("int8"), Decimal("1E+3"), 1000, "whole_number"),
    (column("int4"), " -2e2 ", -200, "whole_number"),
    (column("int4", array=True), [1, Decimal("2.0"), None], [1, 2, None], "whole_number"),
    (column("int4", array=True), "[1,2]", [1, 2], "json_text"),
    (column("text", array=True), '["a", "b"]', ["a", "b"], "json_text"),
    (column("bool"), Decimal("0.0"), False, "boolean_number"),
    (column("uuid"), "urn:uuid:550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000", "uuid"),
    (column("timestamptz"), "2024-01-02T10:00:00,5Z", "2024-01-02T10:00:00.5Z", "iso"),
    (column("timestamptz"), "2024-01-02T10:00:00-05:00[America/New_York]", "2024-01-02T10:00:00-05:00", "iso"),
    (column("timestamptz"), "2024-01-02T10:00:00\u221205:00", "2024-01-02T10:00:00-05:00", "iso"),
    (column("timestamp"), "2024-01-02T10", "2024-01-02T10:00:00", "iso"),
    (column("mood", enum=1), "Happy", "happy", "label"),
    (column("mood", enum=1), "SAD", "sad", "label"),
    (column("mood", enum=1, array=True), ["Happy", "sad"], ["happy", "sad"], "label"),
    (column("text"), "Happy", "happy", "label"),
]


@pytest.mark.parametrize(("col", "value", "wanted", "name"), LOSSLESS, ids=lambda x: repr(x)[:30])
def test_a_value_with_one_meaning_is_spelled_as_postgres_takes_it(col: Column, value: Json, wanted: Json, name: str) -> None:
    labels = MOOD if name == "label" else None
    found = coerce(value, col, labels)
    assert found is not None
    assert (found.value, type(found.value), found.format) == (wanted, type(wanted), name)
    assert fixes.apply((found.fix,), {"c": value}, {}) == {"c": wanted}
    assert fixes.is_exact(found.fix) or isinstance(value, list)
    assert coerce(found.value, col, labels) is None


NEVER: list[tuple[Column, Json]] = [
    (column("int4"), Decimal("1.5")),
    (column("int4"), "1.5"),
    (column("int4"), "1,000"),
    (column("int4"), ""),
    (column("int4"), "42"),
    (column("int4"), True),
    (column("int4"), "99999999999.0"),
    (column("int4"), "1e999999999"),
    (column("int4", array=True), "1,2"),
    (column("int4", array=True), 5),
    (column("text", array=True), "a,b"),
    (column("bool"), "enabled"),
    (column("bool"), 2),
    (column("uuid"), ""),
    (column("jsonb"), '{"a":1}'),
    (column("date"), "01/02/2024"),
    (column("date"), ""),
    (column("timestamptz"), 1704153600),
    (column("timestamptz"), "2024-02-30T10:00:00Z"),
    (column("timestamptz"), "2024-01-02T10:00:00[Europe/Paris]"),
    (column("mood", enum=1), "glad"),
    (column("mood", enum=1), "ok"),
    (column("mood", enum=1), " happy"),
    (column("int4", generated="s"), "1.0"),
    (column("int4", nullable=False), None),
    (column("varchar", "character varying(2)", length=2), "abc"),
]


@pytest.mark.parametrize(("col", "value"), NEVER, ids=lambda x: repr(x)[:30])
def test_what_is_lossy_or_ambiguous_or_fits_already_is_left_alone(col: Column, value: Json) -> None:
    assert coerce(value, col, MOOD if col.enum else None) is None


REFUSED: list[tuple[Column, Json, Kind | None]] = [
    (column("int2"), 32768, Kind.OUT_OF_RANGE),
    (column("int2"), -32768, None),
    (column("int4"), "2147483648", Kind.OUT_OF_RANGE),
    (column("int4"), "0x7fffffff", None),
    (column("int4"), "1_000", None),
    (column("int4"), Decimal("1.0"), Kind.INVALID_VALUE),
    (column("int4"), Decimal("3000000000.0"), Kind.OUT_OF_RANGE),
    (column("int4"), [1], Kind.INVALID_VALUE),
    (column("numeric", precision=4, scale=2), Decimal("123.4"), Kind.OUT_OF_RANGE),
    (column("numeric", precision=4, scale=2), Decimal("99.99"), None),
    (column("numeric", precision=4, scale=2), "Infinity", Kind.OUT_OF_RANGE),
    (column("numeric"), "abc", Kind.INVALID_VALUE),
    (column("numeric"), "1_0.5e3", None),
    (column("float8"), "nan", None),
    (column("float8"), "1_000", Kind.INVALID_VALUE),
    (column("bool"), " TR ", None),
    (column("bool"), "o", Kind.INVALID_VALUE),
    (column("varchar", length=3), "abcd", Kind.TOO_LONG),
    (column("varchar", length=3), "abc  ", None),
    (column("text"), "a\0b", Kind.UNTRANSLATABLE),
    (column("uuid"), "{550E8400-E29B-41D4-A716-446655440000}", None),
    (column("uuid"), "550e8400e29b41d4a716446655440000", None),
    (column("uuid"), "{550e8400e29b41d4a716446655440000", Kind.INVALID_VALUE),
    (column("date"), "soon", Kind.INVALID_VALUE),
    (column("date"), "today", None),
    (column("timestamptz"), 1704153600, Kind.INVALID_VALUE),
    (column("timestamptz"), 1704153600000, Kind.INVALID_VALUE),
    (column("date"), 20240102, None),
    (column("mood", enum=1), "glad", Kind.UNKNOWN_LABEL),
    (column("mood", enum=1), "sad", None),
    (column("int4", nullable=False), None, Kind.MISSING_VALUE),
    (column("int4"), None, None),
    (column("int4", generated="s"), None, Kind.GENERATED),
    (column("int4", identity="a"), 1, Kind.GENERATED),
    (column("int4", identity="d"), 1, None),
    (column("int4", array=True), "{1,x}", Kind.INVALID_VALUE),
    (column("int4", array=True), "{1,NULL}", None),
    (column("int4", array=True), [[1], [None]], None),
    (column("circle"), "anything", None),
]


@pytest.mark.parametrize(("col", "value", "kind"), REFUSED, ids=lambda x: repr(x)[:30])
def test_what_postgres_would_surely_refuse_is_told_before(col: Column, value: Json, kind: Kind | None) -> None:
    found = rejects(value, col, MOOD if col.enum else None)
    assert (found.kind if found else None) == kind


def test_before_triggers_may_still_fill_a_null_and_change_a_label() -> None:
    columns = (Column(1, "a", "integer", "int4", nullable=False), Column(2, "b", "text", "text"))
    labels = {"b": ("x",)}
    row = {"a": None, "b": "y", "unknown": 1}
    plain = Relation(1, "public", "t", "r", columns)
    assert [m.kind for m in misfits(row, refusals(plain, labels))] == [Kind.MISSING_VALUE, Kind.UNKNOWN_LABEL]
    assert misfits(row, refusals(Relation(1, "public", "t", "r", columns, has_before_triggers=True), labels)) == ()


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 3))
def test_every_whole_number_survives_its_detour_through_a_fraction(number: int, zeros: int) -> None:
    found = coerce(f"{number}.{'0' * zeros}", column("int4"), None)
    assert found is not None
    assert found.value == number
