"""Changes of a text at exact places, and the unified diff that says them. What is not edited keeps every character."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from msgspec import Struct

CONTEXT = 3


class Edit(Struct, frozen=True, order=True):
    """Characters ``start`` to ``end`` become ``text``; an insertion where both are equal."""

    start: int
    end: int
    text: str


class Clash(ValueError):
    """Two edits touch the same characters."""


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text after all edits. Insertions at one place keep the order they come in. Raises ``Clash``."""
    parts: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda e: (e.start, e.end)):
        if edit.start < at:
            raise Clash(f"two edits at {edit.start}")
        parts += (text[at : edit.start], edit.text)
        at = edit.end
    return "".join((*parts, text[at:]))


def unified(path: str, before: str | None, after: str) -> str:
    """The diff of one file as ``git apply`` takes it; '' where nothing changes. ``before`` None: the file is new."""
    if before == after:
        return ""
    old, new = lines(before or ""), lines(after)
    head = [f"diff --git a/{path} b/{path}\n"] + (["new file mode 100644\n"] if before is None else [])
    names = ("/dev/null" if before is None else f"a/{path}", f"b/{path}")
    body = difflib.unified_diff(old, new, *names, n=CONTEXT)
    return "".join((*head, *_ended(body)))


def lines(text: str) -> list[str]:
    """The lines with their ends. Only ``\\n`` ends a line, as git has it."""
    found = text.split("\n")
    return [line + "\n" for line in found[:-1]] + ([found[-1]] if found[-1] else [])


def _ended(body: Iterable[str]) -> Iterator[str]:
    """With git's mark where the last line of a file has no end."""
    for line in body:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
