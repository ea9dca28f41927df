"""Tells Valkey, and through it every process, what Postgres says of breakers; and remembers what Valkey has confirmed.

What only the code asks for is told to nobody: each process has its own code. Telling again is harmless: a version that is known does
nothing, so the sweep tells everything (Valkey may have been away, or have come back empty).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils import timezone

from breakers import registry, stored
from breakers.core.types import Settings, State
from breakers.models import BreakerConfig
from breakers.models.breaker import FIELDS

PATIENCE = 0.4
"""Seconds that a page waits for Valkey's word."""
_LOOK = 0.01
_STATES = {word: State(word) for word in ("forced_open", "disabled", "closed")}


def settings_of(kept: Mapping[str, Any], version: int) -> Settings:
    """A row's or a version's fields as the breaker takes them."""
    fields = {name: kept[name] for name in FIELDS}
    return Settings(**{**fields, "ramp": tuple(fields["ramp"])}, version=version)


def told() -> Any:
    """The rows that others must know: a person had a hand in them."""
    return BreakerConfig.objects.filter(version__gt=1)


def publish_rows(ids: Iterable[int] | None = None, patience: float = PATIENCE) -> int:
    """Tells these rows (default: all), waits a little, and notes what is confirmed. Returns how many are not."""
    rows = list(told() if ids is None else told().filter(pk__in=ids))
    known = stored.versions()
    for row in rows:
        _apply(row, known)
    waiting, ends = {row.pk: row for row in rows}, time.monotonic() + patience
    while True:
        for row in list(waiting.values()):
            if _confirmed(row):
                _note(waiting.pop(row.pk))
        if not waiting or time.monotonic() >= ends:
            return len(waiting)
        time.sleep(_LOOK)


def load() -> int:
    """Puts in force in this process what Postgres says, without waiting for Valkey; before it starts to work."""
    rows = list(told())
    known = stored.versions()
    for row in rows:
        _apply(row, known)
    return len(rows)


def _apply(row: BreakerConfig, known: Mapping[str, int]) -> None:
    override, why = row.override, row.override_why
    if row.pending:
        last = row.versions.filter(version=row.version).first()
        override, why = (last.override, last.why) if last is not None else (override, why)
    stored.apply(row.name, settings_of(row.settings(), row.version), _STATES.get(override), why, known)


def _confirmed(row: BreakerConfig) -> bool:
    view = registry.get(row.name).view()
    return view.shared and not view.pending and view.config_version >= row.version


def _note(row: BreakerConfig) -> None:
    if row.pending:
        BreakerConfig.objects.filter(pk=row.pk, version=row.version).update(applied_version=row.version, applied_at=timezone.now())
