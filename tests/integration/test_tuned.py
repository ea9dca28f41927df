"""Tuned settings reach the processes that act by them: by notification, within the code's bounds, and fall back when the row is gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psycopg
import pytest

from healing.gateway import coalesce, tuned
from healing.gateway.coalesce import Lane
from healing.gateway.keeper import Keeper
from healing.gateway.prelude import Prelude
from healing.gateway.settings import Settings
from schema_monitor.watch import EVERY, SLOWEST, pace_of

NOBODY = Prelude((), ())
LANE, OTHER = Lane(NOBODY, "a", True, "public.orders"), Lane(NOBODY, "b", True, "public.items")
PUT = "INSERT INTO optimizer_setting (name, place, value, automatic) VALUES ($1, $2, $3, true)"


@pytest.fixture(autouse=True)
def untuned() -> Iterator[None]:
    """Nothing of it stays in this process."""
    yield
    tuned.live.adopt([])


async def until(expected: int, lane: Lane = LANE) -> int:
    """What a batch may hold, once it is that, or after five seconds whatever it is."""
    for _ in range(500):
        if coalesce._most_rows(lane) == expected:
            break
        await asyncio.sleep(0.01)
    return coalesce._most_rows(lane)


def test_a_gateway_follows_the_optimizers_rows_live(control_url: str, target_url: str, tmp_path: Path) -> None:
    asyncio.run(followed(control_url, target_url, tmp_path))


async def followed(control_url: str, target_url: str, tmp_path: Path) -> None:
    """A number, a word for one table only, and back."""
    keeper = Keeper(Settings(database_url=control_url, target_database_url=target_url, home=tmp_path))
    await keeper.start()
    control = await asyncpg.connect(control_url)
    try:
        assert coalesce._most_rows(LANE) == 500
        await control.execute(PUT, "batch_rows", "", json.dumps(400))
        await control.execute("SELECT pg_notify('mendgate_snapshot', 'tuned')")
        assert await until(400) == 400
        await control.execute(PUT, "transactions", "public.orders", json.dumps("alone"))
        await control.execute("SELECT pg_notify('mendgate_snapshot', 'tuned')")
        assert await until(1) == 1 and coalesce._most_rows(OTHER) == 400
        await control.execute("DELETE FROM optimizer_setting")
        await control.execute("SELECT pg_notify('mendgate_snapshot', 'tuned')")
        assert await until(500) == 500
    finally:
        await control.close()
        await keeper.stop()


def test_the_watcher_looks_as_often_as_is_set_within_its_bounds(control_url: str) -> None:
    with psycopg.connect(control_url, autocommit=True) as control:
        assert pace_of(control) == EVERY
        for value, expected in ((2.5, 2.5), (900, SLOWEST), ("often", EVERY), (True, EVERY)):
            control.execute("DELETE FROM optimizer_setting")
            control.execute(PUT.replace("$1, $2, $3", "%s, '', %s"), ["watch_seconds", json.dumps(value)])
            assert pace_of(control) == expected


def test_without_the_table_everything_is_as_the_code_says(owner_url: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as elsewhere:
        assert pace_of(elsewhere) == EVERY
