"""One real, small call to a provider, past breakers and fallbacks: does it answer, and what."""

from __future__ import annotations

import asyncio
import time

import msgspec
from asgiref.sync import async_to_sync
from django.db import connection
from msgspec import Struct

from breakers.core.ai.asked import CHAT, EMBEDDINGS
from breakers.core.ai.redact import redact_text
from breakers.core.ai.verdict import Verdict
from breakers.gateway.ai.load import from_environment
from breakers.gateway.ai.rows import ALL, Rows, snapshot_of
from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.snapshot import AiSnapshot, Model
from breakers.gateway.ai.upstream import Body, Outgoing, Upstream

PATIENCE = 20.0
ASKED = "Answer with one word: are you there?"
MOST = 300


class Trial(Struct, frozen=True):
    """How it went. ``said`` is the answer, or what went wrong; ``seconds`` is the time it took."""

    ok: bool
    said: str
    seconds: float = 0.0
    model: str = ""


def snapshot_now(settings: AiSettings) -> AiSnapshot:
    """What every process acts by, read now."""
    with connection.cursor() as cursor:
        cursor.execute(ALL.replace("%", "%%"))
        rows = msgspec.json.decode(cursor.fetchone()[0], type=Rows)
    return snapshot_of(rows, from_environment(settings), settings.unseal, {})


def trial(settings: AiSettings, provider: str, model: str = "") -> Trial:
    """Asks ``model`` (else the provider's first) with the provider's first key."""
    snapshot = snapshot_now(settings)
    if provider not in snapshot.providers:
        return Trial(False, "It is switched off.")
    models = [each for each in snapshot.models.values() if each.provider == provider and model in ("", each.name)]
    if not models:
        return Trial(False, "It has no model yet: add one, then try again.")
    chosen = min(models, key=lambda each: each.kind != "chat")
    if snapshot.providers[provider].wants_key and not snapshot.providers[provider].credentials:
        return Trial(False, "All its keys are retired: add one, or revive one.", model=chosen.name)
    ended: Trial = async_to_sync(_ask)(settings, snapshot, chosen)
    return ended


async def _ask(settings: AiSettings, snapshot: AiSnapshot, model: Model) -> Trial:
    provider = snapshot.providers[model.provider]
    chat = model.kind == "chat"
    body = {"messages": [{"role": "user", "content": ASKED}], "max_tokens": 16} if chat else {"input": ASKED}
    call = Outgoing(
        provider=provider,
        credential=provider.credentials[0] if provider.credentials else None,
        endpoint=CHAT if chat else EMBEDDINGS,
        body=msgspec.json.encode({"model": model.upstream, **body}),
        streamed=False,
    )
    upstream, began = Upstream(settings), time.monotonic()
    try:
        answer = await upstream.ask(call, min(PATIENCE, provider.limits.total))
    finally:
        await upstream.close()
        await asyncio.sleep(0)
    seconds = time.monotonic() - began
    if isinstance(answer, Body):
        return Trial(True, _said(answer.raw, chat=chat), seconds, model.name)
    return Trial(False, _reason(answer) if isinstance(answer, Verdict) else "an unexpected stream", seconds, model.name)


def _said(raw: bytes, *, chat: bool) -> str:
    try:
        value = msgspec.json.decode(raw)
        if not chat:
            return f"{len(value['data'][0]['embedding'])} numbers"
        return str(value["choices"][0]["message"]["content"] or "")[:MOST]
    except (msgspec.DecodeError, LookupError, TypeError):
        return "something unreadable"


def _reason(verdict: Verdict) -> str:
    words = redact_text(verdict.body.decode("utf-8", "replace"))[:MOST]
    status = f"status {verdict.status}" if verdict.status and str(verdict.status) not in verdict.reason else ""
    return ": ".join(each for each in (" ".join(filter(None, (status, verdict.reason))), words) if each)
