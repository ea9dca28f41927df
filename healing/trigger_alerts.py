"""What follows when a trigger fires: people are told, and the optimizer is rung for. The row is the truth, the bell may be lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from django.apps import apps
from django.urls import reverse

from healing.doorbell import OPTIMIZE, ring_on_commit
from metrics import triggers
from metrics.models import Trigger
from schema_monitor.alerts.notices import News, keep

PREFIX = "trigger."
AT_ONCE = timedelta(0)
"""A trigger has been quiet for ten minutes when it ends: nothing more needs to be waited for."""


class Said(NamedTuple):
    """How bad a trigger is, what to do, and where."""

    severity: str
    step: str
    page: str = "admin:metrics_trigger_changelist"


KINDS = {
    "healing_success": Said("high", "Look at what is kept, by cause: a rule that is missing may heal most of it.", "admin:healing_causes"),
    "ai_fix_rate": Said("medium", "Approve what the AI found again and again, so that rules do it.", "admin:healing_review"),
    "breaker_trips": Said("high", "Look why it opens: its page names the errors.", "admin:breakers_breakerconfig_changelist"),
    "cache_invalidations": Said("medium", "See who changes the schema so often.", "admin:schema_timeline"),
    "slow_healing": Said("medium", "See which fixes take long on the dashboard's chart.", "admin:index"),
    "growing_quarantine": Said("high", "Decide what becomes of the kept writes, by cause.", "admin:healing_causes"),
    "burn_rate": Said("high", "See what fails, by table and caller, on the dashboard.", "admin:index"),
}
URGENT = {"14.4×": "critical", "1×": "medium"}
"""How fast the error budget burns, by what the trigger is about."""


def connect() -> None:
    """Listens to the looks."""
    triggers.when_looked(_heard)


def _heard(firing: Sequence[Trigger], begun: Sequence[Trigger]) -> None:
    keep(PREFIX, [news(row) for row in firing], quiet=AT_ONCE)
    if begun and apps.is_installed("optimizer"):
        ring_on_commit(OPTIMIZE)


def news(row: Trigger) -> News:
    """What people are told of a trigger."""
    said = KINDS.get(row.name, Said("high", ""))
    severity = URGENT.get(row.about, said.severity)
    return News(PREFIX + row.name, row.about, severity, row.sentence, said.step, reverse(said.page), row.evidence)
