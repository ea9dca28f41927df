"""What a value looks like, and how well it would sit in a column of some type. Cheap and cautious: 0 only where Postgres would
surely refuse it."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from healing.core.types import Json
from schema_monitor.core.snapshot import Column

_UUID = re.compile(r"\{?[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?\Z")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")
_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d+)?)?\Z")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")
_URL = re.compile(r"https?://\S+\Z")
_NUMBER = re.compile(r"-?\d+(\.\d+)?\Z")
_PHONE = re.compile(r"\+?[\d ()./-]{7,20}\Z")
_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}(/\d+)?\Z")

_TEXTS = (
    ("uuid", _UUID),
    ("moment", _MOMENT),
    ("date", _DATE),
    ("time", _TIME),
    ("email", _EMAIL),
    ("url", _URL),
    ("number_text", _NUMBER),
    ("address", _ADDRESS),
    ("phone", _PHONE),
)


def shape(value: Json) -> str:
    """One word for what a value looks like: null bool int decimal array object empty json_text uuid moment … word prose."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, Decimal | float):
        return "decimal"
    if isinstance(value, list):
        return "array"
    if isinstance(value, dict):
        return "object"
    return _text_shape(value) if isinstance(value, str) else "null"


def _text_shape(text: str) -> str:
    text = text[:200].strip()
    if not text:
        return "empty"
    for name, pattern in _TEXTS:
        if pattern.match(text):
            return name
    if text[0] in "[{" and len(text) > 1:
        return "json_text"
    return "prose" if " " in text else "word"


@lru_cache(maxsize=1_024)
def family(base: str, array: bool, enum: bool) -> str:
    """Types that take the same values, in one word."""
    if array:
        return "array"
    if enum:
        return "label"
    return _FAMILIES.get(base, "other")


_FAMILIES = {
    base: name
    for name, bases in {
        "int": "int2 int4 int8 int integer bigint smallint",
        "number": "numeric float4 float8 money decimal",
        "bool": "bool boolean",
        "text": "text varchar bpchar citext name char",
        "uuid": "uuid",
        "json": "json jsonb hstore",
        "moment": "timestamp timestamptz",
        "date": "date",
        "time": "time timetz",
        "interval": "interval",
        "bytes": "bytea",
        "network": "inet cidr",
        "vector": "vector halfvec tsvector",
    }.items()
    for base in bases.split()
}

FAMILIES = frozenset((*_FAMILIES.values(), "array", "label", "other"))

_FIT: dict[str, dict[str, float]] = {
    # 1 = made for it · 0.7 = lands unchanged · 0.4 = lands after a lossless change, or only perhaps · 0 = refused
    "bool": {"bool": 1, "json": 0.4, "text": 0.1},
    "int": {"int": 1, "number": 0.8, "text": 0.25, "json": 0.3},
    "decimal": {"number": 1, "int": 0.2, "text": 0.2, "json": 0.3},
    "array": {"array": 1, "json": 0.9, "vector": 0.6, "text": 0.1},
    "object": {"json": 1, "text": 0.15},
    "empty": {"text": 0.8, "json": 0.3, "label": 0.05},
    "json_text": {"text": 0.8, "json": 0.8, "array": 0.3},
    "uuid": {"uuid": 1, "text": 0.6, "json": 0.1},
    "moment": {"moment": 1, "date": 0.4, "text": 0.35, "json": 0.1, "time": 0.1},
    "date": {"date": 1, "moment": 0.8, "text": 0.4, "json": 0.1},
    "time": {"time": 1, "text": 0.5, "interval": 0.5},
    "email": {"text": 1},
    "url": {"text": 1},
    "number_text": {"text": 0.8, "int": 0.5, "number": 0.5, "json": 0.2, "interval": 0.1},
    "address": {"network": 1, "text": 0.8},
    "phone": {"text": 1},
    "word": {"text": 1, "label": 0.5, "json": 0.1, "bytes": 0.1, "other": 0.3},
    "prose": {"text": 1, "json": 0.1, "other": 0.2},
}
_UNKNOWN = {"text": 0.7, "json": 0.7}


def fit(value_shape: str, column_family: str) -> float:
    """0..1: how well a value of that shape sits in a column of that family. A null says nothing: 0.5 everywhere."""
    if value_shape == "null":
        return 0.5
    return _FIT.get(value_shape, _UNKNOWN).get(column_family, 0.3 if column_family == "other" else 0.0)


def fits_labels(value: Json, labels: tuple[str, ...] | None) -> float:
    """1 where the column is free or takes exactly this value, else 0: a column limited to a list wants its words."""
    return 1.0 if labels is None or value is None or value in labels else 0.0


def too_long(value: Json, column: Column) -> bool:
    """A text that the column's declared length would refuse."""
    return isinstance(value, str) and column.length is not None and len(value) > column.length


_SAY_BOOL = frozenset(["is", "has", "had", "can", "was", "should", "enable", "enabled", "allow", "use", "requires"])
"""first words of names of flags"""
_AFTER_ANOTHER = {"at": "moment", "on": "moment", "timestamp": "moment", "until": "moment", "since": "moment", "by": "uuid"}
"""last words that suggest something only where another stands before them"""
_LAST = {
    word: kind
    for kind, words in {
        "bool": "enabled active visible flag",
        "moment": "date day birthdate datetime time",
        "uuid": "id uuid",
        "array": "ids tags keywords list",
        "json": "metadata json data payload configuration settings options attributes context details",
        "number": "count quantity total amount price cost fee rate score percent number minutes seconds hours days order position size "
        "latitude longitude weight cents budget balance index",
        "text": "name title description text url email phone slug code notes note message body content status type reason path key token "
        "label address city",
    }.items()
    for word in words.split()
}


def hinted(words: tuple[str, ...]) -> str:
    """The family that a name suggests by itself (``is_done`` bool, ``paid_at`` moment), '' where it suggests none."""
    if not words:
        return ""
    last = words[-1]
    if words[0] in _SAY_BOOL:
        return "bool"
    if len(words) > 1 and last in _AFTER_ANOTHER:
        return _AFTER_ANOTHER[last]
    return _LAST.get(last, "")


_NEAR = {
    "moment": ("moment", "date", "time"),
    "number": ("number", "int"),
    "uuid": ("uuid", "int"),
    "text": ("text", "label"),
    "array": ("array", "json"),
    "json": ("json",),
    "bool": ("bool",),
}


def hint_fit(hint: str, column_family: str) -> float:
    """1 the name suggests that family, 0 another, 0.5 nothing known."""
    if not hint:
        return 0.5
    return 1.0 if column_family in _NEAR[hint] else 0.0
