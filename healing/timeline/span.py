"""The stretch of time that a page looks at, as its URL says it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec import Struct

PRESETS = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
DEFAULT = "24h"
_TICKS = tuple(
    timedelta(seconds=s) for s in (2, 10, 30, 60, 300, 900, 1800, 3600, 7200, 14400, 43200, 86400, 172800, 604800, 2592000, 31536000)
)
_LABEL = 0.02
"""Half a label's width: one nearer to the edge would be cut off."""
SHORTEST = timedelta(seconds=10)
"""What a page can show at least."""
_FORM = "%Y-%m-%dT%H:%M:%S"


class Span(Struct, frozen=True):
    """From (in) to (out). ``preset`` is the word of a stretch that ends now, or ''."""

    start: datetime
    end: datetime
    preset: str = ""

    @property
    def length(self) -> timedelta:
        """How long."""
        return self.end - self.start

    def where(self, moment: datetime) -> float:
        """0 at the start, 1 at the end."""
        return (moment - self.start) / self.length

    def earlier(self) -> dict[str, str]:
        """URL parameters of the stretch before."""
        return _asked(self.start - self.length, self.start)

    def later(self) -> dict[str, str]:
        """URL parameters of the stretch after."""
        return _asked(self.end, self.end + self.length)

    def closer(self, around: datetime) -> dict[str, str]:
        """URL parameters of a quarter of it, around a moment."""
        half = max(self.length / 8, SHORTEST / 2)
        return _asked(around - half, around + half)

    def parameters(self) -> dict[str, str]:
        """URL parameters of itself."""
        return {"last": self.preset} if self.preset else _asked(self.start, self.end)

    def ticks(self) -> list[tuple[float, str]]:
        """Round moments with their labels, some six of them."""
        step = next((s for s in _TICKS if self.length / s <= 8), _TICKS[-1])
        zero = datetime(2001, 1, 1, tzinfo=UTC)  # a Monday
        at = zero + ((self.start - zero) // step + 1) * step
        marks = []
        while at < self.end:
            if self.where(at) > _LABEL:
                marks.append((self.where(at), _label(at, step)))
            at += step
        return marks


def read(last: str, start: str, end: str, now: datetime, oldest: datetime | None = None) -> Span:
    """The stretch of ``?last=`` or ``?from=&to=`` (UTC); what cannot be read is the default: a day, or less where all there is
    (``oldest``) fits into less. Never empty."""
    begin, until = _moment(start), _moment(end)
    if begin is None and until is None:
        preset = last if last in PRESETS else _default(now, oldest)
        return Span(now - PRESETS[preset], now, preset)
    until = until or now
    begin = begin or until - PRESETS[DEFAULT]
    if begin > until:
        begin, until = until, begin
    return Span(begin, max(until, begin + SHORTEST))


def _default(now: datetime, oldest: datetime | None) -> str:
    short = (name for name, length in PRESETS.items() if oldest is not None and length <= PRESETS[DEFAULT] and now - oldest <= length)
    return next(short, DEFAULT)


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if 2000 <= found.year <= 2100 else None


def _asked(start: datetime, end: datetime) -> dict[str, str]:
    return {"from": start.strftime(_FORM), "to": end.strftime(_FORM)}


def _label(at: datetime, step: timedelta) -> str:
    if step >= timedelta(days=1):
        return at.strftime("%d %b")
    if step >= timedelta(minutes=1):
        return at.strftime("%d %b") if (at.hour, at.minute) == (0, 0) else at.strftime("%H:%M")
    return at.strftime("%H:%M:%S")
