"""Processes that share breakers through one Valkey, told over pipes what to do: ``python -m benchmarks.fleet <url> <namespace>`` is one.

    with Fleet(url, "ns", 8) as fleet:
        fleet.all("get", name="mail", failure_threshold=5)
        fleet.members[0].ask("fail", name="mail", times=10)
One JSON object a line in, one a line out. Times are of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from breakers.core.types import Outcome
from breakers.registry import Open, Registry

ROOT = Path(__file__).resolve().parent.parent


class Member:
    """One process, seen from outside."""

    def __init__(self, url: str, namespace: str, source: str) -> None:
        words = [sys.executable, "-m", "benchmarks.fleet", url, namespace, source]
        self.process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, what: str, **given: Any) -> Any:
        """Let it do something; what came of it."""
        self.tell(what, **given)
        return self.hear()

    def tell(self, what: str, **given: Any) -> None:
        """The first half of ``ask``: others can work meanwhile."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"what": what, **given}) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        """The second half."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"a process of the fleet ended with {self.process.wait()}")
        return json.loads(line)

    def kill9(self) -> None:
        """Cut it off."""
        self.process.kill()
        self.close()

    def close(self) -> None:
        """Ends with its input."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Fleet:
    """``size`` of them. A context manager."""

    def __init__(self, url: str, namespace: str, size: int) -> None:
        self.members = [Member(url, namespace, f"member-{number}") for number in range(size)]

    def all(self, what: str, **given: Any) -> list[Any]:
        """What each of the living makes of it, all at once."""
        living = [member for member in self.members if member.process.poll() is None]
        for member in living:
            member.tell(what, **given)
        return [member.hear() for member in living]

    def until(self, state: str, name: str) -> None:
        """Waits until each of the living is in that state."""
        self._until(name, lambda view: bool(view["state"] == state))

    def until_joined(self, name: str) -> None:
        """Waits until each of the living shares the breaker: a process that has just begun is still loading its driver."""
        self._until(name, lambda view: bool(view["shared"] and view["version"]))

    def _until(self, name: str, holds: Callable[[dict[str, Any]], bool], within: float = 120.0) -> None:
        deadline = time.monotonic() + within
        while not all(holds(view) for view in self.all("view", name=name)):
            if time.monotonic() > deadline:
                raise AssertionError(f"not all got there: {self.all('view', name=name)}")
            time.sleep(0.05)

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for member in self.members:
            member.close()


class Failing(Exception):
    """What the one failing service raises."""


class Inside:
    """The process itself."""

    def __init__(self, url: str, namespace: str, source: str) -> None:
        self.registry = Registry()
        self.seen: list[tuple[str, str, float]] = []
        self.held: list[Any] = []
        self.registry.on_change(lambda view: self.seen.append((view.name, str(view.state), time.monotonic())))
        self.registry.connect(url, namespace=namespace, source=source)

    def get(self, name: str, **settings: Any) -> Any:
        """Makes a breaker."""
        if "ramp" in settings:
            settings["ramp"] = tuple(settings["ramp"])
        self.registry.get(name, **settings)
        return self.view(name)

    def view(self, name: str) -> Any:
        view = self.registry.get(name).view()
        return {name: getattr(view, name) for name in ("state", "version", "shared", "remaining_ms", "trips")}

    def changes(self, name: str) -> Any:
        """Every change seen so far: state and time."""
        return [(state, at) for each, state, at in self.seen if each == name]

    def fail(self, name: str, times: int) -> Any:
        """Fails so often, or until it is refused; when each failing call began. (When it ended, others may know of it already.)"""
        return [began for _ in range(times) if (began := time.monotonic()) and self._call(name, failing=True)]

    def work(self, name: str, times: int = 1) -> Any:
        """Calls that succeed; how many were let through."""
        return sum(self._call(name) for _ in range(times))

    def crowd(self, name: str, threads: int, seconds: float) -> Any:
        """So many calls at once, each taking that long; how many were let through."""
        through: list[bool] = []
        crowd = [threading.Thread(target=lambda: through.append(self._call(name, seconds))) for _ in range(threads)]
        for each in crowd:
            each.start()
        for each in crowd:
            each.join()
        return sum(through)

    def hold(self, name: str, times: int = 1) -> Any:
        """Takes permits and keeps them; how many it got."""
        got = 0
        for _ in range(times):
            try:
                self.held.append(self.registry.get(name).acquire())
                got += 1
            except Open:
                continue
        return got

    def settle(self, outcome: str) -> Any:
        """Gives back what is held."""
        for permit in self.held:
            permit.settle(Outcome(outcome), error=Failing() if outcome == "failure" else None)
        self.held = []
        return True

    def _call(self, name: str, seconds: float = 0.0, *, failing: bool = False) -> bool:
        try:
            with self.registry.get(name):
                time.sleep(seconds)
                if failing:
                    raise Failing
        except Open:
            return False
        except Failing:
            return True
        return True


def main() -> None:
    """Do what the lines say until they end."""
    inside = Inside(*sys.argv[1:4])
    for line in sys.stdin:
        given = json.loads(line)
        print(json.dumps(getattr(inside, given.pop("what"))(**given)), flush=True)
    inside.registry.close()


if __name__ == "__main__":
    main()
