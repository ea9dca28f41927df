"""Answers that no provider gives now: from the cache, or canned; and the headers that say who answered."""

from __future__ import annotations

import time
from collections.abc import Mapping

from breakers.core.ai import canned
from breakers.core.ai.asked import Asked, as_value, last_user_text
from breakers.core.ai.replayed import as_stream
from breakers.core.ai.tokens import BYTES_PER_TOKEN
from breakers.gateway.ai import asgi
from breakers.gateway.ai.account import Account
from breakers.gateway.ai.asgi import Send
from breakers.gateway.ai.cache import HEADER, is_wanted, key_of
from breakers.gateway.ai.caller import AiCaller
from breakers.gateway.ai.errors import Headers
from breakers.gateway.ai.router import Got
from breakers.gateway.ai.snapshot import AiSnapshot, Canned

BYTES_A_PIECE = BYTES_PER_TOKEN
"""A chunk of a stream holds about one token."""


def cache_key(headers: Mapping[str, str], asked: Asked, caller: AiCaller, snapshot: AiSnapshot) -> str | None:
    """Where the answer is kept; None = the cache is not used for this request."""
    if snapshot.cache_seconds <= 0 or HEADER not in headers:
        return None
    body = {name: as_value(value) for name, value in asked.fields.items()}
    return key_of(caller, body, asked.endpoint) if is_wanted(headers[HEADER], body, snapshot) else None


def served_by(got: Got) -> Headers:
    """Who answered, and whether it was not the one that was asked."""
    name = ("Mendgate-Served-By", f"{got.model.provider}/{got.model.name}")
    return (name, ("Mendgate-Fallback", "model")) if got.fallback else (name,)


def canned_row(snapshot: AiSnapshot, asked: Asked) -> Canned | None:
    """The canned answer for this question."""
    return canned.choose(snapshot.canned, asked.model, last_user_text(asked)) if snapshot.canned else None


async def send_kept(send: Send, kept: bytes, asked: Asked, headers: Headers) -> None:
    """Answers with what the cache has, in the shape that was asked for."""
    events = as_stream(kept, wants_usage=asked.wants_usage) if asked.stream else None
    if events is None:
        await asgi.send_json(send, 200, kept, headers)
    else:
        await asgi.begin_stream(send, headers)
        await asgi.send_part(send, events, last=True)


async def send_canned(send: Send, content: str, asked: Asked, account: Account) -> None:
    """Answers with it, in the shape that was asked for."""
    headers = [*account.headers(), ("Mendgate-Served-By", canned.MODEL), ("Mendgate-Fallback", "canned")]
    id, created = f"chatcmpl-{account.call.id}", int(time.time())
    if asked.stream:
        await asgi.begin_stream(send, headers)
        await asgi.send_part(send, canned.stream(content, id, created, wants_usage=asked.wants_usage), last=True)
    else:
        await asgi.send_json(send, 200, canned.completion(content, id, created), headers)
