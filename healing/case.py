"""One write as a case: what was done to it and by whose leave, what happened in which order, and who may still do what.

A case is a receipt. Of a write that was kept it is the receipt of its keeping; what a replay stored is told with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from msgspec import Struct

from healing.case_acts import cannot_undo, item_of
from healing.core import fixes, phrases
from healing.models import ApiKey, Decision, QuarantineItem, Receipt, Rule, TakeBackItem
from healing.receipt_patch import patch_of
from healing.receipts_view import landed
from healing.undo import takes_back

SOURCES = {
    "lineage": "Known for sure: the schema's own history says so.",
    "builtin": "Exact: the value is the same, only spelled otherwise.",
    "matcher": "Proven by evidence: the policy of this table allows certified fixes.",
}
"""By whose leave a fix without a rule was applied."""


class Told(Struct, frozen=True):
    """A fix of a receipt as a sentence, and by whose leave."""

    sentence: str
    brief: str
    rows: int
    rule: Rule | None
    leave: str
    assist: dict[str, Any] | None


class Step(Struct, frozen=True):
    """Something that happened. ``page``: model and id of the row that says more, where there is one."""

    at: datetime | None
    said: str
    page: tuple[str, str] | None = None
    why: str = ""

    @property
    def link(self) -> str:
        """Where it is shown; '' for nowhere."""
        return reverse(f"admin:healing_{self.page[0]}_change", args=[self.page[1]]) if self.page else ""


class Case(Struct, frozen=True):
    """``receipt`` is what the caller holds, ``final`` what tells of the stored rows (the same but for replayed writes)."""

    receipt: Receipt
    final: Receipt
    item: QuarantineItem | None
    key: ApiKey | None
    told: list[Told]
    steps: list[Step]
    patch: str | None
    """What its writer should change in their code."""
    cannot_undo: str
    """Why nobody may take it back from here; '' where one may."""


def case_of(receipt: Receipt) -> Case:
    """Everything about a case but its values."""
    item = item_of(receipt)
    final = landed(receipt)
    key = ApiKey.objects.filter(pk=receipt.key).first() if receipt.key else None
    return Case(
        receipt,
        final,
        item,
        key,
        told(final.fixes),
        sorted(_steps(receipt, final, item), key=_when),
        patch_of(receipt, final),
        cannot_undo(final, item),
    )


def told(found: list[dict[str, Any]]) -> list[Told]:
    """The fixes of a receipt, the rules read once."""
    rules = {str(rule.pk): rule for rule in Rule.objects.filter(pk__in=_rules(found)).select_related("approved_by")}
    return [_told(fix, rules) for fix in found if isinstance(fix, dict)]


def _told(fix: dict[str, Any], rules: dict[str, Rule]) -> Told:
    op = fixes.bare(fix)
    try:
        (parsed,) = fixes.parse([op])
        sentence, brief = phrases.say(parsed), phrases.brief(parsed)
    except fixes.FixError:
        sentence = brief = str(op.get("op"))
    rule = rules.get(str(fix.get("rule")))
    leave = "" if rule else SOURCES.get(str(fix.get("source")), "")
    return Told(sentence, brief, len(fix.get("rows") or []), rule, leave, fix.get("assist"))


def _rules(found: list[dict[str, Any]]) -> set[str]:
    return {str(fix["rule"]) for fix in found if isinstance(fix, dict) and fix.get("rule")}


def _steps(receipt: Receipt, final: Receipt, item: QuarantineItem | None) -> Iterator[Step]:
    if written := takes_back(receipt):
        yield Step(receipt.at, "A row of another write was taken back", ("receipt", written))
    elif item is None:
        yield Step(receipt.at, f"It came, {_DONE.get(receipt.outcome, 'and landed')}", ("receipt", str(receipt.pk)))
    else:
        yield from _kept(item)
    if item is not None and item.replay_receipt == final.pk:
        yield Step(final.at, "The replay stored it", ("receipt", str(final.pk)))
    for each in Decision.objects.filter(kind="receipt", subject=str(receipt.pk)):
        yield Step(each.at, f"{each.who} {_BY_HAND.get(each.action, each.action)}", ("decision", str(each.pk)), each.why)
    for taken in TakeBackItem.objects.filter(receipt=final.pk).select_related("order__asked_by"):
        said = f"{taken.order.asked_by} had everything taken back that its rule did: {taken.state}"
        yield Step(taken.ended_at or taken.order.created_at, said, ("takeback", str(taken.order_id)), taken.why or taken.order.why)
    yield from _feedback(receipt)


_DONE = {"committed": "was healed and landed in one transaction", "rejected": "was refused", "undone": "landed; it was taken back since"}
_BY_HAND = {"undo": "took it back", "right": "called the heal right", "wrong": "called the heal wrong"}


def _kept(item: QuarantineItem) -> Iterator[Step]:
    asked = "the caller asked to have it replayed" if item.automatic else "the caller got the database's error"
    yield Step(item.created_at, f"It came, did not fit, and was kept; {asked}", ("quarantineitem", str(item.pk)))
    cause = Q(schema=item.schema, table=item.table, signature=item.signature)
    for rule in Rule.objects.filter(cause, approved_at__gte=item.created_at).select_related("approved_by"):
        yield Step(rule.approved_at, f"{rule.approved_by} approved: {rule.sentence}", ("rule", str(rule.pk)))
    if item.replay is not None:
        order = item.replay
        yield Step(order.created_at, f"A replay was ordered by {order.asked_by}", ("replay", str(order.pk)), order.why)
    if item.last_error and item.state != "replayed":
        yield Step(None, f"The last of {item.attempts} replays failed: {item.last_error.get('message')}")
    for each in Decision.objects.filter(kind="quarantine", subject=str(item.pk)):
        yield Step(each.at, f"{each.who}: {each.action}", ("decision", str(each.pk)), each.why)


def _feedback(receipt: Receipt) -> Iterator[Step]:
    said = receipt.feedback
    if said and not Decision.objects.filter(kind="receipt", subject=str(receipt.pk), action__in=["right", "wrong"]).exists():
        word = "right" if said.get("right") else "wrong"
        yield Step(parse_datetime(str(said.get("at"))), f"The caller called the heal {word}", None, str(said.get("comment") or ""))


def _when(step: Step) -> tuple[bool, float]:
    return step.at is None, step.at.timestamp() if step.at else 0.0
