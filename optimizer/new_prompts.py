"""A prompt version made of what people decided: written once, not active, for a person to try."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Max

from healing import audit
from healing.assist import score
from healing.assist.models import Prompt
from healing.assist.prompts import NAME
from metrics.core.evidence import wilson
from optimizer.core.idea import Expected, Idea
from optimizer.core.prompts import with_examples
from optimizer.facts_of_ai import active_prompt, decided
from optimizer.models import Proposal
from optimizer.propose import WHO

WHY = "Examples of what people approved and rejected."


def idea() -> Idea | None:
    """The proposal to try it; None where nothing new was decided, no prompt is active, or one waits or is tried."""
    if Proposal.objects.filter(kind="prompt", state__in=["open", "trying"]).exists():
        return None
    active = active_prompt()
    examples = decided()
    system = with_examples(active.system, examples) if active else None
    if active is None or system is None or system == active.system:
        return None
    version, done = _written(active, system), score.of_prompt(active)
    right, wrong = done.right, done.wrong
    low, high = wilson(right, right + wrong)
    return Idea(
        kind="prompt", proposer="prompts", name="prompt", old=active.pk, new=version.pk,
        sentence=f"Try prompt v{version.version} with {len(examples)} decisions of people as examples, beside v{active.version} "
        f"({right} right, {wrong} wrong so far).",
        evidence={"examples": len(examples), "right": right, "wrong": wrong, "added": system.removeprefix(active.system)},
        expected=Expected("askings that end well", (low + high) / 2 * 0.05, 0.0, 1 - low),
    )  # fmt: skip


@transaction.atomic
def _written(active: Prompt, system: str) -> Prompt:
    known = Prompt.objects.filter(name=NAME, system=system, task=active.task).first()
    if known is not None:
        return known
    last = Prompt.objects.filter(name=NAME).aggregate(most=Max("version"))["most"] or 0
    made = Prompt.objects.create(
        name=NAME, version=last + 1, system=system, task=active.task, temperature=active.temperature, max_tokens=active.max_tokens,
        author=WHO, why=WHY,
    )  # fmt: skip
    audit.record(WHO, "write", "prompt", made.pk, why=f"{made}: {WHY}")
    return made
