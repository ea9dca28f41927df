"""RQ's worker as we run it: each job's process ends by ``os._exit``, so breakers and metrics are reported before."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from rq.job import Job
from rq.queue import Queue
from rq.worker import Worker

from breakers import registry
from metrics.core.observation import JobRan
from metrics.recorder import recorder

PATIENCE = 0.5
"""Seconds that the end of a job waits for Valkey."""


class ReportingWorker(Worker):
    """As RQ's own."""

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
