"""What ``rqcron`` enqueues, and how often. A sweep that finds no worker within its interval is dropped, so they never pile up."""

from __future__ import annotations

from rq.cron import register

from breakers import ai_retention
from breakers import jobs as breakers
from healing import jobs, transaction_log
from healing.assist import retention as assist
from metrics import jobs as metrics
from schema_monitor.alerts import jobs as alerts

register(jobs.sweep, queue_name="default", interval=30, ttl=30, result_ttl=0, job_timeout=240, name="sweep")
register(alerts.sweep, queue_name="default", interval=30, ttl=30, result_ttl=0, job_timeout=240, name="alerts")
register(breakers.sweep, queue_name="default", interval=30, ttl=30, result_ttl=0, job_timeout=120, name="breakers")
register(metrics.sweep, queue_name="default", interval=30, ttl=30, result_ttl=0, job_timeout=120, name="metrics")
register(assist.prune, queue_name="default", interval=3600, ttl=3600, result_ttl=0, job_timeout=240, name="AI runs")
register(ai_retention.prune, queue_name="default", interval=3600, ttl=3600, result_ttl=0, job_timeout=240, name="ai calls")
register(transaction_log.prune, queue_name="default", interval=3600, ttl=3600, result_ttl=0, job_timeout=240, name="transactions")
