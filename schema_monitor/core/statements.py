"""Splits a script into statements by Postgres's lexical rules: quotes, dollar quotes, nested comments, ``BEGIN ATOMIC`` bodies.

Nothing here keeps anybody safe; it makes errors point at a statement, and transaction commands of migration files harmless to paste.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*)
      | (?P<text>\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<dollar>(?<![\w$])\$(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?\$)
      | (?P<end>;)
      | (?P<word>[A-Za-z_][\w$]*)
      | (?P<other>\s+|.)""",
    re.VERBOSE | re.DOTALL,
)
_TRANSACTION = re.compile(r"(?:BEGIN|START\s+TRANSACTION|COMMIT|END)(?:\s+(?:WORK|TRANSACTION))?", re.IGNORECASE)
_CONCURRENTLY = re.compile(
    r"(?P<head>\A\s*(?:CREATE\s+(?:UNIQUE\s+)?INDEX|DROP\s+INDEX|REFRESH\s+MATERIALIZED\s+VIEW))\s+CONCURRENTLY\b", re.IGNORECASE
)


class Statement(Struct, frozen=True):
    """One statement without its semicolon; ``line`` is where it begins, from 1. ``bare`` is it without comments."""

    sql: str
    line: int
    bare: str

    @property
    def is_transaction_command(self) -> bool:
        """BEGIN, COMMIT and the like."""
        return _TRANSACTION.fullmatch(self.bare.strip()) is not None

    @property
    def in_transaction(self) -> str:
        """The text as it may run inside a transaction: CONCURRENTLY left out, which changes nothing of the outcome."""
        return _CONCURRENTLY.sub(r"\g<head>", self.bare, count=1)

    @property
    def summary(self) -> str:
        """Its beginning, on one line."""
        text = " ".join(self.bare.split())
        return text if len(text) <= 80 else text[:79] + "…"


def split(script: str) -> Iterator[Statement]:
    """The statements of a script, in order; empty ones are left out."""
    start, parts, depth, before = 0, list[str](), 0, ""
    at = 0
    while at < len(script):
        found = _TOKEN.match(script, at)
        assert found is not None  # the last branch takes any character
        at, word = found.end(), (found["word"] or "").upper()
        if found["comment"]:
            at = _after_comment(script, found.start())
            parts.append(" ")
            continue
        if found["dollar"]:
            closing = script.find(found["dollar"], at)
            at = len(script) if closing < 0 else closing + len(found["dollar"])
        if found["end"] and depth == 0:
            yield from _statement(script, start, found.start(), parts)
            start, parts = at, []
            continue
        depth = _depth(depth, before, word)
        before = word or (before if found[0].isspace() else "")
        parts.append(script[found.start() : at])
    yield from _statement(script, start, len(script), parts)


def _depth(depth: int, before: str, word: str) -> int:
    """How deep in BEGIN ATOMIC … END, where CASE … END counts too."""
    if word == "ATOMIC" and before == "BEGIN":
        return depth + 1
    if depth and word == "CASE":
        return depth + 1
    return depth - 1 if depth and word == "END" else depth


def _after_comment(script: str, at: int) -> int:
    if script.startswith("--", at):
        end = script.find("\n", at)
        return len(script) if end < 0 else end
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(script, at):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(script)


def _statement(script: str, start: int, end: int, parts: list[str]) -> Iterator[Statement]:
    bare = "".join(parts).strip()
    if bare:
        begins = start + len(script[start:end]) - len(script[start:end].lstrip())
        yield Statement(script[start:end].strip(), script.count("\n", 0, begins) + 1, bare)
