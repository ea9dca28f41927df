"""The models that may answer for one, as the plan sees them."""

from __future__ import annotations

from breakers.core.ai.plan import Deployment
from breakers.gateway.ai.errors import AiError, invalid, unknown_model
from breakers.gateway.ai.snapshot import AiSnapshot, Model

KINDS = {"embeddings": "embedding"}


def chosen(snapshot: AiSnapshot, name: str, endpoint: str) -> Model:
    """The model that is asked for. Raises ``AiError``: there is none of that name, or it is for something else."""
    model = snapshot.models.get(name)
    if model is None and (snapshot.unknown_to_default or not name):
        model = snapshot.models.get(snapshot.default_model)
    if model is None:
        raise unknown_model(name) if name else _no_model()
    wanted = KINDS.get(endpoint, "chat")
    if model.kind != wanted:
        raise invalid(f"The model '{model.name}' is not for /v1/{endpoint}: it is a model of kind {model.kind}.", "model_kind", "model")
    return model


def deployments(snapshot: AiSnapshot, model: Model) -> list[Deployment]:
    """It and its fallbacks, in order, each once; those whose row or provider is gone are left out."""
    found: dict[str, Deployment] = {}
    for name in (model.name, *model.fallbacks):
        each = snapshot.models.get(name)
        if each is not None and each.kind == model.kind and each.provider in snapshot.providers and name not in found:
            found[name] = _deployment(snapshot, each)
    return list(found.values())


def _deployment(snapshot: AiSnapshot, model: Model) -> Deployment:
    provider = snapshot.providers[model.provider]
    return Deployment(
        model=model.name,
        provider=provider.name,
        keys=tuple(credential.id for credential in provider.credentials),
        wants_key=provider.wants_key,
        context=model.context_tokens,
        first_token=provider.limits.first_token,
    )


def _no_model() -> AiError:
    return invalid("You must provide a model parameter: there is no default model.", None, "model")
