"""A hand behind the stage for tests that run in another program: SQL as the target's owner and ``manage.py``, over loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.acceptance.console import Console
from tests.gateway_process import Gateway


@contextmanager
def stagehand(gateway: Gateway, console: Console) -> Iterator[str]:
    """Serves until the block ends; gives its URL. POST /sql or /manage with a JSON array of strings."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            words = json.loads(self.rfile.read(int(self.headers["content-length"])))
            try:
                status, answer = 200, _act(gateway, console, self.path, words)
            except Exception as error:  # the test in the other program shall see it
                status, answer = 500, f"{type(error).__name__}: {error}"
            body = json.dumps(answer, default=str).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _act(gateway: Gateway, console: Console, path: str, words: list[str]) -> Any:
    return gateway.sql(*words) if path == "/sql" else console.run(*words)
