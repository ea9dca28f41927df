"""A stream on its way from a provider to the caller: never read ahead of the caller by more than a small buffer.

It ends in one of four ways: whole (``[DONE]``); broken (an error event and no ``[DONE]``); out of time (the same); the caller left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from msgspec import Struct

from breakers.core.ai.verdict import Verdict, failure, timeout
from breakers.gateway.ai.asgi import Pairs, Send, begin_stream, send_part
from breakers.gateway.ai.errors import AiError
from breakers.gateway.ai.turns import Turns
from breakers.gateway.ai.upstream import BROKEN, Begun

LAST_PART = 5.0
"""Seconds that a caller has to take the end, however late it is."""


class Way(Struct, frozen=True, kw_only=True):
    """To the caller. ``deadline`` by ``time.monotonic``; ``said`` is given each part that goes out, ``ending`` called before the last."""

    send: Send
    turns: Turns
    headers: Pairs
    stall: float
    deadline: float
    ending: Callable[[], None]
    said: Callable[[bytes], None] | None = None


async def relay(begun: Begun, way: Way) -> Verdict | None:
    """Sends it on. None = whole, else what went wrong (the caller has been told).
    Raises ``TimeoutError`` where the caller takes it so slowly that the time is over."""
    tape, out, broken = begun.tape, begun.first, None
    await way.turns.go_on()
    async with asyncio.timeout(way.deadline - time.monotonic()):
        await begin_stream(way.send, way.headers)
        if not tape.over:  # else the first part is the last one, below
            await _pass_on(way, out)
    while not tape.over and broken is None:
        out, broken = await _more(begun, way.stall, way.deadline)
        if out and not tape.over and broken is None:
            await way.turns.go_on()
            async with asyncio.timeout(way.deadline - time.monotonic()):
                await _pass_on(way, out)
    broken = broken or tape.broken
    if broken is not None:
        out += error_event(broken_off(broken))
    way.ending()
    if way.said is not None:
        way.said(out)
    async with asyncio.timeout(LAST_PART):
        await send_part(way.send, out, last=True)
    return broken


async def _pass_on(way: Way, out: bytes) -> None:
    await send_part(way.send, out)
    if way.said is not None:
        way.said(out)


async def _more(begun: Begun, stall: float, deadline: float) -> tuple[bytes, Verdict | None]:
    """What comes next. Comments are no progress: the time runs until there is an event."""
    left = deadline - time.monotonic()
    pieces = begun.tape.pieces
    try:
        async with asyncio.timeout(min(stall, left)):
            while True:
                out = await begun.more()
                if out or begun.tape.over or begun.tape.pieces != pieces:
                    return out, None
    except TimeoutError:
        return b"", timeout("stall" if stall < left else "total")
    except BROKEN:
        return b"", failure("the connection was cut")


def error_event(error: AiError) -> bytes:
    """The last event of a stream that did not end well: SDKs raise it."""
    return b"data: " + error.to_body() + b"\n\n"


def broken_off(verdict: Verdict) -> AiError:
    """What the caller is told in the middle of a stream."""
    message = f"The provider's answer broke off ({verdict.reason}). What came before is incomplete; nothing was repeated."
    return AiError(502, message, "api_error", "stream_interrupted")
