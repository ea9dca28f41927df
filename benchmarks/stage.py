"""A whole Mendgate to measure: the one that is given by URL and key, or one of our own in a temporary home, removed afterwards."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

import httpx
import psycopg

from resilience_site.embedded_state import free_port

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 90


class Stage:
    """``base_url``, ``owner_url`` (the target as its owner) and ``key`` (service_role). A context manager."""

    def __init__(self, base_url: str = "", owner_url: str = "", key: str = "") -> None:
        self.base_url, self.owner_url, self.key = base_url.rstrip("/"), owner_url, key
        self.own = not base_url
        self.environment = dict(os.environ)
        self.process: subprocess.Popen[bytes] | None = None
        self.home = Path()

    def __enter__(self) -> Stage:
        if self.own:
            self._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.own:
            self._stop()

    def client(self, **options: object) -> httpx.AsyncClient:
        """An HTTP client with our key."""
        headers = {"apikey": self.key, "authorization": f"Bearer {self.key}"}
        return httpx.AsyncClient(base_url=self.base_url, headers=headers, timeout=60, trust_env=False, **options)  # type: ignore[arg-type]

    def sql(self, *statements: str) -> None:
        """Runs DDL or other statements on the target as its owner, each committed at once."""
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]

    def capture(self) -> None:
        """Lets every process see the schema as it is now."""
        if self.own:
            self.manage("capture_schema")
        else:
            time.sleep(2)

    def _start(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="mendgate-bench-"))
        self.home.chmod(0o755)
        port = free_port()
        self.base_url = f"http://127.0.0.1:{port}"
        dropped = ("DATABASE_URL", "TARGET_DATABASE_URL", "REDIS_URL", "SECRET_KEY")
        kept = {k: v for k, v in os.environ.items() if k not in dropped}
        self.environment = {**kept, "MENDGATE_HOME": str(self.home), "HOST": "127.0.0.1", "PORT": str(port)}
        with (self.home / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"], cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self._wait()
        self.owner_url = (self.home / "target.url").read_text().strip()
        self.key = self.key or self.manage("create_api_key", "--role", "service_role", "--name", "benchmarks").strip()

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                if httpx.get(f"{self.base_url}/readyz", timeout=2, trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            if time.monotonic() > deadline or (self.process is not None and self.process.poll() is not None):
                raise SystemExit("the benchmark's Mendgate did not start:\n" + (self.home / "up.log").read_text()[-3000:])
            time.sleep(0.2)

    def manage(self, *words: str) -> str:
        """Runs a management command of our own Mendgate; its output."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{words} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The options that say which Mendgate to measure; none = one of our own."""
    parser.add_argument("--base-url", default="", help="a running Mendgate (default: start one in a temporary home)")
    parser.add_argument("--target-url", default="", help="its target, as the owner of the tables")
    parser.add_argument("--key", default="", help="an API key with role service_role")
    return parser


def stage_of(options: argparse.Namespace) -> Stage:
    """The stage that the options name."""
    if options.base_url and not (options.target_url and options.key):
        raise SystemExit("--base-url needs --target-url and --key")
    return Stage(options.base_url, options.target_url, options.key)
