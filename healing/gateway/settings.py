"""What the gateway needs to know to run; set once by the composition root, so that nothing here reads the environment."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from breakers.gateway.ai.settings import AiSettings


class Settings(Struct, frozen=True, kw_only=True):
    """URLs are libpq URLs. Sizes in bytes, times in seconds."""

    database_url: str
    target_database_url: str
    home: Path = Path(".mendgate")
    exposed_schemas: tuple[str, ...] = ("public",)
    jwt_secret: str | None = None
    jwks_url: str | None = None
    jwt_audience: str | None = None
    upstream_supabase_url: str | None = None
    upstream_anon_key: str | None = None
    upstream_service_key: str | None = None
    roles: tuple[str, ...] = ("anon", "authenticated", "service_role")
    pool_size: int = 10
    pool_wait: float = 10.0
    statement_timeout: float = 30.0
    body_limit: int = 16 * 1024 * 1024
    bodies_limit: int = 64 * 1024 * 1024
    url_limit: int = 32 * 1024
    depth_limit: int = 100
    row_limit: int = 100_000
    most_in_flight: int = 4_000
    ai: AiSettings = AiSettings()


_current: Settings | None = None


def configure(settings: Settings) -> None:
    """Called by the composition root of each process."""
    global _current
    _current = settings


def current() -> Settings:
    """The settings of this process. Raises ``RuntimeError`` before ``configure``."""
    if _current is None:
        raise RuntimeError("healing.gateway.settings.configure() was not called by the composition root")
    return _current
