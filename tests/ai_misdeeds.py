"""What can go wrong with a service that answers: one coroutine for each fault, by name, for plain and for streamed answers alike."""

from __future__ import annotations

import asyncio
import gzip
import math
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from time import time

from msgspec import Struct

from tests import ai_protocol as say
from tests.ai_line import Asked, Line

SIXTEEN = {
    "429 with Retry-After": "429-seconds",
    "429 without": "429",
    "500": "500",
    "503": "503",
    "connect refused": "connect-refused",
    "connect hang": "connect-hang",
    "header hang": "header-hang",
    "first-token hang": "first-token-hang",
    "stall mid-stream": "stall",
    "cut mid-stream": "cut",
    "truncated without [DONE]": "truncated",
    "garbage body": "garbage",
    "HTML with 200": "html",
    "error object inside 200": "error-in-200",
    "empty choices": "empty-choices",
    "slow drip beyond the total limit": "drip",
}
"""The faults of the design by the names they have here. The two about connecting are addresses, not answers."""


class Way(Struct):
    """How a service answers: ``words`` pieces, ``pace`` seconds before each, ``first`` before the first; ``after`` pieces before what
    goes wrong in the middle; ``wait`` seconds that a 429 names."""

    words: int = 6
    pace: float = 0.0
    first: float = 0.0
    after: int = 3
    wait: float = 1.0


async def well(line: Line, asked: Asked, way: Way, finish: str = "stop") -> None:
    """The answer as it should be."""
    if way.first:
        await asyncio.sleep(way.first)
    if asked.stream:
        await _stream(line, asked, way, finish=finish)
        await line.part(say.DONE)
        await line.end()
    else:
        pieces = say.words_of(asked.body, asked.number, way.words)
        asked.sent = "".join(pieces)
        await line.whole(200, say.JSON, say.encoded(say.completion(asked.body, asked.number, pieces, finish)), ("x-request-id", _id(asked)))


async def refuse(line: Line, asked: Asked, way: Way, fault: str) -> None:
    """An error by status; the three spellings of Retry-After."""
    name, waiting = fault, ()
    if fault in ("429-seconds", "429-date", "429-ms", "503-seconds"):
        spelling = {
            "seconds": ("Retry-After", str(math.ceil(way.wait))),
            "date": ("Retry-After", formatdate(time() + way.wait, usegmt=True)),
            "ms": ("retry-after-ms", str(round(way.wait * 1000))),
        }
        name, _, how = fault.partition("-")
        waiting = (spelling[how],)
    status, body = say.REFUSALS[name]
    await line.whole(status, say.JSON, say.encoded(body), *waiting, ("x-request-id", _id(asked)))


async def header_hang(line: Line, asked: Asked, way: Way) -> None:
    """The request is taken and nothing comes."""
    await line.hang()


async def first_token_hang(line: Line, asked: Asked, way: Way) -> None:
    """Headers come, and no content."""
    await line.head(200, _kind(asked), None)
    await line.hang()


async def role_hang(line: Line, asked: Asked, way: Way) -> None:
    """Headers and the role come, which is no content yet."""
    await line.head(200, _kind(asked), None)
    if asked.stream:
        await line.part(say.event(say.chunk(asked.body, asked.number, {"role": "assistant", "content": ""})))
    await line.hang()


async def pings_hang(line: Line, asked: Asked, way: Way) -> None:
    """Comments come (or blanks, for a plain answer), and no content, ever."""
    await line.head(200, _kind(asked), None)
    while True:
        await line.part(b": PROCESSING\n\n" if asked.stream else b" ")
        await asyncio.sleep(0.05)


async def stall(line: Line, asked: Asked, way: Way) -> None:
    """It stops in the middle and stays."""
    await _half(line, asked, way)
    await line.hang()


async def cut(line: Line, asked: Asked, way: Way) -> None:
    """The connection is reset in the middle."""
    await _half(line, asked, way)
    await asyncio.sleep(0.02)  # so that what went before arrives before
    line.reset()


async def cut_fin(line: Line, asked: Asked, way: Way) -> None:
    """The connection is closed in the middle."""
    await _half(line, asked, way)
    line.close()


async def cut_at_once(line: Line, asked: Asked, way: Way) -> None:
    """The connection is reset before any answer."""
    line.reset()


async def truncated(line: Line, asked: Asked, way: Way) -> None:
    """By HTTP the answer is whole, by what it says it is not."""
    if asked.stream:
        await _half(line, asked, way)
        await line.end()
    else:
        body = _plain(asked, way)
        await line.whole(200, say.JSON, body[: len(body) // 2])


async def no_done(line: Line, asked: Asked, way: Way) -> None:
    """All is there but the last line: some services do that."""
    await _stream(line, asked, way)
    await line.end()


async def garbage(line: Line, asked: Asked, way: Way) -> None:
    """Bytes that mean nothing."""
    await line.whole(200, _kind(asked), say.GARBAGE)


async def html(line: Line, asked: Asked, way: Way) -> None:
    """A page for people."""
    await line.whole(200, say.HTML, say.PAGE)


async def error_in_200(line: Line, asked: Asked, way: Way) -> None:
    """An error that says 200; in a stream as its first event."""
    body = say.error("Provider returned error", "server_error", "upstream_error")
    if asked.stream:
        await line.head(200, say.STREAM, None)
        await line.part(say.event(body))
        await line.end()
    else:
        await line.whole(200, say.JSON, say.encoded(body))


async def error_in_200_plain(line: Line, asked: Asked, way: Way) -> None:
    """The same as a JSON body, even where a stream was asked for."""
    await line.whole(200, say.JSON, say.encoded(say.error("Provider returned error", "server_error", "upstream_error")))


async def error_mid_stream(line: Line, asked: Asked, way: Way) -> None:
    """An error event after some content, then the end as if all were well."""
    await _half(line, asked, way)
    await line.part(say.event(say.error("Provider returned error", "server_error", "upstream_error")) + say.DONE)
    await line.end()


async def empty_choices(line: Line, asked: Asked, way: Way) -> None:
    """A well-formed answer that holds none."""
    if asked.stream:
        await line.head(200, say.STREAM, None)
        for _ in range(2):
            await line.part(say.event({**say.chunk(asked.body, asked.number, {}), "choices": []}))
        await line.part(say.DONE)
        await line.end()
    else:
        await line.whole(200, say.JSON, say.encoded({**say.completion(asked.body, asked.number, []), "choices": []}))


async def empty_body(line: Line, asked: Asked, way: Way) -> None:
    """200 and nothing."""
    await line.whole(200, _kind(asked), b"")


async def drip(line: Line, asked: Asked, way: Way) -> None:
    """A little now and then, without end: no limit between two pieces is ever broken."""
    await line.head(200, _kind(asked), None)
    if not asked.stream:
        await line.part(b'{"id":"chatcmpl-drip","object":"chat.completion","choices":[{"index":0,"message":{"content":"')
    at = 0
    while True:
        piece = f"<{asked.number}.{at}> "
        asked.sent += piece
        await line.part(say.event(say.chunk(asked.body, asked.number, {"content": piece})) if asked.stream else piece.encode())
        at += 1
        await asyncio.sleep(way.pace or 0.05)


async def content_filter(line: Line, asked: Asked, way: Way) -> None:
    """It stops itself: the finish reason says so."""
    await well(line, asked, way, finish="content_filter")


async def huge(line: Line, asked: Asked, way: Way) -> None:
    """An answer that does not end: one line of a stream, one string of a body. Stops after 256 MiB, or when the caller hangs up."""
    await line.head(200, _kind(asked), None)
    await line.part(b"data: " if asked.stream else b'{"choices":[{"message":{"content":"')
    for _ in range(4096):
        await line.part(b"x" * 65536)


async def odd(line: Line, asked: Asked, way: Way) -> None:
    """Allowed, and seldom seen: comments, CRLF, no blank after ``data:``, other fields, a letter cut in two, events in one piece and
    one event in many; a first chunk without choices."""
    pieces = say.words_of(asked.body, asked.number, way.words)
    pieces[0] = "é" + pieces[0]
    asked.sent = "".join(pieces)
    if not asked.stream:
        body = say.encoded(say.completion(asked.body, asked.number, pieces))
        await line.head(200, say.JSON, None)
        for at in range(0, len(body), 7):
            await line.part(body[at : at + 7])
        await line.end()
        return
    events = [b"data:" + say.encoded(each) + b"\r\n\r\n" for each in say.chunks(asked.body, asked.number, pieces)]
    first = say.event({**say.chunk(asked.body, asked.number, {}), "choices": [], "prompt_filter_results": []})
    whole = b": hello\n\nid: 7\nevent: message\nretry: 10\n" + first + b"".join(events) + say.DONE
    middle = whole.index("é".encode()) + 1
    await line.head(200, say.STREAM, None)
    for part in (whole[:3], whole[3:middle], whole[middle : middle + 9], whole[middle + 9 :]):
        await line.part(part)
        await asyncio.sleep(0.005)
    await line.end()


async def zipped(line: Line, asked: Asked, way: Way) -> None:
    """Compressed, where the caller said it may be."""
    if asked.stream or "gzip" not in asked.headers.get("accept-encoding", ""):
        return await well(line, asked, way)
    return await line.whole(200, say.JSON, gzip.compress(_plain(asked, way)), ("content-encoding", "gzip"))


async def redirect(line: Line, asked: Asked, way: Way) -> None:
    """Sends the caller elsewhere, where it must not go."""
    await line.whole(302, say.JSON, b"", ("location", asked.path.replace("/redirect/", "/stolen/")))


FAULTS: dict[str, Callable[[Line, Asked, Way], Awaitable[None]]] = {
    "header-hang": header_hang,
    "first-token-hang": first_token_hang,
    "role-hang": role_hang,
    "pings-hang": pings_hang,
    "stall": stall,
    "cut": cut,
    "cut-fin": cut_fin,
    "cut-at-once": cut_at_once,
    "truncated": truncated,
    "no-done": no_done,
    "garbage": garbage,
    "html": html,
    "error-in-200": error_in_200,
    "error-in-200-plain": error_in_200_plain,
    "error-mid-stream": error_mid_stream,
    "empty-choices": empty_choices,
    "empty-body": empty_body,
    "drip": drip,
    "content-filter": content_filter,
    "huge": huge,
    "odd": odd,
    "gzip": zipped,
    "redirect": redirect,
}
REFUSED = {*say.REFUSALS, "429-seconds", "429-date", "429-ms", "503-seconds"}
KNOWN = {*FAULTS, *REFUSED, "connect-refused", "connect-hang", ""}


async def answer(line: Line, asked: Asked, way: Way) -> None:
    """Answers as ``asked.fault`` says; "" is well."""
    if asked.fault in REFUSED:
        await refuse(line, asked, way, asked.fault)
    else:
        await FAULTS.get(asked.fault, well)(line, asked, way)


async def _stream(line: Line, asked: Asked, way: Way, stop: int | None = None, finish: str = "stop") -> None:
    pieces = say.words_of(asked.body, asked.number, way.words)
    await line.head(200, say.STREAM, None, ("x-request-id", _id(asked)), ("cache-control", "no-cache"))
    for each in say.chunks(asked.body, asked.number, pieces[:stop], finish):
        if stop is not None and (not each["choices"] or each["choices"][0]["finish_reason"]):
            return
        content = each["choices"][0]["delta"].get("content") if each["choices"] else ""
        if content and way.pace:
            await asyncio.sleep(way.pace)
        asked.sent += content or ""
        await line.part(say.event(each))


async def _half(line: Line, asked: Asked, way: Way) -> None:
    if asked.stream:
        await _stream(line, asked, way, way.after)
    else:
        body = _plain(asked, way)
        await line.head(200, say.JSON, len(body))
        await line.part(body[: len(body) // 2])


def _plain(asked: Asked, way: Way) -> bytes:
    return say.encoded(say.completion(asked.body, asked.number, say.words_of(asked.body, asked.number, way.words)))


def _kind(asked: Asked) -> str:
    return say.STREAM if asked.stream else say.JSON


def _id(asked: Asked) -> str:
    return f"req_{asked.number}"
