"""After the control database came back from a backup: what may have happened since is not known here, so nothing goes on by itself.

A kept write that waits in the backup may have landed since. The target remembers a replay for 48 hours, and then a second one changes
nothing; of an older one nobody can tell. So what would be replayed without being asked waits for a person.
"""

from __future__ import annotations

from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from msgspec import Struct

from healing.models import ApiKey, QuarantineItem, Replay

WHY = "The control database was restored from a backup. Whether this write landed since is not known: look, then replay or discard it."
State = QuarantineItem.State


class Restored(Struct, frozen=True):
    """What was done: items parked, orders paused, people logged out; and how many API keys work now."""

    parked: int
    paused: int
    sessions: int
    keys: int


@transaction.atomic
def settle() -> Restored:
    """1. running orders pause, 2. what would be replayed unasked is parked, 3. everybody logs in anew. Again changes nothing more."""
    now = timezone.now()
    ordered = Q(replay__state=Replay.State.RUNNING) | Q(automatic=True) | Q(state=State.REPLAYING)
    items = QuarantineItem.objects.filter(ordered, state__in=(State.WAITING, State.REPLAYING)).values_list("pk", flat=True)
    parked = QuarantineItem.objects.filter(pk__in=list(items)).update(state=State.PARKED, lease_until=None, why=WHY)
    paused = Replay.objects.filter(state=Replay.State.RUNNING).update(state=Replay.State.PAUSED)
    sessions, _ = Session.objects.all().delete()
    keys = ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None).count()
    return Restored(parked, paused, sessions, keys)
