"""The other side of alerts: a real HTTP server and a real mail server on loopback that answer as they are told."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from msgspec import Struct


class Answer(Struct, frozen=True):
    """What the server does next. ``cut`` ends the connection without an answer; ``slow``: only after the test is over."""

    status: int = 204
    headers: dict[str, str] = {}
    body: str = ""
    cut: bool = False
    slow: bool = False


class Heard(Struct, frozen=True):
    """A request."""

    path: str
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class FarEnd:
    """``answers`` are used up one by one, then everything is 204; ``heard`` is what came."""

    def __init__(self) -> None:
        self.answers: deque[Answer] = deque()
        self.heard: list[Heard] = []
        self.over = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook?token=top-secret"


def _handler(far: FarEnd) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            far.heard.append(Heard(self.path, {k.lower(): v for k, v in self.headers.items()}, text))
            answer = far.answers.popleft() if far.answers else Answer()
            if answer.slow:
                far.over.wait(10)
            if not answer.cut and not answer.slow:
                self._say(answer)

        def _say(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body.encode())

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def listening() -> Iterator[FarEnd]:
    """A server that runs as long as the block."""
    far = FarEnd()
    thread = threading.Thread(target=far.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield far
    finally:
        far.over.set()
        far.server.shutdown()
        far.server.server_close()
        thread.join()


class Mailbox(Message):
    """Keeps what arrives; refuses recipients at ``refused.example``."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[Any] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address.endswith("@refused.example"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def handle_message(self, message: Any) -> None:
        self.mails.append(message)


class AnyPort(Controller):
    """A controller that may be given port 0."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_server() -> Iterator[tuple[Mailbox, int]]:
    """A mail server and its port."""
    box = Mailbox()
    controller = AnyPort(box, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        yield box, controller.port
    finally:
        controller.stop()
