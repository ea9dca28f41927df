"""One request, from its body to its end: cache, allowance, breaker, route, answer, and the record of it.

1. the cache, where the caller asks for it    2. the ledger lets it in (or 429)    3. the whole gateway's breaker
4. the plan of attempts                       5. the answer, whole or streamed     6. a canned one where nobody answered
In the end, whatever happened: permits are settled, the ledger has its place back, the call is recorded.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping

from breakers.core.ai.asked import CHAT, expected_tokens, likely_tokens
from breakers.core.ai.plan import GaveUp
from breakers.core.ai.replayed import as_whole
from breakers.core.ai.verdict import Verdict, failure
from breakers.core.types import Outcome
from breakers.gateway.ai import asgi, instead
from breakers.gateway.ai.account import Account
from breakers.gateway.ai.asgi import Send
from breakers.gateway.ai.chain import chosen
from breakers.gateway.ai.endings import CANNED_INSTEAD, of_ending, of_open
from breakers.gateway.ai.engine import Engine
from breakers.gateway.ai.errors import AiError, no_provider
from breakers.gateway.ai.gates import WHOLE
from breakers.gateway.ai.hangup import Watch
from breakers.gateway.ai.heard import Heard
from breakers.gateway.ai.ledger import Admission
from breakers.gateway.ai.relay import Way, broken_off, error_event, relay
from breakers.gateway.ai.router import FAILURES, Got, Order
from breakers.gateway.ai.snapshot import AiSnapshot, Model
from breakers.gateway.ai.upstream import Begun, Body
from breakers.permits import Permit
from breakers.refusal import Open

TOO_SLOW = failure("the caller took it too slowly")
RECENT = 10.0
"""Seconds within which another provider's answer shows that it is not the gateway that fails."""


class Serving:
    """One request of a caller."""

    def __init__(self, engine: Engine, account: Account, headers: Mapping[str, str], send: Send, watch: Watch) -> None:
        self._engine, self._account, self._caller, self._asked = engine, account, account.caller, account.asked
        self._headers, self._send, self._watch = headers, send, watch
        self._snapshot: AiSnapshot = engine.source.snapshot
        self.begun = False
        """whether the answer's head has been sent."""

    async def __call__(self) -> None:
        """Answers. Raises ``AiError`` while nothing was sent."""
        snapshot, asked = self._snapshot, self._asked
        if not snapshot.models:
            await self._instead(no_provider())
            return
        model = chosen(snapshot, asked.model, asked.endpoint)
        self._account.model = model
        key = instead.cache_key(self._headers, asked, self._caller, snapshot)
        if key is not None and (kept := await self._engine.cache.get(key)) is not None:
            await self._from_cache(kept, model)
            return
        self._account.admission = await self._admitted(model)
        deadline = time.monotonic() + snapshot.providers[model.provider].limits.total
        try:
            whole = await self._engine.gates.get(WHOLE).aacquire()
        except Open as refused:
            await self._instead(of_open(refused))
            return
        try:
            await self._routed(
                Order(asked=asked, model=model, snapshot=snapshot, deadline=deadline, attempts=self._account.attempts), whole, key
            )
        finally:
            whole.close()

    async def _admitted(self, model: Model) -> Admission:
        ledger, snapshot, asked = self._engine.ledger, self._snapshot, self._asked
        free = ledger.free(self._caller, model, snapshot)
        return free or await ledger.admit(self._caller, model, expected_tokens(asked), snapshot, likely=likely_tokens(asked))

    async def _routed(self, order: Order, whole: Permit, key: str | None) -> None:
        found = await self._engine.router.route(order)
        if isinstance(found, GaveUp):
            self._blame(found, whole)
            canned = found.verdict.kind in CANNED_INSTEAD
            await self._instead(of_ending(found), canned=canned)
            return
        whole.settle(Outcome.OK)
        self._account.served(found)
        if isinstance(found.answer, Body):
            await self._whole(found, found.answer, key)
        else:
            await self._streamed(found, found.answer, order, key)

    def _blame(self, found: GaveUp, whole: Permit) -> None:
        """It is the gateway that fails only where nobody answers anybody: one bad provider must not close the door to the others."""
        if found.verdict.kind in FAILURES and not self._engine.router.anyone_answered(RECENT):
            whole.settle(Outcome.FAILURE, 0.0, found.verdict.reason)

    async def _whole(self, got: Got, body: Body, key: str | None) -> None:
        self._account.counted(body.whole.usage, body.whole.size)
        self._account.answer(body.raw)
        await self._engine.turns.go_on()
        headers = [*self._account.headers(), *instead.served_by(got), *([("Mendgate-Cache", "miss")] if key else [])]
        self._ending()
        await asgi.send_json(self._send, 200, body.raw, headers)
        if key is not None and not got.fallback:
            await self._engine.cache.put(key, body.raw, self._life())

    async def _streamed(self, got: Got, begun: Begun, order: Order, key: str | None) -> None:
        limits = order.snapshot.providers[got.model.provider].limits
        headers = [*self._account.headers(), *instead.served_by(got), *([("Mendgate-Cache", "miss")] if key else [])]
        heard = Heard(self._account.answer if order.snapshot.log_bodies else None, keeps=key is not None and not got.fallback)
        way = Way(
            send=self._send,
            turns=self._engine.turns,
            headers=headers,
            stall=limits.stall,
            deadline=order.deadline,
            ending=self._ending,
            said=heard if heard.wanted else None,
        )
        self.begun = True
        broken: Verdict | None = TOO_SLOW
        try:
            broken = await relay(begun, way)
            if broken is None:
                got.permit.settle(Outcome.OK, got.seconds)
                await begun.finish()
            else:
                got.permit.settle(Outcome.FAILURE, got.seconds, broken.reason)
                got.attempt.outcome, got.attempt.reason = "failed", broken.reason
                self._account.failed(broken_off(broken))
        except TimeoutError:
            self._account.left("the caller took it too slowly")
        finally:
            begun.close()
            got.permit.close()
            self._account.counted(begun.tape.usage, max(begun.tape.pieces * instead.BYTES_A_PIECE, begun.tape.said))
        if key is not None and broken is None:
            await self._keep_stream(key, heard, begun)

    async def _keep_stream(self, key: str, heard: Heard, begun: Begun) -> None:
        """A stream that ended in order is kept as the whole answer that it adds up to."""
        used = begun.tape.usage
        if (body := heard.whole) is None or used is None or "logprobs" in self._asked.fields:
            return
        answer = as_whole(body, f"chatcmpl-{self._account.call.id}", int(time.time()), used)
        if answer is not None:
            await self._engine.cache.put(key, answer, self._life())

    def _life(self) -> float:
        return self._engine.settings.tuned("ai_cache_seconds", self._snapshot.cache_seconds)

    async def _from_cache(self, kept: bytes, model: Model) -> None:
        self._account.cached(kept, model)
        self._ending()
        await instead.send_kept(self._send, kept, self._asked, (*self._account.headers(), ("Mendgate-Cache", "hit")))

    async def _instead(self, error: AiError, *, canned: bool = True) -> None:
        """A canned answer where a row fits, else the error."""
        row = instead.canned_row(self._snapshot, self._asked) if canned and self._asked.endpoint == CHAT else None
        if row is None:
            raise error
        self._account.canned(row.content, error)
        self._ending()
        await instead.send_canned(self._send, row.content, self._asked, self._account)

    def _ending(self) -> None:
        self.begun = True
        self._watch.release()

    async def stopping(self) -> None:
        """The process has to stop: the caller of a stream is told that it is not whole."""
        error = AiError(503, "The gateway is stopping; the answer is incomplete.", "api_error", "stopping")
        self._account.failed(error)
        if self.begun and self._asked.stream:
            with contextlib.suppress(Exception):
                await asgi.send_part(self._send, error_event(error), last=True)
        elif not self.begun:
            await asgi.send_json(self._send, error.status, error.to_body(), (("Retry-After", "1"),))
