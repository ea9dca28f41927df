"""``limit``, ``offset`` and the ``Range`` header, merged as PostgREST merges them."""

from __future__ import annotations

import re

from msgspec import Struct

from healing.gateway.errors import range_error

LARGEST = 2**63 - 1
_INTEGER = re.compile(r"\s*-?[0-9]+\s*")
_HEADER = re.compile(r"([0-9]+)-([0-9]*)")


class Range(Struct, frozen=True):
    """Which rows: ``offset`` from 0, ``limit`` None = all that follow."""

    offset: int = 0
    limit: int | None = None

    @property
    def everything(self) -> bool:
        """Nothing is cut off."""
        return self.offset == 0 and self.limit is None


ALL = Range()


def parse_number(text: str) -> int | None:
    """An integer, or None for what is none: PostgREST ignores such a limit."""
    if not text.isascii() or _INTEGER.fullmatch(text) is None or len(text) > 40:
        return None
    return max(-1, min(int(text), LARGEST))


def from_query(limit: str | None, offset: str | None) -> Range:
    """The range that the query string asks for. Below zero is PGRST103."""
    rows = None if limit is None else parse_number(limit)
    start = 0 if offset is None else parse_number(offset) or 0
    if rows is not None and rows < 0:
        raise range_error("Limit should be greater than or equal to zero.")
    if start < 0:
        raise range_error("Offset should be greater than or equal to zero.")
    return Range(start, rows)


def with_header(asked: Range, header: str | None) -> Range:
    """``asked`` cut by a ``Range: 0-9`` header; another form of the header is ignored."""
    found = _HEADER.fullmatch(header.strip()) if header else None
    if found is None or len(found[0]) > 40:
        return asked
    first = int(found[1])
    last = int(found[2]) if found[2] else None
    if last is not None and last < first:
        raise range_error("The lower boundary must be lower than or equal to the upper boundary in the Range header.")
    if asked.limit == 0:
        return asked
    return _intersection(asked, first, last)


def _intersection(asked: Range, first: int, last: int | None) -> Range:
    start = min(max(asked.offset, first), LARGEST)
    ends = [end for end in (last, None if asked.limit is None else asked.offset + asked.limit - 1) if end is not None]
    if not ends:
        return Range(start)
    if min(ends) < start:
        raise range_error("Limit should be greater than or equal to zero.")
    return Range(start, min(min(ends) - start + 1, LARGEST))
