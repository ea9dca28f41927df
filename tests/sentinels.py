"""A Valkey with a replica, and three sentinels that watch over them: real processes on loopback, with passwords."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from redis.exceptions import RedisError

from resilience_site.embedded_state import free_port
from resilience_site.embedded_valkey import EXECUTABLE

SERVICE, PASSWORD, SENTINELS_PASSWORD = "mendgate", "valkey-secret", "sentinel-secret"
USER = "gateway"
Eventually = Callable[[Callable[[], Any], str], Any]
_VALKEY = """
port {port}
bind 127.0.0.1
dir {home}
save ""
appendonly no
requirepass {password}
primaryauth {password}
user {user} on >{password} ~* &* +@all -@admin -@dangerous +info +keys
"""
_SENTINEL = """
port {port}
bind 127.0.0.1
dir {home}
requirepass {own}
sentinel sentinel-pass {own}
sentinel monitor {service} 127.0.0.1 {primary} 2
sentinel auth-pass {service} {password}
sentinel down-after-milliseconds {service} 400
sentinel failover-timeout {service} 5000
"""


class Sentinels:
    """``url`` is what REDIS_URL would be. ``fail`` kills whoever is in charge."""

    def __init__(self, home: Path, eventually: Eventually) -> None:
        self._home, self._eventually = home, eventually
        home.mkdir()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self.nodes = [free_port(), free_port()]
        self.sentinels = [free_port() for _ in range(3)]

    def __enter__(self) -> Sentinels:
        for port in self.nodes:
            self._start(port, _VALKEY.format(port=port, home=self._home, password=PASSWORD, user=USER))
        primary, replica = self.nodes
        for port in self.nodes:
            self._eventually(lambda at=port: self._answers(at, PASSWORD), "Valkey answers")
        self.node(replica).replicaof("127.0.0.1", str(primary))
        self._eventually(lambda: self.node(replica).info("replication")["master_link_status"] == "up", "the replica follows")
        for port in self.sentinels:
            words = {"home": self._home, "own": SENTINELS_PASSWORD, "service": SERVICE, "primary": primary, "password": PASSWORD}
            self._start(port, _SENTINEL.format(port=port, **words), "--sentinel")
        for port in self.sentinels:
            self._eventually(lambda at=port: self._knows_all(at), "a sentinel knows the others and the replica")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()

    @property
    def url(self) -> str:
        """By all three sentinels, as a user with few rights."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinels)
        return f"redis+sentinel://{USER}:{PASSWORD}@{hosts}/{SERVICE}/0?sentinel_password={SENTINELS_PASSWORD}"

    def node(self, port: int) -> Any:
        """One of the Valkeys, as its administrator."""
        return redis.Redis(port=port, password=PASSWORD, socket_timeout=5, decode_responses=True)

    def in_charge(self) -> int:
        """The port of the primary, as the sentinels see it."""
        with redis.Redis(port=self.sentinels[0], password=SENTINELS_PASSWORD, socket_timeout=5) as sentinel:
            address: Any = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
            return int(address[1])

    def fail(self) -> int:
        """kill -9 of the primary; the port of the next one, once the sentinels have agreed on it."""
        before = self.in_charge()
        process = self._processes.pop(before)
        process.kill()
        process.wait()
        self._eventually(lambda: self.in_charge() != before, "the sentinels agree on another primary")
        after = self.in_charge()
        self._eventually(lambda: self.node(after).info("replication")["role"] == "master", "it takes over")
        return after

    def _start(self, port: int, configuration: str, *words: str) -> None:
        path = self._home / f"{port}.conf"
        path.write_text(configuration)
        with (self._home / f"{port}.log").open("ab") as log:
            self._processes[port] = subprocess.Popen([EXECUTABLE, path, *words], stdout=log, stderr=log)

    def _answers(self, port: int, password: str) -> bool:
        try:
            with redis.Redis(port=port, password=password, socket_timeout=5) as client:
                return bool(client.ping())
        except RedisError:
            return False

    def _knows_all(self, port: int) -> bool:
        if not self._answers(port, SENTINELS_PASSWORD):
            return False
        with redis.Redis(port=port, password=SENTINELS_PASSWORD, socket_timeout=5, decode_responses=True) as sentinel:
            said: Any = sentinel.execute_command("SENTINEL", "MASTER", SERVICE)
            facts = said if isinstance(said, dict) else dict(zip(said[::2], said[1::2], strict=True))
            return int(facts["num-other-sentinels"]) == 2 and int(facts["num-slaves"]) == 1
