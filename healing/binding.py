"""What a yes is bound to: the fix, the cause it is for, what spoke against it, and the relation as it was.

A page carries the ``bond`` that it shows; a decision that brings another one was made about something else, and is refused. What only
speaks *for* a fix is left out on purpose: it is told anew with every kept write, and a yes need not be said again because of it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from msgspec import Struct

from healing.checked_fix import checked, content_hash, parsed
from healing.live_schema import latest
from healing.models import Proposal
from healing.refusals import Refused, Stale


class Bond(Struct, frozen=True):
    """``seal`` is of what was proposed and why not; ``fingerprint`` of the relation it is for ('' where there is none), under
    schema version ``epoch``."""

    seal: str
    fingerprint: str
    epoch: int

    @property
    def token(self) -> str:
        """What a form carries."""
        return f"{self.seal}:{self.fingerprint}"


def bond_of(proposal: Proposal) -> Bond:
    """As it is now."""
    try:
        _, relation = checked(proposal.fix, proposal.schema, proposal.table)
        return Bond(seal_of(proposal), relation.fingerprint, latest()[0])
    except Refused:
        return Bond(seal_of(proposal), "", 0)


def seal_of(proposal: Proposal) -> str:
    """SHA-256 of fix, cause, origin, and what speaks against it."""
    evidence: dict[str, Any] = proposal.evidence if isinstance(proposal.evidence, dict) else {}
    told = evidence.get("ai")
    ai: dict[str, Any] = told if isinstance(told, dict) else {}
    facts = [
        proposal.schema, proposal.table, proposal.signature, _identity(proposal), proposal.source, proposal.author,
        _words(evidence.get("against")), ai.get("agreement"), ai.get("proven"), _words(ai.get("against")),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode()).hexdigest()


def require_current(proposal: Proposal, seen: str) -> Bond:
    """The bond as it is now; ``Stale`` where the page that was looked at (``seen``, '' = none) showed another one."""
    now = bond_of(proposal)
    if not seen or seen == now.token:
        return now
    seal, _, fingerprint = seen.partition(":")
    what = "the fix or what speaks against it" if seal != now.seal else ""
    table = f"table {proposal.schema}.{proposal.table}" if fingerprint != now.fingerprint else ""
    both = " and ".join(part for part in (what, table) if part)
    raise Stale(f"Nothing was decided: {both} changed since this page was shown.")


def _identity(proposal: Proposal) -> str:
    try:
        return content_hash(parsed(proposal.fix))
    except Refused:
        return proposal.content_hash


def _words(value: Any) -> list[str]:
    found = value if isinstance(value, list) else [] if value is None else [value]
    return sorted(str(each) for each in found)
