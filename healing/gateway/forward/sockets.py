"""A WebSocket through to the upstream's realtime: frames both ways, close codes too. Keys of ours are exchanged on the way up."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from breakers.core.types import Outcome
from breakers.gateway.ai.asgi import Message, Receive, Send
from healing.gateway.errors import DialectError
from healing.gateway.forward.credentials import OURS, Exchange
from healing.gateway.forward.far import STALL, Far, permitted, unreachable
from healing.gateway.forward.headers import outgoing
from healing.gateway.forward.paths import address

MOST_BYTES = 4 * 1024 * 1024
"""Of one message."""
OPEN_WITHIN = 10.0
GOING_AWAY, POLICY, BROKEN = 1001, 1008, 1011
_DATA = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)


async def relay_socket(far: Far, base: str, scope: Message, receive: Receive, send: Send, exchange: Exchange) -> None:
    """Serves one connection until either side ends it. Raises ``DialectError`` before it was accepted."""
    upstream = await _opened(far, base, scope, exchange)
    try:
        await send({"type": "websocket.accept", "subprotocol": upstream.protocol})
        up = asyncio.ensure_future(_up(receive, upstream, exchange))
        down = asyncio.ensure_future(_down(upstream, send, exchange))
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            code = up.result() if up.done() else down.result()
        except asyncio.CancelledError:
            code = GOING_AWAY  # said to the caller before the upstream takes its time to say goodbye
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
        if code is not None:
            await send({"type": "websocket.close", "code": code})
    finally:
        await upstream.close()


async def _opened(far: Far, base: str, scope: Message, exchange: Exchange) -> aiohttp.ClientWebSocketResponse:
    protocols = scope.get("subprotocols") or ()
    if any(OURS.search(each) for each in protocols):  # the chosen one is said again to the caller: nothing in it can be exchanged
        raise DialectError("MG400", 400, "A subprotocol holds an API key of Mendgate", None, "Send it as apikey in the URL.")
    url = await address(base, scope, exchange)
    client = scope["client"][0] if scope.get("client") else None
    headers = await outgoing(scope["headers"], client, exchange)
    permit = await permitted("realtime")
    try:
        async with asyncio.timeout(OPEN_WITHIN):
            upstream = await far.session.ws_connect(url, headers=headers, protocols=protocols, max_msg_size=MOST_BYTES, autoping=True)
    except aiohttp.WSServerHandshakeError as error:
        permit.settle(Outcome.OK if error.status < 500 else Outcome.FAILURE, error=f"HTTP {error.status}")
        raise DialectError("MG502", error.status, f"The upstream's realtime refused: HTTP {error.status}") from None
    except (aiohttp.ClientError, OSError) as error:
        permit.settle(Outcome.FAILURE, error=type(error).__name__)
        raise unreachable("realtime", error) from None
    except BaseException:
        permit.settle(Outcome.EXCLUDED)
        raise
    permit.settle(Outcome.OK)
    return upstream


async def _up(receive: Receive, upstream: aiohttp.ClientWebSocketResponse, exchange: Exchange) -> int | None:
    """What the caller sends. The code to close with; None where the caller is gone."""
    while True:
        try:
            async with asyncio.timeout(STALL):
                message = await receive()
        except TimeoutError:
            return GOING_AWAY
        if message["type"] == "websocket.disconnect":
            await upstream.close(code=_sendable(message.get("code")))
            return None
        try:
            await _pass_on(message, upstream, exchange)
        except DialectError:
            return POLICY
        except (aiohttp.ClientError, OSError):
            return BROKEN


async def _pass_on(message: Message, upstream: aiohttp.ClientWebSocketResponse, exchange: Exchange) -> None:
    await exchange.still()  # a revoked key ends its sockets: clients send a heartbeat every half minute
    text: Any = message.get("text")
    if text is not None:
        await upstream.send_str(await exchange(text))
        return
    raw = message["bytes"]
    if OURS.search(raw.decode("latin-1")):  # lengths are written into binary frames: nothing in them can be exchanged
        raise DialectError("MG400", 400, "A binary frame holds an API key of Mendgate")
    await upstream.send_bytes(raw)


async def _down(upstream: aiohttp.ClientWebSocketResponse, send: Send, exchange: Exchange) -> int:
    """What the upstream sends, until it ends; the code that it ended with."""
    while (message := await upstream.receive()).type in _DATA:
        if message.type is aiohttp.WSMsgType.TEXT:
            await send({"type": "websocket.send", "text": exchange.back(message.data)})
        else:
            await send({"type": "websocket.send", "bytes": message.data})
    return _sendable(upstream.close_code)


def _sendable(code: int | None) -> int:
    """1005 and 1006 say that there was no code: they cannot be sent."""
    return code if code is not None and (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999) else BROKEN
