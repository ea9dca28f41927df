"""Looks at every part of a running Mendgate and says its state and the fix. Changes nothing."""

from __future__ import annotations

import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import psycopg
import redis
from django.core.management import call_command
from django.db import OperationalError, connection
from rq import Worker
from rq.cron import CronScheduler

from breakers import valkey_address
from breakers.valkey_address import INSTEAD_OF_CLUSTER
from resilience_site import monitor_setup, run_lock, target_setup
from resilience_site.config import Config
from resilience_site.control_features import FEATURES, missing
from resilience_site.target_setup import Finding
from resilience_site.valkey_kind import is_cluster
from schema_monitor import lease

START = "make up"
LEAST_DISK = 1 << 30
LATE = timedelta(minutes=5)
"""What was counted is in the figures at once; only reading gets slow when nobody makes points of it."""


def examine(config: Config) -> Iterator[Finding]:
    """One finding per part. A part that fails in a way nobody foresaw is a finding too."""
    yield from _environment(config)
    if config.embedded_postgres or config.embedded_redis:
        yield _running(config)
    for part, look in PARTS.items():
        try:
            yield from look(config)
        except (OperationalError, psycopg.Error, redis.RedisError, httpx.HTTPError, OSError) as error:
            yield Finding(part, False, f"does not answer: {_first(error)}", f"{START}, or check its URL in the environment")


def _environment(config: Config) -> Iterator[Finding]:
    for problem in config.problems:
        yield Finding("environment", not problem.is_error, f"{problem.id} {problem.message}", problem.hint)
    if not config.problems:
        yield Finding("environment", True, "sound")


def _running(config: Config) -> Finding:
    holder = run_lock.holder(config.home)
    return Finding("up", holder is not None, f"runs: {holder}" if holder else "does not run here", "" if holder else START)


def _web(config: Config) -> Iterator[Finding]:
    answer = httpx.get(f"{config.base_url}/readyz", timeout=3, trust_env=False)
    ready = answer.status_code == 200
    yield Finding(
        "web",
        ready,
        "ready" if ready else f"/readyz says {answer.status_code}: {answer.text[:200]}",
        "" if ready else "see the parts below",
    )


def _control(config: Config) -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    try:
        call_command("migrate", check_unapplied=True, verbosity=0, skip_checks=True)
        yield Finding("control", True, "answers, migrated")
    except SystemExit:
        yield Finding("control", False, "answers, but migrations are not applied", "python manage.py migrate")
    with psycopg.connect(config.database_url, autocommit=True, connect_timeout=3, application_name="mendgate doctor") as control:
        lacks = list(missing(control))
        if lease.behind_pooler(control):
            hint = "give DATABASE_URL of the server itself, or of a pooler in session mode"
            yield Finding("control pooler", True, "a pooler stands before it: every host looks by the clock, each 5 s", hint)
    for feature in lacks:
        state = f"lacks {feature.name}; needed for {feature.needed_for}"
        yield Finding("control features", False, state, "use a Postgres that has it: docs/howto/run-several-hosts.md")
    if not lacks:
        yield Finding("control features", True, f"all {len(FEATURES)} are there")


def _target(config: Config) -> Iterator[Finding]:
    yield from target_setup.examine(config.target_database_url)
    yield from monitor_setup.examine(config)


def _redis(config: Config) -> Iterator[Finding]:
    with valkey_address.client(config.redis_url, socket_connect_timeout=3, socket_timeout=3) as client:
        client.ping()
        cluster = is_cluster(client)
        yield Finding("redis", not cluster, "a node of a cluster" if cluster else "answers", INSTEAD_OF_CLUSTER if cluster else "")
        workers = Worker.all(connection=client)
        yield Finding("worker", bool(workers), f"{len(workers)} running", "" if workers else "python manage.py rqworker")
        crons = CronScheduler.all(client)
        yield Finding("scheduler", bool(crons), f"{len(crons)} running", "" if crons else "python manage.py rqcron")


def _watcher(config: Config) -> Iterator[Finding]:
    from schema_monitor.models import SchemaVersion

    newest = SchemaVersion.objects.only("epoch", "taken_at").order_by("-epoch").first()
    if newest is None:
        yield Finding("schema", False, "the target's schema was never read", "python manage.py capture_schema")
    else:
        age = datetime.now(UTC) - newest.taken_at
        yield Finding("schema", True, f"version {newest.epoch}, read {_spoken(age)} ago")


def _ai(config: Config) -> Iterator[Finding]:
    """Asks nobody anything: a connection to each provider's address is all that it tries."""
    from breakers.ai_trial import snapshot_now
    from healing.gateway.settings import current

    providers = snapshot_now(current().ai).providers
    if not providers:
        yield Finding("ai", True, "not configured: healing goes on without it", "to use it: AI_BASE_URL and AI_MODEL, or AI > Providers")
    for provider in providers.values():
        keyless = provider.wants_key and not provider.credentials
        said = reachable_at(provider.base_url, provider.limits.connect)
        fix = "add a key, or revive one: AI > Keys" if keyless else f"check the address of {provider.name}: AI > Providers, or AI_BASE_URL"
        state = said or ("every key is retired" if keyless else "reachable")
        yield Finding(f"ai {provider.name}", not said and not keyless, state, fix if said or keyless else "")


def reachable_at(url: str, patience: float) -> str:
    """ "" where the address takes connections, else why not."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)), timeout=patience):
            return ""
    except OSError as error:
        return f"does not answer: {_first(error)}"


def _metrics(config: Config) -> Iterator[Finding]:
    from metrics.models import Flush

    oldest = Flush.objects.order_by("at").values_list("at", flat=True).first()
    age = datetime.now(UTC) - oldest if oldest else timedelta(0)
    late = age > LATE
    state = f"counted up to now, {Flush.objects.count()} flushes wait" if not late else f"flushes wait since {_spoken(age)}"
    yield Finding("metrics", not late, state, "python manage.py rqworker, and rqcron: they make points of flushes" if late else "")


def _secrets(config: Config) -> Iterator[Finding]:
    loose = [
        p
        for name in ("secret_key", "embedded.json", "target.url")
        if (p := config.home / name).exists() and stat.S_IMODE(p.stat().st_mode) & 0o077
    ]
    state = f"others may read {', '.join(map(str, loose))}" if loose else "readable by us only"
    yield Finding("secrets", not loose, state, f"chmod 600 {' '.join(map(str, loose))}" if loose else "")


def _disk(config: Config) -> Iterator[Finding]:
    free = shutil.disk_usage(config.home).free
    yield Finding(
        "disk", free >= LEAST_DISK, f"{free / (1 << 30):.1f} GiB free at {config.home}", "" if free >= LEAST_DISK else "Free some space."
    )


PARTS: dict[str, Callable[[Config], Iterator[Finding]]] = {
    "web": _web,
    "control": _control,
    "target": _target,
    "redis": _redis,
    "schema": _watcher,
    "ai": _ai,
    "metrics": _metrics,
    "secrets": _secrets,
    "disk": _disk,
}


def _spoken(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
