"""The ``Prefer`` header (RFC 7240): PostgREST's preferences and our own."""

from __future__ import annotations

import re
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

CHOICES: dict[str, tuple[str, ...]] = {
    "return": ("minimal", "representation", "headers-only"),
    "resolution": ("merge-duplicates", "ignore-duplicates"),
    "missing": ("default", "null"),
    "count": ("exact", "planned", "estimated"),
    "handling": ("strict", "lenient"),
    "tx": ("commit", "rollback"),
    "healing": ("off", "exact", "approved", "partial"),
    "quarantine": ("accept",),
}
_DIGITS = re.compile(r"[0-9]{1,18}")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_LONGEST_ZONE = 64
_NO_ZONES = ("posix/", "right/", "posixrules", "localtime")
"""Files beside the zones, which Postgres does not know by these names."""


class Preferences(Struct, frozen=True):
    """What the caller prefers. Where one is given twice, the first counts."""

    representation: str | None = None
    """'minimal' | 'representation' | 'headers-only' | None."""
    resolution: str | None = None
    missing: str | None = None
    count: str | None = None
    handling: str | None = None
    max_affected: int | None = None
    tx: str | None = None
    timezone: str | None = None
    healing: str | None = None
    """'off' | 'exact' | 'approved' | None."""
    partial: bool = False
    """``healing=partial``: rows that fit may land without those that do not."""
    quarantine: str | None = None
    wait: float | None = None
    unknown: tuple[str, ...] = ()

    @property
    def strict(self) -> bool:
        """Unknown preferences are an error, and ``max-affected`` counts."""
        return self.handling == "strict"

    @property
    def missing_default(self) -> bool:
        """A key left out means the column's default, not NULL."""
        return self.missing == "default"

    @property
    def full(self) -> bool:
        """The rows are wanted in the answer."""
        return self.representation == "representation"


NONE = Preferences()


def parse_preferences(header: str | None) -> Preferences:
    """The preferences of one header (several are joined by commas)."""
    if not header:
        return NONE
    given = [part.strip() for part in header.split(",") if part.strip()]
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in given)]
    chosen = {name: _first(pairs, name) for name in CHOICES if name != "healing"}
    healing = [value for name, value in pairs if name == "healing" and value in CHOICES["healing"]]
    return Preferences(
        chosen["return"],
        chosen["resolution"],
        chosen["missing"],
        chosen["count"],
        chosen["handling"],
        _affected(pairs),
        chosen["tx"],
        next((value for name, value in pairs if name == "timezone" and is_zone(value)), None),
        next((value for value in healing if value != "partial"), None),
        "partial" in healing,
        chosen["quarantine"],
        _wait(pairs),
        tuple(part for part, (name, value) in zip(given, pairs, strict=True) if not _known(name, value)),
    )


def is_zone(name: str) -> bool:
    """Whether there is such a time zone. Others are no preference, as in PostgREST."""
    return len(name) < _LONGEST_ZONE and _is_zone(name)


@lru_cache(maxsize=1000)
def _is_zone(name: str) -> bool:
    try:
        return not name.startswith(_NO_ZONES) and bool(ZoneInfo(name))
    except (ValueError, OSError, KeyError):
        return False


def _first(pairs: list[tuple[str, str]], name: str) -> str | None:
    return next((value for key, value in pairs if key == name and value in CHOICES[name]), None)


def _known(name: str, value: str) -> bool:
    if name == "timezone":
        return is_zone(value)
    if name == "max-affected":
        return bool(value)
    if name == "wait":
        return _SECONDS.fullmatch(value) is not None
    return value in CHOICES.get(name, ())


def _affected(pairs: list[tuple[str, str]]) -> int | None:
    text = next((value for name, value in pairs if name == "max-affected"), "")
    return int(text) if _DIGITS.fullmatch(text) else None


def _wait(pairs: list[tuple[str, str]]) -> float | None:
    text = next((value for name, value in pairs if name == "wait"), "")
    return float(text) if _SECONDS.fullmatch(text) else None
