"""Writes down what decisions and reversals say about the matcher, inside the transaction that decides, and tells the gateways.

approve    the matcher's best proposal for the cause was approved: right; another fix was: wrong
reject     the matcher's best proposal was rejected: wrong
reversal   a heal by it was taken back or called wrong, as a certified one or as the rule it became: wrong, and the bucket is off
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Q

from healing import audit
from healing.certified.models import MatchVerdict
from healing.core.certify import Tally, said_bucket, tallies
from healing.core.match.model import shipped
from healing.models import Proposal, Receipt, Rule, Source
from healing.notify import notify

How = MatchVerdict.How


def note_approval(approved: Proposal, who: str) -> None:
    """A person chose a fix for this cause."""
    best = _best(approved)
    if best is not None:
        right = best.content_hash == approved.content_hash
        _note(best, right, How.APPROVED if right else How.OTHER, who)


def note_rejection(rejected: Proposal, who: str) -> None:
    """A person said no to a fix; it speaks against the matcher only where it was its best."""
    best = _best(rejected)
    if best is not None and best.content_hash == rejected.content_hash:
        _note(best, False, How.REJECTED, who)
    notify("certified")  # the fix itself is refused from now on


def note_undo(of: Proposal, who: str) -> None:
    """The person took the decision back: their word about this cause counts no more."""
    place = {"schema": of.schema, "table": of.table, "signature": of.signature}
    MatchVerdict.objects.filter(**place, who=who, how__in=[How.APPROVED, How.OTHER, How.REJECTED]).delete()
    notify("certified")


def note_rules(rule_ids: Iterable[str], how: str, who: str) -> None:
    """Rules that were the matcher's proposals turned out wrong."""
    rules = Rule.objects.filter(pk__in=list(rule_ids), source=Source.MATCHER)
    proposals = Proposal.objects.filter(rule__in=rules, source=Source.MATCHER, evidence__has_key="bucket").order_by("pk")
    _tell_ends([_note(proposal, False, how, who) for proposal in proposals], how, who)


def note_reversal(receipt: Receipt) -> None:
    """A write was taken back, or called wrong: what certified it is off."""
    facts = [fix.get("certified") for fix in receipt.fixes if isinstance(fix, dict)]
    place = {"schema": receipt.schema, "table": receipt.table}
    ended = [
        _put(said["bucket"], {**place, "signature": said["signature"]}, said["content_hash"], False, How.REVERSED, "receipt")
        for said in facts
        if isinstance(said, dict)
    ]
    _tell_ends(ended, How.REVERSED, "receipt")


def known() -> dict[str, Tally]:
    """Every bucket of the shipped model with what is known of it."""
    counted = MatchVerdict.objects.values("bucket").annotate(
        good=Count("pk", filter=Q(right=True)), bad=Count("pk", filter=Q(right=False)), ended=Count("pk", filter=Q(how=How.REVERSED))
    )
    decided = {each["bucket"]: Tally(each["good"], each["bad"], each["ended"] > 0) for each in counted}
    return tallies(shipped().evidence, decided, shipped().stamp)


def _best(of: Proposal) -> Proposal | None:
    """What the matcher itself thought best for the cause, where that has a bucket."""
    cause = Proposal.objects.filter(schema=of.schema, table=of.table, signature=of.signature, source=Source.MATCHER)
    best = cause.order_by("-probability", "pk").first()
    return best if best is not None and said_bucket(best.evidence) else None


def _note(proposal: Proposal, right: bool, how: str, who: str) -> str:
    place = {"schema": proposal.schema, "table": proposal.table, "signature": proposal.signature}
    return _put(said_bucket(proposal.evidence), place, proposal.content_hash, right, how, who)


def _put(bucket: str, place: dict[str, Any], content_hash: str, right: bool, how: str, who: str) -> str:
    """One verdict a cause; a good word never replaces a bad one, and nothing replaces a reversal. Returns the bucket."""
    facts = {"content_hash": content_hash, "right": right, "how": how, "who": who}
    verdict, new = MatchVerdict.objects.select_for_update().get_or_create(bucket=bucket, **place, defaults=facts)
    if not new and verdict.how != How.REVERSED and (verdict.right or how == How.REVERSED):
        for name, value in facts.items():
            setattr(verdict, name, value)
        verdict.save(update_fields=list(facts))
    notify("certified")
    return bucket


def _tell_ends(buckets: Iterable[str], how: str, who: str) -> None:
    """The audit of what a reversal ends; after all rows are locked, as everywhere."""
    for bucket in sorted(set(buckets)) if how == How.REVERSED else ():
        audit.record(who, "end", "bucket", bucket, why="a write healed by it was taken back or called wrong")
