"""Answers that may be given again: the same question, word for word, by the same caller.

Used where the operator switched it on (``cache_seconds``) and the caller asks: ``Mendgate-Cache: on``. A question with a temperature
above 0 wants a new answer each time: it is kept only for ``Mendgate-Cache: any``. Nothing ever crosses from one API key to another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from breakers.gateway.ai.caller import AiCaller
from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.snapshot import AiSnapshot

HEADER = "mendgate-cache"
_IMMATERIAL = frozenset({"stream", "stream_options", "user", "metadata", "store", "safety_identifier", "prompt_cache_key"})


def is_wanted(header: str | None, body: Mapping[str, Any], snapshot: AiSnapshot) -> bool:
    """Whether the answer to ``body`` may come from the cache, and go there. ``header``: what the caller says in ``Mendgate-Cache``."""
    word = (header or "").strip().lower()
    if snapshot.cache_seconds <= 0 or word not in ("on", "any"):
        return False
    temperature = body.get("temperature")
    return word == "any" or not isinstance(temperature, int | float) or temperature <= 0


def key_of(caller: AiCaller, body: Mapping[str, Any], endpoint: str = "chat/completions") -> str:
    """Where the answer to ``body`` (the request, as sent) is kept; how it is transported does not matter."""
    question = {name: value for name, value in body.items() if name not in _IMMATERIAL}
    text = msgspec.json.encode([endpoint, question], order="deterministic")
    return f"{caller.key or caller.role}:{hashlib.sha256(text).hexdigest()}"


class Cache:
    """Whole answers (not streams), as bytes. Without Valkey nothing is found and nothing is kept."""

    def __init__(self, settings: AiSettings) -> None:
        self._settings = settings

    async def get(self, key: str) -> bytes | None:
        """The answer, or None."""
        return None

    async def put(self, key: str, body: bytes, seconds: float) -> None:
        """Keeps an answer; one that is too large is not kept."""

    async def close(self) -> None:
        """Ends its connections."""
