"""Rows of the AI gateway for tests and benchmarks: what is written as a snapshot becomes rows, through the models, as a person's edits
would; returns when the gateway acts by them."""

from __future__ import annotations

import itertools
import os
import time

import httpx
import msgspec
from msgspec.structs import replace

from breakers.gateway.ai.snapshot import AiSnapshot, Canned, Credential, Limits, Model, Provider, Secret
from tests.gateway_process import Gateway
from tests.waiting import HANGS

marks = itertools.count(1)

QUICK = Limits(connect=0.3, first_token=0.5, stall=0.5, total=1.5)
"""Limits for tests: every fault shows within two seconds, and a busy machine is none."""


def provider(name: str, base_url: str, *keys: str, limits: Limits = QUICK) -> Provider:
    """A provider on this machine with these keys."""
    credentials = tuple(Credential(id=key, secret=Secret(key)) for key in keys)
    return Provider(name=name, base_url=base_url, credentials=credentials, limits=limits, allow_private=True)


def model(name: str, provider: str, *fallbacks: str, input_price: float = 1.0, output_price: float = 2.0) -> Model:
    """A model that its provider calls the same."""
    return Model(name=name, provider=provider, upstream=name, fallbacks=fallbacks, input_price=input_price, output_price=output_price)


def snapshot(providers: list[Provider], models: list[Model], canned: tuple[Canned, ...] = (), retry_floor: int = 1000) -> AiSnapshot:
    """All of it. As many retries as a test wants, where it does not say."""
    return AiSnapshot(
        providers={each.name: each for each in providers},
        models={each.name: each for each in models},
        canned=canned,
        retry_floor=retry_floor,
    )


def put(gateway: Gateway, snapshot: AiSnapshot) -> None:
    """Adds these rows, and waits until the gateway lists the models: one more of ours is among them, so that it knows all the rest."""
    mark = f"mark-{os.getpid()}-{next(marks)}"
    marked = {mark: provider(mark, "http://127.0.0.1:1")}, {mark: model(mark, mark)}
    snapshot = replace(snapshot, providers=dict(snapshot.providers) | marked[0], models=dict(snapshot.models) | marked[1])
    text = msgspec.json.encode(snapshot, enc_hook=str).decode()
    gateway.manage("shell", "--verbosity=0", "-c", f"from tests.ai_put import put; put({text!r})")
    key, deadline = gateway.make_key(), time.monotonic() + HANGS
    while not snapshot.models.keys() <= (found := listed(gateway, key)):
        assert time.monotonic() < deadline, f"the gateway knows only {sorted(found)}"
        time.sleep(0.02)


def disable(gateway: Gateway, breaker: str) -> None:
    """Switches a breaker off."""
    gateway.manage("shell", "--verbosity=0", "-c", f"from tests.ai_put import disable; disable({breaker!r})")


def listed(gateway: Gateway, key: str) -> set[str]:
    """The models that callers may ask for."""
    answer = httpx.get(f"{gateway.base_url}/v1/models", headers={"authorization": f"Bearer {key}"})
    return {each["id"] for each in answer.json().get("data", [])}
