"""What a process remembers of its callers is bounded, whatever they call things; and what anybody can make up costs next to nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg

from healing.gateway import keytext
from healing.gateway.app import Gateway, create
from healing.gateway.services import Services
from healing.gateway.settings import Settings
from tests.gateway_process import JWT_SECRET

Use = Callable[[httpx.AsyncClient, Services], Awaitable[Any]]
LONG = 20_000


def used(control_url: str, target_url: str, home: Path, use: Use) -> Any:
    """What ``use`` says of a gateway in this process."""

    async def run() -> Any:
        async with opened(create(settings)) as (client, services):
            return await use(client, services)

    settings = Settings(database_url=control_url, target_database_url=target_url, home=home, jwt_secret=JWT_SECRET)
    return asyncio.run(run())


@asynccontextmanager
async def opened(gateway: Gateway) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    token = jwt.encode({"role": "service_role", "exp": int(time.time()) + 3600}, JWT_SECRET)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    transport = httpx.ASGITransport(app=gateway)  # type: ignore[arg-type]
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway/rest/v1", headers=headers) as client:
            yield client, await gateway.open()
    finally:
        await gateway.close()


def test_no_name_of_a_callers_is_remembered_that_is_longer_than_names_are(
    control_url: str, target_url: str, owner: psycopg.Connection, tmp_path: Path
) -> None:
    owner.execute("CREATE TABLE notes (id int PRIMARY KEY, body text); GRANT ALL ON notes TO service_role")

    async def use(client: httpx.AsyncClient, services: Services) -> tuple[int, ...]:
        before = 0
        for number in range(3):
            name = f"{number}".ljust(LONG, "x")
            row, merge = {"id": number, "body": "a"}, {"prefer": "resolution=merge-duplicates"}
            for answer in (
                await client.post("/notes", json={"id": 1, name: 1}),
                await client.post(f"/notes?select={name}:id", json=row, headers={"prefer": "return=representation"}),
                await client.post("/notes", json=row, headers={"prefer": f"x={name}"}),
                await client.post("/notes", json={"id": number, name: 1}, headers=merge),
                await client.post(f"/notes?on_conflict={name}", json=row, headers=merge),
                await client.patch("/notes?id=eq.1", json={name: 1}),
                await client.patch(f"/notes?{name}=eq.1", json={"body": "b"}),
                await client.get(f"/notes?{name}=eq.1"),
                await client.get(f"/notes?id=eq.1&select={name}:id"),
                await client.get(f"/{name}?id=eq.1"),
                await client.post(f"/{name}", json={"id": 1}),
            ):
                assert answer.status_code < 500, answer.text
        for path, body in (("/notes", {"id": 10, "body": "plain"}), ("/notes?select=id", {"id": 11})):
            before += (await client.post(path, json=body)).status_code == 201
        await client.get("/notes?id=eq.10")
        held = (services.state.settled, services.shapes._known, services.statements)
        return before, *(len(each) > 0 for each in held), max(len(repr(each)) for each in held)

    landed, *some, longest = used(control_url, target_url, tmp_path, use)
    assert landed == 2 and all(some), "what is plain is remembered"
    assert longest < LONG


def test_a_key_that_was_made_up_costs_one_look_and_forgets_nobody(control_url: str, target_url: str, tmp_path: Path) -> None:
    async def use(client: httpx.AsyncClient, services: Services) -> list[Any]:
        forgotten: list[str] = []
        services.keeper.on_keys_changed = lambda: forgotten.append("all")
        answers = [(await client.get("/notes", headers={"apikey": keytext.make()[0], "authorization": ""})).json() for _ in range(5)]
        said = [answer["message"] for answer in answers]
        before = len(forgotten)
        text, _, digest = keytext.make()
        with psycopg.connect(control_url, autocommit=True) as control:
            control.execute(PUT, [digest, "[]"])
        found = await client.get("/notes", headers={"apikey": text, "authorization": ""})
        return [said, before, len(forgotten), found.json()["code"]]

    said, before, after, code = used(control_url, target_url, tmp_path, use)
    assert said == ["Unknown or revoked API key"] * 5
    assert before == 0 < after, "only for the key that there was"
    assert code == "PGRST205", "it was let in: there is no such table"


def test_that_a_key_was_used_is_noted(control_url: str, target_url: str, tmp_path: Path) -> None:
    async def use(client: httpx.AsyncClient, services: Services) -> None:
        await client.get("/notes", headers={"apikey": text, "authorization": ""})

    text, _, digest = keytext.make()
    with psycopg.connect(control_url, autocommit=True) as control:
        control.execute(PUT, [digest, "[]"])
        used(control_url, target_url, tmp_path, use)
        found = control.execute("SELECT last_used_at > created_at FROM healing_apikey WHERE hash = %s", [digest]).fetchone()
    assert found == (True,)


def test_a_key_for_something_else_is_not_for_the_data_api(control_url: str, target_url: str, tmp_path: Path) -> None:
    async def use(client: httpx.AsyncClient, services: Services) -> list[tuple[int, str]]:
        given = [{"apikey": key, "authorization": ""} for key in keys]
        asked = [
            (await client.get("/notes", headers=each), await client.post("http://gateway/api/v1/transactions", json={}, headers=each))
            for each in given
        ]
        return [(answer.status_code, answer.json()["code"]) for answers in asked for answer in answers]

    keys = []
    with psycopg.connect(control_url, autocommit=True) as control:
        for scopes in ('["ai"]', '["data"]'):
            text, _, digest = keytext.make()
            control.execute(PUT, [digest, scopes])
            keys.append(text)
    assert used(control_url, target_url, tmp_path, use) == [(403, "42501")] * 2 + [(404, "PGRST205"), (400, "MG400")]


PUT = """
INSERT INTO healing_apikey (id, name, prefix, hash, role, scopes, created_at, requests_per_minute, at_once, most_bytes)
VALUES (gen_random_uuid(), 'late', left(md5(random()::text), 8), %s, 'service_role', %s, now(), 0, 0, 0)"""
