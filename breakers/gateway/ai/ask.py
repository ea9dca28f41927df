"""For healing: one question, one answer, through the same providers, breakers and ledger as callers from outside; never canned.

    async with Asker(settings) as asker:          # in a worker: inside ``asyncio.run``
        answered = await asker.ask(messages, schema=…, deadline=20.0, max_tokens=800)

In the web process it shares the gateway's engine: ``Asker(settings, gateway.engine)``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from breakers import registry
from breakers.core import own_keys
from breakers.core.ai.asked import CHAT, Asked, expected_tokens, read_asked
from breakers.core.ai.complete import content_of
from breakers.core.ai.plan import GaveUp, place
from breakers.core.ai.verdict import timeout
from breakers.core.types import Outcome
from breakers.gateway.ai.account import Account
from breakers.gateway.ai.caller import AiCaller
from breakers.gateway.ai.chain import chosen, deployments
from breakers.gateway.ai.endings import of_ending
from breakers.gateway.ai.engine import Engine
from breakers.gateway.ai.errors import AiError, no_provider
from breakers.gateway.ai.gates import WHOLE
from breakers.gateway.ai.router import FAILURES, Got, Order
from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.upstream import Body
from breakers.permits import Permit
from breakers.refusal import Open

OWN = "healing-ai"
"""The breaker of healing's use of AI."""
PATIENCE = 0.15
"""Seconds that a worker waits for the shared breakers; without Valkey it decides alone."""
HEALING = AiCaller(None, "service_role", "healing")


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

    def __init__(self, settings: AiSettings, engine: Engine | None = None) -> None:
        self._engine = engine or Engine(settings)
        self._owned = engine is None
        self._opened = False

    async def __aenter__(self) -> Asker:
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _open(self) -> None:
        if self._owned and not self._opened:
            self._opened = True
            await self._engine.open()
            await self._hear()

    async def _hear(self) -> None:
        """A worker's process is young: what others know of its model's provider is asked for first."""
        snapshot = self._engine.source.snapshot
        model = snapshot.models.get(snapshot.default_model)
        chain = deployments(snapshot, model) if model is not None else []
        names = {OWN, WHOLE, *(f"ai:{each.provider}" for each in chain)}
        await self._engine.gates.heard(names, [place(each, key) for each in chain for key in each.keys or ("",)], PATIENCE)

    async def close(self) -> None:
        """Ends its connections, and reports what breakers have seen (a worker's process may end at once after this)."""
        if self._owned and self._opened:
            self._opened = False
            await self._engine.close()
            await asyncio.to_thread(registry.default.flush, 1.0)

    async def ask(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        schema: dict[str, Any] | None,
        model: str | None = None,
        purpose: str = "healing",
        deadline: float,
        max_tokens: int,
        temperature: float = 0.0,
    ) -> Answered:
        """The answer to ``messages``, by JSON ``schema`` where one is given, within ``deadline`` seconds. Raises ``Unanswered``."""
        await self._open()
        snapshot = self._engine.source.snapshot
        if not snapshot.models:
            raise Unanswered(no_provider().message)
        body, _ = own_keys.without(_body(messages, schema, model or snapshot.default_model, max_tokens, temperature))
        asked = read_asked(CHAT, body)
        account = Account(HEALING, asked, purpose=purpose, body=_as_sent(asked) if snapshot.log_bodies else None)
        try:
            order = Order(
                asked=asked,
                model=chosen(snapshot, asked.model, CHAT),
                snapshot=snapshot,
                deadline=time.monotonic() + deadline,
                attempts=account.attempts,
            )
            account.model = order.model
            return await self._behind_breakers(order, account, purpose)
        except AiError as error:
            account.failed(error)
            raise Unanswered(error.message) from None
        except asyncio.CancelledError:
            account.left("healing did not wait")
            raise
        finally:
            lost = account.unanswered(snapshot.models)
            if account.admission is not None:
                await self._engine.ledger.release(account.admission, account.usage, account.served_model, lost)
            self._engine.ledger.record(account.close(), snapshot)

    async def _behind_breakers(self, order: Order, account: Account, purpose: str) -> Answered:
        account.admission = await self._engine.ledger.admit(HEALING, order.model, expected_tokens(order.asked), order.snapshot, purpose)
        try:
            with await self._engine.gates.get(OWN).aacquire() as own, await self._engine.gates.get(WHOLE).aacquire() as whole:
                try:
                    async with asyncio.timeout(order.deadline - time.monotonic()):
                        found = await self._engine.router.route(order)
                except TimeoutError:
                    found = GaveUp(timeout("total"), None)
                return self._settled(found, own, whole, account)
        except Open as refused:
            account.failed(AiError(503, str(refused), "api_error", "breaker_open"))
            raise Unanswered(str(refused), refused.retry_after, breaker_open=True) from None

    def _settled(self, found: Got | GaveUp, own: Permit, whole: Permit, account: Account) -> Answered:
        if isinstance(found, GaveUp):
            own.settle(Outcome.FAILURE if found.verdict.kind in FAILURES else Outcome.EXCLUDED, 0.0, found.verdict.reason)
            whole.close()
            error = of_ending(found)
            account.failed(error)
            raise Unanswered(error.message, found.retry_after, breaker_open=error.code == "breaker_open")
        own.settle(Outcome.OK)
        whole.settle(Outcome.OK)
        account.served(found)
        assert isinstance(found.answer, Body)
        account.counted(found.answer.whole.usage, found.answer.whole.size)
        account.answer(found.answer.raw)
        return Answered(
            content=content_of(found.answer.raw),
            model=found.model.name,
            provider=found.model.provider,
            input_tokens=account.usage.input_tokens,
            output_tokens=account.usage.output_tokens,
            cost=account.call.cost,
            seconds=found.seconds,
            call_id=account.call.id,
        )


def _body(messages: Sequence[dict[str, Any]], schema: dict[str, Any] | None, model: str, max_tokens: int, temperature: float) -> bytes:
    body: dict[str, Any] = {"model": model, "messages": list(messages), "max_tokens": max_tokens, "temperature": temperature}
    if schema is not None:
        named = {"name": "answer", "schema": schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    return msgspec.json.encode(body)


def _as_sent(asked: Asked) -> bytes:
    return msgspec.json.encode(asked.fields)
