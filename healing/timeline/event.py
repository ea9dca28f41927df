"""One thing that happened, as the timeline shows it."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

SEVERITIES = ("critical", "high", "medium", "low")
LANES = (*SEVERITIES, "kept", "rule", "replay")
"""From top to bottom: changes by severity, writes that were kept, rules, replays."""
TITLES = {"kept": "kept writes", "rule": "rules", "replay": "replays"}
Place = tuple[str, str]
"""(schema, relation)"""


class Event(Struct, frozen=True):
    """``word`` says what it is in a word or two, ``state`` its colour's word; ``count`` how many things it stands for; ``until``
    is the end of what lasted. ``cause`` is (signature) for kept writes and rules, ``names`` what a change renamed or touched."""

    id: str
    lane: str
    kind: str
    at: datetime
    place: Place
    sentence: str
    link: str
    word: str
    state: str
    until: datetime | None = None
    count: int = 1
    cause: str = ""
    names: frozenset[str] = frozenset()
    breaks: bool = False
    parent: str = ""
    """id of the event that this one is known to follow from."""


class Link(Struct, frozen=True):
    """``after`` followed from ``before``: both ids."""

    before: str
    after: str
