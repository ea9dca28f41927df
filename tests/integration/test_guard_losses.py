"""The guard against a real Postgres: whatever json_to_recordset stores differently, the guard has said so before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from healing.core import coerce, guard, verify
from healing.core.refusals import rejects
from healing.core.types import Json
from healing.core.values import json_text
from resilience_site.embedded import EmbeddedPostgres
from schema_monitor import catalog
from schema_monitor.core.snapshot import Column

TYPES = [
    *("int2", "int4", "int8", "numeric", "numeric(6,2)", "numeric(3,-2)", "numeric(4,4)", "real", "float8", "money", "bool", "oid"),
    *("text", "varchar(3)", "varchar", "char(3)", "bpchar", "name", '"char"', "uuid", "json", "jsonb", "bytea", "bit(5)", "varbit(3)"),
    *("date", "time", "time(2)", "timetz", "timestamp", "timestamp(0)", "timestamptz", "timestamptz(3)", "interval", "interval(2)"),
    *("inet", "cidr", "macaddr", "int4range", "numrange", "daterange", "tsrange", "tstzrange", "point", "box"),
    *("int4[]", "text[]", "numeric(6,2)[]", "real[]", "varchar(2)[]", "date[]", "timestamptz[]", "bool[]", "uuid[]", "jsonb[]"),
]

decoder = msgspec.json.Decoder(float_hook=Decimal)


class Table:
    """A table with a column of each type, and how a value comes back from it."""

    def __init__(self, connection: psycopg.Connection) -> None:
        columns = ", ".join(f"c{i} {name}" for i, name in enumerate(TYPES))
        connection.execute(f"CREATE TABLE everything ({columns})")
        snapshot = catalog.read_snapshot_sync(connection, ["public"])
        relation = next(r for r in snapshot.relations.values() if r.name == "everything")
        self.connection, self.relation = connection, relation
        self.checks = guard.checks(relation)

    def stored(self, column: Column, value: Json) -> tuple[bool, Json]:
        """Whether Postgres takes the value, and what it keeps of it."""
        body = f'[{{"{column.name}":{json_text(value)}}}]'
        written = (
            f'WITH put AS (INSERT INTO everything("{column.name}") SELECT "{column.name}" '
            f'FROM json_to_recordset(%s::json) AS _("{column.name}" {column.type}) RETURNING "{column.name}" AS v) '
            "SELECT json_agg(put)::text FROM put"
        )
        try:
            with self.connection.transaction(force_rollback=True):
                row = self.connection.execute(written, (body,)).fetchone()
        except psycopg.errors.DataError:
            return False, None
        assert row is not None
        return True, decoder.decode(row[0])[0]["v"]

    def announced(self, column: Column, value: Json) -> bool:
        return bool(guard.losses({column.name: value}, self.checks))


@pytest.fixture(scope="module")
def table(make_target: Callable[[], str], postgres: EmbeddedPostgres) -> Iterator[Table]:
    with psycopg.connect(postgres.url(make_target()), autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield Table(connection)


digits = st.text("0123456789", min_size=1, max_size=20)
numbers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.integers(-100_000_000, 100_000_000),
    st.builds(lambda a, b: Decimal(f"{a}.{b}"), st.integers(-10_000, 10_000), digits),
    st.builds(lambda a, b, e: Decimal(f"{a}.{b}e{e}"), st.integers(-99, 99), digits, st.integers(-50, 50)),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda f: Decimal(repr(f))),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda f: Decimal(repr(f))),
)
dates = st.one_of(
    st.dates().map(lambda d: d.isoformat()),
    st.builds("{}/{}/{}".format, st.integers(1, 31), st.integers(1, 31), st.integers(1990, 2030)),
    st.builds("{:04d}{:02d}{:02d}".format, st.integers(1, 9999), st.integers(1, 12), st.integers(1, 31)),
    st.sampled_from(
        ["Jan 8, 1999", "8 Jan 1999", "1999-Jan-08", "Mon Jan 08 1999", "J2451187", "990108", "1999.008", "99-Jan-08", "08-Jan-99"]
    ),
)
times = st.one_of(
    st.times().map(lambda t: t.isoformat()),
    st.builds("{}:{:02d}".format, st.integers(0, 24), st.integers(0, 60)),
    st.builds("{:02d}:{:02d}:{:02d}.{}".format, st.integers(0, 24), st.integers(0, 59), st.integers(0, 60), digits),
    st.sampled_from(["10:00 PM", "040506", "0405", "24:00:00", "23:59:60", "04:05:06.789 AM", "T10:00:00"]),
)
zones = st.sampled_from(
    ["", "Z", "+00:00", "+05:00", "-0330", "+5", " UTC", " America/New_York", " EST", "z", " +05:30:15", "-00", " GMT+3", "Z[UTC]"]
)
moments = st.one_of(
    st.builds("{}{}{}{}".format, dates, st.sampled_from(["T", " ", "  ", "t", "_"]), times, zones),
    st.builds("{}{}".format, dates, zones),
    st.builds("{}{}".format, times, zones),
    st.sampled_from(
        [
            "now",
            "today",
            "tomorrow",
            "yesterday 10:00",
            " NOW ",
            "epoch",
            "infinity",
            "-infinity",
            "allballs",
            "Tue Jan 02 2024 10:00:00 GMT+0100",
        ]
    ),
    st.integers(10**9, 2 * 10**9),
    st.integers(19_000_101, 20_301_231),
)
intervals = st.one_of(
    st.builds("{}{}".format, numbers, st.sampled_from([" days", " months", "", " s", " hours", " ms", " weeks", " years", "min"])),
    st.sampled_from(
        [
            "P1Y2M3DT4H5M6.789S",
            "P1.5M",
            "PT1.1234567S",
            "1 day -02:03:04.5",
            "1:02:03.1234567",
            "@ 1 minute ago",
            "P1W",
            "PT1.5H",
            "-1 mon +2 days",
        ]
    ),
)
texts = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    st.builds(lambda a, b: a + " " * b, st.text("ab", max_size=4), st.integers(0, 4)),
    st.sampled_from(
        ["true", "Y", "off", "1", "0x1F", "1_000", " 42 ", "NaN", "Infinity", "-0", "\\x41", "a\\101", "{1,2}", "{a,NULL}", "x" * 70, "é"]
    ),
    st.sampled_from(
        ["10.0.0.1/24", "10.0.0.1", "10.1", "::ffff:1.2.3.4", "08002b:010203", "B101", "10101", "x1F", "$1,234.567", "(1.5)", "1.239"]
    ),
    st.sampled_from(
        [
            "[1,5]",
            "(1,5)",
            "empty",
            "[1.10,2)",
            "[2024-01-01,2024-01-05]",
            "[2024-01-01 10:00,)",
            "(1,2)",
            "(1,2),(3,4)",
            "(0.1234567890123456789,1)",
        ]
    ),
    st.sampled_from(
        ["[2024-01-01T00:00:00+05:00,2024-01-02T00:00:00Z)", "{1.239}", "{2024-01-01T10:00:00}", "{16777217}", '{"ab  "}', "{0.1}"]
    ),
    st.uuids().map(str),
    st.uuids().map(lambda u: "{" + str(u).upper() + "}"),
)
scalars = st.one_of(numbers, numbers.map(str), moments, intervals, texts, st.booleans())
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=3),
    st.dictionaries(st.text("ab", max_size=2), scalars, max_size=2),
)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(number=st.integers(0, len(TYPES) - 1), value=values)
def test_nothing_is_stored_differently_without_the_guard_saying_so(table: Table, number: int, value: Json) -> None:
    column = table.relation.columns[number]
    taken, stored = table.stored(column, value)
    event(f"taken: {taken}")
    if not taken:
        return
    assert rejects(value, column, None) is None, "we would have refused a value that Postgres takes"
    different = verify.differs(value, stored, column)
    assert table.announced(column, value) or not different, f"{column.type}: {value!r} became {stored!r}"


CASES: list[tuple[str, Json, str | None]] = [
    ("numeric(6,2)", Decimal("1.239"), "1.24"),
    ("numeric(6,2)", "1.235", "1.24"),
    ("numeric(6,2)", Decimal("-0.001"), "0.00"),
    ("numeric(6,2)", Decimal("1.10"), None),
    ("numeric(6,2)", 42, None),
    ("numeric(3,-2)", 1234, "1200"),
    ("numeric(6,2)[]", [1, Decimal("1.239")], "1.24"),
    ("numeric(6,2)[]", "{1.239}", "1.24"),
    ("numeric", Decimal("1.23456789012345678901234567890"), None),
    ("real", 16777217, "1.6777216e+07"),
    ("real", Decimal("0.1"), None),
    ("real", Decimal("-0.006929283495992422"), None),
    ("real", Decimal("0.123456789"), "0.12345679"),
    ("float8", Decimal("0.1234567891234567891"), "0.12345678912345678"),
    ("float8", 9007199254740993, "9.007199254740992e+15"),
    ("float8", Decimal("0.1"), None),
    ("timestamp", "2024-01-02T10:00:00+05:00", "2024-01-02T10:00:00"),
    ("timestamp", "2024-01-02T10:00:00Z", None),
    ("timestamp", "2024-01-02T10:00:00.1234567", "2024-01-02T10:00:00.123457"),
    ("timestamp(0)", "2024-01-02T10:00:00.5", "2024-01-02T10:00:01"),
    ("timestamp(0)", "1999-01-02T10:00:00.5", "1999-01-02T10:00:00"),
    ("timestamptz", "2024-01-02T10:00:00.1234565+00:00", "2024-01-02T10:00:00.123456+00:00"),
    ("timestamptz", "2024-01-02T10:00:00+05:00", None),
    ("timestamptz", "Tue, 02 Jan 2024 10:00:00 GMT", None),
    ("date", "2024-01-02T10:00:00Z", "2024-01-02"),
    ("date", "2024-01-02T00:00:00.000Z", None),
    ("date", "Jan 8, 1999", None),
    ("time", "10:00:00+05", "10:00:00"),
    ("time", "23:59:59.9999999", "24:00:00"),
    ("time(2)", "10:00:00.129", "10:00:00.13"),
    ("varchar(3)", "abc  ", "abc"),
    ("varchar(3)", "abc", None),
    ("char(3)", "a", "a  "),
    ("text", {"a": 1}, '{"a":1}'),
    ("text", [1, 2], "[1,2]"),
    ("text", Decimal("1E-7"), "1E-7"),
    ("text", Decimal("1.50"), None),
    ("text", True, None),
    ("name", "x" * 70, "x" * 63),
    ('"char"', "abc", "a"),
    ("bytea", {"a": 1}, "\\x7b2261223a317d"),
    ("oid", -1, "4294967295"),
    ("jsonb", {"a": Decimal("1.10")}, None),
    ("bool", 1, None),
    ("uuid", "{550E8400-E29B-41D4-A716-446655440000}", None),
]


@pytest.mark.parametrize(("type_name", "value", "said"), CASES, ids=lambda x: repr(x)[:40])
def test_the_guard_says_the_text_that_postgres_stores(table: Table, type_name: str, value: Json, said: str | None) -> None:
    column = table.relation.columns[TYPES.index(type_name)]
    taken, stored = table.stored(column, value)
    assert taken
    changes = guard.losses({column.name: value}, table.checks)
    assert [c.stored for c in changes] == ([] if said is None else [said])
    if said is not None:
        shown = stored[-1] if isinstance(stored, list) else stored
        assert Decimal(said) == shown if isinstance(shown, (int, Decimal)) else said == shown


@pytest.mark.parametrize("value", ["now", "today", "tomorrow", "01/02/2024", "1/2/24", "Tue Jan 02 2024 10:00:00 GMT+0100", 1704151231])
@pytest.mark.parametrize("type_name", ["date", "timestamp", "timestamptz"])
def test_what_settings_or_the_clock_decide_is_a_change_to_an_unknown_value(table: Table, type_name: str, value: Json) -> None:
    column = table.relation.columns[TYPES.index(type_name)]
    taken, _ = table.stored(column, value)
    changes = guard.losses({column.name: value}, table.checks)
    assert [c.stored for c in changes] == [guard.UNKNOWN] or not taken


COERCED: list[tuple[str, Json, Json]] = [
    ("int4", "1.0", 1),
    ("int4", Decimal("1E+3"), 1000),
    ("int4", "1e3", 1000),
    ("int4[]", [1, Decimal("2.0")], [1, 2]),
    ("int4[]", "[1,2]", [1, 2]),
    ("bool", Decimal("1.0"), True),
    ("uuid", " 550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
    ("uuid", "urn:uuid:550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
    ("timestamptz", "2024-01-02T10Z", "2024-01-02T10:00:00Z"),
    ("timestamptz", "2024-01-02T10:00:00,123Z", "2024-01-02T10:00:00.123Z"),
    ("timestamptz", "2024-01-02T10:00:00+01:00[Europe/Paris]", "2024-01-02T10:00:00+01:00"),
    ("timestamptz", "+002024-01-02T10:00:00.000Z", "2024-01-02T10:00:00Z"),
    ("text[]", '["a","b"]', ["a", "b"]),
]


@pytest.mark.parametrize(("type_name", "value", "wanted"), COERCED, ids=lambda x: repr(x)[:40])
def test_a_coerced_value_was_refused_and_is_then_stored_as_meant(table: Table, type_name: str, value: Json, wanted: Json) -> None:
    column = table.relation.columns[TYPES.index(type_name)]
    assert table.stored(column, value) == (False, None)
    found = coerce.coerce(value, column, None)
    assert found is not None
    assert found.value == wanted
    taken, stored = table.stored(column, found.value)
    assert taken
    assert not verify.differs(found.value, stored, column)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(number=st.integers(0, len(TYPES) - 1), value=values)
def test_what_postgres_takes_is_never_coerced(table: Table, number: int, value: Json) -> None:
    column = table.relation.columns[number]
    if coerce.coerce(value, column, None) is not None:
        assert table.stored(column, value) == (False, None)
