"""What breakers are set to: the rows change here and nowhere else, each function in a transaction of its own.

::

    a person's edit, an override ──> config row, version row ──commit──> publish (Valkey) ──confirmed──> applied_version

Whoever calls records the decision (the audit is a layer above) in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connection, transaction
from msgspec import Struct

from breakers import publish
from breakers.models import BreakerConfig, BreakerConfigVersion
from breakers.models.breaker import FIELDS

CHANNEL, PART = "mendgate_snapshot", "breakers"


class Meanwhile(Exception):
    """Somebody else changed this breaker since the page was opened. Look at it again."""


class Changed(Struct, frozen=True):
    """What an edit did: each field with its old and new value; empty = nothing."""

    row: BreakerConfig
    fields: dict[str, tuple[Any, Any]]

    @property
    def sentence(self) -> str:
        """``timeout 60 → 30, permits 3 → 1``."""
        return ", ".join(f"{name} {said(old)} → {said(new)}" for name, (old, new) in self.fields.items())


def said(value: Any) -> str:
    """A setting's value as a person reads it."""
    if value is None:
        return "never"
    if isinstance(value, list | tuple):
        return " → ".join(f"{step:.0%}" for step in value) or "none"
    return f"{value:g}" if isinstance(value, float) else ("yes" if value else "no") if isinstance(value, bool) else str(value)


@transaction.atomic
def change(pk: int, values: Mapping[str, Any], *, who: str, why: str = "", seen: int | None = None) -> Changed:
    """Sets what a person entered. Raises ``ValidationError`` for what makes no sense, ``Meanwhile`` where the row is no more at version
    ``seen``."""
    row = BreakerConfig.objects.select_for_update().get(pk=pk)
    if seen is not None and row.version != seen:
        raise Meanwhile(Meanwhile.__doc__)
    given = {name: values[name] for name in FIELDS if name in values}
    fields = {name: (getattr(row, name), new) for name, new in given.items() if getattr(row, name) != new}
    described = values.get("description", row.description)
    if not fields and described == row.description and (row.edited or not given):
        return Changed(row, {})
    for name, (_, new) in fields.items():
        setattr(row, name, new)
    row.description, row.edited = described, True
    row.full_clean()
    if not fields:
        row.save(update_fields=["description", "edited", "updated_at"])
        return Changed(row, {})
    next_version(row, who=who, why=why)
    return Changed(row, fields)


def next_version(row: BreakerConfig, *, who: str, why: str = "", override: str | None = None) -> BreakerConfigVersion:
    """Saves a changed (locked) row as its next version and tells everybody after the commit. ``override``: a word that is told once
    (``closed``), where it is not the row's own."""
    row.version += 1
    row.save()
    version = BreakerConfigVersion.objects.create(
        config=row,
        version=row.version,
        settings=row.settings(),
        override=row.override if override is None else override,
        who=who,
        why=why[:500],
    )
    announce(row)
    return version


def announce(row: BreakerConfig) -> None:
    """Tells the web processes (by Postgres), and Valkey once the transaction is through."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, PART])
    transaction.on_commit(lambda: publish.publish_rows([row.pk]), robust=True)
