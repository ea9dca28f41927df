"""Changes on their way into force: begun, looked at again and again, led further, promoted or taken back.

begin ──> turns or split: 5 → 25 → 50 % ──promoted──> in force, watched for a day (``after``)
      └─> after: in force at once (it cannot be split), watched for a week
"""

from __future__ import annotations

import logging
import secrets
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db import transaction

from healing.core.tuned import BLOCK, Trial
from optimizer import alarms, inforce, measure, owners, propose, splits
from optimizer.core import impact
from optimizer.core.balance import uneven
from optimizer.core.breakers import KNOBS as BREAKERS
from optimizer.core.guard import BARRED, direction
from optimizer.core.idea import Expected
from optimizer.core.ramp import LEASE, SHARES, Seen, Standing, Verdict, decide
from optimizer.core.transactions import NAME as TRANSACTIONS
from optimizer.models import Bar, Experiment, Proposal, Setting

log = logging.getLogger(__name__)
WATCHED = timedelta(days=1)
_TURNS = {"batch_rows": "writes", "ai_cache_seconds": "ai answers", "ai_retry_ratio": "ai answers", TRANSACTIONS: "writes"}


@transaction.atomic
def begin(proposal: Proposal, now: datetime, who: str = propose.WHO) -> Experiment | None:
    """Tries the change, or puts it in force where it cannot be tried on a part; None where the guardrails say no."""
    setting = inforce.setting_of(proposal.name, proposal.place)
    why = _refused(proposal, setting, now)
    if why:
        propose.move(proposal, Proposal.State.STOPPED, who=propose.WHO, action="stop", why=why, now=now)
        return None
    mode, group = _mode(proposal)
    experiment = Experiment.objects.create(
        proposal=proposal, setting=setting, mode=mode, group=group, began=now, stage_since=now, until=now + LEASE
    )  # fmt: skip
    if mode == "after":
        inforce.put(setting, proposal.old, proposal.new, who=who, why=proposal.sentence, now=now, proposal=proposal)
        Experiment.objects.filter(pk=experiment.pk).update(until=now + 7 * WATCHED)
    else:
        _let(experiment, 0, now, seed=secrets.token_hex(8))
    propose.move(proposal, Proposal.State.TRYING, who=who, action="try", why=f"In {mode}.", now=now)
    return experiment


def _refused(proposal: Proposal, setting: Setting, now: datetime) -> str:
    """Why it may not be begun, '' where it may."""
    if inforce.value_of(setting) != proposal.old:
        return "It was set otherwise meanwhile."
    knob, group = propose.knob_of(proposal.name), _mode(proposal)[1]
    if knob is not None:
        of_place = msgspec.structs.replace(knob, group=group)
        return "; ".join(propose.refusals(of_place, proposal.place, float(proposal.old or 0), float(proposal.new or 0), now))
    if Experiment.objects.filter(group=group, state="running").exists():
        return f"another experiment on {group} is open"
    way = _way(proposal)
    barred = [bar for bar in propose.bars(now) if (bar.setting, bar.place, bar.direction) == (proposal.name, proposal.place, way)]
    return f"it was rolled back; it is barred until {barred[0].until:%Y-%m-%d}" if barred else ""


def hindered(name: str, place: str, old: Any, new: Any, now: datetime) -> bool:
    """Whether a step need not even be proposed now: its metrics are busy with another one, or that direction rests."""
    busy = Experiment.objects.filter(group=_way_of(name, place)[1], state="running").exists()
    return busy or any((bar.setting, bar.place, bar.direction) == (name, place, _direction(name, old, new)) for bar in propose.bars(now))


def _mode(proposal: Proposal) -> tuple[str, str]:
    return _way_of(proposal.name, proposal.place)


def _way_of(name: str, place: str) -> tuple[str, str]:
    if name in _TURNS:
        return "turns", _TURNS[name]
    if name == owners.PROMPT:
        return "split", "prompt"
    return "after", f"breaker {place}" if name in BREAKERS else "schema"


def look(now: datetime) -> list[Experiment]:
    """Looks at every open experiment; returns those that ended. One that cannot be looked at keeps no other from it: its lease ends it."""
    ended = []
    for pk in Experiment.objects.filter(state="running").order_by("pk").values_list("pk", flat=True):
        try:
            ended += _look_at(pk, now)
        except Exception:
            log.exception("experiment %s could not be looked at", pk)
    return ended


@transaction.atomic
def _look_at(pk: int, now: datetime) -> list[Experiment]:
    """The experiment, if it ended by this look."""
    held = Experiment.objects.select_for_update(of=("self",), skip_locked=True).select_related("proposal", "setting")
    experiment = held.filter(pk=pk, state="running").first()
    if experiment is None:
        return []
    _look(experiment, now)
    return [experiment] if experiment.state != "running" else []


def _look(experiment: Experiment, now: datetime) -> None:
    if experiment.mode == "after":
        _watch(experiment, now)
        return
    if experiment.setting.trial is None:
        _end(experiment, Verdict("revert", "Its trial was taken back by hand."), now)
        return
    trial = msgspec.convert(experiment.setting.trial, Trial)
    sums = measure.sums_of(experiment.seen)
    if experiment.mode == "turns":
        sums = measure.take_turns(sums, trial, experiment.group, experiment.proposal.place, now)
    else:
        sums = splits.take_prompts(sums, experiment, trial, now)
    experiment.seen, experiment.looked_at = measure.plain(sums), now
    _act(experiment, sums, decide(_standing(experiment), _seen(experiment, sums, trial, now), now), now)


def _seen(experiment: Experiment, sums: measure.Sums, trial: Trial, now: datetime) -> Seen:
    control, candidate = sums.harm.control.all, sums.harm.candidate.all
    split = experiment.mode == "split"
    fresh = split or sums.last_at >= (now - measure.FRESH - _cycle(trial.share)).timestamp()
    return Seen(
        control=control, candidate=candidate, stage_events=sums.stage_events, lower=sums.lower, harmed=sums.harmed,
        uneven=split and experiment.stage == 0 and uneven(control, candidate, trial.share),
        fresh=fresh, alarm=alarms.since(experiment.began, now),
    )  # fmt: skip


def _cycle(share: float) -> timedelta:
    """How long it may take until the next pair."""
    return timedelta(seconds=2 * BLOCK / share)


def _standing(experiment: Experiment) -> Standing:
    return Standing(
        stage=experiment.stage, since=experiment.began, stage_since=experiment.stage_since, until=experiment.until,
        extended=experiment.extended,
    )  # fmt: skip


def _act(experiment: Experiment, sums: measure.Sums, verdict: Verdict, now: datetime) -> None:
    if verdict.word in ("promote", "revert"):
        _end(experiment, verdict, now)
        return
    trial = msgspec.convert(experiment.setting.trial, Trial)
    if sums.last_at >= (now - measure.FRESH - _cycle(trial.share)).timestamp() or experiment.mode == "split":
        experiment.until = now + LEASE + _cycle(trial.share)
    if verdict.word == "advance":
        experiment.stage, experiment.stage_since = experiment.stage + 1, now
        sums.stage_events = 0
        experiment.seen = measure.plain(sums)
    experiment.extended = experiment.extended or verdict.word == "extend"
    experiment.why = verdict.why
    experiment.save()
    moved = verdict.word == "advance"
    _let(experiment, experiment.stage, now if moved else None, seed=trial.seed, begins=trial.begins)


def _let(experiment: Experiment, stage: int, now: datetime | None, *, seed: str, begins: float = 0.0) -> None:
    """Writes the trial that processes follow: its share, and its lease."""
    starts = (now.timestamp() // BLOCK + 1) * BLOCK if now is not None else begins
    until = experiment.until.timestamp() + (2 * BLOCK / SHARES[stage] if now is not None else 0.0)
    trial = Trial(experiment.proposal.new, seed, SHARES[stage], starts, until)  # type: ignore[arg-type]
    if now is not None:
        experiment.until += _cycle(SHARES[stage])
        Experiment.objects.filter(pk=experiment.pk).update(until=experiment.until)
    inforce.try_out(experiment.setting, msgspec.to_builtins(trial))
    experiment.setting.trial = msgspec.to_builtins(trial)


def _end(experiment: Experiment, verdict: Verdict, now: datetime) -> None:
    """In force for good, or as it was; what was measured is kept beside what was expected."""
    sums, proposal = measure.sums_of(experiment.seen), experiment.proposal
    inforce.try_out(experiment.setting, None)
    if verdict.word == "promote":
        try:
            inforce.put(experiment.setting, proposal.old, proposal.new, who=propose.WHO, why=verdict.why, now=now, proposal=proposal)
        except inforce.Meanwhile as error:
            verdict = Verdict("revert", str(error))
    promoted = verdict.word == "promote"
    _close(experiment, promoted, verdict.why, now, _measured(experiment, sums))


def _measured(experiment: Experiment, sums: measure.Sums) -> Expected:
    if experiment.mode == "turns" and sums.turns.count:
        return impact.of_turns(sums.turns)
    return impact.of_split(sums.harm, str(experiment.proposal.expected.get("metric", "")))


def _close(experiment: Experiment, promoted: bool, why: str, now: datetime, measured: Expected | None) -> None:
    experiment.state = Experiment.State.PROMOTED if promoted else Experiment.State.REVERTED
    experiment.ended, experiment.why = now, why
    experiment.save()
    proposal = experiment.proposal
    if measured is not None:
        found: dict[str, Any] = msgspec.to_builtins(measured)
        Proposal.objects.filter(pk=proposal.pk).update(measured=found, measured_at=now)
    state = Proposal.State.ADOPTED if promoted else Proposal.State.ROLLED_BACK
    propose.move(proposal, state, who=propose.WHO, action="promote" if promoted else "roll back", why=why, now=now)
    if not promoted:
        Bar.objects.create(setting=proposal.name, place=proposal.place, direction=_way(proposal), until=now + BARRED, proposal=proposal)


def _watch(experiment: Experiment, now: datetime) -> None:
    """In force at once: taken back on an alarm or harm, kept when its week is over and something was measured; else extended once, then
    taken back."""
    alarm = alarms.since(experiment.began, now)
    measured, harmed = splits.before_and_after(experiment, now)
    if alarm or harmed:
        _take_back(experiment, alarm or "It does harm, measured on what was recorded since.", now, measured)
    elif now >= experiment.until and measured is not None:
        _close(experiment, True, "Its week is over, and nothing spoke against it.", now, measured)
    elif now >= experiment.until and experiment.extended:
        _take_back(experiment, "Inconclusive: nothing could be measured in two weeks.", now, None)
    elif now >= experiment.until:
        longer = {"until": now + 7 * WATCHED, "extended": True, "why": "Too little was measured. A week more."}
        Experiment.objects.filter(pk=experiment.pk).update(looked_at=now, **longer)
    else:
        Experiment.objects.filter(pk=experiment.pk).update(looked_at=now)


def _take_back(experiment: Experiment, why: str, now: datetime, measured: Expected | None) -> None:
    revision = experiment.proposal.revisions.order_by("-id").first()
    if revision is not None:
        inforce.back(revision, who=propose.WHO, why=why)
    _close(experiment, False, why, now, measured)


@transaction.atomic
def roll_back(proposal: Proposal, now: datetime, *, who: str, why: str) -> bool:
    """A person (or an alarm after it was adopted) takes a change back; False where something newer is in force."""
    experiment = Experiment.objects.select_for_update(of=("self",)).select_related("proposal", "setting").get(proposal=proposal)
    revision = proposal.revisions.order_by("-id").first()
    done = revision is not None and inforce.back(revision, who=who, why=why)
    running = experiment.state == "running"
    if running and experiment.mode != "after":
        inforce.try_out(experiment.setting, None)
    if not (done or running):
        return False
    experiment.state, experiment.ended, experiment.why = Experiment.State.REVERTED, now, why
    experiment.save()
    propose.move(proposal, Proposal.State.ROLLED_BACK, who=who, action="roll back", why=why, now=now)
    Bar.objects.create(setting=proposal.name, place=proposal.place, direction=_way(proposal), until=now + BARRED, proposal=proposal)
    return True


def watch_adopted(now: datetime) -> int:
    """What was promoted within a day is still taken back on an alarm; returns how many were."""
    fresh = Experiment.objects.filter(state="promoted", ended__gt=now - WATCHED).select_related("proposal")
    alarmed = [(e, alarms.since(e.ended, now)) for e in fresh if e.ended is not None]
    return sum(roll_back(e.proposal, now, who=propose.WHO, why=why) for e, why in alarmed if why)


def _way(proposal: Proposal) -> str:
    return _direction(proposal.name, proposal.old, proposal.new)


def _direction(name: str, old: Any, new: Any) -> str:
    if isinstance(old, int | float) and isinstance(new, int | float) and name != owners.PROMPT:
        return direction(old, new)
    return str(new)[:40]
