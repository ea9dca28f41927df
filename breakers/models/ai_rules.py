"""What may stand in the AI gateway's rows, with messages that say what to do instead."""

from __future__ import annotations

import re
from decimal import Decimal
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator

PROVIDER_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}", re.ASCII)
CANNED = "mendgate-canned"
"""What canned answers say as their model; no model may be called so."""
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,1000}", re.ASCII)
_OURS = frozenset(["host", "content-length", "content-type", "connection", "transfer-encoding", "accept-encoding", "accept", "upgrade"])
_SECRETIVE = re.compile(r"authorization|cookie|secret|token|password|(^|[-_])key$|apikey", re.IGNORECASE)
MOST_HEADERS = 20
MOST_SECONDS = 3600


def check_provider_name(name: str) -> None:
    """It is part of a breaker's name, and of a header."""
    if not PROVIDER_NAME.fullmatch(name):
        raise ValidationError("Use small letters, digits and hyphens only, at most 63, beginning with a letter or digit.")


def check_model_name(name: str) -> None:
    """Callers name it in requests and URLs."""
    if not MODEL_NAME.fullmatch(name):
        raise ValidationError("Use letters, digits and . _ : / @ + - only, at most 200, beginning with a letter or digit.")
    if name == CANNED:
        raise ValidationError(f"{CANNED} is what canned answers say; choose another name.")


def check_base_url(url: str) -> None:
    """Where an OpenAI-compatible service begins, usually ending with ``/v1``."""
    try:
        parts = urlsplit(url)
        port_is_sound = parts.port != 0
    except ValueError:
        raise ValidationError("This is no URL. Enter one like https://api.example.com/v1") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_sound or any(c.isspace() or ord(c) < 33 for c in url):
        raise ValidationError("Enter a URL like https://api.example.com/v1")
    if parts.username is not None or parts.password is not None:
        raise ValidationError("Leave user and password out of the URL; keys have a place of their own.")
    if parts.query or parts.fragment:
        raise ValidationError("Leave out what comes after ? or #; enter the URL up to and with /v1.")
    if parts.path.rstrip("/").endswith(("/chat/completions", "/embeddings", "/models")):
        raise ValidationError("Enter the URL up to and with /v1, without the endpoint.")


def is_private(url: str) -> bool:
    """Whether the URL names an address inside a private network. A name is looked up when it is called, not here."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ip = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return not ip.is_global or ip.is_multicast


def origin(url: str) -> tuple[str, str, int | None]:
    """Where a key goes that is sent there."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


def check_headers(headers: object) -> None:
    """More headers for a provider: names to texts. Nothing secret, as they are shown."""
    if not isinstance(headers, dict) or len(headers) > MOST_HEADERS:
        raise ValidationError(f'Enter an object of at most {MOST_HEADERS} names and texts, like {{"X-Title": "shop"}}.')
    for name, value in headers.items():
        if not isinstance(value, str) or not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValidationError(
                f"{name[:50]!r} is no header: names are of letters, digits and hyphens, values are plain text on one line."
            )
        if name.lower() in _OURS:
            raise ValidationError(f"{name} is set by the gateway; leave it out.")
        if _SECRETIVE.search(name):
            raise ValidationError(f"{name} looks secret, and headers are shown to whoever may look. Enter keys under Keys.")


def seconds(low: float = 0.1) -> list[MinValueValidator | MaxValueValidator]:
    """A time limit."""
    message = f"Enter {low:g} to {MOST_SECONDS} seconds."
    return [MinValueValidator(low, message), MaxValueValidator(MOST_SECONDS, message)]


def price() -> list[MinValueValidator | MaxValueValidator]:
    """US dollars per million tokens."""
    message = "Enter US dollars per million tokens, 0 to 100000."
    return [MinValueValidator(Decimal(0), message), MaxValueValidator(Decimal(100_000), message)]


def cycle(chains: dict[str, list[str]], start: str) -> list[str]:
    """A way along fallbacks from ``start`` back to itself; empty where there is none."""
    ways = [[start, each] for each in chains.get(start, [])]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        if way[-1] == start:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, each] for each in chains.get(way[-1], [])]
    return []
