"""The calls that a source file makes, as values. What cannot be seen in the source is said to be unseen, never guessed."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from healing.core.types import Json


class Place(Struct, frozen=True, order=True):
    """Where something stands: path below the scanned folder, line and column from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Via(StrEnum):
    """Which way a call takes now."""

    DIRECT = "direct"
    """straight to the database or the provider."""
    GATEWAY = "gateway"
    """through Mendgate: it was moved."""
    SETTING = "setting"
    """its address is a setting of the function: one change of the setting moves it."""
    PASSED = "passed"
    """the client was handed in from elsewhere: it goes where that one goes."""
    ELSEWHERE = "elsewhere"
    """to another project's database, or to a place that cannot be seen: not ours to move, and not judged."""


class Guess(Struct, frozen=True):
    """What an expression may yield. ``values`` are those that the source spells out; ``kind`` is the type of what else it may yield
    ('' = unseen), see ``EXAMPLES``; ``absent``: it may be undefined, so the key is not sent then; ``sure``: nothing but ``values``."""

    values: tuple[Json, ...] = ()
    kind: str = ""
    absent: bool = False
    sure: bool = False


UNSEEN = Guess()


class Key(Struct, frozen=True):
    """A key of a payload. ``maybe``: it is not in every row that is sent."""

    name: str
    value: Guess
    place: Place
    maybe: bool = False


class Payload(Struct, frozen=True):
    """The keys of one row. ``whole``: these are all; else there may be more (a spread of something unseen)."""

    keys: tuple[Key, ...] = ()
    whole: bool = True

    def names(self) -> frozenset[str]:
        """All keys that are, or may be, sent."""
        return frozenset(key.name for key in self.keys)


class Use(Struct, frozen=True):
    """A column that is named outside of the payload. ``how``: filter | order | conflict; the text as the source has it."""

    how: str
    name: str
    place: Place
    operator: str = ""
    value: Guess = UNSEEN


class DataCall(Struct, frozen=True):
    """One call of the data API. ``operation``: select | insert | upsert | update | delete | rpc. ``schema`` '' = the default one;
    ``table`` (of rpc: the function) None = unseen. ``payloads`` None = unseen; for rpc they are the arguments."""

    place: Place
    operation: str
    table: str | None
    schema: str | None = ""
    via: Via = Via.PASSED
    payloads: tuple[Payload, ...] | None = None
    batch: bool = False
    """the rows are sent as an array: a key that one row lacks becomes NULL there."""
    defaults: bool = False
    """``defaultToNull: false``: it becomes the default instead."""
    ignores: bool = False
    """``ignoreDuplicates: true``."""
    select: str | None = None
    """the select list, where it is spelled out."""
    select_place: Place | None = None
    uses: tuple[Use, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether it changes rows (what a function does is not known)."""
        return self.operation in ("insert", "upsert", "update", "delete")


class AiCall(Struct, frozen=True):
    """One call of an AI service. ``dialect``: openai (the gateway speaks it) | other (a breaker is all it can get here)."""

    place: Place
    provider: str
    """lovable-ai, openai, anthropic …: also the breaker's name."""
    dialect: str
    how: str
    """fetch | sdk."""
    via: Via = Via.DIRECT


class Client(Struct, frozen=True):
    """A client that is made here."""

    place: Place
    via: Via
    why: str = ""
    """why it is not moved, where it is not."""


class Unread(Struct, frozen=True):
    """A file, or a part of one, that could not be read."""

    place: Place
    why: str


class FileCalls(Struct, frozen=True):
    """Everything of one file. ``imports``: files below the folder that it imports, as paths like its own."""

    path: str
    data: tuple[DataCall, ...] = ()
    ai: tuple[AiCall, ...] = ()
    clients: tuple[Client, ...] = ()
    imports: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()
    webhook: bool = False
    """an outside service or a clock calls it: nobody tries again by hand."""


EXAMPLES: dict[str, Json] = {
    "moment": "2026-01-02T03:04:05.678Z",
    "date": "2026-01-02",
    "epoch": 1767323045678,
    "int": 1,
    "bool": True,
    "uuid": "8f14e45f-ceea-467f-a8f3-2d9a4a0b1c11",
    "object": {},
    "array": [],
}
"""A value of each kind that an expression can be seen to have."""
