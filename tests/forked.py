"""Programs of ours as processes of their own that need not import the libraries first: forked where these are loaded already.

    process = forked.start(["-m", "resilience_site.web"], environment, log)

What runs is the program itself, with its own modules, environment, session and log. What a cold start alone could show (a library that is
not there, a variable that is read as Python begins, two processes that hash a text differently) is for ``test_up``, ``test_deploy`` and
``test_several_hosts``, which start cold; and so does a program whose environment speaks to Python, to the loader or to the C library.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
EARLY = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "LC_", "LANG", "TZ", "OPENSSL_", "SSL_")
"""Variables that are read before a program of ours begins, or by a library as it is imported."""


class Forked:
    """What ``Popen`` is to a child of somebody else."""

    def __init__(self, pid: int, ask: Callable[[int], int | None]) -> None:
        self.pid, self.returncode, self._ask = pid, None, ask

    returncode: int | None

    def poll(self) -> int | None:
        """The exit code (less than 0: the signal), None while it runs."""
        if self.returncode is None:
            self.returncode = self._ask(self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The same, when it has ended."""
        if self.poll() is None:
            end = os.pidfd_open(self.pid)  # it is a zombie at least, as long as nobody asked for its code
            try:
                ended, _, _ = select.select([end], [], [], timeout)
            finally:
                os.close(end)
            if not ended:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            while self.poll() is None:
                time.sleep(0.001)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, sign: int) -> None:
        """Nothing where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sign)

    def kill(self) -> None:
        """At once."""
        self.send_signal(signal.SIGKILL)


class Starter:
    """Asks the process at the other end of two pipes: a JSON object a line out, a JSON number or null a line in."""

    def __init__(self, asks: IO[str], answers: IO[str]) -> None:
        self._asks, self._answers, self._one_at_a_time = asks, answers, threading.Lock()

    def start(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> Forked:
        """Python with these words."""
        pid = self._ask({"words": list(words), "environment": dict(environment), "log": str(log)})
        assert pid is not None
        return Forked(pid, lambda pid: self._ask({"ended": pid}))

    def close(self) -> None:
        """The other end ends; what it started goes on."""
        self._asks.close()
        self._answers.close()

    def _ask(self, question: dict[str, object]) -> int | None:
        with self._one_at_a_time:
            self._asks.write(json.dumps(question) + "\n")
            self._asks.flush()
            answer: int | None = json.loads(self._answers.readline())
            return answer


def is_late(environment: Mapping[str, str]) -> bool:
    """Whether nothing in an environment would have been read by now."""
    given = {name for name in {*environment, *os.environ} if name.startswith(EARLY)}
    return all(environment.get(name) == os.environ.get(name) for name in given)


def serve(asks: IO[str], answers: IO[str]) -> Callable[[], object]:
    """The other end. What is returned, in this process or in a program's, is to be done last."""
    for line in asks:
        asked = json.loads(line)
        if "ended" in asked:
            pid, status = os.waitpid(asked["ended"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            begun, begins = os.pipe()
            if (answer := os.fork()) == 0:
                os.setsid()
                for each in (begun, begins):
                    os.close(each)
                asks.close()
                answers.close()
                return lambda: _become(**asked)
            os.close(begins)
            os.read(begun, 1)  # its end: the process leads a session of its own
            os.close(begun)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return lambda: None


def _become(words: list[str], environment: dict[str, str], log: str) -> None:
    said = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for source, standard in ((os.open(os.devnull, os.O_RDONLY), 0), (said, 1), (said, 2)):
        os.dup2(source, standard)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    to_the_end(lambda: run(words))


def run(words: Sequence[str]) -> None:
    """As ``python *words`` would."""
    if words[0] == "-m":
        sys.argv = list(words[1:])
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(words)
        runpy.run_path(words[0], run_name="__main__")


def to_the_end(work: Callable[[], object]) -> None:
    """Does it and leaves as Python does, but does not take the memory apart, most of which is its parent's and would be copied for it."""
    code = 0
    try:
        work()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if not isinstance(end.code, int | None):
            print(end.code, file=sys.stderr)  # noqa: T201
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOBase):
            stream.flush()
    os._exit(code & 0xFF)
