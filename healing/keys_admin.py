"""API keys: made, revoked, rotated. The text of a key leaves this module once and is never stored."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from healing import audit
from healing.gateway import keytext
from healing.models import ApiKey, Role
from healing.notify import notify
from healing.refusals import WrongState

QUOTA = ("requests_per_minute", "at_once", "most_bytes")
"""What of the gateway a key may take; 0 = no limit."""


@transaction.atomic
def create_key(
    name: str,
    role: str = Role.ANON,
    *,
    expires_at: datetime | None = None,
    scopes: list[str] | None = None,
    who: str = "command",
    **quota: int,
) -> tuple[str, ApiKey]:
    """A new key as (text, row). The text is shown once. ``quota``: of ``QUOTA``."""
    text, prefix, digest = keytext.make()
    key = ApiKey.objects.create(name=name, role=role, prefix=prefix, hash=digest, expires_at=expires_at, scopes=scopes or [], **quota)
    audit.record(who, "create", "key", key.pk, why=f"{name}, {role}, {limits_of(key)}")
    notify("keys")
    return text, key


@transaction.atomic
def revoke_key(key: ApiKey, who: str, why: str = "") -> None:
    """Ends a key now; a second time changes nothing."""
    ended = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
    if ended:
        audit.record(who, "revoke", "key", key.pk, why=why)
        notify("keys")


@transaction.atomic
def rotate_key(key: ApiKey, who: str) -> str:
    """A new text for the same key: its items, policies and name stay. The old text ends now. Returns the new text."""
    locked = ApiKey.objects.select_for_update().get(pk=key.pk)
    if locked.revoked_at is not None:
        raise WrongState("A revoked key cannot be rotated.", "Create a new key.")
    text, locked.prefix, locked.hash = keytext.make()
    locked.save(update_fields=["prefix", "hash"])
    audit.record(who, "rotate", "key", key.pk)
    notify("keys")
    return text


def limits_of(key: ApiKey) -> str:
    """Its limits in words."""
    units = {"requests_per_minute": "requests a minute", "at_once": "requests at a time", "most_bytes": "bytes of a body"}
    found = [f"{getattr(key, name)} {unit}" for name, unit in units.items() if getattr(key, name)]
    return ", ".join(found) or "no limits"
