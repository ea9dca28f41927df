"""What a person approved, and what lineage knows, is about columns, not about names: names that moved are noticed in time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import jwt
import psycopg
import pytest

from tests.gateway_process import JWT_SECRET, Gateway
from tests.waiting import HANGS

RITA = (
    "INSERT INTO auth_user(username, password, is_superuser, is_staff, is_active, first_name, last_name, email, date_joined)"
    " VALUES ('rita', '', true, true, true, '', '', '', now()) ON CONFLICT DO NOTHING"
)


@pytest.fixture
def served(shared_gateway: Gateway) -> Iterator[Gateway]:
    """The gateway of the run; its table is dropped afterwards."""
    yield shared_gateway
    shared_gateway.sql("DROP TABLE IF EXISTS bound CASCADE")


def approve_own(gateway: Gateway, kept: httpx.Response, fix: dict[str, str]) -> None:
    """A person's own fix for a kept write, approved."""
    gateway.control(RITA)
    item = kept.headers["mendgate-quarantine"]
    proposal = gateway.manage("propose", "--quarantine", item, "--fix", json.dumps([fix]), "--user", "rita").strip()
    gateway.manage("approve", proposal, "--user", "rita")


def test_a_rule_stops_when_its_name_comes_to_mean_another_column(served: Gateway) -> None:
    """full_name moved on and another column took the name: the write is kept, the rule goes back to review."""
    served.sql("CREATE TABLE bound(id serial PRIMARY KEY, full_name text, nick text)")
    served.manage("capture_schema")
    fix = {"op": "rename_column", "from": "fullname", "to": "full_name"}
    with served.client() as client:
        approve_own(served, client.post("/rest/v1/bound", json={"fullname": "Ada"}), fix)
        assert client.post("/rest/v1/bound", json={"fullname": "Bea"}).status_code == 201
        served.sql("ALTER TABLE bound RENAME full_name TO legal_name; ALTER TABLE bound RENAME nick TO full_name")
        served.manage("capture_schema")
        moved = client.post("/rest/v1/bound", json={"fullname": "Cleo"})
        assert moved.status_code == 400 and "mendgate-quarantine" in moved.headers
    assert served.sql("SELECT 1 AS x FROM bound WHERE full_name IS NOT NULL OR legal_name = 'Cleo'") == []
    rule = served.control("SELECT state, why FROM healing_rule WHERE signature = 'unknown_column:fullname'")[0]
    assert rule["state"] == "review" and "renamed" in rule["why"]
    assert served.control("SELECT state FROM healing_proposal WHERE signature = 'unknown_column:fullname' AND state = 'open'")


def test_a_rule_follows_its_table_and_never_a_new_one_of_that_name(served: Gateway) -> None:
    """Renamed: it still heals. Dropped and made anew: it does not."""
    served.sql("CREATE TABLE bound(id serial PRIMARY KEY, full_name text)")
    served.manage("capture_schema")
    fix = {"op": "rename_column", "from": "fullname", "to": "full_name"}
    with served.client() as client:
        approve_own(served, client.post("/rest/v1/bound", json={"fullname": "Ada"}), fix)
        served.sql("ALTER TABLE bound RENAME TO bound_moved")
        served.manage("capture_schema")
        assert client.post("/rest/v1/bound_moved", json={"fullname": "Bea"}).status_code == 201
        served.sql("DROP TABLE bound_moved; CREATE TABLE bound(id serial PRIMARY KEY, full_name text)")
        served.manage("capture_schema")
        assert client.post("/rest/v1/bound", json={"fullname": "Cleo"}).status_code == 400
    assert served.sql("SELECT 1 AS x FROM bound") == []


@pytest.mark.parametrize("prefer", ["return=minimal", "missing=default"])
def test_a_stale_catalog_never_puts_a_healed_value_into_another_column(served: Gateway, prefer: str) -> None:
    """Lineage knows email -> email_address; that name has moved on since, and nobody captured it. Both ways of writing notice."""
    served.sql("CREATE TABLE bound(id serial PRIMARY KEY, email text, other text)")
    served.manage("capture_schema")
    served.sql("ALTER TABLE bound RENAME email TO email_address")
    with served.client() as client:
        assert client.post("/rest/v1/bound", json={"email": "1"}).status_code == 201
        served.sql("ALTER TABLE bound RENAME email_address TO mail; ALTER TABLE bound RENAME other TO email_address")
        healed = client.post("/rest/v1/bound", json={"email": "2"}, headers={"prefer": prefer})
        gone = client.delete("/rest/v1/bound?email=eq.1", headers={"prefer": "return=representation"})
    assert served.sql("SELECT 1 AS x FROM bound WHERE email_address IS NOT NULL") == []
    if healed.status_code == 201:
        assert len(served.sql("SELECT 1 AS x FROM bound WHERE mail = '2'")) == 1
    assert gone.status_code in (200, 400)
    assert len(served.sql("SELECT 1 AS x FROM bound WHERE mail = '1'")) == (0 if gone.status_code == 200 and gone.json() else 1)


def test_a_former_name_that_is_a_column_again_gets_its_own_values(served: Gateway) -> None:
    """Whether the gateway knows of it yet or not: the value never lands under the name that the old column has now."""
    served.sql("CREATE TABLE bound(id serial PRIMARY KEY, email text)")
    served.manage("capture_schema")
    served.sql("ALTER TABLE bound RENAME email TO email_address")
    with served.client() as client:
        assert client.post("/rest/v1/bound", json={"email": "1"}).status_code == 201
        served.sql("ALTER TABLE bound ADD COLUMN email text")
        for _ in range(20):
            client.post("/rest/v1/bound", json={"email": "2"})
    assert [row["email_address"] for row in served.sql("SELECT email_address FROM bound WHERE email_address IS NOT NULL")] == ["1"]


def under_way(gateway: Gateway, change: str, method: str, path: str, body: object) -> httpx.Response:
    """The answer to a request that waits for the lock of an open migration, which then commits."""
    with gateway.client() as client, ThreadPoolExecutor(1) as pool, psycopg.connect(gateway.owner_url) as migration:
        migration.execute(change)  # type: ignore[arg-type]
        answer = pool.submit(client.request, method, path, json=body)
        wait_for_lock(gateway)
        migration.commit()
        return answer.result(30)


def wait_for_lock(gateway: Gateway) -> None:
    """Until a write of the gateway waits."""
    until = time.monotonic() + HANGS
    while time.monotonic() < until:
        if gateway.sql("SELECT 1 AS x FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'mendgate'"):
            return
        time.sleep(0.02)
    raise AssertionError("nobody waits")


@pytest.mark.parametrize("key", ["x", "old"])
def test_a_type_that_changes_under_way_rounds_nothing_in_silence(served: Gateway, key: str) -> None:
    """Healthy or healed: what Postgres rounds is announced."""
    served.sql("CREATE TABLE bound(id serial PRIMARY KEY, old numeric(6,2)); ALTER TABLE bound RENAME old TO x")
    with served.client() as client:
        assert client.post("/rest/v1/bound", json={key: 1.25}).status_code == 201
    answer = under_way(served, "ALTER TABLE bound ALTER x TYPE numeric(6,1)", "POST", "/rest/v1/bound", {key: 2.25})
    assert answer.status_code == 201 and answer.headers["mendgate-changed"].startswith("x(2.25->2.3")


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "POST"])
def test_a_table_that_is_swapped_under_way_is_never_taken_for_the_old_one(served: Gateway, method: str) -> None:
    """The write was healed to the table that the name meant; another one has that name now."""
    columns = "id int PRIMARY KEY, " + ", ".join(f"a{number} int" for number in range(12))
    first, other, old = (f"{method.lower()}_{name}" for name in ("first", "other", "old"))
    served.sql(f"CREATE TABLE {first} ({columns}); CREATE TABLE {other} ({columns}); INSERT INTO {other}(id, a0) VALUES (1, 7)")
    served.manage("capture_schema")
    served.sql(f"ALTER TABLE {first} RENAME TO bound")
    try:
        with served.client() as client:
            assert client.get(f"/rest/v1/{first}").status_code == 200
        swap = f"ALTER TABLE bound RENAME TO {old}; ALTER TABLE {other} RENAME TO bound"
        where = "?id=eq.1" if method == "PATCH" else ""
        body = None if method == "DELETE" else {f"a{number}": 1 for number in range(12)} | ({"id": 5} if method == "POST" else {})
        under_way(served, swap, method, f"/rest/v1/{first}{where}", body)
        assert served.sql("SELECT id, a0 FROM bound") == [{"id": 1, "a0": 7}]
    finally:
        served.sql(f"DROP TABLE IF EXISTS {first}, {other}, {old}")


def test_a_function_call_under_a_key_has_one_effect(served: Gateway) -> None:
    """Calls that write are as good as inserts."""
    served.sql(
        """CREATE TABLE bound(id serial PRIMARY KEY, said text);
        CREATE OR REPLACE FUNCTION say(what text) RETURNS int LANGUAGE sql AS 'INSERT INTO bound(said) VALUES (what) RETURNING id'"""
    )
    with served.client(**{"idempotency-key": "say-1"}) as client:
        first, second = (client.post("/rest/v1/rpc/say", json={"what": "hi"}) for _ in range(2))
        assert (first.status_code, first.text) == (200, second.text)
        assert second.headers["mendgate-idempotent"] == "replayed"
        assert client.post("/rest/v1/rpc/say", json={"what": "ho"}).status_code == 422
    assert len(served.sql("SELECT 1 AS x FROM bound")) == 1


def test_two_tenants_without_a_subject_do_not_share_a_key(served: Gateway) -> None:
    """What tells callers apart may be another claim than sub."""
    served.sql(
        "CREATE TABLE bound(id serial PRIMARY KEY, tenant text DEFAULT current_setting('request.jwt.claims', true)::json ->> 'tenant')"
    )
    key = served.make_key("anon")
    for tenant in ("one", "two"):
        token = jwt.encode({"role": "authenticated", "tenant": tenant, "exp": time.time() + 600}, JWT_SECRET, "HS256")
        headers = {"apikey": key, "authorization": f"Bearer {token}", "idempotency-key": "same"}
        answer = httpx.post(f"{served.base_url}/rest/v1/bound", json={}, headers=headers)
        assert answer.status_code == 201 and "mendgate-idempotent" not in answer.headers
    assert [row["tenant"] for row in served.sql("SELECT tenant FROM bound ORDER BY id")] == ["one", "two"]
