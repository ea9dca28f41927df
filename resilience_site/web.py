"""The web process: ``python -m resilience_site.web``. Free of Django, so that a killed one serves again at once."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels

from healing.gateway.ending import STREAMS_END
from resilience_site.config import Config, ConfigError, config
from resilience_site.web_log import logging_config

ROOT = Path(__file__).resolve().parent.parent
RESPAWN_SECONDS = 0.1
STATIC_EXPIRES = 3600


class Server(Granian):  # type: ignore[misc, valid-type]
    """Tells each worker to end its streams before it is asked to stop: it stops when no request is under way."""

    def _stop_workers(self) -> None:
        for worker in self.wrks:
            with suppress(ProcessLookupError, AttributeError, TypeError):
                os.kill(worker.inner.pid, STREAMS_END)
        super()._stop_workers()


def serve(config: Config) -> None:
    """Serve until told to stop. Workers that end unasked are replaced."""
    static = config.static
    Server(
        "resilience_site.asgi:application",
        address=config.host,
        port=config.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        loop=Loops.uvloop,
        websockets=config.upstream_supabase_url is not None,
        workers=config.web_concurrency,
        backlog=2048,
        respawn_failed_workers=True,
        respawn_interval=RESPAWN_SECONDS,
        workers_kill_timeout=10,
        log_level=LogLevels.warning,
        log_dictconfig=logging_config(),
        static_path_route=["/static"] if static.is_dir() else None,
        static_path_mount=[static] if static.is_dir() else None,
        static_path_expires=STATIC_EXPIRES,
        working_dir=ROOT,
    ).serve()


def main() -> None:
    """Serve, or say what is wrong with the environment."""
    os.chdir(ROOT)
    try:
        serve(config().require_sound())
    except ConfigError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
