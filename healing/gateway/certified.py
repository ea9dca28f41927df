"""Policy ``certified``: the matcher's best proposal, used for one write as if it were a rule, where its bucket is proven on evidence.

What is proven comes from the control database and is never remembered on disk: a process that cannot ask certifies nothing.
"""

from __future__ import annotations

import hashlib
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from healing.core import fixes
from healing.core.certify import Tally, said_bucket, tallies
from healing.core.match.model import shipped
from healing.core.mend import CERTIFIED, Context
from healing.core.signature import joined
from healing.core.types import Healing, Json, Misfit, Proposal, Rule
from schema_monitor.core.snapshot import Relation

TALLIES = """
SELECT bucket, count(*) FILTER (WHERE "right"), count(*) FILTER (WHERE NOT "right"), bool_or(how = 'reversed')
FROM healing_matchverdict GROUP BY bucket"""
REFUSED = """
SELECT schema, "table", content_hash FROM healing_proposal WHERE state = 'rejected'
UNION SELECT schema, "table", content_hash FROM healing_rule WHERE state IN ('demoted', 'rejected', 'retired', 'review') OR reversals > 0
UNION SELECT schema, "table", content_hash FROM healing_matchverdict WHERE NOT "right\""""
LEVELS = (Healing.CERTIFIED, Healing.ASSISTED)


class Certificate(Struct, frozen=True):
    """What is proven now: the buckets, and the fixes (schema, table, hash) that somebody said no to."""

    buckets: dict[str, Tally] = {}
    refused: frozenset[tuple[str, str, str]] = frozenset()


NOTHING = Certificate()


class Sure(Struct, frozen=True):
    """A fix that applies itself to one write; ``facts`` are what the receipt says of it."""

    rule: Rule
    facts: dict[str, Json]

    @property
    def noted(self) -> dict[str, dict[str, Json]]:
        """For ``receipts.fixes_of``."""
        return {self.rule.id: {"certified": self.facts}}

    def added_to(self, known: Context) -> Context:
        """The context with this fix in it, where the policy allows it and its names still mean the same columns."""
        if known.level not in LEVELS or known.relation is None or not self.rule.binds(known.relation):
            return known
        return replace(known, rules=(*known.rules, self.rule))


def certificate_of(tallied: list[Any], refused: list[Any]) -> Certificate:
    """From records of ``TALLIES`` and ``REFUSED``, with what the shipped model's training showed."""
    decided = {bucket: Tally(right, wrong, ended) for bucket, right, wrong, ended in tallied}
    found = tallies(shipped().evidence, decided, shipped().stamp)
    return Certificate({name: tally for name, tally in found.items() if tally.certified}, frozenset(map(tuple, refused)))


def sure_of(
    certificate: Certificate, level: Healing, relation: Relation | None, misfits: tuple[Misfit, ...], proposals: tuple[Proposal, ...]
) -> Sure | None:
    """The best proposal as a fix that applies itself; None where the policy or the evidence does not allow it."""
    if level not in LEVELS or relation is None or not proposals:
        return None
    best, bucket = proposals[0], said_bucket(proposals[0].evidence)
    tally = certificate.buckets.get(bucket)
    if tally is None:
        return None
    program = fixes.parse(list(best.fix))
    digest = hashlib.sha256(fixes.content_hash_text(program).encode()).hexdigest()
    if (relation.schema, relation.name, digest) in certificate.refused:
        return None
    signature = joined([misfit.signature for misfit in misfits])
    bound = fixes.bound_columns(program, relation)
    rule = Rule(CERTIFIED + bucket, relation.schema, relation.name, "", signature, best.fix, "matcher", relation.oid, bound)
    return Sure(rule, _facts(bucket, signature, digest, tally, best.probability))


def _facts(bucket: str, signature: str, digest: str, tally: Tally, probability: float) -> dict[str, Json]:
    return {
        "bucket": bucket,
        "signature": signature,
        "content_hash": digest,
        "probability": probability,
        "right": tally.right,
        "wrong": tally.wrong,
        "bound": round(tally.bound, 6),
    }
