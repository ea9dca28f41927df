"""The supervisor: restarts, leaves nobody behind, stops all."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable

from resilience_site import processes
from resilience_site.supervisor import FIRST_PAUSE, LONGEST_PAUSE, Child, Supervisor, next_pause
from tests.waiting import HANGS

SLEEPER = Child("sleeper", ("-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"))
PARENT = Child(
    "parent",
    ("-c", "import os, time; child = os.fork(); child and print(os.getpid(), child, flush=True); time.sleep(60)"),
)


class Lines:
    """What the children said."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.all.append((name, line))

    async def wait(self, count: int) -> list[str]:
        deadline = time.monotonic() + HANGS
        while len(self.all) < count:
            assert time.monotonic() < deadline, self.all
            await asyncio.sleep(0.01)
        return [line for _, line in self.all]


def supervised(child: Child, story: Callable[[Lines], Awaitable[None]]) -> None:
    async def run() -> None:
        lines = Lines()
        supervisor = Supervisor([child], lines)
        supervisor.start()
        try:
            await story(lines)
        finally:
            await supervisor.stop()

    asyncio.run(run())


def test_a_killed_child_is_back() -> None:
    async def story(lines: Lines) -> None:
        first = int((await lines.wait(1))[0])
        os.kill(first, signal.SIGKILL)
        said = await lines.wait(3)
        assert "signal SIGKILL" in said[1]
        assert int(said[2]) != first

    supervised(SLEEPER, story)


def test_children_of_a_killed_child_do_not_stay_behind() -> None:
    async def story(lines: Lines) -> None:
        leader, orphan = map(int, (await lines.wait(1))[0].split())
        os.kill(leader, signal.SIGKILL)
        await lines.wait(3)
        assert processes.wait_until(lambda: not processes.is_alive(orphan), 20)

    supervised(PARENT, story)


def test_stop_ends_every_process() -> None:
    pids: list[int] = []

    async def story(lines: Lines) -> None:
        pids.extend(map(int, (await lines.wait(1))[0].split()))

    supervised(PARENT, story)
    assert len(pids) == 2
    assert processes.wait_until(lambda: not any(processes.is_alive(pid) for pid in pids), 20)


def test_a_child_that_keeps_failing_is_started_ever_more_slowly() -> None:
    pause, pauses = 0.0, []
    for _ in range(9):
        pause = next_pause(pause, lived=0.1)
        pauses.append(pause)
    assert pauses[0] == FIRST_PAUSE < 1
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    assert next_pause(pause, lived=60) == FIRST_PAUSE
