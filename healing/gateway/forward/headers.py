"""Headers on their way through: what speaks of one connection only stays behind; CORS is answered here as everywhere."""

from __future__ import annotations

from collections.abc import Iterable

from multidict import CIMultiDict

from healing.gateway.cors import EXPOSED
from healing.gateway.forward.credentials import Exchange

Raw = list[tuple[bytes, bytes]]
_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer",
     b"transfer-encoding", b"upgrade"}
)  # fmt: skip
_OURS = frozenset(
    {b"host", b"expect", b"forwarded", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port", b"x-forwarded-prefix",
     b"x-forwarded-for", b"x-real-ip"}
)  # fmt: skip
_THEIRS = frozenset({b"alt-svc", b"strict-transport-security"})
_SOCKET = b"sec-websocket-"
_PREFERENCES = b"mendgate-"


async def outgoing(raw: Iterable[tuple[bytes, bytes]], client: str | None, exchange: Exchange) -> CIMultiDict[str]:
    """What the upstream is sent."""
    pairs = [(name.lower(), value) for name, value in raw]
    left = _HOP | _OURS | _named(pairs)
    found: CIMultiDict[str] = CIMultiDict()
    for name, value in pairs:
        if name not in left and not name.startswith((_SOCKET, _PREFERENCES)):
            found.add(name.decode("latin-1"), await exchange(value.decode("latin-1")))
    before = b", ".join(value for name, value in pairs if name == b"x-forwarded-for").decode("latin-1")
    if client:
        found["x-forwarded-for"] = f"{before}, {client}" if before else client
    return found


def incoming(raw: Iterable[tuple[bytes, bytes]], base: str, origin: str | None, exchange: Exchange) -> Raw:
    """What the caller is sent. A ``Location`` at the upstream becomes one here, so that nobody is led past the gateway."""
    pairs = [(name.lower(), exchange.back(value.decode("latin-1")).encode("latin-1")) for name, value in raw]
    left = _HOP | _THEIRS | _named(pairs)
    exposed = [value.decode("latin-1") for name, value in pairs if name == b"access-control-expose-headers"]
    kept = [
        (name, _here(value, base) if name == b"location" else value)
        for name, value in pairs
        if name not in left and not name.startswith(b"access-control-")
    ]
    if origin is None:
        return kept
    names = ", ".join([EXPOSED, *exposed])
    return [*kept, (b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", names.encode("latin-1"))]


def _named(pairs: Raw) -> frozenset[bytes]:
    """Headers that ``Connection`` names belong to that connection, too; but not the length, without which a body would be lost."""
    named = [value for name, value in pairs if name == b"connection"]
    return frozenset(each.strip().lower() for value in named for each in value.split(b",")) - {b"content-length"}


def _here(location: bytes, base: str) -> bytes:
    start = base.encode()
    rest = location.removeprefix(start)
    return rest if rest != location and rest.startswith(b"/") else location
