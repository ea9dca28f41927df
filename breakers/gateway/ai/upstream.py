"""Connections to providers, and one call over them: what comes back is a whole answer, a stream whose content has begun, or a verdict.

Kept alive and bounded; no redirects, cookies or proxies; the size of what is read is bounded.
"""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache

import aiohttp
from msgspec import Struct
from msgspec.structs import replace
from yarl import URL

from breakers.core.ai.asked import EMBEDDINGS
from breakers.core.ai.complete import Whole, read_whole
from breakers.core.ai.tape import Tape
from breakers.core.ai.verdict import Verdict, failure, of_status, timeout
from breakers.gateway.ai.reach import judged
from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.snapshot import Credential, Provider

KEPT_ALIVE = 15.0
BUFFER = 16 * 1024
"""Bytes read ahead of a caller, twice, before the provider has to wait."""
MOST_ERROR = 64 * 1024
LEFTOVERS = 0.05
"""Seconds that a stream's end may take after [DONE], for its connection to be used again."""


class Outgoing(Struct, frozen=True, kw_only=True):
    """One call to one provider."""

    provider: Provider
    credential: Credential | None
    endpoint: str
    body: bytes
    streamed: bool
    hide_usage: bool = True


class Body(Struct, frozen=True):
    """A valid whole answer."""

    raw: bytes
    whole: Whole


class Begun(Struct, frozen=True):
    """A stream whose content has begun: ``first`` is what may go to the caller already. ``close`` or ``finish`` it."""

    response: aiohttp.ClientResponse
    tape: Tape
    first: bytes

    async def more(self) -> bytes:
        """The next bytes for the caller; b"" where there are none yet. Raises what a broken connection raises."""
        chunk = await self.response.content.readany()
        return self.tape.take(chunk) if chunk else self.tape.end()

    def close(self) -> None:
        """Ends the connection."""
        self.response.close()

    async def finish(self) -> None:
        """Gives the connection back where the stream ended in order."""
        try:
            async with asyncio.timeout(LEFTOVERS):
                while await self.response.content.readany():
                    pass
        except (TimeoutError, aiohttp.ClientError, OSError):
            pass
        self.response.close()


BROKEN = (aiohttp.ClientError, OSError, ValueError)
"""What a provider's connection may raise, besides timeouts (which are OSErrors, too: catch them first)."""


class Upstream:
    """The connections of one event loop."""

    def __init__(self, settings: AiSettings) -> None:
        self._settings = settings
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def close(self) -> None:
        """Ends them all."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def ask(self, call: Outgoing, patience: float) -> Body | Begun | Verdict:
        """Asks, for valid content within ``patience`` seconds. Never raises but for cancellation."""
        try:
            async with asyncio.timeout(patience):
                return _without_key(await self._ask(call), call.credential)
        except aiohttp.ServerTimeoutError:
            return timeout("connect")
        except TimeoutError:
            return timeout("first_token")
        except BROKEN as error:
            return failure(_named(error))

    async def _ask(self, call: Outgoing) -> Body | Begun | Verdict:
        response = await self._session(call.provider).post(
            _url(call.provider.base_url, call.endpoint),
            data=call.body,
            headers=_headers(call),
            timeout=_timeouts(call.provider.limits.connect),
            allow_redirects=False,
        )
        kept = False
        try:
            if response.status != 200:
                return await _refusal(response)
            if not call.streamed:
                return await self._whole(response, embeddings=call.endpoint == EMBEDDINGS)
            begun = await _begin(response, Tape(hide_usage=call.hide_usage))
            kept = isinstance(begun, Begun)
            return begun
        finally:
            if not kept:
                response.close()  # a connection whose answer was read to its end has been given back already

    async def _whole(self, response: aiohttp.ClientResponse, *, embeddings: bool) -> Body | Verdict:
        raw = await _read(response, self._settings.answer_limit)
        if raw is None:
            return failure("the answer is too large")
        whole = read_whole(raw, embeddings=embeddings)
        return whole if isinstance(whole, Verdict) else Body(raw, whole)

    def _session(self, provider: Provider) -> aiohttp.ClientSession:
        session = self._sessions.get(provider.allow_private)
        if session is None:
            session = self._sessions[provider.allow_private] = self._open(private=provider.allow_private)
        return session

    def _open(self, *, private: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self._settings.most_in_flight + 100,  # never waited for: the gateway takes no more requests than that
            keepalive_timeout=KEPT_ALIVE,
            ttl_dns_cache=30,
            socket_factory=None if private else judged(self._settings.public),
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=BUFFER, trust_env=False)


async def _begin(response: aiohttp.ClientResponse, tape: Tape) -> Begun | Verdict:
    first = b""
    while not tape.begun and not tape.over:
        chunk = await response.content.readany()
        first = tape.take(chunk) if chunk else tape.end()
    return Begun(response, tape, first) if tape.begun else tape.broken or failure("empty stream")


def _without_key(answer: Body | Begun | Verdict, credential: Credential | None) -> Body | Begun | Verdict:
    """What a provider says of a request may repeat how it was asked; callers are told of it."""
    if not isinstance(answer, Verdict) or not answer.body or credential is None or not credential.secret:
        return answer
    return replace(answer, body=answer.body.replace(credential.secret.encode(), b"[key]"))


async def _refusal(response: aiohttp.ClientResponse) -> Verdict:
    try:
        body = await _read(response, MOST_ERROR) or b""
    except (aiohttp.ClientError, OSError):
        body = b""
    return of_status(response.status, response.headers, body, time.time())


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """The whole body; None where it is larger than ``limit``."""
    content = response.content
    first = await content.readany()
    parts, size = [first], len(first)
    while not content.at_eof():
        part = await content.readany()
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
    return b"".join(parts) if len(parts) > 1 else first


def _headers(call: Outgoing) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Accept": "text/event-stream" if call.streamed else "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "mendgate",
        **call.provider.headers,
    }
    if call.credential is not None:
        headers["Authorization"] = f"Bearer {call.credential.secret}"
    return headers


@lru_cache(maxsize=256)
def _url(base_url: str, endpoint: str) -> URL:
    return URL(f"{base_url}/{endpoint}")


@lru_cache(maxsize=64)
def _timeouts(connect: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect)


def _named(error: BaseException) -> str:
    """What went wrong, without what a provider may have put into it."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "TLS failed"
    if isinstance(error, aiohttp.ClientConnectorError):
        refused = isinstance(error.os_error, PermissionError)
        return "private address" if refused else "no connection"
    return "the connection was cut"
