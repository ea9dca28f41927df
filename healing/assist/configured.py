"""Whether anybody could be asked at all."""

from __future__ import annotations

from breakers.models import AiModel
from healing.gateway.settings import current

NOBODY = (
    "No AI is configured, so nothing is asked: set AI_BASE_URL and AI_MODEL, or add a provider with a model in the dashboard. "
    "Until then 'assisted' heals as 'certified' does."
)


def is_configured() -> bool:
    """There is a chat model in the environment or among the rows."""
    ai = current().ai
    return bool(ai.base_url and ai.model) or AiModel.objects.filter(enabled=True, kind="chat", provider__enabled=True).exists()
