"""``GET /v1/models``: what can be asked, as OpenAI lists it."""

from __future__ import annotations

import msgspec

from breakers.gateway.ai.errors import unknown_model
from breakers.gateway.ai.snapshot import AiSnapshot, Model

CREATED = 1_767_225_600
"""Rows do not say since when a model exists; SDKs want a number."""


def listed(snapshot: AiSnapshot) -> bytes:
    """All models."""
    return msgspec.json.encode({"object": "list", "data": [_shape(model) for model in snapshot.models.values()]})


def one(snapshot: AiSnapshot, name: str) -> bytes:
    """One of them. Raises ``AiError`` 404."""
    model = snapshot.models.get(name)
    if model is None:
        raise unknown_model(name)
    return msgspec.json.encode(_shape(model))


def _shape(model: Model) -> dict[str, object]:
    return {"id": model.name, "object": "model", "created": CREATED, "owned_by": model.provider, "kind": model.kind}
