"""The real web process on durable databases, in a home of its own and without worker, scheduler and watcher, which would disturb what is
measured; stopped by process id. Benchmarks that want the whole product use ``benchmarks.stage``."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resilience_site import target_setup
from resilience_site.embedded import EmbeddedPostgres, EmbeddedValkey
from resilience_site.embedded_state import GATEWAY, OWNER, TARGET
from tests.gateway_process import Gateway

OPERATOR = "bench"
"""The person who approves in benchmarks."""


@contextmanager
def web_process(**environment: str) -> Iterator[Gateway]:
    """A running gateway; ``environment`` goes to its processes."""
    home = Path(tempfile.mkdtemp(prefix="mendgate-bench-"))
    home.chmod(0o711)  # Postgres, which does not run as root, passes through
    try:
        with EmbeddedPostgres(home, durable=True) as postgres, EmbeddedValkey(home) as valkey:
            urls = (postgres.control_url, postgres.url(TARGET, GATEWAY), postgres.url(TARGET, OWNER))
            gateway = Gateway(home, *urls, valkey.url, **environment)
            gateway.manage("migrate", "--verbosity=0", "--skip-checks")
            target_setup.prepare(gateway.target_url, ["public"])
            try:
                yield gateway.start()
            finally:
                gateway.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def approve(gateway: Gateway, quarantine: str, fix: str) -> None:
    """Makes a person's fix for a quarantined write an active rule."""
    if not gateway.control("SELECT 1 FROM auth_user WHERE username = %s", OPERATOR):
        gateway.manage("createsuperuser", "--noinput", "--username", OPERATOR, "--email", "bench@example.com")
    proposal = gateway.manage("propose", "--quarantine", quarantine, "--fix", fix, "--user", OPERATOR).strip()
    gateway.manage("approve", proposal, "--user", OPERATOR)
