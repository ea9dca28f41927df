"""The matcher: what a payload that does not fit was probably meant to be, as ranked fixes with honest probabilities, or silence."""

from __future__ import annotations

from .plans import propose

__all__ = ["propose"]
