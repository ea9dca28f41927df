"""What the control plane tells the metrics: once the transaction that did it has committed."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import transaction
from django.db.models.signals import post_save

from breakers import events
from breakers.models import BreakerEvent
from healing.core.mend import found_by
from healing.models import Decision, Receipt
from metrics.core.observation import BreakerMoved, Decided, Observation, Reversed, SchemaMoved
from metrics.recorder import observe
from schema_monitor.models import SchemaChange, SchemaVersion

_NOBODY = frozenset({"", "mendgate"})
"""Decisions that no person made are no interventions."""


def connect() -> None:
    """Listens to what is stored."""
    post_save.connect(_on_version, sender=SchemaVersion, dispatch_uid="healing.observed.version")
    events.when_copied(_on_breaker)
    post_save.connect(_on_decision, sender=Decision, dispatch_uid="healing.observed.decision")


def reversed_by(final: Receipt, by: str) -> None:
    """A heal was called wrong (``feedback``) or taken back (``undo``)."""
    sources = sorted({found_by(str(fix.get("source", "")), fix.get("rule")) for fix in final.fixes if isinstance(fix, dict)}) or [""]
    _later(Reversed(f"{final.schema}.{final.table}", sources[0], "undo" if by == "undo" else "feedback"))


def _on_decision(sender: Any, instance: Decision, created: bool, **_: Any) -> None:
    if created and instance.who not in _NOBODY:
        _later(Decided(instance.kind, instance.action))


def _on_breaker(event: BreakerEvent) -> None:
    """A process that opened for itself alone (one bad node, or Valkey away) is no opening of the breaker."""
    if event.from_state != event.to_state and event.why.get("scope") != "local":
        _later(BreakerMoved(event.name, event.to_state))


def _on_version(sender: Any, instance: SchemaVersion, created: bool, **_: Any) -> None:
    if created and instance.cause != "start":
        transaction.on_commit(lambda: _count(instance), robust=True)


def _count(version: SchemaVersion) -> None:
    severities = Counter(SchemaChange.objects.filter(version=version).values_list("severity", flat=True))
    for severity, changes in severities.items():
        observe(SchemaMoved(severity, changes))


def _later(seen: Observation) -> None:
    transaction.on_commit(lambda: observe(seen), robust=True)
