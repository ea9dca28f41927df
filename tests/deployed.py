"""What deploy/Dockerfile and deploy/compose.yaml say, carried out without Docker: the image as directories, its containers as processes.

The code is copied as the Dockerfile copies it and belongs to somebody else. Of the packages only those are to be had
that requirements-serve.txt pins. A container is its command, with the environment of image and service, as the user that the file
names; paths inside a container are mapped to directories of the test.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import yaml

from resilience_site import processes, unprivileged
from resilience_site.embedded_state import free_port
from tests.commands import ROOT

DEPLOY = ROOT / "deploy"
PATIENCE = 90
USER = 10001


def compose() -> dict[str, Any]:
    """The file, its anchors resolved."""
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return read


def pinned(lock: str) -> dict[str, str]:
    """Names and versions that a lock pins."""
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", (ROOT / lock).read_text("utf-8"), re.MULTILINE))


def dockerfile() -> str:
    """With continued lines joined."""
    return (DEPLOY / "Dockerfile").read_text("utf-8").replace("\\\n", " ")


def image_environment() -> dict[str, str]:
    """ENV of the last stage."""
    (line,) = re.findall(r"^ENV (.*)$", dockerfile(), re.MULTILINE)
    return dict(pair.split("=", 1) for pair in line.split())


class Image:
    """Below ``at``: ``app``, ``venv``, ``secrets``; made once."""

    def __init__(self, at: Path, static: Path) -> None:
        self.at = at
        at.chmod(0o711)
        self._copy_code(static)
        self._link_packages()
        unprivileged.let_through(ROOT / "manage.py", unprivileged.account())
        unprivileged.let_through(Path(sys.executable), unprivileged.account())

    def mapped(self, text: str, home: Path) -> str:
        """A word of a command or of an environment, paths of the container replaced by ours."""
        places = {"/run/secrets": self.at / "secrets", "/var/lib/mendgate": home, "/app": self.at / "app", "/opt/venv": self.at / "venv"}
        for inside, ours in places.items():
            text = text.replace(inside, str(ours))
        return text

    def keep(self, name: str, value: str) -> None:
        """A secret, as a file that the containers may read."""
        (self.at / "secrets").mkdir(exist_ok=True)
        path = self.at / "secrets" / name
        path.write_text(value + "\n")
        path.chmod(0o444)

    def _copy_code(self, static: Path) -> None:
        app = self.at / "app"
        app.mkdir()
        (app / "static").symlink_to(static)
        stage = dockerfile().split("WORKDIR /app\n")[1].split("\nFROM")[0]
        for words in re.findall(r"^COPY (.*)$", stage, re.MULTILINE):
            *sources, to = words.split()
            for source in sources:
                _copy(ROOT / source, app / (source if to == "./" else to))
        app.chmod(0o555)

    def _link_packages(self) -> None:
        venv = self.at / "venv"
        packages = venv / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
        packages.mkdir(parents=True)
        (venv / "bin").mkdir()
        base = Path(sys.executable).resolve()
        (venv / "bin" / "python").symlink_to(base)
        (venv / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
        for name in pinned("requirements-serve.txt"):
            _link(name, packages)


def _copy(source: Path, to: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, to)  # with bytecode: the image has compiled its own
    else:
        shutil.copy2(source, to)


def _link(name: str, packages: Path) -> None:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return  # for another platform or version of Python
    for top in {Path(file).parts[0] for file in found.files or ()} - {".."}:
        source = Path(str(found.locate_file(top)))
        if source.exists() and not (packages / top).exists():
            (packages / top).symlink_to(source)


class Container:
    """A service of compose.yaml as a process."""

    def __init__(self, image: Image, name: str, **changed: str) -> None:
        self.image, self.name = image, name
        self.service = compose()["services"][name]
        self.home = image.at / f"home-{name}"
        self.home.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(self.home, USER, USER)
        self.log = image.at / f"{name}.log"
        self.port = free_port()
        said = {**image_environment(), **self.service["environment"], "PORT": str(self.port), **changed}
        self.environment = {key: image.mapped(str(value), self.home) for key, value in said.items()}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Container:
        """Begin, and do not wait."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._words(self.service["command"]), stdout=log, stderr=log, **self._how())
        return self

    def run(self, *words: str) -> str:
        """A command beside it, as ``docker compose exec`` would; what it printed."""
        done = subprocess.run(self._words([*words]), capture_output=True, text=True, check=False, **self._how())
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def finish(self) -> int:
        """The exit code, when it has ended by itself."""
        assert self.process
        return self.process.wait(PATIENCE)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        assert self.process
        self.process.send_signal(getattr(signal, self.service.get("stop_signal", "SIGTERM")))
        return self.finish()

    def end(self) -> None:
        """Whatever is left of it."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def wait_healthy(self) -> None:
        """Until the file's own health check says so."""
        assert processes.wait_until(lambda: self.check().returncode == 0 or self._ended(), PATIENCE, every=0.5), self.said()
        assert not self._ended(), self.said()

    def check(self) -> subprocess.CompletedProcess[str]:
        """Its health check, once."""
        kind, *words = self.service["healthcheck"]["test"]
        assert kind == "CMD"
        return subprocess.run(self._words(words), capture_output=True, text=True, check=False, **self._how())

    def said(self) -> str:
        return (
            f"{self.name}: {self.check().stderr if 'healthcheck' in self.service else ''}\n{self.log.read_text('utf-8', 'replace')[-3000:]}"
        )

    def _ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def _words(self, words: list[str]) -> list[str]:
        program, *rest = words
        found = shutil.which(program, path=self.environment["PATH"])
        assert found, f"{program} is not in the image"
        return [found, *(self.image.mapped(word, self.home) for word in rest)]

    def _how(self) -> dict[str, Any]:
        who = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
        return {"cwd": self.image.at / "app", "env": self.environment, "stdin": subprocess.DEVNULL, "start_new_session": True, **who}
