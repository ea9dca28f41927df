"""Several hosts in front of the same databases: processes on loopback addresses of their own (127.0.0.2 …), each with a home of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import httpx

from resilience_site import running
from tests.forked import Forked
from tests.gateway_process import Gateway, launch

PATIENCE = 90.0
"""Seconds after which something is taken to hang."""
WORDS = {child.name: child.words for child in running.CHILDREN}
"""What each process of a host is, as ``manage.py up`` starts it."""


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """The first true answer."""
    ends = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < ends, f"waited in vain: {what}"
        time.sleep(0.05)
    return answer


class Host:
    """One host. ``first`` holds the databases, the keys and the environment that all hosts share."""

    def __init__(self, first: Gateway, address: str, **environment: str) -> None:
        self.first, self.address = first, address
        self.home = first.home / address
        self.home.mkdir()
        self.base_url = f"http://{address}:{first.port}"
        secret = {"SECRET_KEY": "the-same-on-every-host-of-this-mendgate"}
        self.environment = {**first.environment, "HOST": address, "MENDGATE_HOME": str(self.home), **secret, **environment}
        self.processes: dict[str, subprocess.Popen[bytes] | Forked] = {}

    def start(self, *names: str) -> Host:
        """Starts these processes (web, worker, cron, watch); returns at once."""
        for name in names:
            self.processes[name] = launch(WORDS[name], self.environment, self.home / f"{name}.log", cold=True)
        return self

    def ready(self) -> bool:
        """Whether the web process says so."""
        assert self.processes["web"].poll() is None, self.log("web")
        try:
            return httpx.get(f"{self.base_url}/readyz", timeout=10).status_code == 200
        except httpx.HTTPError:
            return False

    def end(self, name: str, sign: signal.Signals = signal.SIGTERM) -> None:
        """Tells one process to stop, as an init does it: its children are not told."""
        self.processes[name].send_signal(sign)

    def ended(self, name: str) -> bool:
        """Whether it is gone; what it left behind is ended."""
        if self.processes[name].poll() is None:
            return False
        _kill_group(self.processes.pop(name).pid)
        return True

    def lost(self) -> None:
        """The host is gone at once, with all that ran on it."""
        for name in list(self.processes):
            _kill_group(self.processes[name].pid)
            self.processes.pop(name).wait()

    def log(self, name: str) -> str:
        """The end of what a process said."""
        return (self.home / f"{name}.log").read_text("utf-8", "replace")[-3000:]

    def post(self, path: str, row: Any, key: str, **headers: str) -> httpx.Response:
        """One POST on a connection of its own."""
        return httpx.post(f"{self.base_url}{path}", json=row, headers={"apikey": key, **headers}, timeout=60)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
