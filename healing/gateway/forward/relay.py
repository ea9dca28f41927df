"""One request through to the upstream and its answer back, both as streams: no body is ever held here whole.

The caller leaves -> the upstream's connection ends. The upstream breaks off -> so does the answer, never as if it were whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp

from breakers.core.own_keys import Sieve
from breakers.core.types import Outcome
from breakers.gateway.ai.asgi import Message, Receive, Send
from healing.gateway.errors import DialectError, unsupported_method
from healing.gateway.forward.credentials import Exchange, holds_key
from healing.gateway.forward.far import HEAD, STALL, USUAL_HEAD, Far, is_away, permitted, unreachable
from healing.gateway.forward.headers import incoming, outgoing
from healing.gateway.forward.paths import address

_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_NOT_FOR_ORIGINS = ("CONNECT", "TRACE")
"""CONNECT would open a tunnel; TRACE would say again what it was sent, the upstream's key as well."""
_BROKEN = (aiohttp.ClientError, OSError, ValueError)


class CutOff(Exception):
    """The upstream broke off in the middle: the answer must not end as if it were whole."""


class Left(Exception):
    """The caller is gone."""


class HoldsKey(Exception):
    """A key of ours is in the body; the message is its beginning."""


class Body:
    """The request's body as it comes, then a watch on the caller."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._whole = asyncio.Event()

    def skip(self) -> None:
        """There is none, or it was read already."""
        self._whole.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Its parts. Raises ``HoldsKey`` before any part of a key is given."""
        sieve = Sieve()
        async for part in self._parts():
            passed, keys = sieve.pass_on(part)
            if keys:
                raise HoldsKey(keys[0][:12].decode())
            if passed:
                yield passed
        if rest := sieve.rest():
            yield rest

    async def _parts(self) -> AsyncIterator[bytes]:
        while not self._whole.is_set():
            async with asyncio.timeout(STALL):
                message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Left
            if not message.get("more_body"):
                self._whole.set()
            if message.get("body"):
                yield message["body"]

    async def gone(self) -> None:
        """Returns when the caller has left; not before the body was read."""
        await self._whole.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def relay(far: Far, base: str, service: str, scope: Message, body: Body, send: Send, exchange: Exchange) -> None:
    """Answers one request. Raises ``DialectError`` while nothing was sent, ``CutOff`` after it."""
    origin = next((value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"origin"), None)
    response = await _asked(far, base, service, scope, body, exchange)
    working = asyncio.ensure_future(
        _back(response, incoming(response.raw_headers, base, origin, exchange), send, scope["method"] == "HEAD")
    )
    watching = asyncio.ensure_future(body.gone())
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        response.close() if not working.done() or working.cancelled() or working.exception() else response.release()
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _asked(far: Far, base: str, service: str, scope: Message, body: Body, exchange: Exchange) -> aiohttp.ClientResponse:
    if scope["method"] in _NOT_FOR_ORIGINS:
        raise unsupported_method(scope["method"])
    url = await address(base, scope, exchange)
    client = scope["client"][0] if scope.get("client") else None
    headers = await outgoing(scope["headers"], client, exchange)
    has_body = "content-length" in headers or any(name.lower() == b"transfer-encoding" for name, _ in scope["headers"])
    if not has_body:
        body.skip()
    permit = await permitted(service)
    try:
        async with asyncio.timeout(None) as limit:
            sending = _Sending(body, limit, HEAD.get(service, USUAL_HEAD))
            response = await far.session.request(
                scope["method"], url, headers=headers, data=sending.parts() if has_body else None,
                allow_redirects=False, skip_auto_headers=_AUTOMATIC,
            )  # fmt: skip
    except Left:
        permit.settle(Outcome.EXCLUDED)
        raise
    except BaseException as error:
        ours = _behind(error, (Left, HoldsKey))
        if isinstance(error, TimeoutError | OSError | aiohttp.ClientError) and ours is None:
            permit.settle(Outcome.FAILURE, error=f"{type(error).__name__}")
            raise unreachable(service, error) from None
        permit.settle(Outcome.EXCLUDED)
        if isinstance(ours, Left):
            raise Left from None
        if ours is not None:
            raise holds_key(str(ours)) from None
        if isinstance(error, ValueError):
            raise DialectError("MG400", 400, "The request cannot be sent on", type(error).__name__, None) from None
        raise
    permit.settle(Outcome.FAILURE if is_away(service, response.status) else Outcome.OK)
    return response


class _Sending:
    """The limit until the answer begins counts from the last byte that was sent: uploads may take their time."""

    def __init__(self, body: Body, limit: asyncio.Timeout, seconds: float) -> None:
        self._body, self._limit, self._seconds = body, limit, seconds
        self._again()

    def _again(self) -> None:
        with suppress(RuntimeError):  # the answer came before the body was through
            self._limit.reschedule(asyncio.get_running_loop().time() + self._seconds)

    async def parts(self) -> AsyncIterator[bytes]:
        async for part in self._body:
            yield part
            self._again()


def _behind(error: BaseException | None, kinds: tuple[type[BaseException], ...]) -> BaseException | None:
    """What of these is behind an error."""
    while error is not None and not isinstance(error, kinds):
        error = error.__cause__ or error.__context__
    return error


async def _back(response: aiohttp.ClientResponse, headers: list[tuple[bytes, bytes]], send: Send, head: bool) -> None:
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    try:
        while not head:
            async with asyncio.timeout(STALL):
                part = await response.content.readany()
            if not part:
                break
            await send({"type": "http.response.body", "body": part, "more_body": True})
    except _BROKEN as error:
        raise CutOff(type(error).__name__) from error
    await send({"type": "http.response.body", "body": b""})
