"""One call to a provider: what comes back is a whole answer, a stream whose content has begun, or a verdict. What is read is bounded."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from breakers.core.ai.asked import EMBEDDINGS
from breakers.core.ai.complete import Whole, read_whole
from breakers.core.ai.tape import Tape
from breakers.core.ai.verdict import TOO_LATE, Verdict, failure, of_status, timeout
from breakers.gateway.ai.connection import Broken, Reply
from breakers.gateway.ai.connections import CannotConnect, Connections, TooSlow
from breakers.gateway.ai.question import MODELS, Address, Outgoing, address_of, as_bytes
from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.snapshot import Credential, Provider

__all__ = ["BROKEN", "Begun", "Body", "Outgoing", "Upstream"]

MOST_ERROR = 64 * 1024
LEFTOVERS = 0.05
"""Seconds that a stream's end may take after [DONE], for its connection to be used again."""
BROKEN = (Broken, OSError)
"""What a connection to a provider may raise, besides timeouts (which are OSErrors, too: catch them first)."""


class Body(Struct, frozen=True):
    """A valid whole answer."""

    raw: bytes
    whole: Whole


class Begun(Struct, frozen=True):
    """A stream whose content has begun: ``first`` is what may go to the caller already. ``close`` or ``finish`` it."""

    reply: Reply
    tape: Tape
    first: bytes

    async def more(self) -> bytes:
        """The next bytes for the caller; b"" where there are none yet. Raises what a broken connection raises."""
        chunk = await self.reply.some()
        return self.tape.take(chunk) if chunk else self.tape.end()

    def close(self) -> None:
        """Ends the connection, unless the stream ended in order."""
        self.reply.close()

    async def finish(self) -> None:
        """Gives the connection back where the stream ended in order."""
        if not self.reply.ended:
            with suppress(TimeoutError, *BROKEN):
                async with asyncio.timeout(LEFTOVERS):
                    while not self.reply.ended and await self.reply.some():
                        pass
        self.reply.close()


class Upstream:
    """The calls of one event loop."""

    def __init__(self, settings: AiSettings) -> None:
        self._settings = settings
        self._connections = Connections(settings.public)

    async def close(self) -> None:
        """Ends all connections."""
        await self._connections.close()

    async def ask(self, call: Outgoing, patience: float) -> Body | Begun | Verdict:
        """Asks, for valid content within ``patience`` seconds. Never raises but for cancellation."""
        try:
            address = address_of(call.provider.base_url, call.endpoint, call.provider.allow_private)
            async with asyncio.timeout(patience):
                with self._settings.outward(address.place.host, address.place.port) as more:
                    return _without_key(await self._ask(address, call, more), call.credential)
        except TooSlow:
            return timeout("connect")
        except TimeoutError:
            return timeout(TOO_LATE)
        except CannotConnect as error:
            return failure(str(error))
        except (*BROKEN, ValueError):
            return failure("the connection was cut")

    async def is_good(self, provider: Provider, credential: Credential, patience: float) -> bool | None:
        """Whether the provider takes this key, by a question that no caller can shape: what models there are. None = it does not say."""
        call = Outgoing(provider=provider, credential=credential, endpoint=MODELS, body=b"")
        try:
            address = address_of(provider.base_url, MODELS, provider.allow_private)
            async with asyncio.timeout(patience):
                connection = await self._connections.get(address.place, provider.limits.connect)
                reply = await connection.ask(as_bytes(address, call, {}))
                reply.close()  # its status has said it
        except (TooSlow, TimeoutError, CannotConnect, ValueError, *BROKEN):
            return None
        return {200: True, 401: False, 402: False, 403: False}.get(reply.status)

    async def _ask(self, address: Address, call: Outgoing, more: dict[str, str]) -> Body | Begun | Verdict:
        data = as_bytes(address, call, more)
        connection = await self._connections.get(address.place, call.provider.limits.connect)
        reply = await connection.ask(data)
        kept = False
        try:
            if reply.headers.get("content-encoding", "identity") != "identity":
                return failure("an encoding that nobody asked for")
            if reply.status != 200:
                return await _refusal(reply)
            if not call.streamed:
                return await self._whole(reply, embeddings=call.endpoint == EMBEDDINGS)
            begun = await _begin(reply, Tape(hide_usage=call.hide_usage))
            kept = isinstance(begun, Begun)
            return begun
        finally:
            if not kept:
                reply.close()

    async def _whole(self, reply: Reply, *, embeddings: bool) -> Body | Verdict:
        raw = await _read(reply, self._settings.answer_limit)
        if raw is None:
            return failure("the answer is too large")
        whole = read_whole(raw, embeddings=embeddings)
        return whole if isinstance(whole, Verdict) else Body(raw, whole)


async def _begin(reply: Reply, tape: Tape) -> Begun | Verdict:
    first = b""
    while not tape.begun and not tape.over:
        chunk = await reply.some()
        first = tape.take(chunk) if chunk else tape.end()
    return Begun(reply, tape, first) if tape.begun else tape.broken or failure("empty stream")


def _without_key(answer: Body | Begun | Verdict, credential: Credential | None) -> Body | Begun | Verdict:
    """What a provider says of a request may repeat how it was asked; callers are told of it."""
    if not isinstance(answer, Verdict) or not answer.body or credential is None or not credential.secret:
        return answer
    return replace(answer, body=answer.body.replace(credential.secret.encode(), b"[key]"))


async def _refusal(reply: Reply) -> Verdict:
    try:
        body = await _read(reply, MOST_ERROR) or b""
    except BROKEN:
        body = b""
    return of_status(reply.status, reply.headers, body, time.time())


async def _read(reply: Reply, limit: int) -> bytes | None:
    """The whole body; None where it is larger than ``limit``."""
    parts, size = [], 0
    while part := await reply.some():
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
    return b"".join(parts) if len(parts) != 1 else parts[0]
