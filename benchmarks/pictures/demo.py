"""A demo of its own to take pictures of: ``manage.py up --demo`` in a fresh home on a free port, until the block ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from resilience_site.embedded_state import free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 240.0
_PASSWORD = re.compile(r"admin user: (\S+) password: (\S+)")


class Site(Struct, frozen=True):
    """Where it is, and who may log in."""

    base: str
    user: str
    password: str


@contextmanager
def demo() -> Iterator[Site]:
    """Starts it and waits until it is ready; stops it afterwards."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="mendgate-demo-") as home:
        environment = {**os.environ, "MENDGATE_HOME": home, "HOST": "127.0.0.1", "PORT": str(port)}
        words = [sys.executable, "manage.py", "up", "--demo"]
        process = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            user, password = _started(process)
            yield Site(f"http://127.0.0.1:{port}", user, password)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _started(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Who may log in, once it is ready; what it says afterwards is read and forgotten."""
    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if line.startswith("ready:"):
            break
    timer.cancel()
    found = _PASSWORD.search("".join(said))
    if found is None:
        raise RuntimeError("The demo did not start:\n" + "".join(said[-30:]))
    threading.Thread(target=process.stdout.read, daemon=True).start()
    return found[1], found[2]
