"""``up``: everything from a bare machine, and a ready line. Ctrl-C stops all."""

from __future__ import annotations

import os
import signal
import sys
from argparse import ArgumentParser
from contextlib import ExitStack
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from resilience_site import first_run, run_lock, running
from resilience_site.config import Config, config
from resilience_site.embedded import EmbeddedError, EmbeddedPostgres, EmbeddedServer, EmbeddedValkey
from resilience_site.embedded_state import port_is_free
from resilience_site.private_files import write_private
from resilience_site.run_lock import AlreadyRunning
from resilience_site.target_setup import TargetError
from resilience_site.valkey_kind import ClusterRefused, require_one


class Command(BaseCommand):
    """Runs the embedded servers where no URL is given, prepares what is new, then serves until stopped."""

    help = "Run everything: databases, web, worker, scheduler, schema watcher."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """``--demo`` adds live traffic."""
        parser.add_argument("--demo", action="store_true", help="Make a demo target and send drifted traffic to it.")

    def handle(self, *args: Any, demo: bool = False, **options: Any) -> None:
        """1. one of us per home, 2. a free port, 3. databases, 4. first-run steps, 5. serve, 6. stop in reverse order."""
        signal.signal(signal.SIGTERM, _interrupt)
        settings = config()
        try:
            with ExitStack() as stack:
                stack.enter_context(run_lock.held(settings.home, settings.base_url))
                _require_port(settings)
                servers = self._start_servers(settings, stack)
                for line in first_run.prepare(settings):
                    self._say(line)
                running.run(settings, servers, self._say, demo=demo)
        except (AlreadyRunning, ClusterRefused, EmbeddedError, TargetError) as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            pass
        self._say("stopped")

    def _start_servers(self, settings: Config, stack: ExitStack) -> list[EmbeddedServer]:
        servers: list[EmbeddedServer] = []
        if settings.embedded_postgres:
            self._say(f"starting Postgres in {settings.home}")
            servers.append(EmbeddedPostgres(settings.home))
        if settings.embedded_redis:
            servers.append(EmbeddedValkey(settings.home))
        else:
            require_one(settings.redis_url)
        for server in servers:
            stack.callback(server.stop)
            server.start()
        if any(_moved(settings, server) for server in servers):
            stack.pop_all()  # they keep running, and the next of us takes them over
            self._say("a port was taken: starting again with another")
            os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606  (ourselves)
        if settings.embedded_target:
            write_private(settings.home / "target.url", servers[0].state.owner_url + "\n")
        return servers

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _moved(settings: Config, server: EmbeddedServer) -> bool:
    """Whether the server is elsewhere than the configuration, read before it started, says."""
    now = server.state
    return (
        (settings.embedded_control and now.control_url != settings.database_url)
        or (settings.embedded_target and now.target_url != settings.target_database_url)
        or (settings.embedded_redis and now.redis_url != settings.redis_url)
    )


def _require_port(settings: Config) -> None:
    if not port_is_free(settings.port, settings.host):
        raise CommandError(
            f"Port {settings.port} on {settings.host} is taken by another program. "
            f"Stop it, or use another: PORT={settings.port + 1} make up"
        )


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
