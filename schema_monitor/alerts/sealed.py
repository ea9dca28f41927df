"""Keeps addresses and signing secrets sealed at rest. A chat's webhook URL is a password: whoever has it may write there.

How to seal is given at start (``resilience_site.wiring``): this layer is below the one that owns the keys. The purpose is sealed in,
so that a sealed payload of another table never opens as an address.
"""

from __future__ import annotations

from collections.abc import Callable

_PURPOSE = b"alerts:"
_seal: Callable[[bytes], bytes] | None = None
_unseal: Callable[[bytes], bytes] | None = None


class CannotOpen(Exception):
    """An address or secret cannot be opened: enter it anew, or add the old SECRET_KEY to SECRET_KEY_FALLBACKS."""


def configure(seal: Callable[[bytes], bytes], unseal: Callable[[bytes], bytes]) -> None:
    """Gives the pair of functions; once in every process."""
    global _seal, _unseal
    _seal, _unseal = seal, unseal


def seal_text(text: str) -> bytes:
    """The text, sealed."""
    assert _seal is not None, "configure() comes first"
    return _seal(_PURPOSE + text.encode())


def open_text(blob: bytes | memoryview) -> str:
    """The text again. Raises ``CannotOpen``."""
    assert _unseal is not None, "configure() comes first"
    try:
        data = _unseal(bytes(blob))
    except Exception as error:
        raise CannotOpen(CannotOpen.__doc__) from error
    if not data.startswith(_PURPOSE):
        raise CannotOpen(CannotOpen.__doc__)
    return data.removeprefix(_PURPOSE).decode()
