"""From the commit of a DDL command to its use: in a gateway process (asked of its state), and as a stored version.

``python -m benchmarks.ddl_latency [--tables 200] [--rounds 300]``: a Postgres of its own, thrown away afterwards; the watcher is
a real process, the gateway's keeper and follower run here. Also: what the log costs the DDL command itself.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from healing.gateway.services import Services
from healing.gateway.settings import Settings
from resilience_site import monitor_setup, target_setup
from resilience_site.embedded import EmbeddedPostgres
from resilience_site.watching import is_watching

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mendgate-ddl-") as name:
        home = Path(name)
        home.chmod(0o711)
        with EmbeddedPostgres(home, durable=False) as server:
            asyncio.run(_measure(server, options.tables, options.rounds))


async def _measure(server: EmbeddedPostgres, tables: int, rounds: int) -> None:
    state, columns = server.state, ", ".join(f"c{number} text" for number in range(9))
    target_setup.prepare(state.target_url, ["public"], state.owner_url)
    owner = await asyncpg.connect(state.owner_url)
    for number in range(tables):
        await owner.execute(f"CREATE TABLE t{number} (id serial PRIMARY KEY, {columns})")
    names = [f"c{number}" for number in range(1, 2 * rounds + 1)]
    await owner.execute("ALTER TABLE t0 RENAME c0 TO c_0")
    await owner.execute("ALTER TABLE t0 DROP COLUMN " + ", DROP COLUMN ".join(f"c{number}" for number in range(1, 9)))
    _print("DDL without the log", [await _rename(owner, name) for name in names[:rounds]])
    assert (why_not := monitor_setup.prepare(state.owner_url, state.target_url)) is None, why_not
    _print("DDL with the log, nobody listening", [await _rename(owner, f"x{number}") for number in range(rounds)])
    settings = Settings(database_url=state.control_url, target_database_url=state.target_url, home=server.home)
    with _watcher(server):
        services = Services(settings)
        await services.open()
        await asyncio.sleep(2)
        await _follow(services, owner, state.control_url, names[rounds:])
        await services.close()
    await owner.close()


async def _follow(services: Services, owner: asyncpg.Connection, control_url: str, names: list[str]) -> None:
    control, told = await asyncpg.connect(control_url), asyncio.Event()
    await control.add_listener("mendgate_snapshot", lambda *_: told.set())
    oid = await owner.fetchval("SELECT 't0'::regclass::oid::int8")
    cost, used, stored = [], [], []
    for name in names:
        told.clear()
        cost.append(await _rename(owner, name))
        committed = time.perf_counter()
        while services.state.snapshot.relations[oid].column(name) is None:  # noqa: ASYNC110  (as a request looks)
            await asyncio.sleep(0.0002)
        used.append(time.perf_counter() - committed)
        await asyncio.wait_for(told.wait(), 10)
        stored.append(time.perf_counter() - committed)
        await asyncio.sleep(0.02)
    await control.close()
    _print("DDL with the log", cost)
    _print("commit -> used by a gateway process", used)
    _print("commit -> stored version announced", stored)


async def _rename(owner: asyncpg.Connection, name: str) -> float:
    """Renames the second column of t0; how long the command took."""
    last = await owner.fetchval("SELECT attname::text FROM pg_attribute WHERE attrelid = 't0'::regclass AND attnum = 2")
    begun = time.perf_counter()
    await owner.execute(f'ALTER TABLE t0 RENAME "{last}" TO "{name}"')
    return time.perf_counter() - begun


@contextmanager
def _watcher(server: EmbeddedPostgres) -> Iterator[None]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "resilience_site.settings",
        "DATABASE_URL": server.state.control_url,
        "TARGET_DATABASE_URL": server.state.target_url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "MENDGATE_HOME": str(server.home),
    }
    command = [sys.executable, "manage.py"]
    subprocess.run([*command, "migrate", "--skip-checks", "-v", "0"], cwd=ROOT, env=environment, check=True)
    process = subprocess.Popen([*command, "watch_schema", "--skip-checks"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        while not is_watching(server.state.control_url):
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def _print(what: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    shown = [ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000 for share in (0.5, 0.95, 0.99, 1)]
    print(f"{what:<38} p50 {shown[0]:7.2f}  p95 {shown[1]:7.2f}  p99 {shown[2]:7.2f}  max {shown[3]:7.2f} ms  (n={len(ordered)})")


if __name__ == "__main__":
    main()
