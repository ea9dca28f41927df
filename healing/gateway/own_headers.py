"""Headers that a function of the database sets: those that can be sent, and that do not say where the answer ends."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OF_THE_WIRE = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer"})

Header = tuple[str, str]


def sendable(pairs: Iterable[Header]) -> list[Header]:
    """Those that HTTP can carry and that are not the server's own to set.

    >>> sendable([("X-A", "b"), ("x y", "b"), ("X-B", "c\\r\\nX-C: d"), ("Content-Length", "0"), ("X-☃", "b")])
    [('X-A', 'b')]
    """
    return [(name, value) for name, value in pairs if _NAME.fullmatch(name) and value.isprintable() and name.lower() not in _OF_THE_WIRE]


def in_place(ours: Iterable[Header], own: list[Header]) -> list[Header]:
    """Our headers and the function's, which take the place of ours of the same name: it may answer with a page or a picture."""
    named = {name.lower() for name, _ in own}
    return [*(pair for pair in ours if pair[0].lower() not in named), *own]


def status_of(text: str | None) -> int | None:
    """The status that a function set; None where it is none."""
    found = text is not None and re.fullmatch(r"[2-5][0-9]{2}", text)
    return int(found[0]) if found else None
