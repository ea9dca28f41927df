"""Alerts of what is no schema change: a trigger that fires, a breaker that opened, a budget that is used up.

A notice is something that is so for a while. Subscriptions are told twice: when it begins and when it is over, over the same outbox,
channels, retries and signatures as schema changes. Say it in the transaction that stores the fact, so one exists if and only if the other
does; a worker is rung once that is committed. Two ways, mix them as you like:

- by edges: ``begin(News("breaker.open", "ai:openai", "high", "Breaker ai:openai opened: …", step="…", path=reverse(…)))`` and, when it
  is over, ``end("breaker.open", "ai:openai", "It answers again.")``. Repeating either is nothing.
- by level: ``keep("trigger.", [News(…), …])`` says what is so now of all kinds with this prefix; what is new begins, what is missing is
  over. Call it in each sweep; a call that was missed is made good by the next.

Who flickers is not told again and again: an end is told after ``quiet``, and what begins anew within goes on as if it had never ended.

Subscriptions choose by severity and by kind (``trigger.*``); one that is limited to schemas or tables hears of no notice. Who heard the
beginning hears the end. Choose ``about`` short and stable (a breaker's name, never a number that changes); texts may hold anything, the
channels make them harmless. ``path`` is a page of ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from msgspec import Struct

from schema_monitor.alerts import doorbell
from schema_monitor.alerts.models import AlertMessage, SchemaSubscription
from schema_monitor.alerts.notice_model import Notice
from schema_monitor.core.subscribed import wants

QUIET = timedelta(minutes=2)
"""How long something must stay over before that is told."""
LONGEST = 200
"""characters of what a notice is about."""


class News(Struct, frozen=True):
    """What is to be told. ``severity``: low, medium, high, critical. ``facts``: JSON for programs."""

    kind: str
    about: str
    severity: str
    sentence: str
    step: str = ""
    path: str = ""
    facts: dict[str, Any] = {}
    schema: str = ""
    relation: str = ""


@transaction.atomic
def begin(news: News) -> Notice:
    """Says that this is so. The open notice where it is known already; else a new one, told to all who want it."""
    about = _cut(news.about)
    _lock(news.kind, about)
    last = Notice.objects.filter(kind=news.kind, about=about).order_by("-pk").first()
    if last is not None and (last.ended is None or _goes_on(last)):
        return last
    said = {name: getattr(news, name) for name in ("kind", "severity", "sentence", "step", "path", "facts")}
    notice = Notice.objects.create(**said, about=about, began=timezone.now())
    wanted = [each for each in SchemaSubscription.objects.filter(enabled=True) if wants(each, news)]
    _put([_message(notice, each) for each in wanted])
    return notice


@transaction.atomic
def end(kind: str, about: str = "", outcome: str = "", *, quiet: timedelta = QUIET) -> Notice | None:
    """Says that it is over; ``outcome`` is how it ended, in a sentence. None where nothing was open."""
    about = _cut(about)
    _lock(kind, about)
    notice = Notice.objects.filter(kind=kind, about=about, ended=None).first()
    if notice is None:
        return None
    notice.ended = timezone.now()
    notice.settled, notice.outcome = notice.ended + quiet, outcome
    notice.save(update_fields=["ended", "settled", "outcome"])
    heard = SchemaSubscription.objects.filter(enabled=True, messages__notice=notice, messages__over=False)
    _put([_message(notice, each, over_at=notice.settled) for each in heard])
    return notice


@transaction.atomic
def keep(prefix: str, so: Collection[News], *, quiet: timedelta = QUIET) -> None:
    """Says what is so now, of all kinds that begin with ``prefix``."""
    now = {(news.kind, _cut(news.about)): news for news in so}
    known = set(Notice.objects.filter(ended=None, kind__startswith=prefix).values_list("kind", "about"))
    for thing in sorted(now.keys() - known):
        begin(now[thing])
    for kind, about in sorted(known - now.keys()):
        end(kind, about, quiet=quiet)


def _goes_on(notice: Notice) -> bool:
    """Takes the end back, if nobody was told of it yet."""
    if notice.settled is None or notice.settled <= timezone.now():
        return False
    told = AlertMessage.objects.select_for_update().filter(notice=notice, over=True)
    if any(message.state != AlertMessage.State.WAITING or message.attempts for message in told):
        return False
    AlertMessage.objects.filter(notice=notice, over=True).delete()
    notice.ended, notice.settled, notice.outcome = None, None, ""
    notice.save(update_fields=["ended", "settled", "outcome"])
    return True


def _message(notice: Notice, subscription: SchemaSubscription, over_at: datetime | None = None) -> AlertMessage:
    over = over_at is not None
    return AlertMessage(
        subscription=subscription,
        notice=notice,
        over=over,
        key=f"notice/{notice.pk}" + ("/over" if over else ""),
        reference=reference(notice, over),
        next_try_at=over_at or notice.began,
    )


def _put(messages: list[AlertMessage]) -> None:
    if messages:
        AlertMessage.objects.bulk_create(messages)
        doorbell.ring_on_commit()


def reference(notice: Notice, over: bool) -> str:
    """The same for every attempt and every subscription, and another one for the end."""
    facts = f"{notice.kind}/{notice.about}/{notice.began.isoformat()}/{notice.ended.isoformat() if over and notice.ended else ''}"
    return f"msg_{hashlib.sha256(facts.encode()).hexdigest()[:32]}"


def _cut(about: str) -> str:
    """As much as the row holds: an alert must not fail for a long name."""
    return about[:LONGEST].replace("\x00", "")


def _lock(kind: str, about: str) -> None:
    """One after another about one thing, to the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"notice {kind} {about}"])
