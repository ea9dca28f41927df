"""A fix of the AI tier that was proven for certain kept writes: used for these alone, as if it were a rule, and told by their receipts."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from healing.core.mend import ASSISTED, Context
from healing.core.types import Healing, Json, Rule

RUN = """
SELECT id::text, schema, "table", signature, fix::text, bound::text, model, prompt_name, prompt_version, proof::text
FROM healing_assistrun r WHERE id = $1::text::uuid AND verdict = 'proven'
    AND NOT EXISTS (SELECT FROM healing_proposal p WHERE p.schema = r.schema AND p."table" = r."table"
        AND p.content_hash = r.content_hash AND p.state = 'rejected')
    AND NOT EXISTS (SELECT FROM healing_rule u WHERE u.schema = r.schema AND u."table" = r."table"
        AND u.content_hash = r.content_hash AND (u.state IN ('demoted', 'rejected') OR u.reversals > 0))"""
"""A run's fix, as long as it counts: a person may have said no to it since it was proven."""


class Assisted(Struct, frozen=True):
    """``rule`` is the fix; ``facts`` say where it came from: run, model, prompt, proof."""

    rule: Rule
    facts: dict[str, Json]

    @property
    def noted(self) -> dict[str, dict[str, Json]]:
        """For ``receipts.fixes_of``."""
        return {self.rule.id: {"assist": self.facts}}

    def added_to(self, known: Context) -> Context:
        """The context with this fix in it, where the policy allows it and its names still mean the same columns."""
        if known.level is not Healing.ASSISTED or known.relation is None or not self.rule.binds(known.relation):
            return known
        return replace(known, rules=(*known.rules, self.rule))


def assisted_of(record: Any) -> Assisted:
    """From a record of ``RUN``."""
    bound = msgspec.json.decode(record["bound"])
    facts = {
        "run": record["id"],
        "model": record["model"],
        "prompt": f"{record['prompt_name']} v{record['prompt_version']}",
        "proof": msgspec.json.decode(record["proof"]),
    }
    return made(
        record["id"], record["schema"], record["table"], record["signature"], tuple(msgspec.json.decode(record["fix"])), bound, facts
    )


def made(
    run: str, schema: str, table: str, signature: str, fix: tuple[dict[str, Json], ...], bound: dict[str, Any], facts: dict[str, Json]
) -> Assisted:
    """A fix for one cause. ``bound``: oid of the relation and attnums of the columns that it names."""
    rule = Rule(f"{ASSISTED}{run}", schema, table, "", signature, fix, "ai", bound.get("oid", 0), bound.get("columns", {}))
    return Assisted(rule, facts)
