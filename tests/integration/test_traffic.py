"""What the gateway counts: shapes and former names by caller, never a value, never in the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from healing.core import fixes
from healing.core.mend import Applied
from healing.gateway import traffic as counting
from healing.gateway.auth import Key, make_caller
from healing.gateway.state import State
from healing.gateway.target import Pool
from healing.gateway.traffic import Traffic
from healing.gateway.traffic_rows import MOST_SHAPES
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Column, EnumLabel, EnumType, Relation, Scope, Snapshot
from tests.gateway_process import Gateway, run
from tests.waiting import HANGS

KEY = Key("00000000-0000-0000-0000-000000000001", "signup form", "anon")
CALLER = make_caller(KEY, "anon", {})


def table(name: str, column: str) -> Relation:
    """Table 7 under some name."""
    mood = Column(3, "mood", "mood", "mood", enum=9)
    columns = (Column(1, "id", "integer", "int4"), Column(2, column, "text", "text"), mood)
    return Relation(7, "public", name, "r", columns, fingerprint=name)


BEFORE, AFTER = table("users", "email"), table("people", "mail")


def snapshot(relation: Relation, label: str) -> Snapshot:
    """One relation and one enum."""
    return Snapshot(Scope("1", 1), 180000, {7: relation}, {9: EnumType(9, "public", "mood", (EnumLabel(90, label),))}, {})


def state() -> State:
    """users became people, email became mail, glad became happy."""
    old, new = snapshot(BEFORE, "glad"), snapshot(AFTER, "happy")
    return State(2, new, Lineage.start(old).advance(old, new), keys={"hash": KEY})


Recorded = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def recorded(control_url: str) -> Recorded:
    """Runs what counts, flushes it, and gives the rows of a table back."""

    def record(count: Callable[[Traffic], None], table: str = "payloadshape") -> list[dict[str, Any]]:
        async def go() -> None:
            pool = Pool(control_url, 2, 2.0, 5.0)
            traffic = Traffic(pool, state)
            count(traffic)
            await traffic.stop()
            await pool.close()

        asyncio.run(go())
        return run(control_url, f"SELECT * FROM schema_monitor_{table} ORDER BY id")

    return record


def test_requests_of_one_shape_are_added_up(recorded: Recorded) -> None:
    """Two flushes, one row: names sorted, the caller by name, nothing but counts."""
    for _ in range(2):
        rows = recorded(lambda t: [t.wrote(AFTER, "people", "insert", CALLER, ("mail", "id"), 3) for _ in range(5)])
    assert [(r["requests"], r["rows"], r["keys"], r["caller"], str(r["key"]), r["role"]) for r in rows] == [
        (10, 30, ["id", "mail"], "signup form", KEY.id, "anon")
    ]


def test_former_names_are_counted_by_caller(recorded: Recorded) -> None:
    """Of the table, of a column in the payload and in a filter, of a label; live names are not."""
    happy = (Applied(fixes.MapValue("mood", "glad", "happy"), "lineage"),)

    def count(traffic: Traffic) -> None:
        traffic.wrote(AFTER, "users", "insert", CALLER, ("email", "mood"), applied=happy)
        traffic.wrote(AFTER, "people", "update", CALLER, ("id",), named=("email",))
        traffic.wrote(AFTER, "people", "insert", CALLER, ("mail", "never_was"))

    rows = recorded(count, "oldnameuse")
    assert sorted((r["name"], r["relation_oid"], r["attnum"], r["label_oid"], r["uses"]) for r in rows) == [
        ("email", 7, 2, 0, 2), ("glad", 0, 0, 90, 1), ("users", 7, 0, 0, 1),
    ]  # fmt: skip


def test_a_name_that_was_live_when_it_was_sent_is_no_former_name(recorded: Recorded) -> None:
    """The rename came between the request and the flush."""
    assert recorded(lambda t: t.wrote(BEFORE, "users", "insert", CALLER, ("email",)), "oldnameuse") == []


def test_whoever_sends_endless_new_names_fills_nothing(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes are bounded in memory and in the database; what is over is counted together, or as lost."""
    monkeypatch.setattr(counting, "MOST", 2_000)

    def count(traffic: Traffic) -> None:
        for i in range(2_050):
            traffic.wrote(AFTER, "people", "insert", CALLER, (f"x{i}",), misfit=True)
        traffic.wrote(AFTER, "people", "insert", CALLER, ("y" * 100_000,))

    rows = recorded(count)
    assert len(rows) <= MOST_SHAPES + 1
    assert sum(r["requests"] for r in rows) == sum(r["misfits"] for r in rows) == 2_000
    assert max(len(name) for r in rows for name in r["keys"]) <= 63


def test_odd_names_are_stored_all_the_same(recorded: Recorded) -> None:
    """NUL, half a surrogate pair, more than a name can hold."""
    rows = recorded(lambda t: t.wrote(AFTER, "people", "insert", CALLER, ("a\0b", "\ud800", "z" * 80, "größe")))
    assert rows[0]["keys"] == sorted(["a\N{REPLACEMENT CHARACTER}b", "?", "z" * 62 + "…", "größe"])


def test_counts_wait_while_the_control_database_is_away(control_url: str) -> None:
    """They are stored once it is back; what was lost is said."""

    async def go() -> None:
        traffic = Traffic(Pool("postgresql://nobody@127.0.0.1:1/none", 2, 0.2, 5.0), state)
        traffic.wrote(AFTER, "people", "insert", CALLER, ("mail",))
        await traffic.flush()
        traffic._control = pool = Pool(control_url, 2, 2.0, 5.0)
        traffic._lost = 3
        await traffic.flush()
        await pool.close()

    asyncio.run(go())
    assert run(control_url, "SELECT requests FROM schema_monitor_payloadshape") == [{"requests": 1}]
    assert run(control_url, "SELECT lost, lost_at IS NOT NULL AS told FROM schema_monitor_trafficrecording") == [{"lost": 3, "told": True}]


def test_many_callers_are_stored_part_by_part(recorded: Recorded, control_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request once, in several transactions; what the database does not take is lost alone, and that is said."""
    monkeypatch.setattr(counting, "AT_ONCE", 7)
    keys = [f"00000000-0000-0000-0000-{n:012}" for n in range(40)] + ["no uuid"]

    def count(traffic: Traffic) -> None:
        for n, key in enumerate(keys):
            caller = make_caller(Key(key, key, "anon"), "anon", {})
            for _ in range(1 + n % 2):
                traffic.wrote(AFTER, "people", "insert", caller, ("mail",))

    stored = {str(row["key"]): row["requests"] for row in recorded(count)}
    assert all(stored[key] == 1 + n % 2 for n, key in enumerate(keys) if key in stored)
    lost = run(control_url, "SELECT lost FROM schema_monitor_trafficrecording")[0]["lost"]
    assert "no uuid" not in stored and len(stored) >= 40 - 6 and sum(stored.values()) + lost == 61


def test_counting_costs_next_to_nothing() -> None:
    """Generous, as machines differ: it takes below a microsecond of the processor."""
    traffic, keys = Traffic(Pool("", 1, 1, 1), state), tuple(f"column_{i}" for i in range(10))
    began = time.process_time()
    for _ in range(20_000):
        traffic.wrote(AFTER, "people", "insert", CALLER, keys)
    assert (time.process_time() - began) / 20_000 < 50e-6


@pytest.fixture
def served(shared_gateway: Gateway) -> Iterator[Gateway]:
    """The gateway of the run; its tables are dropped afterwards."""
    yield shared_gateway
    shared_gateway.sql("DROP TABLE IF EXISTS traffic_child, traffic CASCADE; DROP FUNCTION IF EXISTS traffic_call")


def until(look: Callable[[], Any]) -> Any:
    """What ``look`` finds, as soon as it finds something."""
    deadline = time.monotonic() + HANGS
    while not (found := look()):
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.1)
    return found


def test_reads_and_calls_are_recorded_by_what_they_name(served: Gateway) -> None:
    """Filters, select and order of the table; the embedded table apart; a function's arguments; a former name by its caller."""
    served.sql(
        """CREATE TABLE traffic(id int PRIMARY KEY, caption text, size int);
        CREATE TABLE traffic_child(id int, parent int REFERENCES traffic, note text);
        CREATE FUNCTION traffic_call(a int, b int) RETURNS int LANGUAGE sql AS 'SELECT a + b'"""
    )
    served.manage("capture_schema")
    served.sql("ALTER TABLE traffic RENAME caption TO headline")
    with served.client() as client:
        assert client.get("/rest/v1/traffic?select=id,caption,traffic_child(*)&size=gt.3&order=id").status_code == 200
        assert client.post("/rest/v1/rpc/traffic_call", json={"a": 1, "b": 2}).json() == 3
    rows = until(lambda: _by_table(served, 3))
    assert rows["traffic"]["named"] == ["caption", "id", "size"] and rows["traffic"]["operation"] == "select"
    assert rows["traffic_child"]["named"] == ["*"]
    assert rows["traffic_call"]["keys"] == ["a", "b"] and rows["traffic_call"]["operation"] == "call"
    uses = served.control("SELECT name, caller, role, uses FROM schema_monitor_oldnameuse WHERE name = 'caption'")
    assert uses == [{"name": "caption", "caller": "test", "role": "service_role", "uses": 1}]


def _by_table(served: Gateway, wanted: int) -> dict[str, dict[str, Any]] | None:
    rows = served.control("SELECT * FROM schema_monitor_payloadshape WHERE name LIKE 'traffic%%' AND requests > %s", 0)
    return {row["name"]: row for row in rows} if len(rows) >= wanted else None
