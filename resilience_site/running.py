"""Serves until told to stop: children under the supervisor, embedded servers watched, one ready line."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence

import httpx

from resilience_site.config import Config
from resilience_site.embedded_server import EmbeddedServer
from resilience_site.supervisor import Child, Supervisor
from resilience_site.watching import is_watching

CHILDREN = (
    Child("web", ("-m", "resilience_site.web")),
    Child("worker", ("manage.py", "rqworker", "--skip-checks", "-v", "0")),
    Child("ai", ("manage.py", "rqworker", "ai", "--skip-checks", "-v", "0")),
    Child("cron", ("manage.py", "rqcron", "--skip-checks")),
    Child("watch", ("manage.py", "watch_schema", "--skip-checks")),
)
DEMO = Child("demo", ("manage.py", "demo_traffic", "--skip-checks"))
LOOK_EVERY = 0.1
LATER = 2.0
"""Seconds that a child may take beyond what the web process may take to drain and stop."""
WATCHER_SECONDS = 10.0
"""How long the ready line waits for the schema watcher; everything else works without it."""


def run(config: Config, servers: Sequence[EmbeddedServer], say: Callable[[str], None], *, demo: bool) -> None:
    """Return after SIGINT or SIGTERM, when every child has ended."""
    asyncio.run(_run(config, servers, say, (*CHILDREN, DEMO) if demo else CHILDREN))


async def _run(config: Config, servers: Sequence[EmbeddedServer], say: Callable[[str], None], children: Sequence[Child]) -> None:
    told = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, told.set)
    patience = config.drain_seconds + config.stop_seconds + LATER
    supervisor = Supervisor(children, lambda name, line: say(f"{name:>6} | {line}"), patience)
    supervisor.start()
    watching = [asyncio.create_task(_announce(config, servers, say)), *(asyncio.create_task(_revive(s, say)) for s in servers)]
    await told.wait()
    say("stopping")
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    await supervisor.stop()


async def _announce(config: Config, servers: Sequence[EmbeddedServer], say: Callable[[str], None]) -> None:
    async with httpx.AsyncClient(base_url=config.base_url, timeout=2, trust_env=False) as client:
        while not await _is_ready(client):  # noqa: ASYNC110  (another process, no event to wait for)
            await asyncio.sleep(LOOK_EVERY)
    if not await _watcher_is_ready(config):
        say("the schema watcher does not watch yet: changes of the target are noticed when a request meets them")
    say(ready_line(config, servers))


async def _watcher_is_ready(config: Config) -> bool:
    until = asyncio.get_running_loop().time() + WATCHER_SECONDS
    while not (watches := await asyncio.to_thread(is_watching, config.database_url)):
        if asyncio.get_running_loop().time() > until:
            break
        await asyncio.sleep(LOOK_EVERY)
    return watches


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.HTTPError:
        return False


def ready_line(config: Config, servers: Sequence[EmbeddedServer]) -> str:
    """All that a person needs to go on, in one line."""
    base = config.base_url
    target = f" | target {servers[0].state.owner_url}" if config.embedded_target else ""
    return f"ready: dashboard {base}/ | data API {base}/rest/v1/ | API docs {base}/api/v1/docs{target} | Ctrl-C stops"


async def _revive(server: EmbeddedServer, say: Callable[[str], None]) -> None:
    """Start an embedded server again when it died; it comes back on the same port with everything committed."""
    while True:
        await asyncio.sleep(LOOK_EVERY * 5)
        if server.pid is None:
            say(f"{server.name} ended unasked, starting it again")
            try:
                await asyncio.to_thread(server.start)
            except Exception as error:  # the next round tries again
                say(f"{server.name}: {error}")
