"""Promise 6: with the control database away, writes that need nothing from it go through as before."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from resilience_site.embedded import EmbeddedPostgres
from tests.gateway_process import Gateway
from tests.waiting import HANGS


@pytest.fixture
def own(make_gateway: Callable[..., Gateway]) -> Iterator[Gateway]:
    """A gateway of its own, with a renamed column and a key that was used."""
    gateway = make_gateway().start()
    gateway.sql("CREATE TABLE t(id serial PRIMARY KEY, email text)")
    gateway.manage("capture_schema")
    gateway.sql("ALTER TABLE t RENAME COLUMN email TO email_address")
    with gateway.client() as client:
        assert client.post("/rest/v1/t", json={"email": "before"}).status_code == 201
    wait_until_remembered(gateway)
    yield gateway
    gateway.stop()


def wait_until_remembered(gateway: Gateway) -> None:
    """Until the key and the schema are on disk, where they are saved a moment after they were loaded."""
    deadline = time.monotonic() + HANGS
    while True:
        text = (gateway.home / "remembered.json").read_bytes() if (gateway.home / "remembered.json").exists() else b"{}"
        parts = json.loads(text)
        if parts.get("keys") and b'"email"' in text:
            return
        assert time.monotonic() < deadline, "not remembered"
        time.sleep(0.05)


def take_away(postgres: EmbeddedPostgres, gateway: Gateway, away: bool) -> None:
    """Closes or opens the door of the control database."""
    name = urlsplit(gateway.control_url).path.lstrip("/")
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as owner:
        owner.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(name), sql.Literal(not away)))
        owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


def check_service(gateway: Gateway) -> None:
    """What must work without the control database, and what must say so."""
    with gateway.client() as client:
        assert client.post("/rest/v1/t", json={"email_address": "healthy"}).status_code == 201
        healed = client.post("/rest/v1/t", json={"email": "healed"})
        assert healed.status_code == 201 and "mendgate-receipt" in healed.headers
        count = gateway.sql("SELECT count(*) AS n FROM t")[0]["n"]
        misfit = client.post("/rest/v1/t", json={"nick": "x"})
        assert misfit.status_code == 400 and misfit.json()["code"] == "PGRST204"
        assert "could not keep this write" in misfit.json()["hint"] and "mendgate-quarantine" not in misfit.headers
        assert gateway.sql("SELECT count(*) AS n FROM t")[0]["n"] == count


def test_healthy_and_healed_writes_go_on_even_over_a_restart(own: Gateway, postgres: EmbeddedPostgres) -> None:
    """Keys, rules and lineage are remembered on disk; a key that cannot be checked gets 503, not 401."""
    take_away(postgres, own, True)
    try:
        check_service(own)
        own.kill9()
        own.start()
        check_service(own)
        with own.client() as client:
            body = client.headers["apikey"]
            wrong = client.get("/rest/v1/t", headers={"apikey": body[:-1] + ("0" if body[-1] != "0" else "1")})
            assert wrong.status_code == 401  # the checksum needs no database
    finally:
        take_away(postgres, own, False)
    deadline = time.monotonic() + HANGS
    with own.client() as client:
        while "mendgate-quarantine" not in client.post("/rest/v1/t", json={"nick": "x"}).headers:
            assert time.monotonic() < deadline, "the control database came back and was not found"
            time.sleep(0.2)
