"""A worker's job begins with the target's catalog of that moment, whether the watcher has stored it yet or not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg

from healing.gateway.services import Services
from healing.gateway.settings import Settings


def test_a_job_knows_what_was_renamed_a_moment_ago(control_url: str, target_url: str, owner: psycopg.Connection, tmp_path: Path) -> None:
    """No version tells of it: the DDL log does."""

    async def names(change: str) -> list[str]:
        services = Services(Settings(database_url=control_url, target_database_url=target_url, home=tmp_path))
        await services.keeper.start(listen=False)
        owner.execute(change)  # type: ignore[call-overload]
        await services.follower.look_once()
        found = [column.name for r in services.state.snapshot.relations.values() if r.name == "jobs" for column in r.columns]
        await services.close()
        return found

    owner.execute("CREATE TABLE jobs (id int, old text)")
    assert asyncio.run(names("ALTER TABLE jobs RENAME old TO new")) == ["id", "new"]
    assert asyncio.run(names("DROP TABLE jobs")) == []
