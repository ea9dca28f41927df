"""A service that speaks OpenAI's protocol and goes wrong as it is told: the other side of the AI gateway in tests and benchmarks.

    with far_ai() as far:                                   # in a thread
        far.base_url("stall")                               # an address whose every answer stalls
        far.plan(Rule("429", key="sk-a", times=2))          # the key sk-a is refused twice, then works
        far.asked                                           # what came, and what became of it

A model named ``fault:<name>`` goes wrong in that way, too. ``python -m tests.ai_faults --port 0`` serves as a process of its own and
prints its address; there POST /control/plan takes a rule, /control/way a way of answering (both JSON), /control/reset forgets, GET
/control/asked tells. Names of faults: ``tests/ai_misdeeds.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from msgspec import Struct

from tests import ai_protocol as say
from tests.ai_line import Asked, Line
from tests.ai_misdeeds import KNOWN, SIXTEEN, Way, answer

__all__ = ["SIXTEEN", "Asked", "FarAi", "Rule", "Way", "far_ai"]

KEPT = 20_000
FULL = 8  # connections that fill a queue of length zero


class Rule(Struct):
    """When it goes wrong. Empty = any. ``skip`` calls that match go well first, then ``times`` go wrong (0 = all), each with
    ``chance``. Of several rules the first that fires counts."""

    fault: str
    model: str = ""
    key: str = ""
    path: str = ""
    """a part of it."""
    skip: int = 0
    times: int = 0
    chance: float = 1.0
    seen: int = 0

    def fires(self, asked: Asked, chance: random.Random) -> bool:
        """Whether this call goes wrong; counts it."""
        if (self.model or asked.model) != asked.model or (self.key or asked.key) != asked.key or self.path not in asked.path:
            return False
        self.seen += 1
        return self.skip < self.seen <= (self.skip + self.times if self.times else self.seen) and chance.random() < self.chance


class FarAi:
    """``asked`` is what came to ``/v1/…``, oldest first. ``way`` is how it answers; both may be changed while it serves."""

    def __init__(self, seed: int = 1, bound: float = 30.0, names: tuple[str, ...] = ("small", "large")) -> None:
        self.way = Way()
        self.names = list(names)
        self.rules: list[Rule] = []
        self.asked: deque[Asked] = deque(maxlen=KEPT)
        self.connections = 0
        self.port = 0
        self._bound, self._chance, self._number = bound, random.Random(seed), 0  # noqa: S311 - repeatable
        self._loop: asyncio.AbstractEventLoop | None = None
        self._refusing = _bound_only()
        self._hanging, self._filling = _full()

    def base_url(self, fault: str = "") -> str:
        """What a client is given: up to and with ``/v1``."""
        if fault not in KNOWN:
            raise ValueError(f"no such fault: {fault}")
        if fault == "connect-refused":
            return f"http://127.0.0.1:{self._refusing.getsockname()[1]}/v1"
        if fault == "connect-hang":
            return f"http://127.0.0.1:{self._hanging.getsockname()[1]}/v1"
        return f"http://127.0.0.1:{self.port}/{fault}/v1" if fault else f"http://127.0.0.1:{self.port}/v1"

    def plan(self, *rules: Rule) -> None:
        """These rules and no others."""
        for rule in rules:
            if rule.fault not in KNOWN:
                raise ValueError(f"no such fault: {rule.fault}")
        self.rules = list(rules)

    def reset(self) -> None:
        """As at the beginning; what comes from now on is numbered on."""
        self.rules, self.way = [], Way()
        self.asked.clear()

    def chats(self) -> list[Asked]:
        """The requests for an answer."""
        return [each for each in self.asked if each.path.endswith("/chat/completions")]

    async def serve(self, line: Line, method: str, path: str, headers: dict[str, str], raw: bytes) -> None:
        """One request."""
        if path.startswith("/control/"):
            await self._control(line, path, raw)
            return
        asked = line.asked = self._taken(line, method, path, headers, raw)
        if not path.split("?")[0].endswith(("/chat/completions", "/embeddings", "/models")):
            asked.fault = "404"
        if not asked.fault and method == "GET":
            await line.whole(200, say.JSON, say.encoded(say.models(self.names)))
        elif not asked.fault and path.endswith("/embeddings"):
            await line.whole(200, say.JSON, say.encoded(say.embeddings(asked.body)))
        else:
            await answer(line, asked, self.way)

    def _taken(self, line: Line, method: str, path: str, headers: dict[str, str], raw: bytes) -> Asked:
        self._number += 1
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = None
        asked = Asked(self._number, line.number, time.monotonic(), method, path, headers, body, raw=raw)
        asked.fault = self._fault(asked)
        self.asked.append(asked)
        return asked

    def _fault(self, asked: Asked) -> str:
        if not isinstance(asked.body, dict) and asked.method == "POST":
            return "400"
        if asked.model.startswith("fault:"):
            return asked.model.removeprefix("fault:")
        if (first := asked.path.split("/")[1]) in KNOWN:
            return first
        return next((rule.fault for rule in self.rules if rule.fires(asked, self._chance)), "")

    async def _control(self, line: Line, path: str, raw: bytes) -> None:
        told: object = {}
        match path.removeprefix("/control/"):
            case "plan":
                self.plan(*msgspec.json.decode(raw, type=list[Rule]))
            case "way":
                self.way = msgspec.json.decode(raw, type=Way)
            case "reset":
                self.reset()
            case "asked":
                told = [{**msgspec.structs.asdict(each), "raw": ""} for each in self.asked]
        await line.whole(200, say.JSON, msgspec.json.encode(told))

    async def listen(self, port: int = 0) -> asyncio.Server:
        """Begin to serve in the running loop."""
        self._loop = asyncio.get_running_loop()
        server = await self._loop.create_server(self._line, "127.0.0.1", port, backlog=4096)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def _line(self) -> Line:
        self.connections += 1
        return Line(self.connections, self.serve, self._bound)

    def close(self) -> None:
        """Give the ports back."""
        for each in (self._refusing, self._hanging, *self._filling):
            each.close()


@contextmanager
def far_ai(seed: int = 1, bound: float = 30.0, names: tuple[str, ...] = ("small", "large")) -> Iterator[FarAi]:
    """Serves in a thread of its own until the block ends."""
    far, ready = FarAi(seed, bound, names), threading.Event()
    over: list[asyncio.Future[None]] = []

    async def serving() -> None:
        server = await far.listen()
        over.append(asyncio.get_running_loop().create_future())
        ready.set()
        await over[0]
        server.close()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    thread = threading.Thread(target=asyncio.run, args=(serving(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield far
    finally:
        over[0].get_loop().call_soon_threadsafe(over[0].set_result, None)
        thread.join(10)
        far.close()


def _bound_only() -> socket.socket:
    """A port that is taken and where nobody listens: connecting is refused."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    return taken


def _full() -> tuple[socket.socket, list[socket.socket]]:
    """A listening port whose queue is full: connecting hangs."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    filling = []
    for _ in range(FULL):
        each = socket.socket()
        each.setblocking(False)
        each.connect_ex(listening.getsockname())
        filling.append(each)
    return listening, filling


async def _main(port: int, bound: float) -> None:
    far = FarAi(bound=bound)
    server = await far.listen(port)
    print(f"http://127.0.0.1:{far.port}", flush=True)  # noqa: T201
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    parser = argparse.ArgumentParser(description="A service that speaks OpenAI's protocol and goes wrong as it is told.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--bound", type=float, default=120.0)
    options = parser.parse_args()
    uvloop.run(_main(options.port, options.bound))
