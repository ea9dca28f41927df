"""Hands the configuration down to the layers that may not import this one."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

from msgspec.structs import replace

from breakers import ai_sealed, registry, where
from breakers.gateway.ai.settings import AiSettings
from healing import alert_gates, alert_keys
from healing.gateway import bell, seal, tuned, watch
from healing.gateway.settings import Settings, configure
from metrics.recorder import recorder
from metrics.sink import Sink
from resilience_site import ai_bell, tracing
from resilience_site.config import Config
from schema_monitor import pooled
from schema_monitor.alerts import gates, sealed, withheld
from schema_monitor.core.reach import reachable


def connect(config: Config) -> Settings:
    """Give the gateway's code its settings and the keys it seals with; once in every process."""
    settings = Settings(
        database_url=config.database_url,
        target_database_url=config.target_database_url,
        home=config.home,
        exposed_schemas=config.exposed_schemas,
        jwt_secret=config.jwt_secret,
        jwks_url=config.jwks_url,
        jwt_audience=config.jwt_audience,
        upstream_supabase_url=config.upstream_supabase_url,
        upstream_anon_key=config.upstream_anon_key,
        upstream_service_key=config.upstream_service_key,
        pool_size=config.pool_size,
        statement_timeout=float(config.statement_timeout),
        ai=_ai(config),
    )
    configure(settings)
    pooled.configure(session_mode=config.pooler_mode == "session")
    bell.configure(ai_bell.ring)
    seal.configure(config.secret_key, config.secret_key_fallbacks)
    sealed.configure(seal.seal, seal.unseal)
    ai_sealed.configure(seal.seal, seal.unseal)
    gates.configure(alert_gates.ask)
    withheld.configure(alert_keys.without)
    if config.metrics:
        recorder.connect(Sink(config.database_url), starts=True)
        recorder.asks(watch.spared)
    else:
        recorder.off()
    _share_breakers(where.Where(config.redis_url, namespace_of(config.database_url)))
    return settings


def _share_breakers(place: where.Where) -> None:
    """Once in every process: the web process is wired before Django, and again with it. Nobody waits for Valkey here."""
    if place.redis_url and place != where.current():
        where.configure(place)
        registry.default.connect(place.redis_url, namespace=place.namespace)


def _ai(config: Config) -> AiSettings:
    settings = AiSettings(
        database_url=config.database_url,
        redis_url=config.redis_url,
        namespace=namespace_of(config.database_url),
        home=config.home,
        base_url=config.ai_base_url,
        api_key=config.ai_api_key,
        model=config.ai_model,
        unseal=seal.unseal,
        told=watch.asked,
        tuned=tuned.live.number,
        connect=pooled.connect,
        public=lambda address: reachable(address, (), plain=False),
    )
    return replace(settings, outward=tracing.outward) if config.otlp_endpoint else settings


def namespace_of(database_url: str) -> str:
    """What keeps several Mendgates on one Valkey apart: the control database's name, and where it is in short."""
    parts = urlsplit(database_url)
    where = hashlib.sha256(f"{parts.hostname}:{parts.port}".encode()).hexdigest()[:6]
    return f"{parts.path.strip('/') or 'mendgate'}-{where}"
