"""What RQ workers run to deliver alerts. A job carries nothing: Postgres says what is due, so a bell may ring twice or not at all."""

from __future__ import annotations

import logging
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from schema_monitor.alerts import doorbell, outbox
from schema_monitor.alerts.claims import Claim, claim, give_up_old, settle
from schema_monitor.alerts.gates import through
from schema_monitor.alerts.models import AlertMessage
from schema_monitor.alerts.parcel import Parcel, Spoiled, pack
from schema_monitor.alerts.sent import Sent

logger = logging.getLogger(__name__)

AT_ONCE = 8
"""Destinations that are spoken to at the same time; a slow one does not hold up the others."""
BUDGET_SECONDS = 20.0
"""After this a job begins nothing more and rings for the next one: replays share the worker."""


def deliver(budget: float = BUDGET_SECONDS) -> int:
    """Sends what is due until nothing is, or the time is over. Returns how many attempts were made."""
    tried, ends = 0, time.monotonic() + budget
    running: dict[Future[Sent], Claim] = {}
    with ThreadPoolExecutor(AT_ONCE, "alerts") as pool:
        while True:
            late = time.monotonic() > ends
            for claimed in [] if late else claim(AT_ONCE - len(running)):
                running[pool.submit(_send, _packed(claimed))] = claimed
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                settle(running.pop(future), future.result())
                tried += 1
    if late:
        doorbell.ring()
    return tried


def sweep() -> None:
    """Finds what no bell was heard for: lost rings and leases, retries whose pause is over, versions whose alerts were not put."""
    for step in (give_up_old, outbox.catch_up, deliver):
        try:
            step()
        except Exception:  # a step that fails must not keep the others from running; the next sweep tries it again
            logger.exception("alerts: %s failed", step.__name__)


def _packed(claimed: Claim) -> Parcel:
    rows = AlertMessage.objects.select_related("subscription", "version", "notice").defer("version__snapshot", "version__lineage")
    message = rows.filter(pk=claimed.id).first()
    return pack(message) if message else Spoiled("It was deleted meanwhile.")


def _send(parcel: Parcel) -> Sent:
    """In a thread, without the database. What it raises is a fault of ours, and says so."""
    try:
        return through(parcel.destination, parcel.send)
    except Exception as error:
        logger.exception("an alert could not be sent")
        return Sent(False, error=f"A fault of ours: {type(error).__name__}")
