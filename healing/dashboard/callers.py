"""Callers: what each key sends, what of it does not fit, which former names it still uses, and when it was last seen."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count
from msgspec import Struct

from healing.models import ApiKey, QuarantineItem
from schema_monitor.core.traffic import OldUse, RecentShape
from schema_monitor.traffic import DAYS, old_names, recent_shapes

MOST_NAMES = 6
"""Names that are shown of one caller; the rest is a number."""


class Misfit(Struct, frozen=True):
    """A shape that did not fit: the table, what was sent, how often."""

    place: str
    keys: str
    count: int


class Caller(Struct, frozen=True):
    """``key`` is the id of an API key, or None for callers with a token only, who are one by role. Counts are of the last days;
    ``waiting`` is now. ``value`` is what the dashboard's filter calls it."""

    key: str | None
    name: str
    role: str
    value: str
    state: str
    requests: int
    rows: int
    misfits: int
    healed: int
    waiting: int
    stale: tuple[str, ...]
    more_stale: int
    uses: int
    worst: tuple[Misfit, ...]
    last_at: datetime | None

    @property
    def share(self) -> float:
        """Of the requests, those that did not fit as sent."""
        return self.misfits / self.requests if self.requests else 0.0


def callers(days: int = DAYS) -> list[Caller]:
    """Those with most misfits first; keys that sent nothing are last, and there."""
    shapes, uses = recent_shapes(days), old_names(days)
    waits = _waiting()
    keys = {str(key.pk): key for key in ApiKey.objects.all()}
    sent = [*((s.key, s.role) for s in shapes), *((u.key, u.role) for u in uses)]
    who = dict.fromkeys([*sent, *((pk, key.role) for pk, key in keys.items())])
    found = [_caller(key, role, shapes, uses, keys.get(key or ""), waits.get(key or role, 0)) for key, role in who]
    return sorted(found, key=lambda caller: (-caller.misfits - caller.uses, -caller.requests, caller.name))


def _caller(key: str | None, role: str, shapes: list[RecentShape], uses: list[OldUse], row: ApiKey | None, waiting: int) -> Caller:
    own = [s for s in shapes if (s.key, s.role) == (key, role)]
    old = [u for u in uses if (u.key, u.role) == (key, role)]
    names = list(dict.fromkeys(u.name for u in old))
    names_given = [s.caller for s in own] + [u.caller for u in old]
    name = row.name if row else next(filter(None, names_given), role)
    moments: list[datetime] = [at for at in (*(s.last_at for s in own), *(u.last_at for u in old), row.last_used_at if row else None) if at]
    return Caller(
        key=key if row else None, name=name, role=role, value=key or role, state=_state(row),
        requests=_sum(own, "requests"), rows=_sum(own, "rows"),
        misfits=_sum(own, "misfits"), healed=_sum(own, "healed"), waiting=waiting, stale=tuple(names[:MOST_NAMES]),
        more_stale=max(0, len(names) - MOST_NAMES), uses=sum(u.uses for u in old), worst=_worst(own), last_at=max(moments, default=None),
    )  # fmt: skip


def _worst(shapes: list[RecentShape]) -> tuple[Misfit, ...]:
    bad = sorted((s for s in shapes if s.misfits), key=lambda s: -s.misfits)[:3]
    return tuple(Misfit(f"{s.schema}.{s.name}", ", ".join(s.keys), s.misfits) for s in bad)


def _waiting() -> dict[str, int]:
    items = QuarantineItem.objects.filter(state__in=("waiting", "parked")).order_by()
    rows = items.values_list("key", "role").annotate(n=Count("pk"))
    found: dict[str, int] = {}
    for key, role, count in rows:
        found[str(key) if key else role] = found.get(str(key) if key else role, 0) + count
    return found


def _state(row: ApiKey | None) -> str:
    if row is None:
        return "token"
    return "revoked" if row.revoked_at else "active"


def _sum(rows: list[Any], name: str) -> int:
    return sum(getattr(row, name) for row in rows)
