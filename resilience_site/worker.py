"""RQ's worker as we run it: each job's process ends by ``os._exit``, so breakers and metrics are reported before; each round of its loop
leaves a pulse; it knows whether it was told to stop."""

from __future__ import annotations

from time import perf_counter
from types import FrameType
from typing import Any, ClassVar

from rq.job import Job
from rq.queue import Queue
from rq.worker import Worker

from breakers import registry
from metrics.core.observation import JobRan
from metrics.recorder import recorder
from resilience_site import pulse
from resilience_site.config import config

PATIENCE = 0.5
"""Seconds that the end of a job waits for Valkey."""


class ReportingWorker(Worker):
    """As RQ's own."""

    told: ClassVar[bool] = False
    """Whether this process was asked to end."""

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """A signal's handler."""
        ReportingWorker.told = True
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        """Ours first: a worker that waits for Valkey is well."""
        pulse.beat(config().home, "-".join(self.queue_names()))
        super().heartbeat(*args, **kwargs)

    def perform_job(self, job: Job, queue: Queue, *args: Any, **kwargs: Any) -> bool:
        """The job, then the reports."""
        started, done = perf_counter(), False
        try:
            done = super().perform_job(job, queue, *args, **kwargs)
            return done
        finally:
            recorder.observe(JobRan(job.func_name or "", done, perf_counter() - started))
            registry.default.flush(PATIENCE)
            recorder.flush()
