"""Circuit breakers that all processes share: ``breakers.get("lovable-ai", timeout=60).execute(call, fallback)``."""

from breakers.registry import Breaker, Open, Permit, Registry, default, get

__all__ = ["Breaker", "Open", "Permit", "Registry", "default", "get"]
