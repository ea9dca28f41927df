"""What is to become of rules: which are proven, which must stop, which are one rule under several tables, and which an AI keeps finding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from healing.core.confidence import lower_bound
from metrics.core.evidence import wilson
from optimizer.core.idea import Expected, Idea

PROVEN = 0.95
LEAST_SAME = 3
"""successes of the very same fix of an AI before it is proposed as a rule."""
LEAST_TABLES = 3
_FEW = 20


class Active(Struct, frozen=True, kw_only=True):
    """A rule in force with what became of its heals. ``reversals``: taken back or called wrong by a person or the write's owner,
    since a person approved it last."""

    id: str
    schema: str
    table: str
    signature: str
    fix_hash: str
    sentence: str
    successes: int
    failures: int
    reversals: int
    proven: bool = False


class AiFix(Struct, frozen=True, kw_only=True):
    """The same fix that an AI found for the same cause: how often a write landed with it, and was taken back."""

    schema: str
    table: str
    signature: str
    fix_hash: str
    sentence: str
    landed: int
    reversed: int
    runs: tuple[str, ...] = ()
    asks_a_week: float = 0.0


def standings(rules: Iterable[Active]) -> Iterator[Idea]:
    """Rules to demote (one reversal, or surely too many failures) and rules that are proven (lower bound of the posterior)."""
    for rule in rules:
        if rule.reversals:
            yield _demote(rule, f"{rule.reversals} of its heals were taken back or called wrong; one is enough.", rule.reversals)
        elif rule.failures + rule.successes >= _FEW and wilson(rule.successes, rule.successes + rule.failures)[1] < PROVEN:
            yield _demote(rule, f"It failed {rule.failures} of {rule.failures + rule.successes} times.", rule.failures)
        elif not rule.proven and (bound := lower_bound(rule.successes, rule.failures)) > PROVEN:
            yield _prove(rule, bound)


def from_ai(found: Iterable[AiFix]) -> Iterator[Idea]:
    """Fixes that an AI found again and again: asked for the last time, once a person agrees."""
    for fix in found:
        if fix.reversed or fix.landed < LEAST_SAME:
            continue
        low, high = wilson(fix.landed, fix.landed)
        evidence = {"landed": fix.landed, "lower_bound": round(low, 4), "certifiable": low > PROVEN, "runs": list(fix.runs[:20])}
        yield Idea(
            kind="rule", proposer="rules from AI fixes", name=fix.signature, place=f"{fix.schema}.{fix.table}", new=fix.fix_hash,
            sentence=f"{fix.schema}.{fix.table}: {fix.sentence}. The AI found this {fix.landed} times, and none was taken back.",
            evidence=evidence,
            expected=Expected("fixes by AI, a week", fix.asks_a_week, fix.asks_a_week * low, fix.asks_a_week * high, "fixes"),
        )  # fmt: skip


def merges(rules: Iterable[Active], misfits: dict[tuple[str, str], dict[str, int]]) -> Iterator[Idea]:
    """The same fix for the same misfit under several tables. ``misfits``: (schema, signature) -> table -> writes that were kept for it."""
    groups: dict[tuple[str, str, str], list[Active]] = defaultdict(list)
    for rule in rules:
        if rule.table and not rule.reversals:
            groups[rule.schema, rule.signature, rule.fix_hash].append(rule)
    for (schema, signature, fix_hash), same in sorted(groups.items()):
        tables = sorted({rule.table for rule in same})
        more = {table: n for table, n in misfits.get((schema, signature), {}).items() if table not in tables}
        if len(tables) < LEAST_TABLES or not more:
            continue
        yield _merge(schema, signature, fix_hash, same, more)


def _merge(schema: str, signature: str, fix_hash: str, same: Sequence[Active], more: dict[str, int]) -> Idea:
    good, bad = sum(r.successes for r in same), sum(r.failures for r in same)
    low, high = wilson(good, good + bad)
    writes, tables = sum(more.values()), sorted({rule.table for rule in same})
    return Idea(
        kind="merge", proposer="merging rules", name=signature, place=schema, old=", ".join(tables), new=", ".join(sorted(more)),
        sentence=f"{same[0].sentence}: approved for {len(tables)} tables, and {writes} writes of {len(more)} more wait for the same.",
        evidence={"rules": [rule.id for rule in same], "fix_hash": fix_hash, "tables": more, "successes": good, "failures": bad},
        expected=Expected("kept writes that land", writes * (low + high) / 2, writes * low, writes * high, "writes"),
    )  # fmt: skip


def _demote(rule: Active, why: str, against: int) -> Idea:
    uses = max(1, rule.successes + rule.failures)
    low, high = wilson(min(against, uses), uses)
    return Idea(
        kind="demote", proposer="standing of rules", name=rule.id, place=f"{rule.schema}.{rule.table}", old="active", new="demoted",
        sentence=f"{rule.schema}.{rule.table or '*'}: {rule.sentence}. {why}",
        evidence={"successes": rule.successes, "failures": rule.failures, "reversals": rule.reversals},
        expected=Expected("wrong heals of this rule", min(against, uses) / uses, low, high),
    )  # fmt: skip


def _prove(rule: Active, bound: float) -> Idea:
    return Idea(
        kind="prove", proposer="standing of rules", name=rule.id, place=f"{rule.schema}.{rule.table}", old="active", new="proven",
        sentence=f"{rule.schema}.{rule.table or '*'}: {rule.sentence}. Right {rule.successes} times: at least {bound:.1%}, surely.",
        evidence={"successes": rule.successes, "failures": rule.failures, "lower_bound": round(bound, 4)},
        expected=Expected("right heals of this rule", (rule.successes + 1) / (rule.successes + rule.failures + 2), bound, 1.0),
    )  # fmt: skip
