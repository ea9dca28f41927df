"""The AI gateway's configuration: rows become the snapshot at once, and stay in force when the database is away."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from msgspec.structs import replace

from breakers.gateway.ai.load import Source
from breakers.gateway.ai.sealed import PURPOSE
from breakers.gateway.ai.settings import AiSettings
from healing.gateway import seal
from resilience_site.embedded_postgres import EmbeddedPostgres
from tests.integration.ai_rows import in_loop, provider_row, run
from tests.waiting import HANGS

ENVIRONMENT = {"base_url": "http://127.0.0.1:9/v1/", "api_key": "sk-environment", "model": "tiny"}


@pytest.fixture
def settings(control_url: str, tmp_path: Path) -> AiSettings:
    return AiSettings(database_url=control_url, home=tmp_path, unseal=seal.unseal)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(HANGS):
        while not true():
            await asyncio.sleep(0.01)


@in_loop
async def test_a_change_is_in_force_well_before_the_next_look(settings: AiSettings, control_url: str) -> None:
    source = Source(settings)
    await source.start()
    try:
        assert source.snapshot.providers == {}
        provider_row(control_url, "acme", keys=("sk-one", "sk-two"), models=("big", "small"), chain=("big", "small"))
        await until(lambda: "acme" in source.snapshot.providers)
        acme = source.snapshot.providers["acme"]
        assert [str(each.secret) for each in acme.credentials] == ["sk-one", "sk-two"]
        assert "sk-one" not in repr(source.snapshot)
        assert source.snapshot.models["big"].fallbacks == ("small",)
        assert source.snapshot.models["big"].input_price == 1.5
    finally:
        await source.stop()


@in_loop
async def test_a_retired_key_is_out_at_once_and_soon_elsewhere_and_a_person_can_revive_it(settings: AiSettings, control_url: str) -> None:
    provider_row(control_url, "acme", keys=("sk-one", "sk-two"))
    here, there = Source(settings), Source(settings)
    await asyncio.gather(here.start(), there.start())
    try:
        first = here.snapshot.providers["acme"].credentials[0]
        here.retire(first.id, "401 from acme")
        assert [str(each.secret) for each in here.snapshot.providers["acme"].credentials] == ["sk-two"]
        await until(lambda: len(there.snapshot.providers["acme"].credentials) == 1)
        row = run(control_url, "SELECT state, why, changed_at FROM breakers_aicredential WHERE id = %s", first.id)[0]
        assert row["state"] == "retired" and row["why"] == "401 from acme" and row["changed_at"]
        run(control_url, "UPDATE breakers_aicredential SET state = 'active' WHERE id = %s", first.id)
        run(control_url, "SELECT pg_notify('mendgate_snapshot', 'ai')")
        await until(lambda: len(here.snapshot.providers["acme"].credentials) == 2)
    finally:
        await asyncio.gather(here.stop(), there.stop())


@in_loop
async def test_a_key_that_is_retired_while_the_database_is_away_is_written_when_it_is_back(
    settings: AiSettings, control_url: str, postgres: EmbeddedPostgres, control_name: str
) -> None:
    provider_row(control_url, "acme", keys=("sk-one",))
    source = Source(settings)
    await source.start()
    try:
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as owner:
            owner.execute(f'ALTER DATABASE "{control_name}" ALLOW_CONNECTIONS false')
            owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [control_name])
            key = source.snapshot.providers["acme"].credentials[0].id
            source.retire(key, "402")
            assert source.snapshot.providers["acme"].credentials == () and source.snapshot.providers["acme"].wants_key
            await asyncio.sleep(0.1)
            owner.execute(f'ALTER DATABASE "{control_name}" ALLOW_CONNECTIONS true')
        await until(lambda: run(control_url, "SELECT state FROM breakers_aicredential")[0]["state"] == "retired")
        assert source.snapshot.providers["acme"].credentials == ()
    finally:
        await source.stop()


@in_loop
async def test_without_the_database_the_last_rows_are_in_force_and_no_key_lies_open_on_disk(settings: AiSettings, control_url: str) -> None:
    provider_row(control_url, "acme", keys=("sk-one",))
    source = Source(settings)
    await source.start()
    await until(lambda: (settings.home / "ai-rows.json").exists())
    await source.stop()
    saved = settings.home / "ai-rows.json"
    assert saved.stat().st_mode & 0o077 == 0 and "sk-one" not in saved.read_text()
    later = Source(replace(settings, database_url="postgresql://nobody@127.0.0.1:1/none"))
    await later.start()
    assert str(later.snapshot.providers["acme"].credentials[0].secret) == "sk-one"
    await later.stop()


@in_loop
async def test_the_environment_is_a_provider_unless_a_row_has_its_name(settings: AiSettings, control_url: str) -> None:
    source = Source(replace(settings, **ENVIRONMENT))
    await source.start()
    try:
        assert source.snapshot.providers["default"].base_url == "http://127.0.0.1:9/v1"
        assert source.snapshot.models["tiny"].provider == "default" and source.snapshot.default_model == "tiny"
        provider_row(control_url, "default", models=("other",))
        await until(lambda: "other" in source.snapshot.models)
        assert source.snapshot.providers["default"].base_url == "http://127.0.0.1:1/v1"
        assert "tiny" not in source.snapshot.models
    finally:
        await source.stop()


@in_loop
async def test_a_model_that_is_off_is_answered_by_its_fallback_and_a_key_of_another_secret_does_not_stop_the_rest(
    settings: AiSettings, control_url: str
) -> None:
    provider_row(control_url, "acme", models=("big", "small"), chain=("big", "small"))
    run(control_url, "UPDATE breakers_aimodel SET enabled = false WHERE name = 'big'")
    acme = run(control_url, "SELECT id FROM breakers_aiprovider")[0]["id"]
    run(
        control_url,
        "INSERT INTO breakers_aicredential (id, provider_id, label, secret, last_four, position, state, why)"
        " VALUES (%s, %s, 'strange', %s, '', 0, 'active', '')",
        uuid.uuid4(),
        acme,
        seal.seal(b"payload, not " + PURPOSE),
    )
    source = Source(settings)
    await source.start()
    try:
        assert source.snapshot.models["big"].name == "small"
        assert [str(each.secret) for each in source.snapshot.providers["acme"].credentials] == [""]
    finally:
        await source.stop()
