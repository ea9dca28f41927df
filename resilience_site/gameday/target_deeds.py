"""What is done to the target database and to the way there."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from contextlib import suppress

import psycopg

from resilience_site.embedded_server import EmbeddedError
from resilience_site.embedded_state import GATEWAY, TARGET
from resilience_site.gameday.stage import READY_SECONDS, Stage, connected

_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND application_name = 'mendgate'"
_COLUMN = """
SELECT attname FROM pg_attribute WHERE attrelid = 'public.orders'::regclass AND attnum > 0 AND NOT attisdropped AND attname LIKE 'note%'
ORDER BY attnum LIMIT 1"""


async def end_backends(stage: Stage, rng: random.Random) -> None:
    """Every connection of the gateway to the target."""
    await stage.sql(_END, "", TARGET)


async def crash_database(stage: Stage, rng: random.Random) -> None:
    """kill -9 of one backend: Postgres ends all others and recovers. Target and control database are one server here."""
    with suppress(ProcessLookupError, psycopg.OperationalError):
        pids = await stage.sql("SELECT pid FROM pg_stat_activity WHERE datname = %s AND application_name = 'mendgate'", "", TARGET)
        if pids:
            os.kill(rng.choice(pids)[0], signal.SIGKILL)


async def recovered(stage: Stage, rng: random.Random) -> None:
    """It is over when Postgres says so."""
    await stage.sql("SELECT 1")


async def stop_database(stage: Stage, rng: random.Random) -> None:
    """At once, with nothing written that was not written (``pg_ctl stop -m immediate``), and it stays away."""
    if (pid := stage.postgres.pid) is not None:
        os.kill(pid, signal.SIGQUIT)
    if stage.postgres.process is not None:
        await asyncio.to_thread(stage.postgres.process.wait)


async def start_database(stage: Stage, rng: random.Random) -> None:
    """On the same port; it recovers from its log, however long that takes."""
    ends = time.monotonic() + READY_SECONDS
    while True:
        try:
            await asyncio.to_thread(stage.postgres.start)
            return
        except EmbeddedError:
            if time.monotonic() > ends:
                raise


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


async def slow(stage: Stage, rng: random.Random) -> None:
    """Whatever passes is late, each way: a statement takes a fifth of a second longer."""
    stage.proxy.delay = 0.1


async def quick(stage: Stage, rng: random.Random) -> None:
    """As before."""
    stage.proxy.delay = 0.0


async def rename(stage: Stage, rng: random.Random) -> None:
    """``orders.note``, under writers who go on using its first name."""
    column = (await stage.sql(_COLUMN))[0][0]
    await _alter(stage, f'RENAME COLUMN "{column}" TO "note_{rng.randrange(10**9)}"')


async def rename_unheard(stage: Stage, rng: random.Random) -> None:
    """While the way is cut again and again: whoever would be told of it is not connected."""
    cutting = asyncio.create_task(_cut_on(stage))
    try:
        await rename(stage, rng)
    finally:
        cutting.cancel()
        await asyncio.gather(cutting, return_exceptions=True)
    stage.proxy.cut()


async def add_column(stage: Stage, rng: random.Random) -> None:
    """The one that waiting writes wait for."""
    await _alter(stage, "ADD COLUMN IF NOT EXISTS extra text")


async def drop_column(stage: Stage, rng: random.Random) -> None:
    """Under writers who use it."""
    await _alter(stage, "DROP COLUMN IF EXISTS extra")


class Lock:
    """Tables held by somebody who thinks."""

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


async def revoke(stage: Stage, rng: random.Random) -> None:
    """The gateway's login may no longer become the callers' role."""
    await stage.sql(f"REVOKE service_role FROM {GATEWAY}")


async def grant(stage: Stage, rng: random.Random) -> None:
    """It may again."""
    await stage.sql(f"GRANT service_role TO {GATEWAY}")


async def close_to_writes(stage: Stage, rng: random.Random) -> None:
    """New connections only read, as on a server that was demoted or whose disk is nearly full; those that were open are ended."""
    await stage.sql(f"ALTER ROLE {GATEWAY} SET default_transaction_read_only = on", "postgres")
    await end_backends(stage, rng)


async def open_to_writes(stage: Stage, rng: random.Random) -> None:
    """New connections write again. Nobody ends those that were opened meanwhile."""
    await stage.sql(f"ALTER ROLE {GATEWAY} RESET default_transaction_read_only", "postgres")


async def take_places(stage: Stage, rng: random.Random) -> None:
    """Others hold the server's connections: one is left for all of the gateway."""
    await stage.sql(f"ALTER ROLE {GATEWAY} CONNECTION LIMIT 1", "postgres")
    await end_backends(stage, rng)


async def give_places(stage: Stage, rng: random.Random) -> None:
    """There is room again."""
    await stage.sql(f"ALTER ROLE {GATEWAY} CONNECTION LIMIT -1", "postgres")


async def _alter(stage: Stage, change: str) -> None:
    """As a careful migration does: it waits a while for its lock, lets the writers pass, and tries again."""
    for left in reversed(range(12)):
        try:
            await stage.sql(f"SET lock_timeout = 5000; ALTER TABLE orders {change}")
            return
        except psycopg.errors.LockNotAvailable:
            if not left:
                raise


async def _cut_on(stage: Stage) -> None:
    while True:
        stage.proxy.cut()
        await asyncio.sleep(0.02)


def _locked(url: str) -> psycopg.Connection:
    held = connected(url)
    held.execute("BEGIN")
    held.execute("LOCK TABLE orders, plain IN ACCESS EXCLUSIVE MODE")
    return held
