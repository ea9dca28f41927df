"""A Valkey of a test's own, to stop, freeze, restart empty, and give users with few rights."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import redis

from resilience_site.embedded_state import free_port
from resilience_site.embedded_valkey import EXECUTABLE
from tests.waiting import HANGS


class OwnValkey:
    """Keeps nothing: started again, it is empty."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def __enter__(self) -> OwnValkey:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def client(self) -> redis.Redis:
        """A connection for the test itself."""
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [EXECUTABLE, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ends = time.monotonic() + HANGS
        while time.monotonic() < ends:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.ConnectionError:
                time.sleep(0.01)
        raise AssertionError("Valkey did not start")

    def stop(self) -> None:
        """kill -9, also of one that is frozen: it says no more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It keeps its connections and says nothing more."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
