"""What is done to our own parts: processes, Valkey, the control database."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from contextlib import suppress

import redis

from resilience_site.embedded_state import CONTROL
from resilience_site.gameday.stage import Stage
from resilience_site.gameday.target_deeds import rename


async def kill_web(stage: Stage, rng: random.Random) -> None:
    """One of them, in the middle of whatever it does; the supervisor starts it again."""
    stage.kill(rng.choice(stage.webs))


async def stop_web(stage: Stage, rng: random.Random) -> None:
    """One of them is asked to end, as an upgrade does; the supervisor starts it again."""
    stage.kill(rng.choice(stage.webs), signal.SIGTERM)


async def kill_worker(stage: Stage, rng: random.Random) -> None:
    """With the job it runs."""
    stage.kill("worker")


async def kill_watch(stage: Stage, rng: random.Random) -> None:
    """Whoever looks at the schema and whoever rings are gone when a column is renamed."""
    stage.kill("watch")
    stage.kill("cron")
    await rename(stage, rng)


async def stop_valkey(stage: Stage, rng: random.Random) -> None:
    """kill -9, and it stays away."""
    _tell_valkey(stage, signal.SIGKILL)
    if stage.valkey.process is not None:
        await asyncio.to_thread(stage.valkey.process.wait)


async def start_valkey(stage: Stage, rng: random.Random) -> None:
    """On the same port, with what it had written."""
    await asyncio.to_thread(stage.valkey.start)


async def halt_valkey(stage: Stage, rng: random.Random) -> None:
    """It takes connections and answers nothing."""
    _tell_valkey(stage, signal.SIGSTOP)


async def resume_valkey(stage: Stage, rng: random.Random) -> None:
    """What it was asked meanwhile is answered late."""
    _tell_valkey(stage, signal.SIGCONT)


async def fill_valkey(stage: Stage, rng: random.Random) -> None:
    """It reads, and refuses whatever needs memory."""
    await asyncio.to_thread(_ask_valkey, stage, "CONFIG", "SET", "maxmemory", "1")


async def empty_valkey(stage: Stage, rng: random.Random) -> None:
    """There is room again."""
    await asyncio.to_thread(_ask_valkey, stage, "CONFIG", "SET", "maxmemory", "0")


async def flush_valkey(stage: Stage, rng: random.Random) -> None:
    """Queues, breakers, counters: all of it gone."""
    await asyncio.to_thread(_ask_valkey, stage, "FLUSHALL")


async def close_control(stage: Stage, rng: random.Random) -> None:
    """Nobody gets into the control database, and whoever was in is out."""
    await stage.sql(f"ALTER DATABASE {CONTROL} ALLOW_CONNECTIONS false", "postgres")
    await stage.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", "postgres", CONTROL)


async def open_control(stage: Stage, rng: random.Random) -> None:
    """It is there again, with everything."""
    await stage.sql(f"ALTER DATABASE {CONTROL} ALLOW_CONNECTIONS true", "postgres")


async def freeze_control(stage: Stage, rng: random.Random) -> None:
    """It takes connections and answers nothing."""
    stage.control.freeze()


async def thaw_control(stage: Stage, rng: random.Random) -> None:
    """What waited goes on."""
    stage.control.thaw()


def _tell_valkey(stage: Stage, sign: signal.Signals) -> None:
    if (pid := stage.valkey.pid) is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, sign)


def _ask_valkey(stage: Stage, *words: str) -> None:
    with redis.Redis.from_url(stage.valkey.url) as client:
        client.execute_command(*words)
