"""A transaction pooler, as small as can be: every transaction of a client goes to the next session of the server. What the server
says between transactions (notifications) reaches nobody."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from urllib.parse import urlsplit, urlunsplit

import psycopg


class TransactionPooler:
    """Two sessions with the server, logged in by psycopg; clients need no password."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._logged_in = [psycopg.connect(url, autocommit=True) for _ in range(2)]
        self._sessions = [socket.socket(fileno=conn.fileno()) for conn in self._logged_in]
        for session in self._sessions:
            session.setblocking(True)
        self._locks = [threading.Lock() for _ in self._sessions]
        self._turns = itertools.count()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._clients: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The same database through the pooler."""
        return urlunsplit(self._parts._replace(netloc=f"pooled@127.0.0.1:{self._listening.getsockname()[1]}"))

    def __enter__(self) -> TransactionPooler:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listening, *self._clients):
            each.close()
        for session, conn in zip(self._sessions, self._logged_in, strict=True):
            session.detach()
            conn.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self._clients.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            self._greet(client)
            while True:
                self._transaction(client, _message(client))
        except (OSError, EOFError, struct.error):
            client.close()

    def _greet(self, client: socket.socket) -> None:
        while True:
            body = _exactly(client, struct.unpack("!I", _exactly(client, 4))[0] - 4)
            if body[:4] == struct.pack("!I", 196608):
                break
            client.sendall(b"N")  # no TLS, no GSS
        parameters = {"server_version": "18.4", "client_encoding": "UTF8", "standard_conforming_strings": "on", "DateStyle": "ISO, MDY"}
        parts = [_packed(b"R", struct.pack("!I", 0))]
        parts += [_packed(b"S", f"{name}\0{value}\0".encode()) for name, value in parameters.items()]
        client.sendall(b"".join([*parts, _packed(b"K", struct.pack("!II", 1, 1)), _packed(b"Z", b"I")]))

    def _transaction(self, client: socket.socket, first: bytes) -> None:
        """The messages of one transaction to one session, until the server says that it is idle again."""
        if first[:1] == b"X":
            raise EOFError
        turn = next(self._turns) % len(self._sessions)
        session = self._sessions[turn]
        with self._locks[turn]:
            message = first
            while True:
                session.sendall(message)
                if message[:1] in (b"Q", b"S", b"F") and self._answer(client, session) == b"I":
                    return
                message = _message(client)

    def _answer(self, client: socket.socket, session: socket.socket) -> bytes:
        while True:
            message = _message(session)
            if message[:1] != b"A":  # a real pooler may hand it to whoever is there: to nobody, here
                client.sendall(message)
            if message[:1] == b"Z":
                return message[-1:]


def _message(source: socket.socket) -> bytes:
    head = _exactly(source, 5)
    return head + _exactly(source, struct.unpack("!I", head[1:])[0] - 4)


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = source.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _packed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body
