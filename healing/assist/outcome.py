"""Writes down what a run found, in one transaction: verdict and evidence, the proposal, and which kept writes may land with it."""

from __future__ import annotations

from typing import Any

import msgspec
from django.db import transaction
from django.db.models import Q

from healing import policy
from healing.assist import runs
from healing.assist.inquiry import Finding, plain_json
from healing.assist.known import Known, approved_before, taken_back
from healing.assist.models import AssistRun
from healing.checked_fix import content_hash, plain, sentence
from healing.core.assist import Case, why_not
from healing.core.types import Healing
from healing.models import Proposal, QuarantineItem, Source
from healing.replay_orders import order_automatic
from schema_monitor import server_clock

Verdict = AssistRun.Verdict
WORTH_A_RULE = 3
"""kept writes that the same fix suits; from then on the reviewer is told that a rule would pay."""


@transaction.atomic
def write_down(run: AssistRun, finding: Finding, known: Known) -> str:
    """Ends the run; returns its verdict, '' where the lease was lost meanwhile (then another worker's word counts)."""
    if not runs.ours(run):
        return ""
    _note_call(run, finding, known)
    run.items = list(known.items)
    if finding.stop:
        runs.finish(run, finding.stop, finding.why)
        return finding.stop
    return _judge(run, finding, known)


def _note_call(run: AssistRun, finding: Finding, known: Known) -> None:
    """Who was asked with what; a fix that is used again keeps saying whose it was."""
    run.asked, run.seconds, run.prompt = finding.asked, finding.seconds, known.prompt
    run.prompt_name, run.prompt_version = (known.prompt.name, known.prompt.version) if known.prompt else ("built-in", 0)
    said, before = finding.answered, known.before
    if said is not None:
        run.model, run.provider, run.call, run.cost = said.model, said.provider, said.call_id, said.cost
        run.input_tokens, run.output_tokens = said.input_tokens, said.output_tokens
    elif before is not None:
        run.model, run.provider, run.call = before.model, before.provider, before.call


def _judge(run: AssistRun, finding: Finding, known: Known) -> str:
    run.fix, run.content_hash, run.bound = plain(finding.ops), content_hash(finding.ops), finding.bound
    run.agreement, run.matcher, run.confidence = finding.agreement.word, finding.agreement.matcher, finding.agreement.confidence
    run.proof = plain_json(msgspec.structs.asdict(finding.proof))
    back = taken_back(run, run.content_hash)
    case = Case(finding.ops, finding.misfits, finding.agreement, finding.proof, approved_before(run, run.content_hash), back)
    doubts = why_not(case)
    run.proposal = _propose(run, finding, doubts)
    verdict = Verdict.PROPOSED if doubts else Verdict.PROVEN
    runs.finish(run, verdict, "; ".join(doubts))
    if not doubts:
        _let_land(run)
    return verdict


def _propose(run: AssistRun, finding: Finding, doubts: list[str]) -> Proposal:
    """The proposal of this fix for this cause, new or already there; one that was decided about stays as it is."""
    place = {"schema": run.schema, "table": run.table, "signature": run.signature, "content_hash": run.content_hash}
    fresh: dict[str, Any] = {
        "fix": run.fix, "source": Source.AI, "sentence": sentence(finding.ops), "probability": run.confidence, "evidence": {},
    }  # fmt: skip
    proposal, new = Proposal.objects.select_for_update().get_or_create(**place, defaults=fresh)
    if proposal.state != Proposal.State.OPEN:
        return proposal
    if not new and run.agreement == "same":
        proposal.probability = max(proposal.probability, run.confidence)
    proposal.evidence = _evidence(proposal.evidence if isinstance(proposal.evidence, dict) else {}, run, doubts)
    proposal.save(update_fields=["probability", "evidence"])
    return proposal


def _evidence(known: dict[str, Any], run: AssistRun, doubts: list[str]) -> dict[str, Any]:
    """What the matcher said stays (and is said again with each kept write); what the AI adds is under ``ai``."""
    tried, landed = run.proof.get("tried", 0), run.proof.get("landed", 0)
    spoken = [
        f"a model ({run.model}) says so" if run.agreement != "same" else f"a model ({run.model}) says the same, unasked by the matcher"
    ]
    spoken += [f"in a trial that was rolled back, {landed} of {tried} kept writes landed as meant"] if tried else []
    spoken += [f"it suits {landed} kept writes: as a rule it would save asking"] if landed >= WORTH_A_RULE else []
    said = {
        "run": str(run.pk), "model": run.model, "provider": run.provider, "prompt": f"{run.prompt_name} v{run.prompt_version}",
        "agreement": run.agreement, "matcher": run.matcher, "confidence": run.confidence, "proof": run.proof, "proven": not doubts,
        "seen": len(run.items), "often": landed >= WORTH_A_RULE, "for": spoken, "against": doubts,
    }  # fmt: skip
    return {"for": [], "against": [], **known, "ai": said}


def _let_land(run: AssistRun) -> None:
    """The tried writes whose callers accepted a later landing; those whose caller still waits are landed by the gateway itself."""
    if policy.highest_level(run.schema, run.table) is not Healing.ASSISTED:
        return
    accepted = QuarantineItem.objects.filter(pk__in=run.items, automatic=True, state__in=runs.OPEN)
    accepted.update(assist=run)
    free = accepted.filter(Q(lease_until=None) | Q(lease_until__lte=server_clock.now()) | Q(attempts__gt=0))
    order_automatic(free, f"the AI's fix was proven: {sentence_of(run)}")


def sentence_of(run: AssistRun) -> str:
    """The run's fix, said to a person."""
    return run.proposal.sentence if run.proposal else ""
