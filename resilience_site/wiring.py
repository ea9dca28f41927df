"""Hands the configuration down to the layers that may not import this one."""

from __future__ import annotations

from healing.gateway import seal
from healing.gateway.settings import Settings, configure
from resilience_site.config import Config
from schema_monitor.alerts import sealed


def connect(config: Config) -> Settings:
    """Give the gateway's code its settings and the keys it seals with; once in every process."""
    settings = Settings(
        database_url=config.database_url,
        target_database_url=config.target_database_url,
        home=config.home,
        exposed_schemas=config.exposed_schemas,
        jwt_secret=config.jwt_secret,
        jwks_url=config.jwks_url,
        upstream_supabase_url=config.upstream_supabase_url,
    )
    configure(settings)
    seal.configure(config.secret_key, config.secret_key_fallbacks)
    sealed.configure(seal.seal, seal.unseal)
    return settings
