"""What calls cost."""

from __future__ import annotations

from msgspec import Struct

from breakers.gateway.ai.snapshot import Model

_MILLION = 1_000_000


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens of one call. ``cached_tokens`` are those of ``input_tokens`` that the provider had in its cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    @property
    def total(self) -> int:
        return self.input_tokens + self.output_tokens


def cost_of(model: Model, usage: Usage) -> float:
    """US dollars, by the model's prices."""
    cached = min(usage.cached_tokens, usage.input_tokens)
    cached_price = model.input_price if model.cached_price is None else model.cached_price
    fresh = usage.input_tokens - cached
    return (fresh * model.input_price + cached * cached_price + usage.output_tokens * model.output_price) / _MILLION


def most_of(model: Model, tokens: int) -> float:
    """The most that ``tokens`` can cost, in whatever proportion they come in and go out."""
    return tokens * max(model.input_price, model.output_price) / _MILLION
