"""Reviewers are told, with a link, over the same outbox and channels as of schema changes. Subscriptions choose:

- ``review.rule``: each cause whose fix waits for a decision, when it begins to wait and when that is over
- ``review.digest``: once a day all of them in one message, where any wait (severity low: choose it by kind)
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from healing.models import Proposal
from healing.review import Waiting, waiting_for_review
from schema_monitor.alerts.notice_model import Notice
from schema_monitor.alerts.notices import News, begin, end, keep

RULE, DIGEST = "review.rule", "review.digest"
MOST = 50
"""Causes that are told one by one; of more the digest speaks."""
URGENT_ROWS = 50
URGENT_HOURS = 24
DIGEST_HOUR = 6
"""UTC: not before this hour."""


def tell() -> None:
    """Says what waits now. Called by the sweep; what was missed is made good by the next."""
    waiting = waiting_for_review()
    told = waiting[:MOST]
    for about in set(Notice.objects.filter(kind=RULE, ended=None).values_list("about", flat=True)) - {
        str(each.proposal.pk) for each in told
    }:
        end(RULE, about, _outcome(about))
    keep(RULE, [_news(each) for each in told])
    digest(waiting, timezone.now())


@transaction.atomic
def digest(waiting: Sequence[Waiting], now: datetime) -> Notice | None:
    """The message of the day, once; it is over as soon as it is said, so that nobody is told of its end."""
    about = now.date().isoformat()
    if not waiting or now.hour < DIGEST_HOUR or Notice.objects.filter(kind=DIGEST, about=about).exists():
        return None
    notice = begin(News(DIGEST, about, "low", _summary(waiting), "Decide.", reverse("admin:healing_review"), {"causes": _facts(waiting)}))
    Notice.objects.filter(pk=notice.pk).update(ended=now, settled=now, outcome="It was said.")
    return notice


def _news(each: Waiting) -> News:
    proposal = each.proposal
    old = (timezone.now() - (each.oldest or proposal.created_at)).total_seconds() > URGENT_HOURS * 3600
    severity = "high" if each.rows >= URGENT_ROWS or old else "medium"
    sentence = f"A fix waits for a decision: {proposal.schema}.{proposal.table}: {proposal.sentence} {_rows(each.rows)} for it."
    path = reverse("admin:healing_proposal_change", args=[proposal.pk])
    return News(RULE, str(proposal.pk), severity, sentence, "Approve it, or say why it is wrong.", path, _fact(each))


def _outcome(pk: str) -> str:
    proposal = Proposal.objects.filter(pk=pk).select_related("decided_by").first()
    if proposal is None or proposal.state == Proposal.State.OPEN:
        return "It waits for nobody at the moment."
    by = proposal.decided_by.get_username() if proposal.decided_by else "evidence"
    return f"It was {proposal.state} by {by}{f': {proposal.why}' if proposal.why else ''}."


def _summary(waiting: Sequence[Waiting]) -> str:
    few = "; ".join(f"{w.proposal.schema}.{w.proposal.table}: {w.proposal.sentence} ({w.rows})" for w in waiting[:5])
    more = f"; and {len(waiting) - 5} more" if len(waiting) > 5 else ""
    fixes = f"{len(waiting)} fix{'es wait' if len(waiting) > 1 else ' waits'} for a decision"
    return f"{fixes}, {_rows(sum(w.rows for w in waiting))} for {'them' if len(waiting) > 1 else 'it'}: {few}{more}"


def _rows(count: int) -> str:
    return f"{count} row{'s wait' if count != 1 else ' waits'}"


def _facts(waiting: Sequence[Waiting]) -> list[dict[str, Any]]:
    return [_fact(each) for each in waiting[:MOST]]


def _fact(each: Waiting) -> dict[str, Any]:
    proposal = each.proposal
    return {
        "proposal": str(proposal.pk), "schema": proposal.schema, "table": proposal.table, "signature": proposal.signature,
        "fix": proposal.fix, "probability": proposal.probability, "source": proposal.source, "rows": each.rows,
    }  # fmt: skip
