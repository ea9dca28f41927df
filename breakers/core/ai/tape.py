"""A streamed answer as it passes by: what may go on to the caller, when it has really begun, and how it ended."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from breakers.core.ai.sse import Event, Reader, TooLong
from breakers.core.ai.tokens import Tokens, tokens_of
from breakers.core.ai.verdict import Verdict, failure, of_error

MOST_HELD = 256 * 1024
DONE = b"[DONE]"


class _Chunk(Struct):
    choices: Any = None
    usage: Any = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Chunk)


class Tape:
    """``begun``: valid content came; before that nothing is given out. ``done``: [DONE] came. ``broken``: what went wrong instead.
    ``pieces`` counts chunks with content, ``said`` their characters.

    Without [DONE] an answer is whole only where every choice said how it ended, and the connection was closed in order."""

    def __init__(self, *, hide_usage: bool) -> None:
        self.begun = False
        self.done = False
        self.broken: Verdict | None = None
        self.usage: Tokens | None = None
        self.pieces = self.said = 0
        self._hide_usage = hide_usage
        self._open: set[object] = set()  # choices that have begun and not ended
        self._reader = Reader()
        self._held: list[bytes] = []
        self._held_size = 0

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.done or self.broken is not None

    def take(self, chunk: bytes) -> bytes:
        """Reads on; what may go to the caller now."""
        try:
            return self._pass(self._reader.feed(chunk))
        except TooLong:
            self.broken = failure("an event is too long")
            return b""

    def end(self) -> bytes:
        """The connection was closed; what may still go to the caller."""
        last = self._pass(event for event in self._reader.end() if event.data == DONE) if not self.over else b""
        if not self.over and self.begun and not self._open:
            self.done = True  # some services leave the last line out
            return last + b"data: " + DONE + b"\n\n"
        if not self.over:
            self.broken = failure("truncated: no [DONE]" if self.begun else "empty stream")
        return last

    def _pass(self, events: Any) -> bytes:
        out = []
        for event in events:
            if self.over:
                break
            if self._keep(event):
                out.append(b"data: " + event.data.replace(b"\n", b"\ndata: ") + b"\n\n")
        return self._hold(b"".join(out))

    def _hold(self, out: bytes) -> bytes:
        if self.begun:
            if self._held:
                out = b"".join(self._held) + out
                self._held = []
            return out
        self._held_size += len(out)
        if self._held_size > MOST_HELD:
            self.broken = failure("no content")
        elif out:
            self._held.append(out)
        return b""

    def _keep(self, event: Event) -> bool:
        """Whether the caller is to have this event."""
        if event.data == DONE:
            self.done = self.begun
            self.broken = None if self.begun else failure("no content before [DONE]")
            return self.done
        try:
            chunk = _decoder.decode(event.data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self.broken = failure("a chunk is no JSON")
            return False
        if chunk.error or event.name == b"error":
            self.broken = of_error(chunk.error or {"message": "error event"})
            return False
        used = tokens_of(chunk.usage)
        self.usage = used or self.usage
        if not chunk.choices:
            return not (self._hide_usage and chunk.usage is not None)
        self._look(chunk.choices)
        return True

    def _look(self, choices: Any) -> None:
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            self.broken = failure("choices that are none")
        elif any(_has_content(choice) for choice in choices):
            self.begun = True
            self.pieces += 1
            for choice in choices:
                self.said += _said(choice.get("delta"))
                (self._open.discard if choice.get("finish_reason") else self._open.add)(str(choice.get("index", 0)))


def _has_content(choice: dict[str, Any]) -> bool:
    """A role alone is none: it costs the provider nothing and comes before it begins to think. An end is one."""
    delta = choice.get("delta")
    if choice.get("finish_reason"):
        return True
    return isinstance(delta, dict) and any(value for name, value in delta.items() if name != "role")


def _said(delta: Any) -> int:
    """Characters of text, and of what tools are called with."""
    if not isinstance(delta, dict):
        return 0
    calls = delta.get("tool_calls")
    return sum(len(each) for name, each in delta.items() if isinstance(each, str) and name != "role") + (len(str(calls)) if calls else 0)
