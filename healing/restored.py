"""After the control database came back from a backup: what may have happened since is not known here, so nothing goes on by itself.

A kept write that waits in the backup may have landed since. The target remembers a replay for 48 hours, and then a second one changes
nothing; of an older one nobody can tell. So each of them is parked, and is replayed when a person asks for it by name: not by a schema
version, a migration that has come, or a yes to its cause (``replay_orders``).
"""

from __future__ import annotations

from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from msgspec import Struct

from healing.models import ApiKey, QuarantineItem, Replay
from healing.replay_orders import DOUBTED

State = QuarantineItem.State


class Restored(Struct, frozen=True):
    """What was done: items parked, orders paused, people logged out; and how many API keys work now."""

    parked: int
    paused: int
    sessions: int
    keys: int


@transaction.atomic
def settle() -> Restored:
    """1. running orders pause, 2. what waits is parked, and stays so, 3. everybody logs in anew. Again changes nothing more."""
    now = timezone.now()
    items = QuarantineItem.objects.filter(state__in=(State.WAITING, State.REPLAYING, State.PARKED)).exclude(why=DOUBTED)
    parked = items.update(state=State.PARKED, lease_until=None, why=DOUBTED)
    paused = Replay.objects.filter(state=Replay.State.RUNNING).update(state=Replay.State.PAUSED)
    sessions, _ = Session.objects.all().delete()
    keys = ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None).count()
    return Restored(parked, paused, sessions, keys)
