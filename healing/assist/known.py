"""What is known about a cause before it is asked about: what waits, what was decided for the table, how good the prompt was."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from msgspec import Struct

from healing.assist import prompts, score
from healing.assist.models import AssistRun, Prompt
from healing.assist.runs import OPEN
from healing.core.assist import BUILTIN, Example, Parts
from healing.models import Proposal, QuarantineItem, Receipt, Rule

MOST_TRIED = 5_000
"""kept writes that one run tries, as far as its time goes; a cause with more is for a person."""
MOST_EXAMPLES = 8


class Known(Struct, frozen=True):
    """``fix`` is an answer that was proven before for this very cause, schema and prompt: nobody needs to be asked again."""

    items: tuple[str, ...]
    more: int
    parts: Parts
    prompt: Any
    examples: tuple[Example, ...]
    trust: float
    fix: Any = None
    before: Any = None


def known_of(run: AssistRun) -> Known:
    """Everything of the control database that a run needs."""
    place = {"schema": run.schema, "table": run.table, "signature": run.signature}
    waiting = QuarantineItem.objects.filter(**place, state__in=OPEN).order_by("number")
    ids = [str(pk) for pk in waiting.values_list("pk", flat=True)[:MOST_TRIED]]
    prompt = prompts.for_cause(f"{run.schema}.{run.table} {run.signature}")
    before = None if run.asked_by else _proven_before(place, prompt)
    return Known(
        tuple(ids), max(0, waiting.count() - len(ids)), _parts(prompt), prompt, _examples(run.schema, run.table),
        score.trust(prompt), before.fix if before else None, before,
    )  # fmt: skip


def approved_before(run: AssistRun, content_hash: str) -> bool:
    """A person approved the same fix for this table, of these very columns (a name may have gone over to another one since); its rule
    lives, and nothing of it was taken back."""
    same = Proposal.objects.filter(schema=run.schema, table=run.table, content_hash=content_hash, state="approved")
    alive = same.filter(rule__state=Rule.State.ACTIVE, rule__reversals=0, decided_by__isnull=False)
    return any(_columns(bound) == _columns(run.bound) for bound in alive.values_list("rule__bound", flat=True))


def _columns(bound: dict[str, Any]) -> tuple[Any, Any]:
    """The relation and the columns behind the names of a fix."""
    return bound.get("oid"), bound.get("columns", {})


def taken_back(run: AssistRun, content_hash: str) -> bool:
    """A person rejected the same fix for this table, or a write healed with it was undone or called wrong."""
    place = {"schema": run.schema, "table": run.table, "content_hash": content_hash}
    if Proposal.objects.filter(**place, state="rejected").exists():
        return True
    ended = Rule.objects.filter(**place).filter(Q(state__in=["demoted", "rejected"]) | Q(reversals__gt=0))
    return ended.exists() or reversed_receipts(AssistRun.objects.filter(**place)).exists()


def reversed_receipts(runs: Any) -> Any:
    """Receipts of writes that these runs healed and that were taken back, or called wrong."""
    healed = QuarantineItem.objects.filter(assist__in=runs)
    theirs = Q(pk__in=healed.values("receipt")) | Q(pk__in=healed.values("replay_receipt"))
    return Receipt.objects.filter(theirs).filter(Q(outcome="undone") | Q(feedback__ever_wrong=True))


def _parts(prompt: Prompt | None) -> Parts:
    return Parts(prompt.system, prompt.task, prompt.temperature, prompt.max_tokens) if prompt else BUILTIN


def _proven_before(place: dict[str, str], prompt: Prompt | None) -> AssistRun | None:
    last = AssistRun.objects.filter(**place, state=AssistRun.State.DONE).order_by("-finished_at").first()
    return last if last is not None and last.verdict == AssistRun.Verdict.PROVEN and last.prompt_id == (prompt and prompt.pk) else None


def _examples(schema: str, table: str) -> tuple[Example, ...]:
    """What people decided for this table, newest first, approved and rejected."""
    decided = Proposal.objects.filter(schema=schema, table=table, state__in=["approved", "rejected"], decided_by__isnull=False)
    newest = decided.order_by("-decided_at")[:MOST_EXAMPLES]
    return tuple(Example(p.signature, tuple(p.fix), p.state == "approved") for p in newest)
