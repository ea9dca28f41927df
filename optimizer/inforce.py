"""What is set: immutable revisions, and the pointer to the one in force, which moves by compare-and-swap only.

Some settings are kept by others (a breaker's configuration, the AI gateway's settings, the active prompt): those are changed through
their own functions, in the same transaction, and only while they are as they were when the step was judged.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max

from healing.notify import notify
from optimizer import owners
from optimizer.models import Proposal, Revision, Setting

PART = "tuned"


class Meanwhile(Exception):
    """Somebody else has set this since; nothing was changed."""


def setting_of(name: str, place: str = "") -> Setting:
    """The row of a setting, made where there is none."""
    return Setting.objects.get_or_create(name=name, place=place)[0]


def value_of(setting: Setting) -> Any:
    """What is in force now, whoever keeps it; None where nothing is set and nobody has a default."""
    return owners.read(setting.name, setting.place) if owners.keeps(setting.name) else owners.default(setting)


@transaction.atomic
def put(setting: Setting, old: Any, new: Any, *, who: str, why: str, now: datetime, proposal: Proposal | None = None) -> Revision:
    """A new revision in force. ``Meanwhile`` where the value is not ``old`` any more."""
    setting = _locked(setting)
    if value_of(setting) != old:
        raise Meanwhile(Meanwhile.__doc__)
    before = setting.revision or _first(setting, old, now)
    number = setting.revisions.aggregate(most=Max("number"))["most"] or 0
    revision = Revision.objects.create(
        setting=setting, number=number + 1, value=new, before=before, proposal=proposal, at=now, who=who, why=why
    )  # fmt: skip
    _point(setting, before, revision, who, why)
    return revision


@transaction.atomic
def back(revision: Revision, *, who: str, why: str) -> bool:
    """The revision before this one is in force again; False where this one is not any more (then nothing is done)."""
    setting = _locked(revision.setting)
    if setting.revision_id != revision.pk or revision.before is None or value_of(setting) != revision.value:
        return False
    _point(setting, revision, revision.before, who, why)
    return True


@transaction.atomic
def try_out(setting: Setting, trial: dict[str, Any] | None) -> None:
    """Tries a value beside the one in force, or (None) ends that."""
    Setting.objects.filter(pk=setting.pk).update(trial=trial)
    notify(PART)


def _locked(setting: Setting) -> Setting:
    return Setting.objects.select_for_update(of=("self",)).select_related("revision").get(pk=setting.pk)


def _first(setting: Setting, value: Any, now: datetime) -> Revision:
    """What it was before anybody tuned it, so that there is something to go back to."""
    first = Revision.objects.create(setting=setting, number=1, value=value, at=now, who="before", why="As it was before it was tuned.")
    Setting.objects.filter(pk=setting.pk).update(revision=first)
    return first


def _point(setting: Setting, before: Revision, to: Revision, who: str, why: str) -> None:
    kept = owners.keeps(setting.name)
    if kept:
        owners.write(setting.name, setting.place, before.value, to.value, who=who, why=why)
    moved = Setting.objects.filter(pk=setting.pk, revision_id=before.pk).update(
        revision=to, value=None if kept else to.value, trial=None
    )  # fmt: skip
    if not moved:
        raise Meanwhile(Meanwhile.__doc__)
    notify(PART)
