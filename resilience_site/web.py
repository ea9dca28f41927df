"""The web process: ``python -m resilience_site.web``. Free of Django, so that a killed one serves again at once."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels

from healing.gateway.ending import STREAMS_END
from resilience_site import draining
from resilience_site.config import Config, ConfigError, config
from resilience_site.web_log import logging_config

ROOT = Path(__file__).resolve().parent.parent
RESPAWN_SECONDS = 0.1
FAREWELL_SECONDS = 0.3
STATIC_EXPIRES = 3600


class Server(Granian):  # type: ignore[misc, valid-type]
    """Before it stops, its workers drain for ``drain_seconds``; a second signal ends that at once. Then each ends its streams, and stops
    when no request is under way."""

    drain_seconds = 0.0
    farewell_seconds = 0.0
    """Between the end of streams and the end of the workers: what a socket is told last (a close code) must be on its way by then."""

    def shutdown(self, exit_code: int = 0) -> None:
        """Also called where a worker could not start; then there is nobody to drain for."""
        if self.interrupt_signal and self.drain_seconds:
            self._tell_workers(draining.BEGINS)
            self._wait_for_another_signal(self.drain_seconds)
        super().shutdown(exit_code)

    def _wait_for_another_signal(self, seconds: float) -> None:
        self.interrupt_signal, ends = False, time.monotonic() + seconds
        while not self.interrupt_signal and (left := ends - time.monotonic()) > 0:
            self.main_loop_interrupt.clear()  # a worker that ended meanwhile sets it, too
            if not self.interrupt_signal:
                self.main_loop_interrupt.wait(left)

    def _tell_workers(self, sign: signal.Signals) -> None:
        for worker in self.wrks:
            with suppress(ProcessLookupError, AttributeError, TypeError):
                os.kill(worker.inner.pid, sign)

    def _stop_workers(self) -> None:
        self._tell_workers(STREAMS_END)
        time.sleep(self.farewell_seconds)
        super()._stop_workers()


def serve(config: Config) -> None:
    """Serve until told to stop. Workers that end unasked are replaced."""
    static = config.static
    server = Server(
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
        workers_kill_timeout=config.stop_seconds,
        log_level=LogLevels.warning,
        log_dictconfig=logging_config(),
        static_path_route=["/static"] if static.is_dir() else None,
        static_path_mount=[static] if static.is_dir() else None,
        static_path_expires=STATIC_EXPIRES,
        working_dir=ROOT,
    )
    server.drain_seconds = config.drain_seconds
    server.farewell_seconds = FAREWELL_SECONDS if config.upstream_supabase_url is not None else 0.0
    server.serve()


def main() -> None:
    """Serve, or say what is wrong with the environment."""
    os.chdir(ROOT)
    try:
        serve(config().require_sound())
    except ConfigError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
