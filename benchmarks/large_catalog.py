"""A large target: what the first capture costs, what a change costs, how soon it is in use, and what waiting costs.

``python -m benchmarks.large_catalog [--tables 10000] [--columns 10] [--rounds 40] [--idle 30]``: a Postgres of its own, thrown away
afterwards; the watcher is a real process, the gateway's keeper and follower run here.
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
import psycopg

from benchmarks.cpu import spent
from benchmarks.figures import figure
from healing.gateway.services import Services
from healing.gateway.settings import Settings
from resilience_site import monitor_setup, target_setup
from resilience_site.embedded import EmbeddedPostgres
from resilience_site.watching import is_watching
from schema_monitor import catalog, ddl_log, reread
from schema_monitor.core.snapshot import Snapshot

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=10_000)
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--idle", type=float, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mendgate-large-") as name:
        home = Path(name)
        home.chmod(0o711)
        with EmbeddedPostgres(home, durable=False) as server:
            _fill(server, options.tables, options.columns)
            environment = _environment(server)
            _first_capture(server, environment)
            _reading(server, options.rounds)
            with _watcher(server, environment) as watcher:
                asyncio.run(_live(server, watcher, options.rounds, options.idle))


def _fill(server: EmbeddedPostgres, tables: int, columns: int) -> None:
    target_setup.prepare(server.state.target_url, ["public"], server.state.owner_url)
    others = ", ".join(f"c{number} text" for number in range(1, columns))
    with psycopg.connect(server.state.owner_url, autocommit=True) as owner:
        for start in range(0, tables, 500):
            names = range(start, min(start + 500, tables))
            owner.execute("; ".join(f"CREATE TABLE t{n} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {others})" for n in names))
        owner.execute("VACUUM ANALYZE")
    assert (why_not := monitor_setup.prepare(server.state.owner_url, server.state.target_url)) is None, why_not
    print(f"{tables} tables, {tables * columns} columns")


def _first_capture(server: EmbeddedPostgres, environment: dict[str, str]) -> None:
    command = [sys.executable, "manage.py"]
    subprocess.run([*command, "migrate", "--skip-checks", "-v", "0"], cwd=ROOT, env=environment, check=True)
    began = time.perf_counter()
    subprocess.run([*command, "capture_schema", "--skip-checks"], cwd=ROOT, env=environment, check=True)
    took = time.perf_counter() - began
    figure("large catalog: first capture, a process of its own", f"{took:.1f} s", "< 10 s", took < 10)
    size = _one(server.state.control_url, "SELECT pg_column_size(snapshot) + pg_column_size(lineage) FROM schema_monitor_schemaversion")
    print(f"the first version takes {size / 1e6:.1f} MB in the control database")


def _reading(server: EmbeddedPostgres, rounds: int) -> None:
    """What a capture reads after a change of one table."""
    with (
        psycopg.connect(server.state.target_url, autocommit=True) as target,
        psycopg.connect(server.state.owner_url, autocommit=True) as owner,
    ):
        began = time.perf_counter()
        snapshot = catalog.read_snapshot_sync(target, ["public"])
        print(f"reading everything: {time.perf_counter() - began:.2f} s")
        took = []
        for number in range(rounds):
            owner.execute(f"ALTER TABLE t{number + 100} RENAME c1 TO renamed")
            seconds, snapshot = _reread(target, snapshot)
            took.append(seconds)
        whole = catalog.read_snapshot_sync(target, ["public"])
        assert whole.fingerprint == snapshot.fingerprint, "reading by parts and reading everything differ"
    median, worst = sorted(took)[len(took) // 2] * 1000, max(took) * 1000
    figure("large catalog: reading a one-table change, p50", f"{median:.1f} ms", "< 50 ms", median < 50)
    print(f"the slowest of {rounds}: {worst:.1f} ms")


def _reread(target: psycopg.Connection, before: Snapshot) -> tuple[float, Snapshot]:
    began = time.perf_counter()
    news = ddl_log.read_sync(target, before.horizon)
    assert news is not None
    now = reread.read_changed(target, before, news.within(before.scope).entries)
    took = time.perf_counter() - began
    assert now is not None
    return took, _at(now, news.horizon)


def _at(snapshot: Snapshot, horizon: int) -> Snapshot:
    from msgspec.structs import replace

    return replace(snapshot, horizon=horizon)


async def _live(server: EmbeddedPostgres, watcher: int, rounds: int, idle: float) -> None:
    state = server.state
    before = _memory(os.getpid())
    services = Services(Settings(database_url=state.control_url, target_database_url=state.target_url, home=server.home))
    await services.open()
    await asyncio.sleep(5)
    print(
        f"a gateway process holds {_memory(os.getpid()) - before:.0f} MB more with the catalog; the watcher takes {_memory(watcher):.0f} MB"
    )
    owner, control, told = await asyncpg.connect(state.owner_url), await asyncpg.connect(state.control_url), asyncio.Event()
    await control.add_listener("mendgate_snapshot", lambda *_: told.set())
    used, stored = [], []
    for number in range(rounds):
        oid = await owner.fetchval(f"SELECT 't{number}'::regclass::oid::int8")
        told.clear()
        await owner.execute(f"ALTER TABLE t{number} RENAME c2 TO other")
        committed = time.perf_counter()
        while services.state.snapshot.relations[oid].column("other") is None:  # noqa: ASYNC110  (as a request looks)
            await asyncio.sleep(0.001)
        used.append(time.perf_counter() - committed)
        await asyncio.wait_for(told.wait(), 30)
        stored.append(time.perf_counter() - committed)
        await asyncio.sleep(0.3)
    _report("large catalog: commit to live in a gateway, p99", used, 100)
    _report("large catalog: commit to stored version, p99", stored, 1000)
    size = await control.fetchval("SELECT avg(pg_column_size(delta)) FROM schema_monitor_schemaversion WHERE snapshot IS NULL")
    print(f"such a version takes {float(size):.0f} bytes in the control database")
    await _idle(watcher, idle)
    await services.close()
    await owner.close()
    await control.close()


async def _idle(watcher: int, seconds: float) -> None:
    await asyncio.sleep(10)  # what the last change left to do
    watched, own, everything = spent(watcher), time.process_time(), spent(os.getpid())
    await asyncio.sleep(seconds)
    used = {
        "watcher": spent(watcher) - watched,
        "gateway": time.process_time() - own,
        "with Postgres, all": spent(os.getpid()) - everything,
    }
    for name, cost in used.items():
        share = cost / seconds * 100
        figure(f"large catalog: idle {name}, of a core", f"{share:.2f} %", "< 1 %", share < 1)


def _report(name: str, seconds: list[float], aim: float) -> None:
    ordered = sorted(seconds)
    p50, p99 = ordered[len(ordered) // 2] * 1000, ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)] * 1000
    print(f"{name[:-5]}: p50 {p50:.1f} ms, p99 {p99:.1f} ms (n={len(ordered)})")
    figure(name, f"{p99:.0f} ms", f"< {aim:.0f} ms", p99 < aim)


def _environment(server: EmbeddedPostgres) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "resilience_site.settings",
        "DATABASE_URL": server.state.control_url,
        "TARGET_DATABASE_URL": server.state.target_url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "MENDGATE_HOME": str(server.home),
    }


@contextmanager
def _watcher(server: EmbeddedPostgres, environment: dict[str, str]) -> Iterator[int]:
    command = [sys.executable, "manage.py", "watch_schema", "--skip-checks"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        while not is_watching(server.state.control_url):
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _memory(pid: int) -> float:
    """Megabytes that a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _one(url: str, query: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        (value,) = connection.execute(query).fetchone() or (0,)
    return int(value)


if __name__ == "__main__":
    main()
