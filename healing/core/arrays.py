"""Postgres array literals (``{a,"b c",NULL,{1,2}}``) read into lists of texts."""

from __future__ import annotations

import re
from typing import Final

from healing.core.types import Json

MOST_DIMENSIONS: Final = 6
"""of a Postgres array; deeper is refused."""
LONGEST: Final = 100_000
"""Characters of a literal that is looked at element by element before a write; that costs some 20 µs each, while others wait."""

_TOKEN = re.compile(r'\s*(?:(?P<brace>[{},])|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>(?:[^{},"\\]|\\.)+))\s*', re.DOTALL)
_BOUNDS = re.compile(r"\s*(?:\[[+-]?\d+(?::[+-]?\d+)?\]\s*)+=\s*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def parse(text: str) -> list[Json] | None:
    """The elements of an array literal as strings, None for NULL, nested lists for more dimensions; None where it is no literal.

    Bounds (``[2:3]={…}``) are skipped: they are no value.
    """
    start = _BOUNDS.match(text)
    stack: list[list[Json]] = [[]]
    position = start.end() if start else 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            return None
        position = token.end()
        if (brace := token["brace"]) == "{":
            stack.append([])
        elif brace == "}":
            if len(stack) < 2:
                return None
            done = stack.pop()
            stack[-1].append(done)
        elif brace is None:
            if len(stack) < 2:
                return None
            stack[-1].append(_element(token))
    if len(stack) != 1 or len(stack[0]) != 1 or not isinstance(stack[0][0], list):
        return None
    return stack[0][0]


def _element(token: re.Match[str]) -> str | None:
    """One element: quotes and backslashes undone; a bare NULL, in any case, is None."""
    if (quoted := token["quoted"]) is not None:
        return _ESCAPE.sub(r"\1", quoted)
    bare = token["bare"].strip(" \t\n\r\f\v")
    return None if bare.upper() == "NULL" else _ESCAPE.sub(r"\1", bare)
