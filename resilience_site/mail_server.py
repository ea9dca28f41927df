"""``EMAIL_URL`` as Django's settings."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import environ

_PORTS = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}


def mail_server(url: str) -> dict[str, Any]:
    """``EMAIL_HOST`` and so on, with the usual port where none is given."""
    settings: dict[str, Any] = environ.Env.email_url_config(url)
    return {**settings, "EMAIL_PORT": settings["EMAIL_PORT"] or _PORTS.get(urlsplit(url).scheme, 25)}
