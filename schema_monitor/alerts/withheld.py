"""Takes out of a message what must not leave. What that is, is given at start (``resilience_site.wiring``): this layer knows no keys.

A message is made of names, counts and sentences, but names and expressions are the operator's text: a default may hold anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Take = Callable[[str], str]
"""From a text to the same without what must not leave."""


def _nothing(text: str) -> str:
    return text


_take: Take = _nothing


def configure(take: Take | None) -> None:
    """Gives the one who takes; None: nothing is taken out."""
    global _take
    _take = take or _nothing


def from_(value: Any) -> Any:
    """The value without it, however deep: a text, or what JSON holds."""
    match value:
        case str():
            return _take(value)
        case list() | tuple():
            return [from_(each) for each in value]
        case dict():
            return {from_(key): from_(each) for key, each in value.items()}
    return value
