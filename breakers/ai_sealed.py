"""Keeps providers' keys sealed at rest. How to seal is given at start (``resilience_site.wiring``): this layer is below the one that owns
the keys. The purpose is sealed in, so that a sealed payload of another table never opens as a key."""

from __future__ import annotations

from collections.abc import Callable

from breakers.gateway.ai.sealed import PURPOSE, open_key

_seal: Callable[[bytes], bytes] | None = None
_unseal: Callable[[bytes], bytes] | None = None


def configure(seal: Callable[[bytes], bytes], unseal: Callable[[bytes], bytes]) -> None:
    """Gives the pair of functions; once in every process."""
    global _seal, _unseal
    _seal, _unseal = seal, unseal


def seal_key(text: str) -> bytes:
    """The key, sealed."""
    assert _seal is not None, "configure() comes first"
    return _seal(PURPOSE + text.encode())


def unseal_key(blob: bytes | memoryview) -> str:
    """The key again. Raises ``CannotOpen``."""
    assert _unseal is not None, "configure() comes first"
    return open_key(_unseal, bytes(blob))
