"""How many people a decision takes, and whether an author may be one of them: read by ``approval``, held by the database."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from healing import audit, permits
from healing.models import ReviewRules


def current() -> ReviewRules:
    """The row, or what holds without one. Not saved."""
    return ReviewRules.objects.first() or ReviewRules()


@transaction.atomic
def change(user: Any, why: str, **given: Any) -> ReviewRules:
    """Sets ``four_eyes``, ``people``, ``whole_relation``, with a reason. What is active stays; what is decided from now on follows."""
    permits.require(user, permits.CHANGE_REVIEW)
    why = permits.require_reason(why)
    rules, _ = ReviewRules.objects.select_for_update().get_or_create(id=1)
    before = str(rules)
    for name, value in given.items():
        setattr(rules, name, value)
    rules.full_clean()
    rules.save()
    audit.record(user.username, "set", "review rules", 1, why=f"{before} → {rules}: {why}")
    return rules
