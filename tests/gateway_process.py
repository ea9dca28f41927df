"""The real web process on a free port, for tests from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from resilience_site.embedded_state import free_port
from tests import commands
from tests.forked import ROOT, Forked, is_late
from tests.waiting import HANGS

JWT_SECRET = "a-secret-for-tests-with-at-least-32-characters"


class Gateway:
    """One web process with its databases. ``sql`` speaks to the target as its owner; ``manage`` runs a command like a person would.
    ``cold``: it begins as Python begins, and does not come from a process that has the libraries (``tests.forked``)."""

    cold = True

    def __init__(self, home: Path, control_url: str, target_url: str, owner_url: str, redis_url: str, **environment: str) -> None:
        self.home, self.control_url, self.target_url, self.owner_url = home, control_url, target_url, owner_url
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.jwt_secret = JWT_SECRET
        self.log = home / "web.log"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("DJANGO_")},
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "MENDGATE_HOME": str(home),
            "DATABASE_URL": control_url,
            "TARGET_DATABASE_URL": target_url,
            "REDIS_URL": redis_url,
            "JWT_SECRET": JWT_SECRET,
            **environment,
        }
        self.process: subprocess.Popen[bytes] | Forked | None = None
        self.keys: dict[tuple[str, str], str] = {}

    def start(self) -> Gateway:
        """Start the process and wait until ``/readyz`` says 200."""
        self.process = launch(["-m", "resilience_site.web"], self.environment, self.log, cold=self.cold)
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Block until ``/readyz`` says 200; fails with the end of the log."""
        deadline = time.monotonic() + HANGS
        while not self._is_ready():
            if time.monotonic() > deadline or self.process is None or self.process.poll() is not None:
                raise AssertionError("the web process is not ready:\n" + self.log.read_text("utf-8", "replace")[-3000:])
            time.sleep(0.03)

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._end(signal.SIGTERM)

    def kill9(self) -> None:
        """Cut it off in the middle of whatever it does, workers and all."""
        self._end(signal.SIGKILL)

    def make_key(self, role: str = "service_role", name: str = "test") -> str:
        """An API key made by the command line; the same name and role give the same key."""
        if (role, name) not in self.keys:
            self.keys[role, name] = self.manage("create_api_key", "--role", role, "--name", name).strip()
        return self.keys[role, name]

    def manage(self, *words: str) -> str:
        """Run ``manage.py`` with our environment; its output, or an AssertionError with what it said."""
        done = commands.run(words, self.environment)
        assert done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def sql(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Run one statement on the target as its owner; the rows as dicts (none for DDL). No values: several statements may be given."""
        return run(self.owner_url, query, *values)

    def control(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """The same on the control database."""
        return run(self.control_url, query, *values)

    def client(self, role: str = "service_role", **headers: str) -> httpx.Client:
        """An HTTP client with a key of ``role``; close it (it is a context manager)."""
        key = self.make_key(role)
        return httpx.Client(base_url=self.base_url, headers={"apikey": key, "authorization": f"Bearer {key}", **headers})

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.base_url}/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def _end(self, sign: signal.Signals) -> None:
        if self.process is None:
            return
        for group_signal in (sign, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, group_signal)
            except ProcessLookupError:
                break
            try:
                self.process.wait(10)
                break
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()
        self.process = None


def launch(words: Sequence[str], environment: Mapping[str, str], log: Path, *, cold: bool = False) -> subprocess.Popen[bytes] | Forked:
    """A program of ours in a session of its own; what it says is added to ``log``."""
    if not cold and is_late(environment):
        return commands.programs().start(words, environment, log)
    with log.open("ab") as said:
        how: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": said, "stderr": said, "start_new_session": True}
        return subprocess.Popen([sys.executable, *words], cwd=ROOT, env=environment, **how)


def run(url: str, query: str, *values: Any) -> list[dict[str, Any]]:
    """One statement (or several, without values) in autocommit."""
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        cursor = connection.execute(query, values or None)
        return cursor.fetchall() if cursor.description else []
