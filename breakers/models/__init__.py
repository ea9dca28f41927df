"""The rows of breakers and of the AI gateway."""

from breakers.models.ai import AiCanned, AiCredential, AiFallback, AiModel, AiProvider
from breakers.models.ai_use import AiAllowance, AiCall, AiNotice, AiSettings, AiSpend
from breakers.models.breaker import BreakerConfig, BreakerConfigVersion, BreakerEvent, Override

__all__ = [
    "AiAllowance", "AiCall", "AiCanned", "AiCredential", "AiFallback", "AiModel", "AiNotice", "AiProvider", "AiSettings", "AiSpend",
    "BreakerConfig", "BreakerConfigVersion", "BreakerEvent", "Override",
]  # fmt: skip
