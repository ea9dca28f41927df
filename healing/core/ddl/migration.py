"""A proposal as a migration file, named as Supabase's command line names them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from healing.core.ddl.remedy import SchemaProposal


def file_name(proposal: SchemaProposal, now: datetime) -> str:
    """``20260131094500_add_metadata_to_activity_logs.sql``; the time in UTC."""
    return f"{now:%Y%m%d%H%M%S}_{proposal.slug}.sql"


def file_text(proposal: SchemaProposal, waiting: str) -> str:
    """The SQL under comments that say what it is for. ``waiting`` is a sentence about what waits for it."""
    evidence = proposal.evidence
    told = [proposal.sentence, waiting, *_under("For:", evidence.get("for")), *_under("Against:", evidence.get("against"))]
    comments = "\n".join(f"-- {_one_line(line)}" for line in told if line)
    return f"{comments}\n\n{proposal.sql}\n"


def _under(title: str, words: object) -> Iterable[str]:
    if isinstance(words, list) and words:
        yield title
        yield from (f"  {word}" for word in words)


def _one_line(text: str) -> str:
    """Nothing that a caller named may end a comment."""
    return "".join(c if c.isprintable() else " " for c in text)
