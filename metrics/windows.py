"""Stretches of time as people write them: ``15m``, ``24h``, ``7d``."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MOST = timedelta(days=800)


class NoWindow(ValueError):
    """The text is no stretch of time; the message says what is."""


def parse(text: str) -> timedelta:
    """A stretch of time, at most 800 days. Raises ``NoWindow``."""
    found = re.fullmatch(r"([1-9]\d{0,4})([mhdw])", text.strip())
    if found is None:
        raise NoWindow(f"{text[:20]!r} is no window: write a number and m, h, d or w, like 15m, 24h or 7d")
    window = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if window > MOST:
        raise NoWindow(f"{text} is too long: at most 800d are kept")
    return window
