"""Wakes writes that wait by themselves (``quarantine=accept``) when something changed that may let them land."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save

from healing import quarantine
from healing.models import QuarantineItem
from healing.replay_orders import order_automatic
from schema_monitor.models import SchemaVersion

State = QuarantineItem.State


def connect() -> None:
    """A new schema version wakes them in the very transaction that stores it."""
    post_save.connect(_on_version, sender=SchemaVersion, dispatch_uid="healing.wake")


def wake(why: str) -> None:
    """Orders every automatic item anew, parked ones too: what was wrong may be right now."""
    items = QuarantineItem.objects.filter(automatic=True, state__in=[State.WAITING, State.PARKED])
    items.update(attempts=0, lease_until=None)
    order_automatic(items, why)


def order_due() -> None:
    """Orders the automatic items whose pause is over."""
    order_automatic(quarantine.due_automatic(), "its pause is over")


def _on_version(sender: Any, instance: SchemaVersion, created: bool, **_: Any) -> None:
    if created and instance.cause != "start":
        wake(f"schema version {instance.epoch}")
