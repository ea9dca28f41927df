"""A write is taken back from the columns that it was stored in, whatever they are called by now."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.gateway_process import Gateway

AGE = """UPDATE schema_monitor_schemaversion SET taken_at = taken_at - interval '1 hour'
    WHERE epoch = (SELECT max(epoch) FROM schema_monitor_schemaversion) RETURNING epoch"""
AGE_RECEIPT = "UPDATE healing_receipt SET at = at - interval '30 minutes' WHERE id = %s RETURNING id"


@pytest.fixture
def served(shared_gateway: Gateway) -> Iterator[Gateway]:
    """The gateway of the run; its tables are dropped afterwards."""
    yield shared_gateway
    shared_gateway.sql("DROP TABLE IF EXISTS undone, undone_since")
    shared_gateway.manage("capture_schema")


def healed(gateway: Gateway, method: str, body: object, query: str = "") -> str:
    """A write under a column's old name; its receipt."""
    with gateway.client() as client:
        answer = client.request(method, f"/rest/v1/undone{query}", json=body)
    assert answer.status_code < 300 and "rename_column(" in answer.headers["mendgate-healed"], answer.text
    return answer.headers["mendgate-receipt"]


def change(gateway: Gateway, ddl: str) -> None:
    """DDL, and a version that has seen it."""
    gateway.sql(ddl)
    gateway.manage("capture_schema")


def undo(gateway: Gateway, receipt: str) -> httpx.Response:
    """One click."""
    with gateway.client() as client:
        return client.post(f"/api/v1/receipts/{receipt}/undo")


def long_ago(gateway: Gateway, receipt: str) -> None:
    """The write was half an hour ago, and the newest version so far before it."""
    gateway.manage("shell", "-c", "from healing.receipt_copies import copy_all; copy_all()")
    gateway.control(AGE)
    assert gateway.control(AGE_RECEIPT, receipt)


def test_an_insert_is_undone_after_table_and_columns_were_renamed(served: Gateway) -> None:
    """Also where its old names are other columns and another table by now."""
    change(served, "CREATE TABLE undone(id int PRIMARY KEY, a text, b text)")
    change(served, "ALTER TABLE undone RENAME a TO name")
    receipt = healed(served, "POST", {"id": 1, "a": "x", "b": "y"})
    long_ago(served, receipt)
    change(
        served,
        """ALTER TABLE undone RENAME TO undone_since; ALTER TABLE undone_since RENAME b TO note; ALTER TABLE undone_since RENAME name TO b;
        ALTER TABLE undone_since ADD a text DEFAULT 'new'; CREATE TABLE undone(id int PRIMARY KEY, name text, a text, b text);
        INSERT INTO undone VALUES (1, 'x', 'x', 'y')""",
    )
    assert undo(served, receipt).status_code == 200
    assert served.sql("SELECT * FROM undone_since") == [] and len(served.sql("SELECT * FROM undone")) == 1


def test_an_update_is_set_back_in_its_own_columns_after_they_swapped_names(served: Gateway) -> None:
    """By names the old values would go into each other's columns, where the new ones are equal."""
    change(served, "CREATE TABLE undone(id int PRIMARY KEY, a text, b text); INSERT INTO undone VALUES (1, 'was a', 'was b')")
    change(served, "ALTER TABLE undone RENAME a TO name")
    receipt = healed(served, "PATCH", {"a": "same", "b": "same"}, "?id=eq.1")
    long_ago(served, receipt)
    change(served, "ALTER TABLE undone RENAME b TO c; ALTER TABLE undone RENAME name TO b; ALTER TABLE undone RENAME c TO name")
    assert undo(served, receipt).status_code == 200
    assert served.sql("SELECT * FROM undone") == [{"id": 1, "b": "was a", "name": "was b"}]


def test_where_names_were_swapped_at_that_moment_nothing_is_undone(served: Gateway) -> None:
    """Versions about the time of the write say different things."""
    change(served, "CREATE TABLE undone(id int PRIMARY KEY, a text, b text)")
    change(served, "ALTER TABLE undone RENAME a TO name")
    receipt = healed(served, "POST", {"id": 1, "a": "x", "b": "x"})
    change(served, "ALTER TABLE undone RENAME b TO c; ALTER TABLE undone RENAME name TO b; ALTER TABLE undone RENAME c TO name")
    answer = undo(served, receipt)
    assert answer.status_code == 409 and "not known for sure" in answer.text
    assert len(served.sql("SELECT * FROM undone")) == 1
