"""Ideas become rows: once each, however often they are found; what the guardrails refuse is noted and goes no further."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from optimizer.core import guard
from optimizer.core.breakers import KNOBS as BREAKERS
from optimizer.core.guard import Knob
from optimizer.core.idea import Idea
from optimizer.core.knobs import KNOBS
from optimizer.models import Bar, Decision, Experiment, OptimizationRun, Proposal

WHO = "optimizer"
_OPEN = [Proposal.State.OPEN, Proposal.State.TRYING]
_ENDED_FOR_GOOD = [Proposal.State.REJECTED]


@transaction.atomic
def store(idea: Idea, run: OptimizationRun | None, now: datetime | None = None) -> Proposal | None:
    """The row of a new idea; None where it is known already: open (its evidence is brought up to date), stopped
    lately, or a person said no to it."""
    same = Proposal.objects.select_for_update().filter(key=idea.key)
    known = same.filter(state__in=_OPEN).first()
    facts: dict[str, Any] = {
        "sentence": idea.sentence, "evidence": _plain(idea.evidence), "expected": _plain(idea.expected), "old": idea.old, "new": idea.new,
    }  # fmt: skip
    if known is not None:
        if known.state == Proposal.State.OPEN:
            same.filter(pk=known.pk).update(**facts)
        return None
    stopped = same.filter(state=Proposal.State.STOPPED, changed_at__gt=(now or timezone.now()) - guard.BARRED)
    if idea.kind == "rule" and stopped.exists():
        return None
    if same.filter(state__in=_ENDED_FOR_GOOD).exists() or (idea.kind in ("demote", "prove") and same.filter(state="adopted").exists()):
        return None
    return Proposal.objects.create(
        run=run, key=idea.key, kind=idea.kind, proposer=idea.proposer, name=idea.name, place=idea.place, changed_at=now or timezone.now(),
        **facts,
    )  # fmt: skip


@transaction.atomic
def move(proposal: Proposal, state: str, *, who: str, action: str, why: str, now: datetime) -> None:
    """Another state, with its decision. Only from the state that this object shows."""
    moved = Proposal.objects.filter(pk=proposal.pk, state=proposal.state).update(state=state, why=why, changed_at=now)
    if moved:
        Decision.objects.create(proposal=proposal, at=now, who=who, action=action, why=why)
        proposal.state, proposal.why = state, why


def refusals(knob: Knob, place: str, old: float, new: float, now: datetime) -> list[str]:
    """What the guardrails say against a step now."""
    groups = set(Experiment.objects.filter(state="running").values_list("group", flat=True))
    return guard.refusals(knob, place, old, new, open_groups=groups, bars=bars(now), now=now)


def bars(now: datetime) -> list[guard.Bar]:
    """Directions that rest."""
    rows = Bar.objects.filter(until__gt=now)
    return [guard.Bar(row.setting, row.place, row.direction, row.until) for row in rows]


def knob_of(name: str) -> Knob | None:
    """The knob of a number that is tuned, whoever keeps it; None for words."""
    return KNOBS.get(name) or BREAKERS.get(name)


def _plain(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))
