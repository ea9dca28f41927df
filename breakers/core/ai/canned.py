"""Answers for when nobody else can answer, in the shape that was asked for. Their ``model`` says what they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

import msgspec

MODEL = "mendgate-canned"
_DONE = b"data: [DONE]\n\n"


class Row(Protocol):
    """A canned answer; see the snapshot."""

    @property
    def model(self) -> str: ...
    @property
    def contains(self) -> str: ...
    @property
    def content(self) -> str: ...


R = TypeVar("R", bound=Row)


def choose(rows: Iterable[R], model: str, said: str) -> R | None:
    """The row that says most about this question: its words, then its model, then the first."""
    lower = said.lower()
    fits = [row for row in rows if row.model in ("", model) and (not row.contains or row.contains.lower() in lower)]
    return max(fits, key=lambda row: (len(row.contains) > 0, bool(row.model), len(row.contains)), default=None)


def completion(content: str, id: str, created: int) -> bytes:
    """As a whole answer. It used no tokens."""
    message = {"role": "assistant", "content": content, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return msgspec.json.encode({**_head("chat.completion", id, created), "choices": [choice], "usage": _USAGE})


def stream(content: str, id: str, created: int, *, wants_usage: bool) -> bytes:
    """As a stream, whole."""
    head = _head("chat.completion.chunk", id, created)
    steps: list[tuple[dict[str, Any], str | None]] = [
        ({"role": "assistant", "content": ""}, None),
        ({"content": content}, None),
        ({}, "stop"),
    ]
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}]} for delta, end in steps]
    if wants_usage:
        chunks.append({**head, "choices": [], "usage": _USAGE})
    return b"".join(b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks) + _DONE


_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def _head(kind: str, id: str, created: int) -> dict[str, Any]:
    return {"id": id, "object": kind, "created": created, "model": MODEL}
