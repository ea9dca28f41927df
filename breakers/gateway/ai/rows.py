"""The rows of the control database, as they are read in one statement, and the snapshot that they become."""

from __future__ import annotations

import logging
from base64 import b64decode
from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from breakers.gateway.ai.sealed import CannotOpen, open_key
from breakers.gateway.ai.snapshot import AiSnapshot, Allowance, Canned, Credential, Limits, Model, Provider, Secret

log = logging.getLogger("mendgate.ai")

ALL = """
SELECT json_build_object(
    'providers', (SELECT coalesce(json_agg(json_build_object(
        'name', p.name, 'base_url', p.base_url, 'connect', p.connect_seconds, 'first_token', p.first_token_seconds,
        'stall', p.stall_seconds, 'total', p.total_seconds, 'headers', p.headers, 'allow_private', p.allow_private, 'enabled', p.enabled,
        'credentials', (SELECT coalesce(json_agg(json_build_object('id', c.id, 'sealed', encode(c.secret, 'base64'),
                'lifted', coalesce(extract(epoch FROM c.lifted_at)::bigint, 0))
            ORDER BY c.position, c.created_at, c.id), '[]') FROM breakers_aicredential c WHERE c.provider_id = p.id AND c.state = 'active'),
        'wants_key', EXISTS (SELECT FROM breakers_aicredential c WHERE c.provider_id = p.id)
        ) ORDER BY p.name), '[]') FROM breakers_aiprovider p),
    'models', (SELECT coalesce(json_agg(json_build_object(
        'name', m.name, 'provider', p.name, 'upstream', m.upstream, 'kind', m.kind, 'context_tokens', m.context_tokens,
        'input_price', m.input_price, 'output_price', m.output_price, 'cached_price', m.cached_price, 'enabled', m.enabled,
        'fallbacks', (SELECT coalesce(json_agg(o.name ORDER BY f.position, f.id), '[]')
            FROM breakers_aifallback f JOIN breakers_aimodel o ON o.id = f.fallback_id WHERE f.model_id = m.id)
        ) ORDER BY m.name), '[]') FROM breakers_aimodel m JOIN breakers_aiprovider p ON p.id = m.provider_id),
    'canned', (SELECT coalesce(json_agg(json_build_object(
        'id', c.id::text, 'model', coalesce(m.name, ''), 'contains', c.contains, 'content', c.content) ORDER BY c.position, c.id), '[]')
        FROM breakers_aicanned c LEFT JOIN breakers_aimodel m ON m.id = c.model_id WHERE c.enabled),
    'allowances', (SELECT coalesce(json_agg(json_build_object(
        'key', a.key, 'requests_per_minute', a.requests_per_minute, 'tokens_per_minute', a.tokens_per_minute,
        'concurrency', a.concurrency, 'period', a.period, 'soft_usd', a.soft_usd, 'hard_usd', a.hard_usd) ORDER BY a.key), '[]')
        FROM breakers_aiallowance a),
    'settings', (SELECT json_build_object(
        'default_model', coalesce(m.name, ''), 'unknown_to_default', s.unknown_to_default, 'cache_seconds', s.cache_seconds,
        'log_bodies', s.log_bodies, 'retry_ratio', s.retry_ratio, 'retry_floor', s.retry_floor)
        FROM breakers_aisettings s LEFT JOIN breakers_aimodel m ON m.id = s.default_model_id)
)::text"""


class CredentialRow(Struct):
    """A key that is in use, sealed."""

    id: str
    sealed: str
    lifted: int = 0


class ProviderRow(Struct):
    """A provider with its keys in the order of use."""

    name: str
    base_url: str
    connect: float
    first_token: float
    stall: float
    total: float
    headers: dict[str, str]
    allow_private: bool
    enabled: bool
    credentials: list[CredentialRow]
    wants_key: bool


class ModelRow(Struct):
    """A model, whether it can be asked or not."""

    name: str
    provider: str
    upstream: str
    kind: str
    context_tokens: int
    input_price: float
    output_price: float
    cached_price: float | None
    enabled: bool
    fallbacks: tuple[str, ...]


class SettingsRow(Struct):
    """What holds for all."""

    default_model: str = ""
    unknown_to_default: bool = False
    cache_seconds: float = 0.0
    log_bodies: bool = False
    retry_ratio: float = 0.2
    retry_floor: int = 3


class Rows(Struct):
    """Everything of one moment. ``settings`` is None where nobody ever set them."""

    providers: list[ProviderRow] = []
    models: list[ModelRow] = []
    canned: list[Canned] = []
    allowances: list[Allowance] = []
    settings: SettingsRow | None = None


def snapshot_of(rows: Rows, environment: AiSnapshot, unseal: Callable[[bytes], bytes], retired: Mapping[str, str]) -> AiSnapshot:
    """The rows, and what the environment says where no row has its names. ``retired``: keys that are out of use already, by id."""
    providers = {row.name: _provider(row, unseal, retired) for row in rows.providers if row.enabled}
    named = {row.name for row in rows.providers}
    providers |= {name: _without(each, retired) for name, each in environment.providers.items() if name not in named}
    models = {**{name: m for name, m in environment.models.items() if m.provider in providers and m.provider not in named}, **_models(rows)}
    settings = rows.settings or SettingsRow()
    return AiSnapshot(
        providers=providers,
        models=models,
        canned=tuple(rows.canned),
        allowances={each.key: each for each in rows.allowances},
        default_model=settings.default_model or environment.default_model,
        unknown_to_default=settings.unknown_to_default,
        cache_seconds=settings.cache_seconds,
        log_bodies=settings.log_bodies,
        retry_ratio=settings.retry_ratio,
        retry_floor=settings.retry_floor,
    )


def _provider(row: ProviderRow, unseal: Callable[[bytes], bytes], retired: Mapping[str, str]) -> Provider:
    return Provider(
        name=row.name,
        base_url=row.base_url.rstrip("/"),
        credentials=tuple(_opened(each, row.name, unseal) for each in row.credentials if each.id not in retired),
        wants_key=row.wants_key,
        limits=Limits(connect=row.connect, first_token=row.first_token, stall=row.stall, total=row.total),
        headers=row.headers,
        allow_private=row.allow_private,
    )


def _opened(row: CredentialRow, provider: str, unseal: Callable[[bytes], bytes]) -> Credential:
    """A key that cannot be opened is tried as an empty one: its provider refuses it, which says more than a provider without keys."""
    try:
        return Credential(id=row.id, secret=Secret(open_key(unseal, b64decode(row.sealed))), lifted=row.lifted)
    except CannotOpen as error:
        log.error("a key of AI provider %s cannot be used: %s", provider, error)
        return Credential(id=row.id)


def _without(provider: Provider, retired: Mapping[str, str]) -> Provider:
    return replace(provider, credentials=tuple(each for each in provider.credentials if each.id not in retired))


def _models(rows: Rows) -> dict[str, Model]:
    """Those that can be asked. One that is off, or whose provider is, is answered by the first of its fallbacks that is not."""
    on = {row.name for row in rows.providers if row.enabled}
    there = {row.name: _model(row) for row in rows.models if row.enabled and row.provider in on}
    models = {}
    for row in rows.models:
        fallbacks = tuple(name for name in row.fallbacks if name in there)
        if row.name in there:
            models[row.name] = replace(there[row.name], fallbacks=fallbacks)
        elif fallbacks:
            models[row.name] = replace(there[fallbacks[0]], fallbacks=fallbacks[1:])
    return models


def _model(row: ModelRow) -> Model:
    return Model(
        name=row.name,
        provider=row.provider,
        upstream=row.upstream,
        kind=row.kind,
        context_tokens=row.context_tokens,
        input_price=row.input_price,
        output_price=row.output_price,
        cached_price=row.cached_price,
    )
