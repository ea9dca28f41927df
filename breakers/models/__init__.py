"""The rows of breakers and of the AI gateway."""

from breakers.models.breaker import BreakerConfig, BreakerConfigVersion, BreakerEvent, Override

__all__ = ["BreakerConfig", "BreakerConfigVersion", "BreakerEvent", "Override"]
