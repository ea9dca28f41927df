"""A rule that somebody or something proposes, held against everything that is stored, before a person is asked."""

from __future__ import annotations

from datetime import datetime

from healing import proof
from healing.models import Proposal as Fix
from healing.models import QuarantineItem
from healing.proof import Bounds
from healing.refusals import Refused
from optimizer import propose
from optimizer.models import Proposal

BOUNDS = Bounds(20_000, 10.0)


def stop_or_offer(proposal: Proposal, now: datetime) -> bool:
    """Puts the fix of a new proposal into the review queue with its record; or stops it, where the backtest speaks against it. Whether
    it was stopped."""
    schema, _, table = proposal.place.partition(".")
    fix = Fix.objects.filter(schema=schema, table=table, signature=proposal.name, content_hash=proposal.new).first()
    if fix is None or fix.state not in (Fix.State.OPEN, Fix.State.SUPERSEDED):
        return False
    Proposal.objects.filter(pk=proposal.pk).update(fix=fix.pk)
    if why := against(fix):
        propose.move(proposal, Proposal.State.STOPPED, who=propose.WHO, action="stop", why=" ".join(why), now=now)
        return True
    _offer(fix, proposal)
    return False


def against(fix: Fix) -> list[str]:
    """What the backtest has against a fix: healthy writes that it would change, landed ones that it would have stored otherwise, promises
    of its operations that do not hold, kept writes of which it heals none; or why it does not fit the schema at all."""
    try:
        pack = proof.of_proposal(fix, BOUNDS)
    except Refused as error:
        return [error.message]
    waiting = QuarantineItem.objects.filter(schema=fix.schema, table=fix.table, signature=fix.signature, state__in=["waiting", "parked"])
    useless = waiting.exists() and not pack.replayed.healed
    return [*pack.broken, *([f"It heals none of {pack.replayed.cases} kept writes."] if useless else [])]


def _offer(fix: Fix, proposal: Proposal) -> None:
    evidence = fix.evidence if isinstance(fix.evidence, dict) else {}
    said = f"the AI found it {proposal.evidence['landed']} times, and nothing was taken back"
    spoken = [each for each in evidence.get("for", []) if "nothing was taken back" not in each]
    fix.evidence, fix.state = {**evidence, "for": [*spoken, said], "optimizer": proposal.evidence}, Fix.State.OPEN
    fix.probability = max(fix.probability, proposal.evidence["lower_bound"])
    fix.save(update_fields=["evidence", "state", "probability"])
