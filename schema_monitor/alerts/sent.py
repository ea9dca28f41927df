"""How an attempt to deliver went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import msgspec

from schema_monitor.core.retry import LONGEST_RETRY_AFTER


class Sent(msgspec.Struct, frozen=True):
    """``status`` is HTTP's, or (``mail``) SMTP's; ``pause`` what the other side asked for; ``gone``: it never wants to hear from us again;
    ``held``: it was not tried, its destination is left alone for now."""

    ok: bool
    status: int | None = None
    error: str = ""
    pause: timedelta | None = None
    gone: bool = False
    milliseconds: int | None = None
    mail: bool = False
    held: bool = False

    def after(self, seconds: float) -> Sent:
        """The same with how long it took."""
        return msgspec.structs.replace(self, milliseconds=round(seconds * 1000))


def retry_after(value: str | None) -> timedelta | None:
    """The header in either of its forms; None where there is none that can be read. At most a day."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=min(int(text[:9]), 10**6)), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(moment - datetime.now(UTC), timedelta(0)), LONGEST_RETRY_AFTER)
