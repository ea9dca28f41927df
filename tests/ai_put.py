"""Inside ``manage.py shell``: a snapshot of the AI gateway, as JSON, becomes rows (see ``tests.ai_rows``)."""

from __future__ import annotations

import msgspec
from django.db import transaction

from breakers.ai_sealed import seal_key
from breakers.gateway.ai.snapshot import AiSnapshot, Model, Provider
from breakers.models import AiAllowance, AiCanned, AiCredential, AiFallback, AiModel, AiProvider, AiSettings, BreakerConfig, Override
from breakers.overrides import override

GENERAL = ("unknown_to_default", "cache_seconds", "log_bodies", "retry_ratio", "retry_floor")


@transaction.atomic
def put(text: str) -> None:
    """Adds the rows; the general settings are set."""
    given = msgspec.json.decode(text, type=AiSnapshot, dec_hook=lambda kind, value: kind(value))
    for provider in given.providers.values():
        _put_provider(provider)
    for model in given.models.values():
        _put_model(model)
    for model in given.models.values():
        for at, name in enumerate(model.fallbacks):
            AiFallback.objects.create(model=_model(model.name), fallback=_model(name), position=at)
    for at, canned in enumerate(given.canned):
        of = _model(canned.model) if canned.model else None
        AiCanned.objects.create(title=canned.id, model=of, contains=canned.contains, content=canned.content, position=at)
    for allowance in given.allowances.values():
        AiAllowance.objects.update_or_create(key=allowance.key, defaults=msgspec.structs.asdict(allowance))
    settings = AiSettings.load()
    for name in GENERAL:
        setattr(settings, name, getattr(given, name))
    settings.save()


def disable(name: str) -> None:
    """Switches a breaker off: tests that fail on purpose would open it."""
    override(BreakerConfig.objects.get_or_create(name=name)[0].pk, Override.DISABLED, who="tests", why="they fail on purpose")


def _put_provider(provider: Provider) -> None:
    limits = {f"{name}_seconds": value for name, value in msgspec.structs.asdict(provider.limits).items()}
    same = {
        "name": provider.name,
        "base_url": provider.base_url,
        "headers": dict(provider.headers),
        "allow_private": provider.allow_private,
    }
    row = AiProvider.objects.create(**same, **limits)
    for at, key in enumerate(provider.credentials):
        secret = str(key.secret)
        AiCredential.objects.create(provider=row, label=key.id, position=at, secret=seal_key(secret), last_four=secret[-4:])


def _put_model(model: Model) -> None:
    plain = {name: value for name, value in msgspec.structs.asdict(model).items() if name not in ("provider", "fallbacks")}
    AiModel.objects.create(provider=AiProvider.objects.get(name=model.provider), **plain)


def _model(name: str) -> AiModel:
    return AiModel.objects.get(name=name)
