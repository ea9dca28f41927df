"""Tuned settings of this process: read with the state, told by the same notification, looked up without asking anybody.

The rows are the optimizer's (``optimizer_setting``). Without them, or without the control database, everything is as the code says. A value
that is no sound one is not used.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any

import msgspec

from healing.core.tuned import Trial, Tuned

log = logging.getLogger("mendgate.tuned")

PART = "tuned"
SQL = "SELECT name, place, value::text AS value, trial::text AS trial FROM optimizer_setting WHERE value IS NOT NULL OR trial IS NOT NULL"
Value = float | str | None


class Live:
    """What is tuned. ``clock`` gives Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._rows: dict[tuple[str, str], Tuned] = {}
        self._known: dict[tuple[str, str], tuple[float, Value]] = {}

    def adopt(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Puts rows in force; what is missing falls back to the code's own."""
        rows = {}
        for record in records:
            try:
                rows[record["name"], record["place"]] = read(record["value"], record["trial"])
            except msgspec.MsgspecError as error:
                log.warning("setting %s cannot be read and is left alone: %s", record["name"], error)
        self._rows, self._known = rows, {}

    def number(self, name: str, own: float, place: str = "", low: float = 0.0, high: float = float("inf")) -> float:
        """The number that is set, else ``own``; never outside of ``low`` to ``high``, which are the code's."""
        value = self._value(name, place)
        sound = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        return min(max(float(value), low), high) if sound else own  # type: ignore[arg-type]

    def word(self, name: str, own: str, place: str = "") -> str:
        """The word that is set, else ``own``."""
        value = self._value(name, place)
        return value if isinstance(value, str) else own

    def _value(self, name: str, place: str) -> Value:
        key = (name, place)
        tuned = self._rows.get(key)
        if tuned is None:
            return None
        now = self._clock()
        known = self._known.get(key)
        if known is None or now >= known[0]:
            known = self._known[key] = (tuned.holds_until(now), tuned.at(now))
        return known[1]


def read(value: str | None, trial: str | None) -> Tuned:
    """A row's texts as a value."""
    held = msgspec.json.decode(value) if value is not None else None
    return Tuned(held, msgspec.json.decode(trial, type=Trial) if trial is not None and trial != "null" else None)


live = Live()
"""Of this process."""
