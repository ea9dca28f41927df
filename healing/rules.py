"""The life of a rule after its approval: ended by a person, taken back by evidence, counted as it is used."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F

from healing import audit, permits
from healing.models import Rule
from healing.notify import notify
from healing.refusals import WrongState

LIVE = {Rule.State.ACTIVE, Rule.State.APPROVED, Rule.State.REVIEW, Rule.State.DEMOTED}


def retire(rule: Rule, user: Any, why: str) -> None:
    """Ends a rule for good; gateways stop using it as soon as they are notified."""
    permits.require(user, permits.CHANGE_RULE)
    _leave(rule, Rule.State.RETIRED, user.username, permits.require_reason(why))


def demote(rule: Rule, who: str, why: str) -> None:
    """Stops a rule because of evidence against it; it may be approved again. ``who`` is a person or the part that measured."""
    _leave(rule, Rule.State.DEMOTED, who, permits.require_reason(why))


@transaction.atomic
def count_reversal(rule_ids: list[str]) -> None:
    """A heal by these rules was undone, or its owner said that it was wrong."""
    Rule.objects.filter(pk__in=rule_ids).update(reversals=F("reversals") + 1)


@transaction.atomic
def _leave(rule: Rule, state: str, who: str, why: str) -> None:
    locked = Rule.objects.select_for_update().get(pk=rule.pk)
    if locked.state == state:
        return
    if locked.state not in LIVE:
        raise WrongState(f"The rule is {locked.state}.")
    locked.state, locked.why = state, why
    locked.save(update_fields=["state", "why"])
    action = "retire" if state == Rule.State.RETIRED else "demote"
    audit.record(who, action, "rule", rule.pk, content_hash=rule.content_hash, why=why)
    notify("rules")
