"""What a message says, before any channel gives it a form: read once from the database, then only values."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from django.conf import settings
from django.urls import reverse
from msgspec import Struct

from schema_monitor.alerts import withheld
from schema_monitor.alerts.models import AlertMessage
from schema_monitor.alerts.notice_model import Notice
from schema_monitor.core.alert_texts import title
from schema_monitor.core.alert_words import how_long, next_step, who_is_hit
from schema_monitor.core.severity import LEVELS
from schema_monitor.models import SchemaChange, SchemaVersion

OVER = "over"
_FACTS = ("kind", "severity", "schema", "relation", "object", "sentence", "old", "new")


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

    @property
    def mark(self) -> str:
        """What colours it."""
        return self.severity


class Noted(Struct, frozen=True):
    """A notice, in words and facts. ``mark``: what it is shown as, "over" once it is."""

    id: int
    kind: str
    about: str
    severity: str
    mark: str
    sentence: str
    who: str
    """How it ended; '' before."""
    step: str
    facts: Any
    began: datetime
    ended: datetime | None
    url: str


class Line(Protocol):
    """What chats and mails say of a change or a notice."""

    @property
    def kind(self) -> str:
        """Of what kind it is."""

    @property
    def mark(self) -> str:
        """Its severity, or that it is over: what colours it."""

    @property
    def sentence(self) -> str:
        """What happened."""

    @property
    def who(self) -> str:
        """More about it; '' for nothing."""

    @property
    def step(self) -> str:
        """What to do next; '' for nothing."""

    @property
    def url(self) -> str:
        """Where it is shown."""


class Letter(Struct, frozen=True):
    """One message; neither changes nor a notice = a test."""

    reference: str
    subscription: str
    at: datetime
    epoch: int | None
    target: str
    url: str
    changes: tuple[Told, ...]
    notice: Noted | None = None

    @property
    def is_test(self) -> bool:
        """It tells nothing."""
        return not self.lines

    @property
    def lines(self) -> tuple[Line, ...]:
        """What it tells, the worst first."""
        worst_first = sorted(self.changes, key=lambda change: -LEVELS.index(change.severity))
        return (self.notice,) if self.notice else tuple(worst_first)

    @property
    def mark(self) -> str:
        """The worst in it."""
        return self.lines[0].mark if self.lines else LEVELS[0]

    @property
    def title(self) -> str:
        """One line that says it all."""
        return title(len(self.lines), self.mark, self.lines[0].sentence if self.lines else "")

    @property
    def origin(self) -> str:
        """What its link leads to."""
        return "The subscription" if self.is_test else "What Mendgate sees" if self.epoch is None else f"Schema version {self.epoch}"


def letter_of(message: AlertMessage) -> Letter:
    """What this message says. The same at every attempt, as far as the rows are."""
    version, notice = message.version, noted(message.notice, message.over) if message.notice else None
    page = _link("schemaversion", version.pk) if version else _link("schemasubscription", message.subscription_id)
    return Letter(
        reference=message.reference,
        subscription=message.subscription.name,
        at=_at(message),
        epoch=version.epoch if version else None,
        target=_target(version),
        url=notice.url if notice else page,
        changes=tuple(told(change) for change in _changes(message)),
        notice=notice,
    )


def noted(notice: Notice, over: bool) -> Noted:
    """A notice as it began, or as it ended."""
    ended = notice.ended if over else None
    told = withheld.from_(notice.sentence)
    sentence = told if ended is None else f"Over after {how_long(ended - notice.began)}: {told}"
    return Noted(
        **{name: withheld.from_(getattr(notice, name)) for name in ("kind", "about", "severity", "facts", "began")},
        id=notice.pk,
        mark=notice.severity if ended is None else OVER,
        sentence=sentence,
        who="" if ended is None else withheld.from_(notice.outcome),
        step=withheld.from_(notice.step) if ended is None else "",
        ended=ended,
        url=f"{settings.MENDGATE.links_url}{notice.path or reverse('admin:index')}",
    )


def told(change: SchemaChange) -> Told:
    """One change with what there is to say about it."""
    hits = withheld.from_(getattr(change, "hits", None))
    breaks = {"writers": change.breaks_old_writers, "readers": change.breaks_old_readers, "inferred": change.inferred}
    return Told(
        id=change.pk,
        **{name: withheld.from_(getattr(change, name)) for name in _FACTS},
        breaks_old_writers=change.breaks_old_writers,
        breaks_old_readers=change.breaks_old_readers,
        inferred=change.inferred,
        by=withheld.from_(change.usr),
        application=withheld.from_(change.app),
        statement=change.tag,
        hits=hits,
        who=who_is_hit(hits, change.kind, **breaks),
        step=next_step(change.kind, **breaks),
        url=_link("schemachange", change.pk),
    )


def _at(message: AlertMessage) -> datetime:
    """When what it tells happened."""
    if message.version:
        return message.version.taken_at
    if message.notice:
        return (message.notice.ended if message.over else None) or message.notice.began
    return message.made_at


def _changes(message: AlertMessage) -> list[SchemaChange]:
    return [alert.change for alert in message.alerts.select_related("change").order_by("change_id")]


def _target(version: SchemaVersion | None) -> str:
    return "" if version is None else f"{version.scope.get('system_identifier')}/{version.scope.get('database_oid')}"


def _link(model: str, pk: int) -> str:
    return f"{settings.MENDGATE.links_url}{reverse(f'admin:schema_monitor_{model}_change', args=[pk])}"
