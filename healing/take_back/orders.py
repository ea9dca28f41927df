"""Orders to take back: given by a person, steered, told how far they are."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Count, QuerySet, Sum
from django.utils import timezone
from msgspec import Struct

from healing import audit, permits, rules
from healing.doorbell import TAKE_BACK, ring_on_commit
from healing.models import Receipt, Rule, TakeBack, TakeBackItem
from healing.refusals import AlreadyDecided, WrongState
from healing.undo import UNDOABLE

State, Item = TakeBack.State, TakeBackItem.State
_OPEN = (State.RUNNING, State.PAUSED)


class Progress(Struct, frozen=True):
    """In writes; ``rows`` were taken back."""

    total: int
    waiting: int
    undone: int
    conflict: int
    refused: int
    rows: int

    @property
    def percent(self) -> int:
        """Of the writes that are through, whatever became of them."""
        return 100 if self.total == 0 else round(100 * (self.total - self.waiting) / self.total)


def writes_of(rule: Rule) -> QuerySet[Receipt]:
    """The writes that the rule healed and that are stored still."""
    return Receipt.objects.filter(fixes__contains=[{"rule": str(rule.pk)}], outcome__in=UNDOABLE)


@transaction.atomic
def order(rule: Rule, user: Any, why: str) -> TakeBack:
    """Takes back everything the rule healed; the rule itself is retired first, so that nothing is added while it goes on."""
    permits.require(user, permits.REPLAY)
    why = permits.require_reason(why)
    if TakeBack.objects.filter(rule=rule, state__in=_OPEN).exists():
        raise AlreadyDecided("What this rule did is being taken back already.")
    if rule.state in rules.LIVE:
        rules.retire(rule, user, f"what it did is taken back: {why}")
    made = TakeBack.objects.create(rule=rule, asked_by=user, why=why)
    gather(made)
    audit.record(user.username, "undo", "rule", rule.pk, content_hash=rule.content_hash, why=f"{made.items.count()} writes, {why}")
    ring_on_commit(TAKE_BACK)
    return made


def gather(made: TakeBack) -> int:
    """Adds the writes that are not in the order yet; returns how many those were."""
    known = set(made.items.values_list("receipt", flat=True))
    fresh = [r for r in writes_of(made.rule).exclude(writer="").only("pk", "at", "writer") if r.pk not in known]
    items = [TakeBackItem(order=made, receipt=r.pk, written_at=r.at, writer=r.writer) for r in fresh]
    TakeBackItem.objects.bulk_create(items, batch_size=1000, ignore_conflicts=True)
    return len(items)


@transaction.atomic
def as_service(made: TakeBack, user: Any, why: str) -> int:
    """Has what was not taken back tried again as service_role: a right that the person must have been given. Row security may have hidden a
    row from its writer; what somebody changed since stays a conflict for anybody."""
    permits.require(user, permits.TAKE_BACK_AS_SERVICE)
    why = permits.require_reason(why)
    locked = TakeBack.objects.select_for_update().get(pk=made.pk)
    count = locked.items.filter(state__in=[Item.REFUSED, Item.CONFLICT], as_service=False).update(
        state=Item.WAITING, as_service=True, why=""
    )
    if not count:
        raise WrongState("Nothing is left that could be tried as service_role.")
    locked.state, locked.finished_at = State.RUNNING, None
    locked.save(update_fields=["state", "finished_at"])
    rule = locked.rule
    audit.record(user.username, "undo", "rule", rule.pk, content_hash=rule.content_hash, why=f"{count} writes as service_role, {why}")
    ring_on_commit(TAKE_BACK)
    return count


@transaction.atomic
def steer(made: TakeBack, action: str, user: Any) -> None:
    """``pause``, ``resume`` or ``cancel``. What is taken back already stays taken back."""
    permits.require(user, permits.REPLAY)
    targets = {"pause": State.PAUSED, "resume": State.RUNNING, "cancel": State.CANCELLED}
    locked = TakeBack.objects.select_for_update().get(pk=made.pk)
    if action not in targets:
        raise WrongState(f"There is no way to {action!r} it.")
    if locked.state not in _OPEN:
        raise WrongState(f"It is {locked.state}.")
    locked.state = targets[action]
    locked.finished_at = timezone.now() if action == "cancel" else None
    locked.save(update_fields=["state", "finished_at"])
    rule = locked.rule
    audit.record(user.username, action, "rule", rule.pk, content_hash=rule.content_hash, why="taking back what it did")
    if action == "resume":
        ring_on_commit(TAKE_BACK)


def progress(made: TakeBack) -> Progress:
    """Counts by what became of the writes."""
    counts = dict(made.items.values_list("state").annotate(n=Count("pk")).order_by())
    rows = made.items.aggregate(n=Sum("rows"))["n"] or 0
    waiting, undone, conflict, refused = (counts.get(s, 0) for s in (Item.WAITING, Item.UNDONE, Item.CONFLICT, Item.REFUSED))
    return Progress(sum(counts.values()), waiting, undone, conflict, refused, rows)
