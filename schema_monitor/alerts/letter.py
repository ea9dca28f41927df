"""What a message says, before any channel gives it a form: read once from the database, then only values."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse
from msgspec import Struct

from schema_monitor.alerts.models import AlertMessage
from schema_monitor.core.alert_words import next_step, who_is_hit
from schema_monitor.core.severity import LEVELS
from schema_monitor.models import SchemaChange, SchemaVersion


class Told(Struct, frozen=True):
    """One change, in words and facts."""

    id: int
    kind: str
    severity: str
    schema: str
    relation: str
    object: str
    sentence: str
    old: Any
    new: Any
    breaks_old_writers: bool
    breaks_old_readers: bool
    inferred: bool
    by: str | None
    application: str | None
    statement: str | None
    hits: Any
    who: str
    """Who is hit, in a sentence; '' where nothing is known."""
    step: str
    """What to do next, in a sentence."""
    url: str


class Letter(Struct, frozen=True):
    """One message; no changes = a test."""

    reference: str
    subscription: str
    at: datetime
    epoch: int | None
    target: str
    url: str
    changes: tuple[Told, ...]

    @property
    def worst(self) -> str:
        """The worst severity in it."""
        return max((change.severity for change in self.changes), key=LEVELS.index, default=LEVELS[0])

    @property
    def by_severity(self) -> tuple[Told, ...]:
        """The worst first."""
        return tuple(sorted(self.changes, key=lambda change: -LEVELS.index(change.severity)))


def letter_of(message: AlertMessage) -> Letter:
    """What this message says. The same at every attempt, as far as the rows are."""
    version, changes = message.version, _changes(message)
    return Letter(
        reference=message.reference,
        subscription=message.subscription.name,
        at=version.taken_at if version else message.made_at,
        epoch=version.epoch if version else None,
        target=_target(version),
        url=_link("schemaversion", version.pk) if version else _link("schemasubscription", message.subscription_id),
        changes=tuple(told(change) for change in changes),
    )


def told(change: SchemaChange) -> Told:
    """One change with what there is to say about it."""
    hits = getattr(change, "hits", None)
    breaks = {"writers": change.breaks_old_writers, "readers": change.breaks_old_readers, "inferred": change.inferred}
    return Told(
        id=change.pk,
        **{name: getattr(change, name) for name in ("kind", "severity", "schema", "relation", "object", "sentence", "old", "new")},
        breaks_old_writers=change.breaks_old_writers,
        breaks_old_readers=change.breaks_old_readers,
        inferred=change.inferred,
        by=change.usr,
        application=change.app,
        statement=change.tag,
        hits=hits,
        who=who_is_hit(hits, change.kind, **breaks),
        step=next_step(change.kind, **breaks),
        url=_link("schemachange", change.pk),
    )


def _changes(message: AlertMessage) -> list[SchemaChange]:
    return [alert.change for alert in message.alerts.select_related("change").order_by("change_id")]


def _target(version: SchemaVersion | None) -> str:
    return "" if version is None else f"{version.scope.get('system_identifier')}/{version.scope.get('database_oid')}"


def _link(model: str, pk: int) -> str:
    return f"{settings.MENDGATE.links_url}{reverse(f'admin:schema_monitor_{model}_change', args=[pk])}"
