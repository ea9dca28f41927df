"""The scheduler: any number of them may run, on as many hosts, and each tick has one effect.

Who rings for a job claims its tick first, in Valkey and on Valkey's clock: a key that lives for most of the interval (or carries the
moment, where the schedule is a moment). Who finds it taken waits for the next one. A scheduler that ends between its claim and the bell
costs that tick; the next comes an interval later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django_rq.cron import DjangoCronScheduler
from rq.cron import CronJob
from rq.utils import now

SHARE = 0.9
"""of an interval that a claim holds: schedulers' own clocks may differ by the rest."""
KEEP_MOMENT = 86_400


class Scheduler(DjangoCronScheduler):
    """RQ's, of one process. ``namespace`` keeps several Mendgates on one Valkey apart; ``beat`` is called in every round; ``told``: whether
    it was told to stop."""

    told = False

    def __init__(self, namespace: str, beat: Callable[[], None], **options: Any) -> None:
        super().__init__(**options)
        self._namespace, self._beat = namespace, beat

    def enqueue_jobs(self) -> list[CronJob]:
        """The jobs that were due: rung for, or claimed by another scheduler. Its pulse first: one that waits for Valkey is well."""
        self._beat()
        at, due = now(), [job for job in self.get_jobs() if job.should_run()]
        for job in due:
            if self._claims(job):
                job.enqueue(self.connection)
            job.set_enqueue_time(at)
        return due

    def _request_stop(self, signum: Any, frame: Any) -> None:
        self.told = True
        super()._request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def _claims(self, job: CronJob) -> bool:
        tick, milliseconds = f"{self._namespace}:cron:{job.name}", int((job.interval or 0) * 1000 * SHARE)
        if job.cron:
            tick, milliseconds = f"{tick}:{job.next_enqueue_time}", KEEP_MOMENT * 1000
        return bool(self.connection.set(tick, self.name, nx=True, px=milliseconds))
