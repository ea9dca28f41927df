"""What the embedded servers share: starting once, adopting one that runs, stopping by process id."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from resilience_site import embedded_state, processes
from resilience_site.embedded_state import State

START_SECONDS = 60.0


def package_directory(name: str) -> Path:
    """Where a package lies, without importing it: we want its binaries, not its code."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise EmbeddedError(f"The package {name} is not installed. Run: make install")
    return Path(spec.origin).parent


class EmbeddedError(Exception):
    """An embedded server did not start or does not answer; the message says what to look at."""


class EmbeddedServer(ABC):
    """One server with its data below ``home``. ``start`` and ``stop`` may be called any number of times."""

    name: str
    stop_signal = signal.SIGTERM

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.home.mkdir(parents=True, exist_ok=True)
        self.state: State = embedded_state.load(self.home)
        self.log = self.home / f"{self.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def recorded_pid(self) -> int | None:
        """The process id that the last start left on disk."""

    @abstractmethod
    def mark(self) -> str:
        """What the command line of our server holds and no other's."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the data directory and settle the port, before a launch."""

    @abstractmethod
    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process, its output going to ``log``."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server can be used now."""

    @property
    def pid(self) -> int | None:
        """The process that serves this data, if one runs. A number left by a crash that now is another program's is None."""
        pid = self.recorded_pid()
        if pid is None or not processes.is_alive(pid):
            return None
        known = processes.command_line(pid)
        return pid if self.mark() in known or (not known and sys.platform != "linux") else None

    def start(self) -> Self:
        """Launch the server unless it runs; return when it answers."""
        if self.pid is None:
            self.log.touch(mode=0o600)  # errors may quote rows
            self.prepare()
            self.process = self.launch()
        else:
            self.state = embedded_state.load(self.home)
        if not processes.wait_until(lambda: self.answers() or self._died(), START_SECONDS) or self._died():
            raise EmbeddedError(f"The embedded {self.name} did not start. The end of {self.log}:\n{self._end_of_log()}")
        return self

    def stop(self) -> None:
        """End the server cleanly; everything written is kept."""
        if (pid := self.pid) is not None:
            processes.stop(pid, self.stop_signal, patience=30)
        if self.process is not None:
            self.process.wait()
            self.process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def _end_of_log(self) -> str:
        lines = self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-15:])
