"""Rows of the AI gateway, written as a person's form would, but faster."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from typing import Any

from breakers.gateway.ai.sealed import PURPOSE
from healing.gateway import seal
from tests.gateway_process import run

__all__ = ["allowance_row", "in_loop", "provider_row", "run", "settings_row"]


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine, run to its end."""

    @wraps(test)
    def run_it(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run_it


def provider_row(
    control_url: str,
    name: str,
    base_url: str = "http://127.0.0.1:1/v1",
    keys: Sequence[str] = (),
    models: Sequence[str] = (),
    chain: Sequence[str] = (),
    prices: tuple[float, float] = (1.5, 6.0),
) -> None:
    """A provider with its keys and models; the rest of ``chain`` stands in for its first."""
    provider = run(
        control_url,
        "INSERT INTO breakers_aiprovider (name, base_url, connect_seconds, first_token_seconds, stall_seconds, total_seconds, headers,"
        " allow_private, enabled) VALUES (%s, %s, 1, 5, 5, 20, '{}', true, true) RETURNING id",
        name,
        base_url,
    )[0]["id"]
    for position, key in enumerate(keys):
        run(
            control_url,
            "INSERT INTO breakers_aicredential (id, provider_id, label, secret, last_four, position, state, why)"
            " VALUES (%s, %s, %s, %s, %s, %s, 'active', '')",
            uuid.uuid4(), provider, f"key {position}", seal.seal(PURPOSE + key.encode()), key[-4:], position,
        )  # fmt: skip
    for model in models:
        run(
            control_url,
            "INSERT INTO breakers_aimodel (name, provider_id, upstream, kind, context_tokens, input_price, output_price, enabled)"
            " VALUES (%s, %s, %s, 'chat', 0, %s, %s, true)",
            model, provider, model, *prices,
        )  # fmt: skip
    for position, each in enumerate(chain[1:]):
        run(
            control_url,
            "INSERT INTO breakers_aifallback (model_id, fallback_id, position) SELECT m.id, f.id, %s FROM breakers_aimodel m,"
            " breakers_aimodel f WHERE m.name = %s AND f.name = %s",
            position, chain[0], each,
        )  # fmt: skip
    tell(control_url)


def allowance_row(control_url: str, key: str = "", **limits: object) -> None:
    """What a caller may use."""
    facts = {
        "requests_per_minute": 0, "tokens_per_minute": 0, "concurrency": 0, "period": "month", "soft_usd": None, "hard_usd": None, **limits,
    }  # fmt: skip
    columns = ", ".join(facts)
    marks = ", ".join(["%s"] * len(facts))
    run(control_url, f"INSERT INTO breakers_aiallowance (key, {columns}) VALUES (%s, {marks})", key, *facts.values())
    tell(control_url)


def settings_row(control_url: str, **given: object) -> None:
    """What holds for all."""
    facts = {
        "unknown_to_default": False, "cache_seconds": 0, "log_bodies": False, "retention_days": 30, "retry_ratio": 0.2, "retry_floor": 3,
        **given,
    }  # fmt: skip
    columns = ", ".join(facts)
    marks = ", ".join(["%s"] * len(facts))
    run(control_url, f"INSERT INTO breakers_aisettings (id, {columns}) VALUES (1, {marks})", *facts.values())
    tell(control_url)


def tell(control_url: str) -> None:
    """As ``notify_ai`` does."""
    run(control_url, "SELECT pg_notify('mendgate_snapshot', 'ai')")
