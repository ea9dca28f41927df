"""Where connections may go: the address that is connected to is the one that is judged, so a name cannot answer differently later."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

PRIVATE = "a private address, which the provider does not allow"


def judged(public: Callable[[str], bool]) -> Callable[[Any], socket.socket]:
    """Makes sockets for public addresses only; given to the connector, which asks it for each address that it is about to connect to."""

    def make(info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not public(str(address[0])):
            raise PermissionError(f"{address[0]} is {PRIVATE}")
        return socket.socket(family, kind, protocol)

    return make
