"""A TCP proxy, in threads, that does wrong what a network does wrong: it cuts, delays, falls silent. Before Postgres, Valkey or the web.

with FaultyProxy(target_url) as proxy:
    proxy.cut(b"COMMIT", answered=True)   # the next message that holds it is acted on, and its answer never comes back
    proxy.delay = 5.0                     # from now on, every message to the server
    proxy.hush()                          # the connections of now stay open and nothing passes; later ones work
    proxy.freeze(); proxy.thaw()          # all of them, and those that are opened meanwhile
"""

from __future__ import annotations

import contextlib
import random
import select
import socket
import threading
from urllib.parse import urlsplit, urlunsplit

PORTS = {"postgresql": 5432, "postgres": 5432, "redis": 6379, "http": 80}
MOST = 65536
PATIENCE = 60.0
"""Seconds for an answer that shall be dropped; only there to end a hang."""


class FaultyProxy:
    """Forwards bytes both ways. Messages are never changed; what counts as one is what the sender wrote at a time. ``cuts`` and
    ``hushed`` count the connections that were cut and silenced."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._silent = threading.Event()
        self._frozen = threading.Event()
        self._done = threading.Event()
        self._cut: tuple[bytes, bool, int, float, random.Random] | None = None
        self.delay = 0.0
        self.cuts = 0
        self.hushed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The same server through the proxy."""
        userinfo, at, _ = self._parts.netloc.rpartition("@")
        return urlunsplit(self._parts._replace(netloc=f"{userinfo}{at}127.0.0.1:{self._listening.getsockname()[1]}"))

    def cut(self, text: bytes, *, answered: bool, times: int = 1, share: float = 1.0, seed: int = 0) -> None:
        """The next ``times`` messages that hold ``text`` end their connection: once the server has answered them (its answer is dropped),
        or instead of being sent. ``share``: each only with this chance."""
        with self._lock:
            self._cut = (text, answered, times, share, random.Random(seed))  # noqa: S311

    def mend(self) -> None:
        """From now on nothing is cut, delayed or held back."""
        with self._lock:
            self._cut = None
        self.delay = 0.0
        self.thaw()

    def hush(self) -> None:
        """From now on nothing passes on the connections that are open."""
        silent, self._silent = self._silent, threading.Event()
        with self._lock:
            self.hushed += len(self._open) // 2
        silent.set()

    def freeze(self) -> None:
        """From now on nothing passes on any connection, until ``thaw``."""
        self._frozen.set()

    def thaw(self) -> None:
        """What was held back passes."""
        self._frozen.clear()

    def drop(self) -> None:
        """Ends every connection of now, as a server or pooler that is started anew."""
        with self._lock:
            for each in self._open:
                _end(each)

    def close(self) -> None:
        """Ends everything."""
        self._done.set()
        _end(self._listening)
        self._listening.close()
        self.drop()

    def __enter__(self) -> FaultyProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._done.is_set():
            try:
                here, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(here, self._silent), daemon=True).start()

    def _serve(self, here: socket.socket, silent: threading.Event) -> None:
        try:
            there = socket.create_connection((self._parts.hostname or "127.0.0.1", self._parts.port or PORTS[self._parts.scheme]))
        except OSError:
            here.close()
            return
        with self._lock:
            self._open |= {here, there}
        try:
            self._forward(here, there, silent)
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open -= {here, there}
            here.close()
            there.close()

    def _forward(self, here: socket.socket, there: socket.socket, silent: threading.Event) -> None:
        while not self._done.is_set():
            if silent.is_set() or self._frozen.is_set():
                self._done.wait(0.01)
                continue
            for side in select.select([here, there], [], [], 0.02)[0]:
                if silent.is_set() or self._frozen.is_set():
                    break
                if not (data := side.recv(MOST)):
                    return
                if side is here and self._passes(data, here, there):
                    return
                if side is there:
                    here.sendall(data)

    def _passes(self, data: bytes, here: socket.socket, there: socket.socket) -> bool:
        """Sends a message on, or not; True: the connection ends here."""
        answered = self._due(data)
        if answered is False:
            return True
        if self.delay:
            self._done.wait(self.delay)
        there.sendall(data)
        while answered and there not in (ready := select.select([here, there], [], [], PATIENCE)[0]):
            if not ready or not (rest := here.recv(MOST)):
                break
            there.sendall(rest)  # what belongs to the message came in a second piece
        return bool(answered)

    def _due(self, data: bytes) -> bool | None:
        """Whether this message is to be cut: after its answer, before it is sent, or not at all (None)."""
        with self._lock:
            if self._cut is None or self._cut[0] not in data:
                return None
            text, answered, times, share, dice = self._cut
            if dice.random() >= share:
                return None
            self.cuts += 1
            self._cut = (text, answered, times - 1, share, dice) if times > 1 else None
            return answered


def _end(each: socket.socket) -> None:
    """Wakes whoever reads from it."""
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
