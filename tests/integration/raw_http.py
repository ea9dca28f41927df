"""Requests byte by byte, as no client library would let us send them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from typing import Any, NamedTuple

from tests.gateway_process import Gateway
from tests.waiting import HANGS


class Reply(NamedTuple):
    """What came back; ``body`` is the decoded JSON, or the text where it is none."""

    status: int
    headers: dict[str, str]
    body: Any


def send(
    gateway: Gateway,
    method: str,
    target: str | bytes,
    body: bytes | Iterable[bytes] = b"",
    *,
    key: str | None = None,
    **headers: str,
) -> Reply:
    """One request on a connection of its own. A str target is below ``/rest/v1/``, bytes are the whole target; chunks are sent
    as chunks; ``content_type`` means Content-Type."""
    path = target if isinstance(target, bytes) else f"/rest/v1/{target}".encode()
    given = {"apikey": gateway.make_key() if key is None else key, "content-type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    chunked = not isinstance(body, bytes)
    given |= {"transfer-encoding": "chunked"} if chunked else {"content-length": given.get("content-length", str(len(body)))}
    head = [f"{method} ".encode() + path + b" HTTP/1.1", b"host: 127.0.0.1", b"connection: close"]
    head += [f"{name}: {value}".encode("latin-1") for name, value in given.items()]
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=HANGS) as connection:
        connection.sendall(b"\r\n".join([*head, b"", b""]))
        try:
            for part in [body] if isinstance(body, bytes) else (b"%x\r\n%s\r\n" % (len(c), c) for c in (*body, b"")):
                connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has heard enough
        return _reply(connection)


def _reply(connection: socket.socket) -> Reply:
    raw = b""
    while part := _received(connection):
        raw += part
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    try:
        return Reply(int(status.split()[1]), headers, json.loads(body))
    except ValueError:
        return Reply(int(status.split()[1]), headers, body.decode("utf-8", "replace"))


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""
