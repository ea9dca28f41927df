"""What goes over the wire to a provider: one request, as bytes."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote, urlsplit

from msgspec import Struct

from breakers.gateway.ai.connections import Place
from breakers.gateway.ai.snapshot import Credential, Provider

MODELS = "models"
"""What may be asked about a key itself."""
_UNSAFE = "\r\n\0"
_PLAIN = "/%:@!$&'()*+,;=~-._"
_DEFAULT = {"http": 80, "https": 443}


class Outgoing(Struct, frozen=True, kw_only=True):
    """One call to one provider."""

    provider: Provider
    credential: Credential | None
    endpoint: str
    body: bytes
    streamed: bool = False
    hide_usage: bool = True


class Address(Struct, frozen=True):
    """An endpoint of a provider: where to connect, and how a request begins."""

    place: Place
    opening: str


@lru_cache(maxsize=256)
def address_of(base_url: str, endpoint: str, private: bool) -> Address:
    """Raises ``ValueError`` for what is no URL of a service."""
    parts = urlsplit(f"{base_url}/{endpoint}")
    host = (parts.hostname or "").encode("idna").decode() if not (parts.hostname or "").isascii() else parts.hostname or ""
    if parts.scheme not in _DEFAULT or not host:
        raise ValueError(f"{base_url} is no address of a service")
    port = parts.port or _DEFAULT[parts.scheme]
    named = f"[{host}]" if ":" in host else host
    if port != _DEFAULT[parts.scheme]:
        named += f":{port}"
    place = Place(host=host, port=port, secure=parts.scheme == "https", private=private)
    method = "GET" if endpoint == MODELS else "POST"
    return Address(place, f"{method} {quote(parts.path, safe=_PLAIN)} HTTP/1.1\r\nHost: {named}\r\n")


def as_bytes(address: Address, call: Outgoing, more: dict[str, str]) -> bytes:
    """The request. ``more``: headers that carry a trace on. Raises ``ValueError`` for a header that would be two."""
    headers = {
        "Content-Type": "application/json",
        "Accept": "text/event-stream" if call.streamed else "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "mendgate",
        **call.provider.headers,
        **more,
    }
    if call.credential is not None:
        headers["Authorization"] = f"Bearer {call.credential.secret}"
    lines = [address.opening]
    for name, value in headers.items():
        if any(each in value or each in name for each in _UNSAFE):
            raise ValueError(f"the header {name[:50]!r} has more than one line")
        lines.append(f"{name}: {value}\r\n")
    lines.append(f"Content-Length: {len(call.body)}\r\n\r\n")
    return "".join(lines).encode("latin-1") + call.body
