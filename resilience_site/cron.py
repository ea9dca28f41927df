"""What ``rqcron`` enqueues: everything of the layers below, and the optimizer's look (its weekly hour is a row that people edit)."""

from __future__ import annotations

from rq.cron import register

from healing import cron  # its lines register themselves
from optimizer import jobs

__all__ = ["cron"]

register(jobs.look, queue_name="default", interval=300, ttl=300, result_ttl=0, job_timeout=1200, name="optimizer")
