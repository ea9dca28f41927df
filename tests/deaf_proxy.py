"""A TCP proxy before Postgres that loses notifications, and nothing else: as a pooler does, or a network that was down for a moment."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit


class DeafProxy:
    """While ``deaf`` is set no NotificationResponse comes through; ``lost`` counts them. Speaks no TLS."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.deaf = threading.Event()
        self.lost = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The same database through the proxy."""
        userinfo, at, _ = self._parts.netloc.rpartition("@")
        place = f"{userinfo}{at}127.0.0.1:{self._listening.getsockname()[1]}"
        return urlunsplit(self._parts._replace(netloc=place, query="sslmode=disable"))

    def close(self) -> None:
        """Takes no connection any more; those that are open end with their owners."""
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listening.accept()
            except OSError:
                return
            there = socket.create_connection((self._parts.hostname or "127.0.0.1", self._parts.port or 5432))
            for each in (lambda a=here, b=there: _copy(a, b), lambda a=here, b=there: self._answers(b, a)):
                threading.Thread(target=_until_it_ends, args=(each, here, there), daemon=True).start()

    def _answers(self, there: socket.socket, here: socket.socket) -> None:
        while True:
            head = _exactly(there, 5)
            message = head + _exactly(there, struct.unpack("!I", head[1:])[0] - 4)
            if head[:1] == b"A" and self.deaf.is_set():
                self.lost += 1
                continue
            here.sendall(message)


def _until_it_ends(copy, here: socket.socket, there: socket.socket) -> None:
    with suppress(OSError, EOFError):
        copy()
    for each in (here, there):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


def _copy(source: socket.socket, to: socket.socket) -> None:
    while data := source.recv(65536):
        to.sendall(data)


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = source.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data
