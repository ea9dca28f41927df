"""Who said yes to a proposal, as it is now, and how many more must."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.utils import timezone

from healing import review_rules
from healing.binding import Bond
from healing.models import Approval, Proposal


def valid(proposal: Proposal, bond: Bond) -> Any:
    """The approvals that count today: a yes to another fix, evidence or table than today's does not."""
    return Approval.objects.filter(proposal=proposal, revoked_at=None, seal=bond.seal, fingerprint=bond.fingerprint)


def wrote(proposal: Proposal, user: Any) -> bool:
    """Whether the fix is this person's own, under whatever name; and a name that wrote it is not lent to another."""
    return bool(proposal.written_by_id == user.pk or proposal.author == user.get_username() != "")


def missing(proposal: Proposal, bond: Bond) -> int:
    """How many more must say yes."""
    given = int(valid(proposal, bond).count())
    return max(0, review_rules.current().people - given)


def say_yes(proposal: Proposal, user: Any, note: str, bond: Bond) -> None:
    """One approval a person; earlier ones, to what is no more, are taken back."""
    given = Approval.objects.filter(proposal=proposal, revoked_at=None)
    lapsed = given.filter(~Q(seal=bond.seal) | ~Q(fingerprint=bond.fingerprint))
    lapsed.update(revoked_at=timezone.now(), why_revoked="the fix, what speaks against it, or its table changed")
    if not valid(proposal, bond).filter(approver=user).exists():
        Approval.objects.create(proposal=proposal, approver=user, note=note, seal=bond.seal, fingerprint=bond.fingerprint)
