"""Keeps child processes running: starts them, restarts those that end, prefixes their lines, stops them all.

Why not a library: docs/adr/0009-own-supervisor.md.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
HEALTHY_AFTER = 10.0  # who lived that long is restarted at once
PATIENCE = 12.0
LONGEST_LINE = 1 << 20


class Child(Struct, frozen=True):
    """A Python program: ``words`` follow the interpreter, e.g. ``("manage.py", "rqworker")``. ``environment``: None for ours."""

    name: str
    words: tuple[str, ...]
    environment: Mapping[str, str] | None = None


def next_pause(pause: float, lived: float) -> float:
    """How long to wait before the next start: nothing after a healthy life, else twice as long as before."""
    return FIRST_PAUSE if lived >= HEALTHY_AFTER else min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)


class Supervisor:
    """Runs ``children`` from ``start`` until ``stop``. ``say(name, line)`` gets every line that they print."""

    def __init__(self, children: Sequence[Child], say: Callable[[str, str], None], patience: float = PATIENCE) -> None:
        self.children = children
        self.patience = patience
        self.say = say
        self.processes: dict[str, Process] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.stopping = False

    def start(self) -> None:
        """Start them all; each has a task that restarts it."""
        self.tasks = [asyncio.create_task(self._keep(child), name=child.name) for child in self.children]

    async def stop(self) -> None:
        """Ask them all to end; after ``patience`` seconds kill those that remain."""
        self.stopping = True
        for process in self.processes.values():
            _signal(process.pid, signal.SIGTERM, group=False)
        _, late = await asyncio.wait(self.tasks, timeout=self.patience) if self.tasks else (set(), set())
        for task in late:
            if (running := self.processes.get(task.get_name())) is not None:
                self.say(task.get_name(), f"did not end within {self.patience:.0f} s: killed")
                _signal(running.pid, signal.SIGKILL, group=True)
            else:
                task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _keep(self, child: Child) -> None:
        pause = 0.0
        while not self.stopping:
            begun = time.monotonic()
            code = await self._run(child)
            if self.stopping:
                return
            pause = next_pause(pause, time.monotonic() - begun)
            self.say(child.name, f"ended ({_cause(code)}), starts again in {pause:.2g} s")
            await asyncio.sleep(pause)

    async def _run(self, child: Child) -> int:
        # A pipe of our own: with asyncio's, wait() returns only when whoever the child left behind has closed it too.
        ours, theirs = os.pipe()
        try:
            process = await _start(child, theirs)
        finally:
            os.close(theirs)
        self.processes[child.name] = process
        reading = asyncio.create_task(self._read(child.name, ours))
        code = await process.wait()
        _signal(process.pid, signal.SIGKILL, group=True)  # whoever its leader left behind, e.g. web workers
        self.processes.pop(child.name, None)
        await reading
        return code

    async def _read(self, name: str, pipe: int) -> None:
        reader = asyncio.StreamReader(limit=LONGEST_LINE)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb"))
        while True:
            try:
                line = await reader.readline()
            except ValueError:  # longer than LONGEST_LINE: the buffer was dropped
                continue
            if not line:
                break
            self.say(name, line.decode(errors="replace").rstrip())
        transport.close()


async def _start(child: Child, output: int) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "resilience_site.child",
        *child.words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env={**(os.environ if child.environment is None else child.environment), "PYTHONUNBUFFERED": "1"},
        start_new_session=True,  # a group of its own: Ctrl-C reaches only us, and nobody is left behind
    )


def _signal(pid: int, sign: signal.Signals, *, group: bool) -> None:
    with suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, sign)


def _cause(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"
