"""Keeps the snapshot current: rows of the control database, and the environment's own provider."""

from __future__ import annotations

from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.snapshot import AiSnapshot, Credential, Model, Provider, Secret

ENVIRONMENT = "default"
"""The name of the environment's provider, where no row has it."""


def from_environment(settings: AiSettings) -> AiSnapshot:
    """What AI_BASE_URL, AI_API_KEY and AI_MODEL say; empty without the first."""
    if not settings.base_url:
        return AiSnapshot()
    credentials = (Credential(id="env", secret=Secret(settings.api_key)),) if settings.api_key else ()
    # whoever sets the environment may reach what this machine reaches
    provider = Provider(name=ENVIRONMENT, base_url=settings.base_url.rstrip("/"), credentials=credentials, allow_private=True)
    name = settings.model or ""
    models = {name: Model(name=name, provider=ENVIRONMENT, upstream=name)} if name else {}
    return AiSnapshot(providers={ENVIRONMENT: provider}, models=models, default_model=name)


class Source:
    """``snapshot`` is always there; it begins as what the environment says."""

    def __init__(self, settings: AiSettings) -> None:
        self._settings = settings
        self._snapshot = from_environment(settings)

    @property
    def snapshot(self) -> AiSnapshot:
        """Everything as of now; use one from a request's beginning to its end."""
        return self._snapshot

    async def start(self) -> None:
        """Loads what can be loaded now, and follows changes; needs no database."""

    async def stop(self) -> None:
        """Follows no more."""

    def retire(self, credential_id: str, why: str) -> None:
        """Takes a provider's key out of use: here at once, everywhere soon, until a person revives it. Never blocks."""

    def used(self, credential_id: str) -> None:
        """Notes that a key was used."""
