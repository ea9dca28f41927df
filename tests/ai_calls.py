"""The AI gateway in this process, called as a server would call it; for tests of what is between a caller and a provider."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from breakers.gateway.ai.app import AiGateway
from breakers.gateway.ai.caller import AiCaller
from breakers.gateway.ai.engine import Engine
from breakers.gateway.ai.journal import Call
from breakers.gateway.ai.load import Source
from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.snapshot import AiSnapshot, Credential, Limits, Model, Provider, Secret
from breakers.registry import Breaker, Registry

QUICK = Limits(connect=1.0, first_token=1.0, stall=1.0, total=4.0)
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


def provider(name: str, base_url: str, *keys: str, **more: Any) -> Provider:
    credentials = tuple(Credential(id=f"{name}-{key}", secret=Secret(key)) for key in keys)
    given = {"limits": QUICK, "allow_private": True, "wants_key": bool(keys), **more}
    return Provider(name=name, base_url=base_url, credentials=credentials, **given)


def snapshot(*providers: Provider, models: tuple[Model, ...] = (), **more: Any) -> AiSnapshot:
    """Each provider with a model of its name, unless others are given."""
    models = models or tuple(Model(name=each.name, provider=each.name, upstream=f"up-{each.name}") for each in providers)
    return AiSnapshot(providers={each.name: each for each in providers}, models={each.name: each for each in models}, **more)


registry = Registry()


class Own:
    """Breakers of one test."""

    def __init__(self, number: int) -> None:
        self._number = number

    def get(self, name: str) -> Breaker:
        return registry.get(f"{name}.{self._number}")

    def throttle(self, name: str, ms: int) -> None:
        registry.throttle(f"{name}.{self._number}", ms)


numbers = itertools.count(1)


class Answer:
    """What the caller got."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []
        self.whole = False

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return dict(self.json["error"])

    @property
    def events(self) -> list[Any]:
        """Of a stream; ``[DONE]`` as text."""
        data = [part.removeprefix("data: ") for part in self.body.decode().split("\n\n") if part]
        return [each if each == "[DONE]" else json.loads(each) for each in data]

    @property
    def text(self) -> str:
        if self.headers.get("content-type", "").startswith("application/json"):
            return str(self.json["choices"][0]["message"]["content"])
        deltas = [each["choices"][0]["delta"] for each in self.events if isinstance(each, dict) and each.get("choices")]
        return "".join(delta.get("content") or "" for delta in deltas)


class Known(Source):
    """Rows that are what a test says."""

    def __init__(self, settings: AiSettings, rows: AiSnapshot) -> None:
        super().__init__(settings)
        self.rows = rows
        self.retired: list[str] = []

    @property
    def snapshot(self) -> AiSnapshot:
        return self.rows

    def retire(self, credential_id: str, why: str) -> None:
        self.retired.append(credential_id)


class Calls:
    """``taking`` is awaited before each part is taken: a slow caller."""

    def __init__(self, settings: AiSettings, rows: AiSnapshot, breakers: Own | None = None) -> None:
        self.breakers = breakers or Own(next(numbers))
        self.breaker = self.breakers.get
        self.known = Known(settings, rows)
        self.engine = Engine(settings, self.breakers, self.known)
        self.recorded: list[Call] = []
        self.engine.ledger.record = lambda call, _=None: self.recorded.append(call)  # type: ignore[method-assign, assignment]
        self.gateway = AiGateway(settings, self.engine)
        self.caller = AiCaller("key-1", "service_role")

    async def __call__(
        self,
        body: Any,
        path: str = "chat/completions",
        method: str = "POST",
        headers: dict[str, str] | None = None,
        leaves: asyncio.Event | None = None,
        taking: Callable[[bytes], Any] | None = None,
    ) -> Answer:
        answer, raw = Answer(), body if isinstance(body, bytes) else json.dumps(body).encode()
        read = False

        async def receive() -> dict[str, Any]:
            nonlocal read
            if not read:
                read = True
                return {"type": "http.request", "body": raw}
            await (leaves or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
                return
            if taking is not None:
                await taking(message["body"])
            answer.parts.append(message["body"])
            answer.whole = not message.get("more_body")

        async def authenticate(_: dict[str, str]) -> AiCaller:
            return self.caller

        scope = {"type": "http", "method": method, "path": f"/v1/{path}"}
        await self.gateway(scope, headers or {}, receive, send, authenticate)
        return answer


@asynccontextmanager
async def ai_calls(rows: AiSnapshot, breakers: Own | None = None, **settings: Any) -> AsyncIterator[Calls]:
    """A gateway with breakers of its own that knows ``rows``."""
    calls = Calls(AiSettings(**settings), rows, breakers)
    try:
        yield calls
    finally:
        await calls.gateway.close()
