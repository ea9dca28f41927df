"""Whether it was the key that a provider refused, or the request: nobody may take a key out of use by what he asks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from msgspec.structs import replace

from breakers.core.ai.plan import REST, Try
from breakers.core.ai.verdict import Kind, Verdict, about_request
from breakers.gateway.ai.snapshot import AiSnapshot
from breakers.gateway.ai.upstream import Upstream

log = logging.getLogger("mendgate.ai")

PROBE = 2.0
"""Seconds for a question about a key itself."""
PROVEN = 60.0


class Doubts:
    """Of one process. ``retire`` is told of keys that were surely refused, and why."""

    def __init__(self, upstream: Upstream, retire: Callable[[str, str], None]) -> None:
        self._upstream, self._retire = upstream, retire
        self._good: dict[str, float] = {}
        """until when a key counts as good, whatever a request is answered."""

    def forget(self) -> None:
        """The rows have changed."""
        self._good.clear()

    async def settled(self, step: Try, verdict: Verdict, snapshot: AiSnapshot, deadline: float) -> Verdict:
        """The verdict without doubt. A key that was surely refused is retired; where it may be the request that was, the key is asked for
        by itself, and rests where the provider does not say."""
        if verdict.kind is not Kind.KEY or not step.key:
            return verdict
        if not verdict.sure:
            good = await self._is_good(step, snapshot, deadline)
            if good:
                return about_request(verdict)
            verdict = replace(verdict, sure=good is False, body=b"")
        if verdict.sure:
            self._retire(step.key, f"{step.deployment.provider} answered {verdict.reason}")
        else:
            log.error("AI provider %s refuses a key and does not say why; it rests for %s s", step.deployment.provider, REST)
        return verdict

    async def _is_good(self, step: Try, snapshot: AiSnapshot, deadline: float) -> bool | None:
        """Asked at most once in ``PROVEN`` seconds of a key that is good: a caller must not make us ask with each request."""
        now = time.monotonic()
        if now < self._good.get(step.key, 0.0):
            return True
        provider = snapshot.providers[step.deployment.provider]
        credential = next((each for each in provider.credentials if each.id == step.key), None)
        good = None if credential is None else await self._upstream.is_good(provider, credential, min(PROBE, deadline - now))
        if good:
            self._good[step.key] = now + PROVEN
        return good
