"""Former names end to end: followed, counted by caller, retired by a person in every process, restored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest

from tests.gateway_process import Gateway
from tests.waiting import HANGS

RITA = (
    "INSERT INTO auth_user(username, password, is_superuser, is_staff, is_active, first_name, last_name, email, date_joined)"
    " VALUES ('rita', '', true, true, true, '', '', '', now()) ON CONFLICT DO NOTHING"
)


@pytest.fixture
def served(shared_gateway: Gateway) -> Iterator[Gateway]:
    """The gateway of the run, with a table whose names all changed once."""
    gateway = shared_gateway
    gateway.control(RITA)
    gateway.sql("CREATE TYPE tone AS ENUM ('glad', 'sad'); CREATE TABLE olden(id serial PRIMARY KEY, title text, tone tone)")
    gateway.manage("capture_schema")
    gateway.sql("ALTER TABLE olden RENAME title TO headline")
    gateway.sql("ALTER TYPE tone RENAME VALUE 'glad' TO 'happy'")
    gateway.sql("ALTER TABLE olden RENAME TO newer")
    gateway.manage("capture_schema")
    yield gateway
    gateway.sql("DROP TABLE IF EXISTS newer, olden; DROP TYPE IF EXISTS tone")


def until(look: Callable[[], Any]) -> Any:
    """What ``look`` finds, as soon as it finds something."""
    deadline = time.monotonic() + HANGS
    while not (found := look()):
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.05)
    return found


def listed(gateway: Gateway) -> dict[str, list[str]]:
    """The columns of ``old_names`` by former name."""
    rows = [line.split("\t") for line in gateway.manage("old_names").splitlines()]
    return {row[2].partition(" -> ")[0].rpartition(".")[2]: row for row in rows}


def decide(gateway: Gateway, alias: str, *more: str) -> None:
    """Retire or restore as rita."""
    gateway.manage("retire_name", alias, "--user", "rita", "--why", "three months are enough", *more)


def test_a_former_name_is_counted_retired_everywhere_and_restored(served: Gateway) -> None:
    """Table, column and label, by writes and reads; each retirement shows within a second, in the plain error with today's name."""
    with served.client() as client:
        sent = client.post("/rest/v1/olden", json={"title": "a", "tone": "glad"})
        assert sent.status_code == 201, sent.text
        assert client.get("/rest/v1/newer?select=title&title=eq.a").json() == [{"title": "a"}]
        wanted = {"olden", "title", "glad"}
        found = until(lambda: wanted <= _used(served) and listed(served))
        assert {name: (found[name][1], found[name][3]) for name in wanted} == dict.fromkeys(
            wanted, ("in use", "1 caller still uses the old name, last just now.")
        )
        _retired(served, client, found["title"][0], lambda: client.get("/rest/v1/newer?select=title"), "42703", "headline")
        kept = client.post("/rest/v1/newer", json={"title": "b"})
        assert kept.status_code == 400 and kept.json()["code"] == "PGRST204" and "'headline'" in kept.json()["hint"]
        _retired(served, client, found["olden"][0], lambda: client.get("/rest/v1/olden"), "PGRST205", "newer")
        decide(served, found["glad"][0])
        until(lambda: client.post("/rest/v1/newer", json={"tone": "glad"}).status_code == 400)
        for name in wanted:
            decide(served, found[name][0], "--restore")
        again = until(lambda: (a := client.post("/rest/v1/olden", json={"title": "c", "tone": "glad"})).status_code == 201 and a)
        assert "title->headline" in again.headers["mendgate-healed"]
    assert served.sql("SELECT headline, tone FROM newer ORDER BY id") == [
        {"headline": "a", "tone": "happy"}, {"headline": "c", "tone": "happy"},
    ]  # fmt: skip
    audited = served.control("SELECT action, kind, who FROM healing_decision WHERE kind = 'alias' ORDER BY id")
    assert [row["action"] for row in audited] == ["retire"] * 3 + ["restore"] * 3 and {row["who"] for row in audited} == {"rita"}


def _retired(served: Gateway, client: httpx.Client, alias: str, send: Callable[[], httpx.Response], code: str, now: str) -> None:
    """The name stops within a second of the decision (measured without the command's own start-up)."""
    assert send().status_code == 200
    with psycopg.connect(served.control_url) as control:
        control.execute("LISTEN mendgate_snapshot")
        control.commit()
        decide(served, alias)
        assert "retired" in [note.payload for note in control.notifies(timeout=0.1)]
    refused = until(lambda: (a := send()).status_code != 200 and a)
    assert refused.json()["code"] == code and f"'{now}'" in refused.json()["hint"]


def _used(served: Gateway) -> set[str]:
    rows = served.control("SELECT name FROM schema_monitor_oldnameuse")
    return {row["name"] for row in rows}


def test_nobody_retires_a_name_without_the_right_or_that_is_none(served: Gateway) -> None:
    """The way out is said."""
    with pytest.raises(AssertionError, match="There is no user"):
        served.manage("retire_name", "column:1:2:x", "--user", "nobody", "--why", "so")
    with pytest.raises(AssertionError, match="There is no such former name"):
        decide(served, "column:1:2:x")
    with pytest.raises(AssertionError, match="A reason is required"):
        served.manage("retire_name", "column:1:2:x", "--user", "rita", "--why", " ")
