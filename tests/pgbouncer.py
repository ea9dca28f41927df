"""A real PgBouncer in transaction mode, with few sessions, before one database. Without it installed, tests that need it are skipped."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
import pytest

from resilience_site.embedded_state import free_port

SETTINGS = """
[databases]
{database} = host={host} port={port} dbname={database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 400
server_round_robin = 1
unix_socket_dir =
logfile = {log}
admin_users = {user}
"""


def executable() -> str:
    """Where it is; skips the test that asks where it is not."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    return found


class PgBouncer:
    """``sessions`` with the server, handed round. ``url`` names the same database through it."""

    def __init__(self, home: Path, url: str, sessions: int = 3) -> None:
        self._home, self._parts, self.port = home, urlsplit(url), free_port()
        self._command = [executable(), str(home / "pgbouncer.ini")]
        home.mkdir(mode=0o755)
        database, user = self._parts.path.strip("/"), self._parts.username or ""
        users = home / "users.txt"
        users.write_text(f'"{user}" "{unquote(self._parts.password or "")}"\n')
        text = SETTINGS.format(
            database=database, host=self._parts.hostname, port=self._parts.port, own=self.port,
            users=users, sessions=sessions, log=home / "pgbouncer.log", user=user,
        )  # fmt: skip
        (home / "pgbouncer.ini").write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Through it."""
        return urlunsplit(self._parts._replace(netloc=f"{self._parts.username}@127.0.0.1:{self.port}"))

    def start(self, eventually: Callable[[Callable[[], bool], str], object]) -> PgBouncer:
        """Start, and wait until it answers."""
        (self._home / "pgbouncer.log").touch()
        (self._home / "pgbouncer.log").chmod(0o666)
        nobody = {"user": pwd.getpwnam("nobody").pw_uid} if os.geteuid() == 0 else {}
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **nobody)  # type: ignore[call-overload]
        eventually(self._answers, "pgbouncer answers")
        return self

    def kill(self) -> None:
        """All connections through it are cut at once."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True
