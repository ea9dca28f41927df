"""What is noted of one request while it is served, and the record that it becomes."""

from __future__ import annotations

import time
from collections.abc import Mapping

from breakers.chance import identifier
from breakers.core.ai.asked import Asked, sent_tokens
from breakers.core.ai.complete import read_whole
from breakers.core.ai.tokens import BYTES_PER_TOKEN, Tokens
from breakers.core.ai.verdict import TOO_LATE, Verdict
from breakers.gateway.ai.caller import AiCaller
from breakers.gateway.ai.errors import AiError, Headers
from breakers.gateway.ai.journal import Attempt, Call
from breakers.gateway.ai.ledger import Admission
from breakers.gateway.ai.router import Got
from breakers.gateway.ai.snapshot import Model
from breakers.gateway.ai.spend import Usage, cost_of

MOST_KEPT = 64 * 1024
MOST_NAME = 256
MOST_SAID = 2000


class Account:
    """Of one request. ``call`` is what becomes of it; ``redacted`` what was taken out of it, as its answer says."""

    def __init__(
        self, caller: AiCaller, asked: Asked, *, purpose: str = "edge", body: bytes | None = None, redacted: tuple[str, ...] = ()
    ) -> None:
        self._redacted = tuple([("Mendgate-Redacted", f"api_key({name}...)") for name in redacted[:3]])
        self._began = time.monotonic()
        self.caller, self.asked = caller, asked
        self.attempts: list[Attempt] = []
        self.admission: Admission | None = None
        self.model: Model | None = None
        self.served_model: Model | None = None
        self.usage = Usage()
        self._lost_tokens = 0
        self._answer = bytearray()
        self.call = Call(
            id=identifier(),
            at=time.time(),
            key=caller.key,
            purpose=purpose,
            endpoint=asked.endpoint,
            model_asked=asked.model[:MOST_NAME],
            stream=asked.stream,
            attempts=self.attempts,
            request_body=body,
        )

    def headers(self) -> Headers:
        """What every answer carries."""
        return (("x-request-id", self.call.id), *self._redacted, *(self.admission.headers if self.admission is not None else ()))

    def served(self, got: Got) -> None:
        """Somebody answers."""
        call = self.call
        call.outcome = "fallback" if got.fallback else "ok"
        call.model_served, call.provider = got.model.name, got.model.provider
        call.first_token_seconds = time.monotonic() - self._began
        self.served_model = got.model

    def counted(self, tokens: Tokens | None, size: int) -> None:
        """What it used; guessed by its ``size`` in bytes where the provider does not say."""
        self.call.estimated |= tokens is None
        tokens = tokens or Tokens(sent_tokens(self.asked), size // BYTES_PER_TOKEN)
        self.usage = _usage(tokens)
        if self.served_model is not None:
            self.call.cost = cost_of(self.served_model, self.usage)

    def answer(self, body: bytes) -> None:
        """What was answered, as far as it is kept."""
        if len(self._answer) < MOST_KEPT:
            self._answer += body[: MOST_KEPT - len(self._answer)]

    def cached(self, kept: bytes, model: Model) -> None:
        """The cache answered: that cost nothing."""
        whole = read_whole(kept, embeddings=self.asked.endpoint == "embeddings")
        tokens = None if isinstance(whole, Verdict) else whole.usage
        self.call.outcome, self.call.model_served = "cached", model.name
        self.call.saved_cost = cost_of(model, _usage(tokens or Tokens(sent_tokens(self.asked), len(kept) // BYTES_PER_TOKEN)))
        self.answer(kept)

    def canned(self, content: str, error: AiError) -> None:
        """A canned answer was given, because of ``error``."""
        self.call.outcome, self.call.model_served, self.call.error = "canned", "mendgate-canned", error.message
        if self.model is not None:
            self.call.saved_cost = cost_of(self.model, _usage(Tokens(sent_tokens(self.asked), len(content) // BYTES_PER_TOKEN)))
        self.answer(content.encode())

    def failed(self, error: AiError) -> None:
        """It ended in an error."""
        tried = any(attempt.outcome == "failed" for attempt in self.attempts)
        self.call.outcome = "failed" if tried or error.status >= 500 else "refused"
        self.call.status, self.call.error = error.status, error.message[:MOST_SAID]

    def left(self, why: str) -> None:
        """The caller did not wait for the end. What was sent to a provider is used, though it had not answered yet."""
        under_way = self.attempts and self.attempts[-1].outcome == "cancelled" and self.attempts[-1].seconds > 0
        if under_way and self.model is not None and self.served_model is None:
            self.usage = Usage(input_tokens=sent_tokens(self.asked))
            self.call.cost, self.call.estimated = cost_of(self.model, self.usage), True
        self.call.outcome, self.call.status, self.call.error = "cancelled", 499, why

    def unanswered(self, models: Mapping[str, Model]) -> float:
        """What providers that did not answer in time will ask for, guessed: they had the whole question. US dollars; said once."""
        late = [models[each.model] for each in self.attempts if each.reason == TOO_LATE and each.model in models]
        guess = Usage(input_tokens=sent_tokens(self.asked))
        self._lost_tokens, cost = len(late) * guess.input_tokens, sum(cost_of(model, guess) for model in late)
        self.call.cost += cost
        self.call.estimated |= bool(late)
        return cost

    def close(self) -> Call:
        """The record."""
        call, usage = self.call, self.usage
        call.model = self.model.name if self.model is not None else ""
        call.seconds = time.monotonic() - self._began
        call.input_tokens = usage.input_tokens + self._lost_tokens
        call.output_tokens, call.cached_tokens = usage.output_tokens, usage.cached_tokens
        call.answer_body = bytes(self._answer) if call.request_body is not None else None
        return call


def _usage(tokens: Tokens) -> Usage:
    return Usage(input_tokens=tokens.sent, output_tokens=tokens.made, cached_tokens=tokens.cached)
