"""Opens providers' keys as they are kept: sealed, with what they are for sealed in."""

from __future__ import annotations

from collections.abc import Callable

PURPOSE = b"ai-provider:"


class CannotOpen(Exception):
    """A provider's key cannot be opened: enter it anew, or add the old SECRET_KEY to SECRET_KEY_FALLBACKS."""


def open_key(unseal: Callable[[bytes], bytes], blob: bytes) -> str:
    """The key as its provider wants it. Raises ``CannotOpen``."""
    try:
        data = unseal(blob)
    except Exception as error:
        raise CannotOpen(CannotOpen.__doc__) from error
    if not data.startswith(PURPOSE):
        raise CannotOpen(CannotOpen.__doc__)
    return data.removeprefix(PURPOSE).decode()
