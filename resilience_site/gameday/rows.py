"""Game days as rows: asked for by a person, begun once, finished with a signed report."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from healing import audit
from healing.models import GameDay
from healing.permits import require
from healing.refusals import Refused
from resilience_site.config import Config
from resilience_site.gameday.allowed import why_not
from resilience_site.gameday.faults import FAULTS
from resilience_site.gameday.stage import ROOT

ADD = "healing.add_gameday"
SILENT = timedelta(minutes=10)
"""A running one that said nothing for so long is dead."""
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('mendgate.gameday'))"
State = GameDay.State
_started: list[subprocess.Popen[bytes]] = []


def ask(user: Any, config: Config, faults: Sequence[str]) -> GameDay:
    """A new one, due. Raises ``Refused`` in production, for unknown faults, and while another is under way."""
    require(user, ADD)
    if (why := why_not(config)) != "":
        raise Refused(why)
    return enter(user.username, faults, random.SystemRandom().randrange(10**6))


@transaction.atomic
def enter(by: str, faults: Sequence[str], seed: int) -> GameDay:
    """The row. Raises ``Refused``."""
    unknown = sorted(set(faults) - FAULTS.keys())
    if unknown or not faults:
        raise Refused(f"There is no fault {unknown[0]!r}." if unknown else "No fault was chosen.", "Choose one of: " + ", ".join(FAULTS))
    with connection.cursor() as cursor:
        cursor.execute(_ONE_AT_A_TIME)
    silent = GameDay.objects.filter(state__in=[State.DUE, State.RUNNING], alive_at__lt=timezone.now() - SILENT)
    silent.update(state=State.FAILED, finished_at=timezone.now(), why="Its process went away.")
    if GameDay.objects.filter(state__in=[State.DUE, State.RUNNING]).exists():
        raise Refused("A game day is under way.", "Wait for its end: it takes a few minutes.")
    made = GameDay.objects.create(asked_by=by, faults=list(faults), seed=seed)
    audit.record(by, "run", "gameday", made.pk, why=", ".join(faults))
    return made


def begin(row: GameDay) -> None:
    """In a process of its own, which goes on whatever becomes of us."""
    _started[:] = [each for each in _started if each.poll() is None]
    command = [sys.executable, str(ROOT / "manage.py"), "gameday", "--run", str(row.pk), "--skip-checks"]
    _started.append(
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
    )


def claim(number: str) -> GameDay | None:
    """The row, running and ours; None where somebody has it."""
    try:
        if not GameDay.objects.filter(pk=number, state=State.DUE).update(state=State.RUNNING, alive_at=timezone.now()):
            return None
    except IntegrityError:
        return None
    return GameDay.objects.get(pk=number)


def tell(row: GameDay, line: str) -> None:
    """How far it is."""
    row.progress = f"{row.progress}{line}\n"[-4000:]
    GameDay.objects.filter(pk=row.pk).update(progress=row.progress, alive_at=timezone.now())


def finish(row: GameDay, report: dict[str, Any], signed: str) -> None:
    """It is done."""
    GameDay.objects.filter(pk=row.pk).update(
        state=State.DONE, finished_at=timezone.now(), verdict=report["verdict"], requests=report["requests_sent"],
        unexplained=report["unexplained"], signed=signed,
    )  # fmt: skip


def fail(row: GameDay, why: str) -> None:
    """It could not be carried out."""
    GameDay.objects.filter(pk=row.pk).update(state=State.FAILED, finished_at=timezone.now(), why=why[-2000:])
