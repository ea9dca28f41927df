"""What may be shown of what users made: shapes instead of values, cleaned texts, and stand-ins for names that look like no name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from msgspec import Struct

from healing.core.match.values import shape
from healing.core.types import Json

MOST_COMMENT = 100
_NAME = re.compile(r"[^\W\d][\w$-]*(?: [\w$-]+){0,3}")
_MOST_NAME = 63
_PLAIN = str.maketrans({"<": "‹", ">": "›", "`": "'", "{": "(", "}": ")", "|": "/"})  # no mark of a chat template survives
_TELLING = {
    "bool": "<true or false>",
    "int": "<integer>",
    "decimal": "<number>",
    "empty": "<empty text>",
    "json_text": "<text with JSON in it>",
    "moment": "<date and time>",
    "number_text": "<digits in a text>",
    "address": "<network address>",
    "null": "<null>",
}


def sample(value: Json) -> str:
    """What a value looks like, in one of few fixed phrases; nothing of the value itself but a length."""
    kind = shape(value)
    match value:
        case dict():
            return f"<object, {_about(len(value))} keys>"
        case list():
            inner = sorted({shape(item) for item in value[:20]})
            return f"<list of {_about(len(value))}{f': {inner[0]}' if len(inner) == 1 else ''}>"
        case str() if kind in ("word", "prose"):
            return f"<{'one word' if kind == 'word' else 'text'}, {_about(len(value))} characters>"
    return _TELLING.get(kind, f"<{kind}>")


def _about(count: int) -> int:
    """Small counts as they are; larger ones by their power of two."""
    return count if count <= 16 else 1 << (count - 1).bit_length()


def clean(text: str, most: int = MOST_COMMENT) -> str:
    """One bounded line without control, format and private characters, and without what chat templates and markup are made of."""
    seen = "".join(c if unicodedata.category(c)[0] not in "CZ" else " " for c in text[: most * 4])
    line = " ".join(seen.translate(_PLAIN).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def is_name(text: str) -> bool:
    """Whether it looks like a name somebody gave to a field, not like a sentence or a value."""
    return len(text) <= _MOST_NAME and _NAME.fullmatch(text) is not None and shape(text) in ("word", "prose")


class Names(Struct, frozen=True):
    """How names are shown: themselves, or a stand-in (``key_1``) for those that look like no name."""

    shown: Mapping[str, str]
    real: Mapping[str, str]

    def show(self, name: str) -> str:
        """The name as the model sees it. A name nobody announced has no place in a prompt."""
        return self.shown.get(name, "(another name)")


def names_of(names: Iterable[str]) -> Names:
    """Stand-ins for all names that need one; they never equal a real name."""
    every = tuple(dict.fromkeys(names))
    taken, shown, number = set(every), dict[str, str](), 0
    for name in every:
        if is_name(name):
            shown[name] = name
            continue
        number += 1
        while f"key_{number}" in taken:
            number += 1
        shown[name] = f"key_{number}"
    return Names(shown, {after: before for before, after in shown.items()})
