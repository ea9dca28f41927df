"""What a run does, step by step: each gathers facts, asks a pure function of the core, and acts or proposes. Each may be done again.

Rules and prompts are for people; a demotion is not (a rule that was wrong once heals nothing more). Settings are tried by themselves,
within the guardrails, where nobody has switched that off; breakers wait for a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from breakers.models import BreakerConfig
from breakers.publish import settings_of
from healing import rules as rule_life
from healing.models import Proposal as Fix
from healing.models import Rule
from optimizer import backtests, experiments, facts_of_ai, facts_of_rules, facts_of_writes, followed, inforce, new_prompts, propose
from optimizer.core import breakers, causes, rules, transactions, tune
from optimizer.core.idea import Idea
from optimizer.models import OptimizationRun, Proposal

Step = Callable[[OptimizationRun, datetime], str]
RECORDED = timedelta(days=30)


def follow(run: OptimizationRun, now: datetime) -> str:
    """What people decided meanwhile, and what came of it, is written beside what was expected."""
    return f"{followed.follow(now)} proposals moved on"


def standings(run: OptimizationRun, now: datetime) -> str:
    """Demotes at once; proven rules are listed."""
    new = _store(rules.standings(facts_of_rules.active()), run, now)
    for proposal in new:
        if proposal.kind == "demote":
            rule_life.demote(Rule.objects.get(pk=proposal.name), propose.WHO, proposal.sentence)
        propose.move(proposal, Proposal.State.ADOPTED, who=propose.WHO, action=proposal.kind, why=proposal.sentence, now=now)
    demoted = sum(p.kind == "demote" for p in new)
    return f"{demoted} rules demoted, {len(new) - demoted} proven"


def from_ai(run: OptimizationRun, now: datetime) -> str:
    """Fixes that an AI keeps finding stand in the review queue as rules, with their record; not those that the backtest speaks against."""
    new = _store(rules.from_ai(facts_of_rules.ai_fixes()), run, now)
    stopped = [backtests.stop_or_offer(proposal, now) for proposal in new]
    return f"{len(new)} rules proposed from AI fixes, {sum(stopped)} of them stopped by the backtest"


def merges(run: OptimizationRun, now: datetime) -> str:
    """The same fix for further tables."""
    return f"{len(_store(rules.merges(facts_of_rules.active(), facts_of_rules.waiting()), run, now))} merges proposed"


def common_causes(run: OptimizationRun, now: datetime) -> str:
    """The clusters that hold most kept writes."""
    new = _store(causes.common(facts_of_rules.causes(), facts_of_rules.landed_share()), run, now)
    for proposal in new:
        schema, _, table = proposal.place.partition(".")
        best = Fix.objects.filter(schema=schema, table=table, signature=proposal.name, state=Fix.State.OPEN).first()
        Proposal.objects.filter(pk=proposal.pk).update(fix=best.pk if best else None)
    return f"{len(new)} common causes"


def breaker_steps(run: OptimizationRun, now: datetime) -> str:
    """Recorded calls through the state machine with other settings."""
    recorded = facts_of_ai.calls_by_breaker(now - RECORDED)
    barred = [(bar.place, bar.setting, str(bar.direction)) for bar in propose.bars(now)]
    ideas = []
    for row in BreakerConfig.objects.filter(name__in=list(recorded)):
        closed = [(setting, way) for place, setting, way in barred if place == row.name]
        ideas.append(breakers.tune(row.name, settings_of(row.settings(), row.version), recorded[row.name], closed))
    new = _store([idea for idea in ideas if idea is not None], run, now)
    calls = sum(len(each) for each in recorded.values())
    return f"{len(new)} breaker steps from {calls} recorded calls"


def ai_steps(run: OptimizationRun, now: datetime) -> str:
    """The life of cached answers, and retries."""
    life, ratio = (inforce.value_of(inforce.setting_of(name)) for name in ("ai_cache_seconds", "ai_retry_ratio"))
    return _try([tune.cache(life, facts_of_ai.questions(now)), tune.retries(ratio, facts_of_ai.retried(now))], run, now)


def prompt(run: OptimizationRun, now: datetime) -> str:
    """A version with examples of what people decided; tried once a person agrees."""
    idea = new_prompts.idea()
    return f"{len(_store([idea] if idea else [], run, now))} prompts proposed"


def batches(run: OptimizationRun, now: datetime) -> str:
    """How many rows share a statement."""
    return _try([tune.batch(inforce.value_of(inforce.setting_of("batch_rows")), facts_of_writes.batched(now))], run, now)


def strategies(run: OptimizationRun, now: datetime) -> str:
    """How each table's inserts are committed."""
    found = facts_of_writes.tables(now)
    places = [(table, inforce.value_of(inforce.setting_of(transactions.NAME, table.name))) for table in found if table.inserts >= 1000]
    return _try([transactions.strategy(now_set, table) for table, now_set in places], run, now)


def watching(run: OptimizationRun, now: datetime) -> str:
    """How often the schema is looked at."""
    seen = facts_of_writes.watched(now)
    if seen is None:
        return "nothing watches the schema"
    return _try([tune.interval(inforce.value_of(inforce.setting_of("watch_seconds")), seen)], run, now)


STEPS: dict[str, tuple[str, Step]] = {
    "follow": ("all", follow),
    "standing of rules": ("rules", standings),
    "rules from AI fixes": ("rules", from_ai),
    "merging rules": ("rules", merges),
    "common failures": ("rules", common_causes),
    "breakers": ("breakers", breaker_steps),
    "cache and retries": ("ai", ai_steps),
    "prompt": ("ai", prompt),
    "batch size": ("writes", batches),
    "transactions": ("writes", strategies),
    "watching": ("schema", watching),
}
"""In this order: what it is called, to which target it belongs (``all``: to each), what is done."""
TARGETS = ("all", "rules", "breakers", "ai", "writes", "schema")


def steps_of(target: str) -> list[str]:
    """The steps of a target."""
    return [name for name, (part, _) in STEPS.items() if target in ("all", part) or part == "all"]


def _store(ideas: Iterable[Idea], run: OptimizationRun, now: datetime) -> list[Proposal]:
    return [row for idea in ideas if (row := propose.store(idea, run, now)) is not None]


def _try(ideas: Iterable[Idea | None], run: OptimizationRun, now: datetime) -> str:
    """Begins what may be begun unasked; the rest waits for a person."""
    may = [idea for idea in ideas if idea is not None and not experiments.hindered(idea.name, idea.place, idea.old, idea.new, now)]
    new = _store(may, run, now)
    begun = [experiments.begin(p, now) for p in new if inforce.setting_of(p.name, p.place).automatic]
    return f"{len(new)} steps proposed, {sum(each is not None for each in begun)} being tried"
