"""RQ's worker as we run it: each job ends with its breakers' results reported (its process ends by ``os._exit``)."""

from __future__ import annotations

from typing import Any

from rq.worker import Worker

from breakers import registry

PATIENCE = 0.5
"""Seconds that the end of a job waits for Valkey."""


class ReportingWorker(Worker):
    """As RQ's own."""

    def perform_job(self, *args: Any, **kwargs: Any) -> bool:
        """The job, then the report."""
        try:
            return super().perform_job(*args, **kwargs)
        finally:
            registry.default.flush(PATIENCE)
