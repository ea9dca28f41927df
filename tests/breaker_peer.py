"""Another process with breakers of its own, told what to do line by line: ``python -m tests.breaker_peer``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from breakers.core.types import Outcome, State
from breakers.registry import Breaker, Open, Permit, Registry
from tests.waiting import HANGS


class Peer:
    """The other process, seen from the test."""

    def __init__(self, url: str, namespace: str, source: str, clock_shift: float = 0.0) -> None:
        command = [sys.executable, "-m", "tests.breaker_peer", url, namespace, source, str(clock_shift)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def do(self, what: str, name: str = "service", **options: Any) -> Any:
        """Do it there; its answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([what, name, options]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def kill(self) -> None:
        """kill -9."""
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


def calls(breaker: Breaker, outcome: str, count: int) -> int:
    """Calls that end so; how many were let through."""
    made = 0
    for _ in range(count):
        with suppress(Open):
            breaker.acquire().settle(Outcome(outcome), 0.0, "ConnectionError: refused")
            made += 1
    return made


def wait_for(breaker: Breaker, state: str) -> str:
    """The state, once it is this one, or when the time is over."""
    ends = time.monotonic() + HANGS
    while breaker.view().state is not State(state) and time.monotonic() < ends:
        time.sleep(0.002)
    return breaker.view().state


def main() -> None:
    """Read what to do; answer each with one line of JSON."""
    url, namespace, source, shift = sys.argv[1:]
    registry = Registry(clock=lambda: time.monotonic() + float(shift))
    registry.connect(url, namespace=namespace, source=source)
    held: list[Permit] = []
    for line in sys.stdin:
        what, name, options = json.loads(line)
        breaker = registry.get(name, **(options if what == "get" else {}))
        answer: Any = None
        match what:
            case "get":
                ends = time.monotonic() + HANGS
                while not (breaker.view().shared and breaker.version) and time.monotonic() < ends:
                    time.sleep(0.002)
            case "calls":
                answer = calls(breaker, options["outcome"], options["count"])
            case "acquire":
                try:
                    held.append(breaker.acquire())
                    answer = "granted"
                except Open as error:
                    answer = error.state
            case "settle":
                held.pop().settle(Outcome(options["outcome"]))
            case "wait":
                answer = wait_for(breaker, options["state"])
            case "view":
                answer = json.loads(json.dumps({f: getattr(breaker.view(), f) for f in breaker.view().__struct_fields__}))
            case "throttle":
                registry.throttle(name, options["ms"])
            case "flush":
                answer = registry.flush(2.0)
        print(json.dumps(answer), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
