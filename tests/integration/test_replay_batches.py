"""Replays in batches, on real databases: alike writes share a transaction, and each keeps its own end, order, receipt and rights."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from tests.gateway_process import JWT_SECRET, Gateway

TABLES = """
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mark text NOT NULL, who text DEFAULT current_user,
    sub text DEFAULT current_setting('request.jwt.claims', true)::json ->> 'sub');
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes TO authenticated USING (true) WITH CHECK (sub = current_setting('request.jwt.claims', true)::json ->> 'sub');
GRANT SELECT, INSERT ON notes TO authenticated;
"""
FORGET = """
UPDATE healing_quarantineitem SET state = 'replaying', lease_until = now() - interval '1 s', replay_receipt = NULL, replayed_at = NULL
WHERE state = 'replayed'; UPDATE healing_replay SET state = 'running', finished_at = NULL"""
"""As if the worker had died between the commits and telling of them."""


@pytest.fixture(scope="module")
def running(make_gateway: Callable[..., Gateway]) -> Gateway:
    gateway = make_gateway()
    gateway.sql(TABLES)
    gateway.manage("capture_schema")
    return gateway.start()


@pytest.fixture
def gateway(running: Gateway) -> Gateway:
    """Nothing is kept or stored, and the column that writes will bring is not there."""
    running.control("DELETE FROM healing_quarantineitem")
    running.sql("TRUNCATE notes; ALTER TABLE notes DROP COLUMN IF EXISTS hue")
    running.manage("capture_schema")
    return running


def keep(gateway: Gateway, rows: list[dict[str, Any]], users: tuple[str, ...] = (), **headers: str) -> list[str]:
    """Sends each, by users in turn (else by a service key); all are kept."""
    kept = []
    with gateway.client(**headers) as client:
        for number, row in enumerate(rows):
            own: dict[str, str] = {}
            if users:
                sub = users[number % len(users)]
                claims = {"role": "authenticated", "sub": sub, "exp": time.time() + 600}
                own = {"authorization": f"Bearer {jwt.encode(claims, JWT_SECRET, 'HS256')}"}
            answer = client.post("/rest/v1/notes", json=row, headers=own)
            assert answer.status_code == 400, answer.text
            kept.append(answer.headers["mendgate-quarantine"])
    return kept


def replay(gateway: Gateway) -> str:
    """The schema catches up, and all that waits is replayed."""
    gateway.sql("ALTER TABLE notes ADD COLUMN IF NOT EXISTS hue text CHECK (hue <> 'poison')")
    gateway.manage("capture_schema")
    return gateway.manage("replay", "--all-waiting", "--wait")


def stored(gateway: Gateway) -> list[dict[str, Any]]:
    return gateway.sql("SELECT mark, who, sub, xmin::text AS writer FROM notes ORDER BY id")


def test_alike_writes_share_a_transaction_and_poison_stands_alone_in_the_end(gateway: Gateway) -> None:
    kept = keep(gateway, [{"mark": str(n), "hue": "poison" if n in (3, 9) else "fine"} for n in range(12)])
    assert "10 replayed" in (said := replay(gateway)) and "2 parked" in said
    rows = stored(gateway)
    assert [row["mark"] for row in rows] == [str(n) for n in range(12) if n not in (3, 9)]
    assert len({row["writer"] for row in rows}) < len(rows)
    parked = gateway.control("SELECT id::text, attempts FROM healing_quarantineitem WHERE state = 'parked' ORDER BY number")
    assert parked == [{"id": kept[n], "attempts": 3} for n in (3, 9)]
    told = gateway.control("SELECT id::text, replay_receipt::text AS receipt FROM healing_quarantineitem WHERE state = 'replayed'")
    assert len({row["receipt"] for row in told}) == 10
    with gateway.client() as client:
        for row in told:
            receipt = client.get(f"/api/v1/receipts/{row['receipt']}").json()
            assert (receipt["outcome"], receipt["sent"][0]["mark"]) == ("replayed", str(kept.index(row["id"])))


def test_callers_never_share_and_each_write_is_its_own_callers(gateway: Gateway) -> None:
    """A row of another's would break the policy; a row of the service role would say so."""
    keep(gateway, [{"mark": str(n), "hue": "fine"} for n in range(8)], users=("ann", "ann", "bob", "bob"))
    assert "8 replayed" in replay(gateway)
    rows = stored(gateway)
    assert [(row["mark"], row["who"], row["sub"]) for row in rows] == [
        (str(n), "authenticated", "ann" if n % 4 < 2 else "bob") for n in range(8)
    ]
    by_writer = {row["writer"]: {r["sub"] for r in rows if r["writer"] == row["writer"]} for row in rows}
    assert all(len(subs) == 1 for subs in by_writer.values())


def test_what_was_committed_before_the_worker_died_is_found_and_not_written_again(gateway: Gateway) -> None:
    keep(gateway, [{"mark": str(n), "hue": "fine"} for n in range(6)])
    replay(gateway)
    before = gateway.control("SELECT id, replay_receipt FROM healing_quarantineitem ORDER BY number")
    gateway.control(FORGET)
    gateway.manage("shell", "-c", "from healing.draining import drain; drain()")
    assert len(stored(gateway)) == 6
    assert gateway.control("SELECT id, replay_receipt FROM healing_quarantineitem WHERE state = 'replayed' ORDER BY number") == before


def test_a_caller_who_sends_again_with_its_key_is_given_its_own_answer(gateway: Gateway) -> None:
    """The same keys that the batch wrote its records under; the answer is in the shape that was asked for."""
    rows = [{"mark": str(n), "hue": "fine"} for n in range(4)]
    head = [{"idempotency-key": f"own-{n}", "prefer": "return=representation"} for n in range(4)]
    with gateway.client() as client:
        for row, own in zip(rows, head, strict=True):
            assert client.post("/rest/v1/notes", json=row, headers=own).status_code == 400
        replay(gateway)
        answers = [client.post("/rest/v1/notes", json=row, headers=own) for row, own in zip(rows, head, strict=True)]
    assert [(answer.status_code, answer.json()[0]["mark"]) for answer in answers] == [(201, str(n)) for n in range(4)]
    assert len(stored(gateway)) == 4


def test_a_write_that_cannot_be_opened_keeps_nobody_waiting(gateway: Gateway) -> None:
    kept = keep(gateway, [{"mark": str(n), "hue": "fine"} for n in range(4)])
    gateway.control("UPDATE healing_quarantineitem SET request = 'damaged' WHERE id = %s", kept[1])
    assert "3 replayed" in (said := replay(gateway)) and "1 parked" in said
    assert [row["mark"] for row in stored(gateway)] == ["0", "2", "3"]


def test_writes_that_are_healed_share_a_transaction_and_their_receipts_say_so(gateway: Gateway) -> None:
    """The kept key is an old name by the time of the replay."""
    gateway.sql("ALTER TABLE notes ADD COLUMN tone text CHECK (tone <> 'loud')")
    gateway.manage("capture_schema")
    kept = keep(gateway, [{"mark": str(n), "tone": "loud"} for n in range(3)])
    gateway.sql("ALTER TABLE notes DROP CONSTRAINT notes_tone_check; ALTER TABLE notes RENAME COLUMN tone TO tint")
    gateway.manage("capture_schema")
    assert "3 replayed" in gateway.manage("replay", "--all-waiting", "--wait")
    rows = gateway.sql("SELECT tint, xmin::text AS writer FROM notes")
    assert [row["tint"] for row in rows] == ["loud"] * 3
    assert len({row["writer"] for row in rows}) == 1
    receipts = gateway.control("SELECT replay_receipt::text AS id FROM healing_quarantineitem WHERE id = ANY(%s::uuid[])", kept)
    with gateway.client() as client:
        told = [client.get(f"/api/v1/receipts/{receipt['id']}").json() for receipt in receipts]
    assert all(each["fixes"][0]["op"] == "rename_column" and each["stored"][0]["tint"] == "loud" for each in told), told
    gateway.sql("ALTER TABLE notes DROP COLUMN tint")


def test_an_outage_of_the_target_holds_all_of_it_and_counts_no_attempt(gateway: Gateway) -> None:
    keep(gateway, [{"mark": str(n), "hue": "fine"} for n in range(5)])
    gateway.sql("ALTER TABLE notes ADD COLUMN hue text CHECK (hue <> 'poison')")
    gateway.manage("capture_schema")
    gateway.manage("replay", "--all-waiting")
    away = gateway.environment["TARGET_DATABASE_URL"]
    gateway.environment["TARGET_DATABASE_URL"] = away.rpartition("/")[0].rpartition(":")[0] + ":1/" + away.rpartition("/")[2]
    try:
        gateway.manage("shell", "-c", "from healing.draining import drain; drain()")
    finally:
        gateway.environment["TARGET_DATABASE_URL"] = away
    assert gateway.control("SELECT DISTINCT state, attempts FROM healing_quarantineitem") == [{"state": "waiting", "attempts": 0}]
    assert stored(gateway) == []
    gateway.control("UPDATE healing_quarantineitem SET lease_until = NULL")
    gateway.manage("shell", "-c", "from healing.draining import drain; drain()")
    assert [row["mark"] for row in stored(gateway)] == [str(n) for n in range(5)]
