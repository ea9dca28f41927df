"""A change's way into force: 5, 25, 50, 100 % of the traffic, each step earned, each moment revocable. Time is an argument.

trying --harm, imbalance, alarm, no telemetry--> reverted
       --enough seen, surely not worse by a point--> promoted
       --too little after a week--> extended once --still too little--> reverted (inconclusive)
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

SHARES = (0.05, 0.25, 0.5, 1.0)
LEAST_EVENTS = 300
"""of each arm, before anything is promoted."""
LEAST_TIME = timedelta(hours=24)
STAGE_TIME = timedelta(hours=6)
STAGE_EVENTS = 100
"""of the candidate's arm, before a stage is left."""
PATIENCE = timedelta(days=7)
LEASE = timedelta(minutes=30)
MARGIN = 0.01
"""one point: what may be lost at most, surely, for a change to be promoted."""
Word = Literal["hold", "advance", "promote", "extend", "revert"]


class Standing(Struct, frozen=True, kw_only=True):
    """Where an experiment stands."""

    stage: int
    since: datetime
    """of the experiment."""
    stage_since: datetime
    until: datetime
    """the lease's end."""
    extended: bool = False


class Seen(Struct, frozen=True, kw_only=True):
    """What was measured so far. ``lower``: the lower bound of what the change gains, as a share (above 0 is better); ``stage_events``: of
    the candidate in this stage. ``alarm``: something outside the experiment calls it off."""

    control: int
    candidate: int
    stage_events: int
    lower: float
    harmed: bool = False
    uneven: bool = False
    fresh: bool = True
    alarm: str = ""


class Verdict(Struct, frozen=True):
    """What to do, and why."""

    word: Word
    why: str


def decide(standing: Standing, seen: Seen, now: datetime) -> Verdict:
    """The next step of an experiment."""
    if (bad := _against(standing, seen, now)) is not None:
        return bad
    if _may_promote(standing, seen, now):
        return Verdict("promote", f"It gains at least {seen.lower:+.2%}, surely, in {seen.candidate} events against {seen.control}.")
    age = now - standing.since
    if age >= PATIENCE * (2 if standing.extended else 1):
        return _too_long(standing, seen)
    if _may_advance(standing, seen, now):
        return Verdict("advance", f"No harm in {seen.stage_events} events: {SHARES[standing.stage + 1]:.0%} next.")
    return Verdict("hold", "It goes on.")


def _against(standing: Standing, seen: Seen, now: datetime) -> Verdict | None:
    if seen.alarm:
        return Verdict("revert", seen.alarm)
    if seen.uneven:
        return Verdict("revert", f"The arms got {seen.control} and {seen.candidate} events: that is not how they were dealt.")
    if seen.harmed:
        return Verdict("revert", f"It does harm: shown by {seen.candidate} events against {seen.control}.")
    if not seen.fresh and now >= standing.until:
        return Verdict("revert", "Nothing was measured until its lease ended.")
    return None


def _may_promote(standing: Standing, seen: Seen, now: datetime) -> bool:
    enough = min(seen.control, seen.candidate) >= LEAST_EVENTS and now - standing.since >= LEAST_TIME
    return enough and standing.stage >= SHARES.index(0.5) and seen.lower > -MARGIN


def _may_advance(standing: Standing, seen: Seen, now: datetime) -> bool:
    """The last step, to everything, is the promotion."""
    if standing.stage >= SHARES.index(0.5):
        return False
    return now - standing.stage_since >= STAGE_TIME and seen.stage_events >= STAGE_EVENTS


def _too_long(standing: Standing, seen: Seen) -> Verdict:
    said = f"Inconclusive: {seen.candidate} events against {seen.control}, a gain of at least {seen.lower:+.2%}."
    return Verdict("revert", f"{said} It was extended already.") if standing.extended else Verdict("extend", f"{said} A week more.")
