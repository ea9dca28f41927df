"""A notification that is lost costs seconds, never the change: rules, policies and keys of a running process are looked after.

(Events of the schema: ``test_schema_events``. DDL of the target: ``test_watch_faults``. Breakers' events: ``test_breaker_events``.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.deaf_proxy import DeafProxy
from tests.gateway_process import Gateway

LIMIT = 180.0
"""Seconds; only there to end a hang. A process looks every 5 s by itself, where looking is cheap."""
RENAME = '[{"op": "rename_column", "from": "name", "to": "title"}]'
REVOKE = "from healing import keys_admin, models; keys_admin.revoke_key(models.ApiKey.objects.get(name='revoked in silence'), 'rita')"


@pytest.fixture(scope="module")
def proxy() -> Iterator[list[DeafProxy]]:
    made: list[DeafProxy] = []
    yield made
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], proxy: list[DeafProxy]) -> Iterator[Gateway]:
    gateway = make_gateway()
    gateway.sql("CREATE TABLE hushed (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text, price numeric(6, 2))")
    gateway.manage("capture_schema")
    gateway.manage("createsuperuser", "--noinput", "--username", "rita", "--email", "r@example.com")
    for name in ("test", "revoked in silence"):
        gateway.make_key(name=name)
    direct = gateway.environment["DATABASE_URL"]
    proxy.append(DeafProxy(direct))
    gateway.environment["DATABASE_URL"] = proxy[0].url
    gateway.start()
    gateway.environment["DATABASE_URL"] = direct
    yield gateway
    gateway.stop()


def until(gateway: Gateway, status: int, row: dict[str, object], name: str = "test") -> httpx.Response:
    """Sends a row again and again until it is answered so."""
    ends = time.monotonic() + LIMIT
    with httpx.Client(base_url=gateway.base_url, headers={"apikey": gateway.make_key(name=name)}, timeout=30) as client:
        while True:
            answer = client.post("/rest/v1/hushed", json=row)
            if answer.status_code == status:
                return answer
            assert time.monotonic() < ends, answer.text
            time.sleep(0.2)


def test_fault_16_what_lost_notifications_told_is_in_force_within_a_minute(gateway: Gateway, proxy: list[DeafProxy]) -> None:
    kept = until(gateway, 400, {"name": "a"}).headers["mendgate-quarantine"]
    assert "mendgate-changed" in until(gateway, 201, {"title": "a", "price": 1.239}).headers
    until(gateway, 201, {"title": "a"}, "revoked in silence")
    proxy[0].deaf.set()
    rule = gateway.manage("propose", "--quarantine", kept, "--fix", RENAME, "--user", "rita").strip()
    gateway.manage("approve", rule, "--user", "rita")
    gateway.manage("set_policy", "--table", "hushed", "--strict")
    gateway.manage("shell", "-c", REVOKE)
    healed = until(gateway, 201, {"name": "b"})
    assert healed.headers["mendgate-healed"] == "rename_column(name->title)"
    until(gateway, 400, {"title": "c", "price": 1.239})
    until(gateway, 401, {"title": "d"}, "revoked in silence")
    assert proxy[0].lost >= 3  # each was sent, and none came through
    proxy[0].deaf.clear()
