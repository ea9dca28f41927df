"""A TCP proxy before Postgres, in threads, that can fall silent: connections stay open and nothing passes any more."""

from __future__ import annotations

import select
import socket
import threading
from urllib.parse import urlsplit, urlunsplit


class SilentProxy:
    """Forwards bytes both ways. ``hush`` silences the connections of now; later ones work. ``hushed`` counts them."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._silent = threading.Event()
        self._open: list[socket.socket] = []
        self._done = threading.Event()
        self.hushed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The same database through the proxy."""
        userinfo = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{userinfo}@127.0.0.1:{self._listening.getsockname()[1]}"))

    def hush(self) -> None:
        """From now on nothing passes on the connections that are open."""
        silent, self._silent = self._silent, threading.Event()
        self.hushed += len(self._open) // 2
        silent.set()

    def close(self) -> None:
        """Ends everything."""
        self._done.set()
        self._listening.close()
        for each in self._open:
            each.close()

    def __enter__(self) -> SilentProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._done.is_set():
            try:
                here, _ = self._listening.accept()
            except OSError:
                return
            there = socket.create_connection((self._parts.hostname or "127.0.0.1", self._parts.port or 5432))
            self._open += [here, there]
            threading.Thread(target=self._forward, args=(here, there, self._silent), daemon=True).start()

    def _forward(self, here: socket.socket, there: socket.socket, silent: threading.Event) -> None:
        try:
            while not self._done.is_set() and not silent.is_set():
                for side in select.select([here, there], [], [], 0.02)[0]:
                    data = b"" if silent.is_set() else side.recv(65536)
                    if not data and not silent.is_set():
                        return
                    if not silent.is_set():
                        (there if side is here else here).sendall(data)
            self._done.wait()
        except (OSError, ValueError):
            pass
        finally:
            here.close()
            there.close()
