"""Orders to replay: which items, asked by whom, how far they are. An item belongs to at most one running order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, F, QuerySet
from django.utils import timezone
from msgspec import Struct

from healing import audit, permits
from healing.doorbell import ring_on_commit
from healing.models import QuarantineItem, Replay, Rule
from healing.refusals import WrongState

State = QuarantineItem.State


class Operator:
    """Whoever runs commands on the machine itself, without naming a person. May order replays, never approve."""

    username = "command"


OPERATOR = Operator()

DOUBTED = "The control database was restored from a backup. Whether this write landed since is not known: look, then replay or discard it."
"""Why such a write is parked (``restored``). It is replayed where a person asks for it by its id, and no other way."""
_ORDERED = """
UPDATE healing_quarantineitem SET replay_id = %(order)s, state = 'waiting', lease_until = NULL WHERE id = ANY(%(ids)s)"""
_ORDERED_ANEW = _ORDERED.replace(" WHERE", ", attempts = 0, why = '' WHERE")
"""Not by Django's own update: 100,000 ids are one array here, not as many parameters."""
AGAIN = (State.WAITING, State.PARKED)
"""States from which a person may replay; a conflict must be looked at and discarded, or asked for by its id."""


class Progress(Struct, frozen=True):
    """How far an order is, in items."""

    total: int
    waiting: int
    replayed: int
    parked: int
    conflict: int

    @property
    def percent(self) -> int:
        """Of the items that are through, whatever became of them."""
        return 100 if self.total == 0 else round(100 * (self.total - self.waiting) / self.total)


def order_for_cause(rule: Rule, asked_by: str) -> Replay | None:
    """Everything that waits for this rule. None where nothing waits. The caller has checked the right to."""
    items = _sure(QuarantineItem.objects.filter(schema=rule.schema, signature=rule.signature, state__in=AGAIN))
    if rule.table:
        items = items.filter(table=rule.table)
    return _order(items, asked_by=asked_by, why=f"approved: {rule.sentence}", rule=rule)


def lock_cause(schema: str, table: str, signature: str) -> None:
    """What an approval would order is ours until the transaction ends: before the audit is, as for everybody who gives up on writes."""
    items = QuarantineItem.objects.filter(schema=schema, table=table, signature=signature, state__in=AGAIN)
    list(items.select_for_update(of=("self",)).order_by("number").values_list("pk"))


def order_for_schema(schema: str, table: str, signature: str, asked_by: str, why: str) -> Replay | None:
    """Everything that waits for a schema that has come. None where nothing waits. A person approved it."""
    items = _sure(QuarantineItem.objects.filter(schema=schema, table=table, signature=signature, state__in=AGAIN))
    return _order(items, asked_by=asked_by, why=why)


def order_items(ids: Iterable[Any], user: Any, why: str = "") -> Replay | None:
    """The given items, asked for by a person; a conflict may be forced through by naming it."""
    require_operator(user)
    items = QuarantineItem.objects.filter(pk__in=list(ids), state__in=[*AGAIN, State.CONFLICT])
    return _order(items, asked_by=user.username, why=why or "asked for")


def order_all_waiting(user: Any) -> Replay | None:
    """Every item that waits, in order of arrival."""
    require_operator(user)
    return _order(_sure(QuarantineItem.objects.filter(state=State.WAITING)), asked_by=user.username, why="everything that waits")


def order_automatic(items: QuerySet[QuarantineItem], why: str) -> Replay | None:
    """Items of callers that asked for it (``quarantine=accept``)."""
    return _order(_sure(items.filter(automatic=True)), asked_by="mendgate", why=why, automatic=True)


def _sure(items: QuerySet[QuarantineItem]) -> QuerySet[QuarantineItem]:
    """Without those of which nobody knows whether they landed."""
    return items.exclude(why=DOUBTED)


def require_operator(user: Any) -> None:
    """A person with the right to replay, or the machine's own operator."""
    if user is not OPERATOR:
        permits.require(user, permits.REPLAY)


@transaction.atomic
def _order(items: QuerySet[QuarantineItem], *, asked_by: str, why: str, rule: Rule | None = None, automatic: bool = False) -> Replay | None:
    """One transaction: the order, its items, the audit row; the doorbell after the commit.

    What a person asks for is taken over from older orders; what nobody asked for stays where it is.
    """
    if automatic:
        items = items.exclude(replay__state__in=[Replay.State.RUNNING, Replay.State.PAUSED], state=State.WAITING)
    rows = items.exclude(state=State.REPLAYING).select_for_update(of=("self",))
    before = dict(rows.values_list("pk", "replay"))
    if not before:
        return None
    order = Replay.objects.create(asked_by=asked_by, why=why, rule=rule, automatic=automatic, total=len(before))
    with connection.cursor() as cursor:
        cursor.execute(_ORDERED if automatic else _ORDERED_ANEW, {"order": order.pk, "ids": list(before)})
    _take_from(before.values())
    if not automatic:
        audit.record(asked_by, "replay", "replay", order.pk, why=f"{len(before)} items, {why}")
    ring_on_commit()
    return order


def _take_from(orders: Iterable[Any]) -> None:
    """Older orders that are still open count only what they still have."""
    for pk, count in Counter(pk for pk in orders if pk is not None).items():
        Replay.objects.filter(pk=pk, state__in=[Replay.State.RUNNING, Replay.State.PAUSED]).update(total=F("total") - count)


@transaction.atomic
def steer(order: Replay, action: str, user: Any) -> None:
    """``pause``, ``resume`` or ``cancel`` a running order. What is being replayed at this moment ends first."""
    permits.require(user, permits.REPLAY)
    targets = {"pause": Replay.State.PAUSED, "resume": Replay.State.RUNNING, "cancel": Replay.State.CANCELLED}
    locked = Replay.objects.select_for_update().get(pk=order.pk)
    if action not in targets:
        raise WrongState(f"There is no way to {action!r} a replay.")
    if locked.state in (Replay.State.DONE, Replay.State.CANCELLED):
        raise WrongState(f"This replay is {locked.state}.")
    locked.state = targets[action]
    if action == "cancel":
        locked.finished_at = timezone.now()
        locked.items.filter(state=State.WAITING).update(replay=None, lease_until=None)
    locked.save(update_fields=["state", "finished_at"])
    audit.record(user.username, action, "replay", order.pk)
    if action == "resume":
        ring_on_commit()


def under_way() -> list[Replay]:
    """Orders that a person may watch, pause or cancel, newest first."""
    return list(Replay.objects.filter(state__in=[Replay.State.RUNNING, Replay.State.PAUSED]).order_by("-created_at")[:10])


def progress(order: Replay) -> Progress:
    """Counts by what became of the items."""
    counts = dict(order.items.values_list("state").annotate(n=Count("pk")))
    waiting = counts.get(State.WAITING, 0) + counts.get(State.REPLAYING, 0)
    return Progress(order.total, waiting, *(counts.get(s, 0) for s in (State.REPLAYED, State.PARKED, State.CONFLICT)))


def left(order: Replay, most: int) -> list[QuarantineItem]:
    """What is not replayed, in order of arrival. What waits and what else there is have an index each."""
    waiting = order.items.filter(state=State.WAITING).order_by("number")[:most]
    others = order.items.filter(state__in=[State.REPLAYING, State.PARKED, State.CONFLICT, State.DISCARDED]).order_by("number")[:most]
    return sorted([*waiting, *others], key=lambda item: item.number)[:most]


def finish_orders() -> None:
    """Closes the orders that have nothing left to do."""
    busy = QuarantineItem.objects.filter(state__in=[State.WAITING, State.REPLAYING], replay__isnull=False).values("replay")
    Replay.objects.filter(state=Replay.State.RUNNING).exclude(pk__in=busy).update(state=Replay.State.DONE, finished_at=timezone.now())
