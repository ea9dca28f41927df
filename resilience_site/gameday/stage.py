"""A scratch Mendgate: Postgres and Valkey of its own in a directory of its own, several web processes, worker, scheduler, watcher.

Nothing of the configured installation is used: the processes get an environment that holds no setting of ours but the ones made here, and
the databases are servers that did not exist before. The target is reached through ``proxy``, the control database through ``control``.
Everything is removed at the end.
The embedded servers are imported late: an image does without them, and its pages load this.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psycopg

from resilience_site import embedded_state, processes
from resilience_site.embedded_state import CONTROL, GATEWAY, LOOPBACK
from resilience_site.gameday import kinds
from resilience_site.gameday.proxy import Proxy
from resilience_site.supervisor import Child, Supervisor

ROOT = Path(__file__).resolve().parent.parent.parent
PREFIX = "mendgate-gameday-"
READY_SECONDS = 300.0
RECOVERY_SECONDS = 300.0
STATEMENT_SECONDS = 8
"""What a statement may take here: short, so that running out of it can be tried."""
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")
_PEERS = (
    Child("worker", (str(ROOT / "manage.py"), "rqworker", "--skip-checks", "-v", "0")),
    Child("cron", (str(ROOT / "manage.py"), "rqcron", "--skip-checks")),
    Child("watch", (str(ROOT / "manage.py"), "watch_schema", "--skip-checks")),
)


class StageError(Exception):
    """The scratch Mendgate could not be made; the message says what it said."""


class Stage:
    """``urls``: its web processes. An async context manager. ``more``: settings beside those made here."""

    def __init__(self, webs: int, say: Callable[[str], None], more: Mapping[str, str] | None = None) -> None:
        self.webs = [f"web{number}" for number in range(webs)]
        self.say, self._more = say, dict(more or {})
        self.key = ""

    async def __aenter__(self) -> Self:
        self.home = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.home.chmod(0o755)  # Postgres does not run as root
        (self.home / "by").write_text(str(os.getpid()))
        try:
            await self._open()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def _open(self) -> None:
        from resilience_site.embedded import EmbeddedPostgres, EmbeddedValkey

        self.postgres, self.valkey = EmbeddedPostgres(self.home), EmbeddedValkey(self.home)
        await asyncio.to_thread(self.postgres.start)
        await asyncio.to_thread(self.valkey.start)
        self.proxy = await Proxy(self.postgres.url(user=GATEWAY)).__aenter__()
        self.control = await Proxy(self.postgres.url(CONTROL, CONTROL)).__aenter__()
        ports = [embedded_state.free_port() for _ in self.webs]
        self.urls = [f"http://{LOOPBACK}:{port}" for port in ports]
        await self.sql(kinds.TABLES)
        self.key = (await self.run("-m", "resilience_site.gameday.prepare")).strip().splitlines()[-1]
        await self.sql(kinds.DRIFT)
        await self.manage("capture_schema")
        web = [
            Child(name, ("-m", "resilience_site.web"), {**self.environment, "PORT": str(port)})
            for name, port in zip(self.webs, ports, strict=True)
        ]
        peers = [Child(each.name, each.words, self.environment) for each in _PEERS]
        self.supervisor = Supervisor([*web, *peers], self._log)
        self.supervisor.start()
        await self.ready()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        proxies = [getattr(self, name) for name in ("proxy", "control") if hasattr(self, name)]
        for proxy in proxies:
            proxy.thaw()
        if hasattr(self, "supervisor"):
            await self.supervisor.stop()
        for proxy in proxies:
            await proxy.__aexit__()
        for server in ("valkey", "postgres"):
            if hasattr(self, server):
                await asyncio.to_thread(getattr(self, server).stop)
        await asyncio.to_thread(shutil.rmtree, self.home, True)

    @property
    def environment(self) -> dict[str, str]:
        """What its processes get: nothing from us but where programs are."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {
            **kept, "PYTHONPATH": str(ROOT),
            "MENDGATE_HOME": str(self.home), "HOST": LOOPBACK, "DATABASE_URL": self.control.url,
            "TARGET_DATABASE_URL": self.proxy.url, "REDIS_URL": self.valkey.url, "GAMEDAY_OWNER_URL": self.postgres.url(),
            "STATEMENT_TIMEOUT": str(STATEMENT_SECONDS), **self._more,
        }  # fmt: skip

    async def ready(self) -> None:
        """Until every web process is. Raises ``StageError``."""
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            try:
                async with asyncio.timeout(READY_SECONDS):
                    for url in self.urls:
                        while not await _answers(client, f"{url}/readyz"):  # noqa: ASYNC110 - another process, no event to wait for
                            await asyncio.sleep(0.1)
            except TimeoutError:
                raise StageError(f"The scratch Mendgate is not ready after {READY_SECONDS:.0f} s:\n{self.log_end()}") from None

    async def manage(self, *words: str) -> str:
        """Runs a command of the scratch Mendgate; its output."""
        return await self.run("manage.py", *words)

    async def run(self, *words: str) -> str:
        """Runs a Python program in its environment; its output. Raises ``StageError``."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, cwd=ROOT, env=self.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        if process.returncode:
            raise StageError(f"{' '.join(words)} ended with {process.returncode}:\n{err.decode(errors='replace')[-2000:]}")
        return out.decode()

    async def sql(self, text: str, database: str = "", *values: Any) -> list[tuple[Any, ...]]:
        """Runs SQL as the owner of everything, not through the proxy; rows of the last statement."""
        return await asyncio.to_thread(_sql, self.postgres.url(database) if database else self.postgres.url(), text, values)

    def kill(self, name: str, sign: signal.Signals = signal.SIGKILL) -> bool:
        """Ends one of its processes: kill -9 with whatever it started, or asked by another signal; False where it was not running."""
        process = self.supervisor.processes.get(name)
        if process is None:
            return False
        with suppress(ProcessLookupError):
            (os.killpg if sign is signal.SIGKILL else os.kill)(process.pid, sign)
        return True

    @property
    def log(self) -> Path:
        """What its processes said."""
        return self.home / "stage.log"

    def log_end(self, lines: int = 30) -> str:
        """The last of it."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _log(self, name: str, line: str) -> None:
        with self.log.open("a") as log:
            log.write(f"{datetime.now(UTC):%H:%M:%S.%f} {name:>7} | {line}\n")


def sweep() -> int:
    """Ends and removes what a killed game day left behind: its servers, its directory. Returns how many there were. A directory that
    somebody else made is left alone: it may lead to servers that are none of ours."""
    from resilience_site.embedded import EmbeddedPostgres, EmbeddedValkey

    gone = 0
    for home in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError, ValueError):
            by = int((home / "by").read_text())
            if home.lstat().st_uid == os.geteuid() and not home.is_symlink() and not processes.is_alive(by):
                EmbeddedPostgres(home).stop()
                EmbeddedValkey(home).stop()
                shutil.rmtree(home, ignore_errors=True)
                gone += 1
    return gone


def connected(url: str) -> psycopg.Connection:
    """A connection in autocommit mode; waits for a server that recovers from a fault of before. Raises ``OperationalError``."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        try:
            return psycopg.connect(url, autocommit=True, connect_timeout=10, application_name="gameday")
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _sql(url: str, text: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    with connected(url) as connection:
        cursor = connection.execute(text, values or None)
        return cursor.fetchall() if cursor.description else []


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx.HTTPError:
        return False
