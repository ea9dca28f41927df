"""A gateway in front of the bookshop (bookshop.sql), and two of its users."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jwt

from tests.acceptance.console import Console
from tests.gateway_process import Gateway

ANN, BOB = "a0000000-0000-4000-8000-00000000000a", "b0000000-0000-4000-8000-00000000000b"
ADMIN = "rita"


@contextmanager
def bookshop(make_gateway: Callable[..., Gateway]) -> Iterator[tuple[Gateway, Console]]:
    """Opens it, with an operator at its side: schema captured, keys made, rita may decide."""
    environment = {"DJANGO_SETTINGS_MODULE": "resilience_site.settings", "DJANGO_SUPERUSER_PASSWORD": "a password of rita's"}
    gateway = make_gateway(EXPOSED_SCHEMAS="public,private_shop", **environment)
    gateway.sql((Path(__file__).parent / "bookshop.sql").read_text("utf-8"))
    with Console(gateway.environment) as console:
        console.run("capture_schema")
        console.run("createsuperuser", "--noinput", "--username", ADMIN, "--email", "rita@example.com")
        for role in ("service_role", "anon"):
            gateway.keys[role, "test"] = console.run("create_api_key", "--role", role, "--name", "test").strip()
        gateway.start()
        yield gateway, console
        gateway.stop()


def token(gateway: Gateway, subject: str, **claims: object) -> str:
    """What Supabase's auth would give this user."""
    body = {"sub": subject, "role": "authenticated", "aud": "authenticated", "exp": int(time.time()) + 3600, **claims}
    return jwt.encode(body, gateway.jwt_secret, algorithm="HS256")
