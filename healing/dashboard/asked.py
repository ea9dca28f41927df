"""What a look at the dashboard asks for, as its URL says it: a stretch of time, a table, a caller."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.utils.http import urlencode
from msgspec import Struct

from metrics.timelines import Only


class Window(Struct, frozen=True):
    """How far back, in which steps, and how a person says it."""

    length: timedelta
    step: timedelta
    said: str


WINDOWS = {
    "1h": Window(timedelta(hours=1), timedelta(minutes=1), "last hour"),
    "24h": Window(timedelta(hours=24), timedelta(minutes=15), "last 24 h"),
    "7d": Window(timedelta(days=7), timedelta(hours=1), "last 7 days"),
    "30d": Window(timedelta(days=30), timedelta(hours=12), "last 30 days"),
}
DEFAULT = "24h"
TREND = Window(timedelta(days=7), timedelta(days=1), "7-day trend")


class Asked(Struct, frozen=True):
    """``now`` is one moment for all that is read for one answer."""

    now: datetime
    last: str = DEFAULT
    table: str = ""
    caller: str = ""

    @property
    def window(self) -> Window:
        """The stretch."""
        return WINDOWS[self.last]

    @property
    def since(self) -> datetime:
        """Its beginning."""
        return self.now - self.window.length

    @property
    def only(self) -> Only:
        """The filter."""
        return Only(self.table, self.caller)

    def query(self, **changes: str) -> str:
        """As a URL's query, with these changes; what is the default is left out."""
        found = {"last": self.last, "table": self.table, "caller": self.caller, **changes}
        return urlencode({name: value for name, value in found.items() if value and (name, value) != ("last", DEFAULT)})


def read(given: Mapping[str, str], now: datetime) -> Asked:
    """What the URL asks for; nonsense is the default."""
    last = given.get("last", "")
    cut = {name: given.get(name, "").replace("\x00", "").strip()[:200] for name in ("table", "caller")}
    return Asked(now, last if last in WINDOWS else DEFAULT, **cut)
