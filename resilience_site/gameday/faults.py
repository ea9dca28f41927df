"""The faults: what each does to the scratch Mendgate, how it is lifted, and what must hold while it lasts."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

import psycopg
import redis
from msgspec import Struct

from resilience_site.embedded_state import CONTROL, TARGET
from resilience_site.gameday.stage import Stage, connected

Deed = Callable[[Stage, random.Random], Awaitable[object]]


async def _nothing(stage: Stage, rng: random.Random) -> None:
    """It is over by itself."""


class Fault(Struct, frozen=True):
    """``lasts``: seconds, usually. ``harmless``: writes that need neither healing nor quarantine must not feel it at all. ``unkept``: what
    cannot be healed cannot be kept meanwhile, so it is refused."""

    title: str
    must: str
    lasts: float
    inject: Deed
    lift: Deed = _nothing
    harmless: bool = False
    unkept: bool = False


async def kill_web(stage: Stage, rng: random.Random) -> None:
    """One of them, in the middle of whatever it does; the supervisor starts it again."""
    stage.kill(rng.choice(stage.webs))


async def kill_worker(stage: Stage, rng: random.Random) -> None:
    """With the job it runs."""
    stage.kill("worker")


async def stop_valkey(stage: Stage, rng: random.Random) -> None:
    """kill -9, and it stays away."""
    if (pid := stage.valkey.pid) is not None:
        os.kill(pid, signal.SIGKILL)
    if stage.valkey.process is not None:
        await asyncio.to_thread(stage.valkey.process.wait)


async def start_valkey(stage: Stage, rng: random.Random) -> None:
    """On the same port, with what it had written."""
    await asyncio.to_thread(stage.valkey.start)


async def flush_valkey(stage: Stage, rng: random.Random) -> None:
    """Queues, breakers, counters: all of it gone."""

    def flush() -> None:
        with redis.Redis.from_url(stage.valkey.url) as client:
            client.flushall()

    await asyncio.to_thread(flush)


async def end_backends(stage: Stage, rng: random.Random) -> None:
    """Every connection of the gateway to the target."""
    await stage.sql(_END, "", TARGET)


async def crash_database(stage: Stage, rng: random.Random) -> None:
    """kill -9 of one backend: Postgres ends all others and recovers. Target and control database are one server here."""
    with suppress(ProcessLookupError, psycopg.OperationalError):
        pids = await stage.sql("SELECT pid FROM pg_stat_activity WHERE datname = %s AND application_name = 'mendgate'", "", TARGET)
        if pids:
            os.kill(rng.choice(pids)[0], signal.SIGKILL)


async def cut(stage: Stage, rng: random.Random) -> None:
    """Half-way through commits too, three times."""
    for _ in range(3):
        stage.proxy.cut()
        await asyncio.sleep(0.2)


async def freeze(stage: Stage, rng: random.Random) -> None:
    """No byte passes, nobody is told."""
    stage.proxy.freeze()


async def thaw(stage: Stage, rng: random.Random) -> None:
    """What waited goes on."""
    stage.proxy.thaw()


async def rename(stage: Stage, rng: random.Random) -> None:
    """``orders.note``, under writers who go on using its first name."""
    column = (await stage.sql(_COLUMN))[0][0]
    await stage.sql(f'SET lock_timeout = 5000; ALTER TABLE orders RENAME COLUMN "{column}" TO "note_{rng.randrange(10**9)}"')


async def add_column(stage: Stage, rng: random.Random) -> None:
    """The one that waiting writes wait for."""
    await stage.sql("SET lock_timeout = 5000; ALTER TABLE orders ADD COLUMN IF NOT EXISTS extra text")


async def drop_column(stage: Stage, rng: random.Random) -> None:
    """Under writers who use it."""
    await stage.sql("SET lock_timeout = 5000; ALTER TABLE orders DROP COLUMN IF EXISTS extra")


class _Lock:
    """A table held by somebody who thinks."""

    def __init__(self) -> None:
        self._held: psycopg.Connection | None = None

    async def take(self, stage: Stage, rng: random.Random) -> None:
        """ACCESS EXCLUSIVE: not even reads pass."""
        self._held = await asyncio.to_thread(_locked, stage.postgres.url())

    async def release(self, stage: Stage, rng: random.Random) -> None:
        """They thought enough."""
        held, self._held = self._held, None
        if held is not None:
            await asyncio.to_thread(held.close)


async def close_control(stage: Stage, rng: random.Random) -> None:
    """Nobody gets into the control database, and whoever was in is out."""
    await stage.sql(f"ALTER DATABASE {CONTROL} ALLOW_CONNECTIONS false", "postgres")
    await stage.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", "postgres", CONTROL)


async def open_control(stage: Stage, rng: random.Random) -> None:
    """It is there again, with everything."""
    await stage.sql(f"ALTER DATABASE {CONTROL} ALLOW_CONNECTIONS true", "postgres")


_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND application_name = 'mendgate'"
_COLUMN = """
SELECT attname FROM pg_attribute WHERE attrelid = 'public.orders'::regclass AND attnum > 0 AND NOT attisdropped AND attname LIKE 'note%'
ORDER BY attnum LIMIT 1"""
_lock = _Lock()


def _locked(url: str) -> psycopg.Connection:
    held = connected(url)
    held.execute("BEGIN")
    held.execute("LOCK TABLE orders, plain IN ACCESS EXCLUSIVE MODE")
    return held


_ONE_END = "every request still ends as one of the three"
_UNFELT = "writes that need no healing do not feel it"

FAULTS: dict[str, Fault] = {
    "web-kill": Fault("A web process is killed (kill -9)", f"{_ONE_END}; the other one serves", 1.0, kill_web),
    "worker-kill": Fault("The worker is killed (kill -9)", f"{_UNFELT}; its work is done by the next", 1.0, kill_worker, harmless=True),
    "valkey-down": Fault("Valkey is killed and stays away", _UNFELT, 4.0, stop_valkey, start_valkey, harmless=True),
    "valkey-flush": Fault("Valkey loses everything (FLUSHALL)", _UNFELT, 1.0, flush_valkey, harmless=True),
    "backend-end": Fault("The target ends every connection", f"{_ONE_END}; nothing is half written", 1.0, end_backends),
    "database-crash": Fault(
        "A backend is killed, Postgres recovers", f"{_ONE_END}; what was answered is there", 2.0, crash_database, unkept=True
    ),
    "cut": Fault("The way to the target is cut, three times", f"{_ONE_END}; no commit is lost or doubled", 1.0, cut),
    "freeze": Fault("The way to the target freezes", f"{_ONE_END}; nothing piles up", 3.0, freeze, thaw),
    "rename": Fault("A column is renamed under its writers", "the old name goes on landing, nobody is refused", 2.0, rename, harmless=True),
    "add-column": Fault("A column is added that writes wait for", "they land, once", 4.0, add_column, harmless=True),
    "drop-column": Fault("A column is dropped under its writers", "their writes are kept, once", 2.0, drop_column, harmless=True),
    "lock": Fault("Two tables are locked", f"{_ONE_END}; the others go on", 3.0, _lock.take, _lock.release),
    "control-down": Fault(
        "The control database is closed",
        f"{_UNFELT}; what cannot be kept is refused",
        4.0,
        close_control,
        open_control,
        harmless=True,
        unkept=True,
    ),
}
