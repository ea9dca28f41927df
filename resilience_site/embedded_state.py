"""Where the embedded servers listen and their passwords: one private file in MENDGATE_HOME, made on first use.

Every process derives the same URLs from it, so a command in another shell finds the databases that ``up`` runs.
"""

from __future__ import annotations

import secrets
import socket
from pathlib import Path
from urllib.parse import quote

import msgspec

from resilience_site.private_files import create_private, write_private

CONTROL = "mendgate"
TARGET = "app"
OWNER = "postgres"
GATEWAY = "authenticator"
SCRATCH = "mendgate_scratch"
LOOPBACK = "127.0.0.1"


class State(msgspec.Struct, frozen=True):
    """Ports on loopback and one password per login."""

    postgres_port: int
    valkey_port: int
    owner_password: str
    gateway_password: str
    control_password: str
    valkey_password: str
    scratch_password: str = ""

    def postgres_url(self, user: str, database: str) -> str:
        """The URL for one of the logins: ``postgres`` (owner), ``authenticator`` (gateway), ``mendgate`` (control), or the scratch one."""
        passwords = {
            OWNER: self.owner_password,
            GATEWAY: self.gateway_password,
            CONTROL: self.control_password,
            SCRATCH: self.scratch_password,
        }
        return f"postgresql://{user}:{passwords[user]}@{LOOPBACK}:{self.postgres_port}/{quote(database)}"

    @property
    def control_url(self) -> str:
        """The control database, as its own owner."""
        return self.postgres_url(CONTROL, CONTROL)

    @property
    def target_url(self) -> str:
        """The target as the gateway logs in."""
        return self.postgres_url(GATEWAY, TARGET)

    @property
    def owner_url(self) -> str:
        """The target as its owner, for DDL by people."""
        return self.postgres_url(OWNER, TARGET)

    @property
    def scratch_url(self) -> str:
        """The server, as a login that may make databases and nothing else."""
        return self.postgres_url(SCRATCH, "postgres")

    @property
    def redis_url(self) -> str:
        """Valkey, database 0."""
        return f"redis://:{self.valkey_password}@{LOOPBACK}:{self.valkey_port}/0"


def load(home: Path) -> State:
    """Read the state, making it (free ports, random passwords) when there is none."""
    path = home / "embedded.json"
    if not path.exists():
        return msgspec.json.decode(create_private(path, _text(_fresh())), type=State)
    state = msgspec.json.decode(path.read_bytes(), type=State)
    if state.scratch_password:
        return state
    return save(home, msgspec.structs.replace(state, scratch_password=secrets.token_urlsafe(24)))  # a home from before this login


def save(home: Path, state: State) -> State:
    """Replace the state, e.g. after a port turned out to be taken."""
    write_private(home / "embedded.json", _text(state))
    return state


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether we could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def _fresh() -> State:
    return State(free_port(), free_port(), *(secrets.token_urlsafe(24) for _ in range(5)))


def _text(state: State) -> str:
    return msgspec.json.format(msgspec.json.encode(state)).decode()
