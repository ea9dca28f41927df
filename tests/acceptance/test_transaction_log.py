"""Every transaction of ``/api/v1/transactions`` can be read about afterwards: how it ended, why, what was healed; without its payload."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.gateway_process import Gateway

PATH = "/api/v1/transactions"
CANARY = "canary-5150@example.com"
SCHEMA = """
CREATE TABLE people (id int PRIMARY KEY, mail text NOT NULL, price numeric(8,2));
CREATE TABLE pets (id int PRIMARY KEY, owner int NOT NULL REFERENCES people, name text);
GRANT ALL ON ALL TABLES IN SCHEMA public TO service_role;
"""
STORY = """
import json
from healing.models import TransactionLog
from healing.transaction_story import told
import msgspec
print(msgspec.json.encode(told(TransactionLog.objects.get(pk='{}'))).decode())
"""
LAND = "from healing.receipt_copies import copy_all; from healing.transaction_log import settle; copy_all(); settle()"


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Iterator[Gateway]:
    gateway = make_gateway()
    gateway.sql(SCHEMA)
    gateway.manage("capture_schema")
    gateway.sql("ALTER TABLE people RENAME COLUMN mail TO email")
    gateway.manage("capture_schema")
    gateway.make_key()
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


def insert(table: str, *rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"op": "insert", "table": table, "rows": list(rows), **more}


def send(client: httpx.Client, *operations: dict[str, Any], **headers: str) -> httpx.Response:
    return client.post(PATH, json={"operations": list(operations)}, headers=headers)


def known(gateway: Gateway, number: str, state: str) -> dict[str, Any]:
    """The row of a transaction once it has that state."""
    deadline = time.monotonic() + 60
    while True:
        rows = gateway.control("SELECT * FROM healing_transactionlog WHERE id = %s", number)
        if rows and rows[0]["state"] == state:
            return rows[0]
        assert time.monotonic() < deadline, rows
        time.sleep(0.05)


def story(gateway: Gateway, number: str) -> dict[str, Any]:
    return dict(json.loads(gateway.manage("shell", "-v", "0", "-c", STORY.format(number)).strip().splitlines()[-1]))


def test_one_that_landed_tells_of_its_operations_and_heals_and_of_no_value(gateway: Gateway, client: httpx.Client) -> None:
    answer = send(
        client,
        {**insert("people", {"id": 1, "mail": CANARY, "price": 1.239}), "as": "ann"},
        insert("pets", {"id": 1, "owner": {"$ref": "ann.0.id"}, "name": "Rex"}, {"id": 2, "owner": 1, "name": "Tom"}),
    )
    assert answer.status_code == 200, answer.text
    number = answer.headers["mendgate-transaction"]
    assert answer.json()["transaction"] == number
    row = known(gateway, number, "committed")
    assert (row["operations"], row["healed"], row["attempts"], row["isolation"], row["code"]) == (2, 1, 1, "read committed", "")
    assert (row["tables"], row["role"]) == (["people", "pets"], "service_role")
    assert row["seconds"] > 0
    lanes = story(gateway, number)["lanes"]
    assert [(lane["word"], lane["step"].get("rows"), lane["step"]["count"]) for lane in lanes] == [("healed", 1, 1), ("landed", 2, 2)]
    assert "rename_column(mail->email)" in lanes[0]["step"]["healed"]
    assert "price(1.239->1.24)" in lanes[0]["step"]["changed"]
    assert lanes[1]["step"]["refers"] == ["ann"]
    seen = client.get(f"/api/v1/receipts/{lanes[0]['step']['receipt']}").raise_for_status().json()
    assert seen["outcome"] == "committed"
    assert CANARY not in str(row)


def test_one_that_was_rolled_back_tells_why_and_its_values_are_sealed(gateway: Gateway, client: httpx.Client) -> None:
    twice = insert("people", {"id": 50, "email": CANARY})
    answer = send(client, twice, twice, insert("pets", {"id": 50}))
    assert answer.status_code == 409
    number = answer.headers["mendgate-transaction"]
    row = known(gateway, number, "rolled back")
    assert (row["code"], row["healed"], row["operations"]) == ("23505", 0, 3)
    assert "(id)=(50)" not in str(bytes(row["sealed"])) and CANARY not in str(row)
    told = story(gateway, number)
    assert [lane["word"] for lane in told["lanes"]] == ["undone with the rest", "could not land", "not reached"]
    assert "Nothing of it is stored" in told["sentence"] and "Operation 1" in told["sentence"]
    assert "(id)=(50)" in str(told["lanes"][1]["step"]["error"])


def test_an_answer_given_again_is_no_second_transaction(gateway: Gateway, client: httpx.Client) -> None:
    first, second = (send(client, insert("people", {"id": 70, "email": "x"}), **{"Idempotency-Key": "once"}) for _ in range(2))
    assert first.headers["mendgate-transaction"] == second.headers["mendgate-transaction"]
    assert second.headers["mendgate-idempotent"] == "replayed"
    other = send(client, insert("people", {"id": 71, "email": "x"}), **{"Idempotency-Key": "once"})
    assert (other.status_code, "mendgate-transaction" in other.headers) == (422, False)
    known(gateway, first.headers["mendgate-transaction"], "committed")


def test_killed_after_the_commit_it_is_known_from_the_target_alone(gateway: Gateway) -> None:
    """Whoever was to tell of it is gone; the commit's own record is not."""
    with gateway.client() as client:
        number = send(client, insert("people", {"id": 90, "email": "x"})).raise_for_status().headers["mendgate-transaction"]
    gateway.kill9()
    gateway.control("DELETE FROM healing_transactionlog WHERE id = %s", number)
    gateway.manage("shell", "-v", "0", "-c", LAND)
    assert known(gateway, number, "committed")["tables"] == ["people"]
    gateway.start()


def test_one_whose_process_died_is_settled_by_what_the_target_holds(gateway: Gateway, client: httpx.Client) -> None:
    with gateway.client() as other:
        landed = send(other, insert("people", {"id": 95, "email": "x"})).raise_for_status().headers["mendgate-transaction"]
        lost = send(other, insert("people", {"id": 95, "email": "x"})).headers["mendgate-transaction"]
    known(gateway, landed, "committed")
    known(gateway, lost, "rolled back")
    gateway.control("UPDATE healing_transactionlog SET state = 'begun', ended_at = NULL, alive_at = now() - interval '10 minutes'")
    gateway.manage("shell", "-v", "0", "-c", LAND)
    known(gateway, landed, "committed")
    assert known(gateway, lost, "rolled back")["ended_at"] is not None
