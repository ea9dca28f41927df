"""A whole answer with status 200: is it one?"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from breakers.core.ai.tokens import Tokens, tokens_of
from breakers.core.ai.verdict import Verdict, failure, of_error


class Whole(Struct, frozen=True):
    """A valid answer: what it used (None: it does not say), and how much it said (bytes, where nobody counted tokens)."""

    usage: Tokens | None
    size: int = 0


class _Answer(Struct):
    choices: Any = None
    data: Any = None
    usage: Any = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Answer)


def read_whole(body: bytes, *, embeddings: bool = False) -> Whole | Verdict:
    """The answer, or the verdict on what came instead of one."""
    if not body.strip():
        return failure("empty body")
    try:
        answer = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return failure("HTML" if body.lstrip()[:1] == b"<" else "no JSON")
    if answer.error:
        return of_error(answer.error)
    parts = answer.data if embeddings else answer.choices
    if not isinstance(parts, list) or not parts:
        return failure("no data" if embeddings else "empty choices")
    if not embeddings and not all(isinstance(choice, dict) and isinstance(choice.get("message"), dict) for choice in parts):
        return failure("a choice without a message")
    return Whole(tokens_of(answer.usage), len(body))


def content_of(body: bytes) -> str:
    """The text of the first choice; '' where it has none."""
    try:
        choice = msgspec.json.decode(body)["choices"][0]
        content = choice["message"]["content"]
    except (msgspec.DecodeError, RecursionError, KeyError, IndexError, TypeError):
        return ""
    return content if isinstance(content, str) else ""
