"""Experiments that are not in turns of time: prompts split by cause, and changes in force that are judged by what was recorded since."""

from __future__ import annotations

from datetime import datetime

import psycopg

from breakers.core.types import Settings
from breakers.models import BreakerConfig
from breakers.publish import settings_of
from healing.assist.models import AssistRun
from healing.core.tuned import Trial
from optimizer.core import breakers
from optimizer.core.harm import Arm, Harm
from optimizer.core.idea import Expected
from optimizer.core.knobs import WATCH
from optimizer.core.pairs import Turns
from optimizer.facts_of_ai import calls_by_breaker
from optimizer.facts_of_writes import watched
from optimizer.measure import Sums
from optimizer.models import Experiment

LEAST_CALLS = 100


def take_prompts(sums: Sums, experiment: Experiment, trial: Trial, now: datetime) -> Sums:
    """Answers of each version since the experiment began. Good: proven, or approved by a person; a version that abstains is not worse than
    one that is wrong. Counted anew each time, in the order in which they ended; a later reversal makes an answer bad."""
    runs = AssistRun.objects.filter(asked=True, finished_at__gte=experiment.began, finished_at__lte=now).select_related("proposal")
    harm, before = Harm(), sums.harm.candidate.all
    batch: list[list[int]] = [[0, 0], [0, 0]]
    for number, run in enumerate(runs.order_by("finished_at"), 1):
        arm = batch[run.prompt_id == trial.value]
        arm[0] += 1
        arm[1] += _good(run)
        if number % 10 == 0:
            harm, batch = harm.see(Arm(*batch[0]), Arm(*batch[1])), [[0, 0], [0, 0]]
    sums.harm = harm.see(Arm(*batch[0]), Arm(*batch[1]))
    sums.stage_events += max(0, sums.harm.candidate.all - before)
    sums.last_at = now.timestamp()
    return sums


def _good(run: AssistRun) -> bool:
    if run.proposal is not None and run.proposal.state == "rejected":
        return False
    return run.verdict in ("proven", "proposed", "abstained") and "taken back" not in run.why


def before_and_after(experiment: Experiment, now: datetime) -> tuple[Expected | None, bool]:
    """What a step brought, and whether it does harm. A breaker's: calls recorded since, replayed with the old value and with the new one,
    as pairs. The watcher's: what it saw since. None where there is too little."""
    proposal = experiment.proposal
    if proposal.name == WATCH.name:
        return _watching(experiment, now)
    row = BreakerConfig.objects.filter(name=proposal.place).first()
    if proposal.name not in breakers.KNOBS or row is None:
        return None, False
    calls = calls_by_breaker(experiment.began, now).get(proposal.place, [])
    if len(calls) < LEAST_CALLS:
        return None, False
    settings: Settings = settings_of(row.settings(), row.version)
    old = breakers.replay(breakers.changed(settings, proposal.name, float(proposal.old or 0)), calls)
    new = breakers.replay(breakers.changed(settings, proposal.name, float(proposal.new or 0)), calls)
    low, high = breakers.gain_bounds(old, new)
    gain = (new.gain - old.gain) * 1000 / len(calls)
    turns = Turns().see(*breakers.losses(old, new))
    return Expected("failures spared per 1,000 calls", gain, low, high, "failures"), turns.found()


def _watching(experiment: Experiment, now: datetime) -> tuple[Expected | None, bool]:
    """Rarer looks do harm where one came too late for a change; nothing is told where no change came, or the target is away."""
    proposal = experiment.proposal
    try:
        seen = watched(now, experiment.began)
    except psycopg.OperationalError:
        return None, False
    if seen is None or not seen.changes:
        return None, False
    old, new, metric = float(proposal.old or 0), float(proposal.new or 0), str(proposal.expected.get("metric", ""))
    if new > old:
        gain = seen.look_seconds / old - seen.look_seconds / new
        return Expected(metric, gain, 0.0, 2 * gain), seen.detector == "listen" and seen.found_by_look > 0
    gain = (old - new) / 2 * seen.found_by_look / seen.changes
    return Expected(metric, gain, 0.0, 2 * gain, "seconds"), False
