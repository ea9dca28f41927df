"""The AI gateway as tests see it from outside: a running web process, a service behind it that goes wrong, and what came back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from msgspec import Struct, field

from breakers.gateway.ai.snapshot import AiSnapshot
from tests import ai_rows
from tests.ai_faults import Asked, FarAi, far_ai
from tests.gateway_process import Gateway
from tests.waiting import HANGS

QUESTION = [{"role": "user", "content": "hello"}]
PATIENCE = 15
"""Seconds after which a test gives up: far more than any limit."""


class Told(Struct):
    """What a caller was told. ``text``: the words; ``error``: of the body or the stream; ``done``: whether [DONE] came."""

    status: int
    headers: httpx.Headers
    seconds: float
    text: str = ""
    model: str = ""
    finish: str | None = None
    error: dict[str, Any] | None = None
    done: bool = False
    torn: str = ""
    """how the connection broke, where it did."""
    usage: dict[str, Any] | None = None
    events: list[Any] = field(default_factory=list)

    @property
    def served_by(self) -> str:
        return str(self.headers.get("mendgate-served-by", ""))

    @property
    def fallback(self) -> str:
        return str(self.headers.get("mendgate-fallback", ""))


class AiStage:
    """``ask`` is what an application does, ``far`` what is behind."""

    def __init__(self, gateway: Gateway, far: FarAi) -> None:
        self.gateway, self.far = gateway, far
        self.key = gateway.make_key()
        self.http = httpx.Client(timeout=PATIENCE, trust_env=False, limits=httpx.Limits(max_connections=None))
        self.times: list[float] = []

    def put(self, snapshot: AiSnapshot) -> None:
        """Adds rows."""
        ai_rows.put(self.gateway, snapshot)

    def ask(
        self, model: str, *, stream: bool = False, content: str = "hello", key: str = "", headers: dict[str, str] | None = None, **more: Any
    ) -> Told:
        """One question, to its end; ``more`` goes into the body."""
        given = {"authorization": f"Bearer {key or self.key}", **(headers or {})}
        body = {"model": model, "messages": [{"role": "user", "content": content}], **({"stream": True} if stream else {}), **more}
        began = time.monotonic()
        self.times.append(began)
        with self.http.stream("POST", f"{self.gateway.base_url}/v1/chat/completions", json=body, headers=given) as response:
            told = Told(response.status_code, response.headers, 0.0)
            try:
                (_read_events if response.headers.get("content-type", "").startswith("text/event-stream") else _read_body)(response, told)
            except httpx.HTTPError as error:
                told.torn = type(error).__name__
        told.seconds = time.monotonic() - began
        return told

    def asked(self, of: str = "") -> list[Asked]:
        """The questions that went up, of one model where it is named."""
        return [each for each in self.far.chats() if not of or each.model == of]

    def breakers(self) -> list[dict[str, Any]]:
        """All breakers that there are."""
        headers = {"authorization": f"Bearer {self.key}", "apikey": self.key}
        answer = self.http.get(f"{self.gateway.base_url}/api/v1/breakers", headers=headers)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        return list(found if isinstance(found, list) else found["breakers"])

    def breaker(self, name: str) -> dict[str, Any]:
        """One breaker; {} where there is none yet."""
        return next((row for row in self.breakers() if row["name"] == name), {})

    def call(self, model: str) -> dict[str, Any]:
        """The last entry of the log for a model; waits for it."""
        return until(
            lambda: (
                self.gateway.control("SELECT * FROM breakers_aicall WHERE model_asked = %s ORDER BY at DESC, id LIMIT 1", model) or [None]
            )[0]
        )

    def close(self) -> None:
        """Hang up."""
        self.http.close()


@contextmanager
def ai_stage(make_gateway: Callable[..., Gateway], **environment: str) -> Iterator[AiStage]:
    """A gateway of its own and a service behind it, while the block runs. The breaker around all AI is off: nearly everything fails."""
    with far_ai() as far:
        stage = AiStage(make_gateway(**environment).start(), far)
        try:
            ai_rows.disable(stage.gateway, "ai-gateway")
            until(lambda: stage.breaker("ai-gateway").get("state") == "disabled")
            yield stage
        finally:
            stage.close()
            stage.gateway.stop()


def until(look: Callable[[], Any]) -> Any:
    """What ``look`` finds, as soon as it is something."""
    deadline = time.monotonic() + HANGS
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found


def _read_body(response: httpx.Response, told: Told) -> None:
    body = json.loads(response.read())
    told.error, told.model, told.usage = body.get("error"), body.get("model", ""), body.get("usage")
    if body.get("choices"):
        told.text = body["choices"][0]["message"]["content"] or ""
        told.finish = body["choices"][0]["finish_reason"]


def _read_events(response: httpx.Response, told: Told) -> None:
    for line in response.iter_lines():
        assert not told.done or not line, f"something came after [DONE]: {line}"
        if line == "data: [DONE]":
            told.done = True
        elif line.startswith("data:"):
            _take(json.loads(line[5:]), told)


def _take(event: dict[str, Any], told: Told) -> None:
    told.events.append(event)
    told.error = event.get("error") or told.error
    told.model, told.usage = event.get("model") or told.model, event.get("usage") or told.usage
    if event.get("choices"):
        told.text += event["choices"][0]["delta"].get("content") or ""
        told.finish = event["choices"][0].get("finish_reason") or told.finish
