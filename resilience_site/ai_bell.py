"""Rings the AI tier's worker from the fast path, which knows neither Django nor RQ: in a thread, at most one ring under way."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor

log = logging.getLogger(__name__)

_thread = ThreadPoolExecutor(1, "ai-bell")
_pending: list[Future[None]] = []


def ring() -> None:
    """Returns at once. A ring that waits its turn stands for all that come until then."""
    _pending[:] = [each for each in _pending if not each.done()]
    if sum(not each.running() for each in _pending) == 0:
        _pending.append(_thread.submit(_ring))


def _ring() -> None:
    """Before Django is there nothing is rung: the sweeper looks within half a minute."""
    from django.apps import apps

    if not apps.ready:
        return
    from healing import doorbell

    try:
        doorbell.ring(doorbell.ASSIST)
    except Exception:
        log.exception("the AI tier's bell is out of order, the sweeper will do it")
