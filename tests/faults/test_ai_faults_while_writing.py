"""Row 9 of docs/reliability.md: the AI hangs, babbles, refuses or breaks off. Writes do not notice, and nothing of it is in force. (Wrong
fixes: ``tests/integration/test_assist.py``; what callers of ``/v1`` are told: ``tests/acceptance/test_ai_faults.py``; how fast writes
are meanwhile: ``benchmarks/ai_down.py``.)"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import redis

from tests.ai_faults import FarAi, Rule, far_ai
from tests.faults.crowd import TABLES, Crowd, tables
from tests.gateway_process import Gateway
from tests.integration.assist_rows import drain, work
from tests.ledger import End, Ledger, send, settle

SEED = 20261128
ACCEPT = {"Prefer": "quarantine=accept"}
HANG = 1.0
"""Seconds after which the far end of a hang gives up, so that a test ends."""
MISDEEDS = ("header-hang", "cut", "garbage", "error-in-200", "429")


@pytest.fixture(scope="module")
def far() -> Iterator[FarAi]:
    with far_ai(SEED, bound=HANG) as far:
        yield far


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], far: FarAi) -> Iterator[Gateway]:
    """Its table lets the AI tier act."""
    gateway = tables(make_gateway(AI_BASE_URL=far.base_url(), AI_API_KEY="sk-a", AI_MODEL="small"))
    gateway.manage("set_policy", "--table", "notes", "--healing", "assisted")
    yield gateway.start()
    gateway.stop()


def test_fault_09_while_the_ai_goes_wrong_writes_go_on_and_nothing_of_it_is_in_force(gateway: Gateway, far: FarAi) -> None:
    """Each misdeed meets a cause of its own, in the worker; callers write all the while, and none is refused."""
    ledger = Ledger(SEED)
    with Crowd(gateway, ledger, size=2, kinds=("plain", "keyed", "healed", "batch")) as crowd, gateway.client() as client:
        for number, fault in enumerate(MISDEEDS):
            far.rules[:] = [Rule(fault)]
            asked = len(far.asked)
            row = {"mark": f"ai-{number}", f"colour_{number}": "red"}
            assert send(ledger, client, f"ai-{number}", "/rest/v1/notes", row, **ACCEPT).status == 202
            working = threading.Thread(target=work, args=(gateway,))
            working.start()
            crowd.more(6)
            working.join()
            forget_breakers(gateway)
            assert len(far.asked) > asked, f"nobody was asked about {fault}"
    drain(gateway)
    assert in_force(gateway) == []
    account = settle(ledger, gateway, *TABLES)
    assert (account.ends[End.KEPT], account.ends[End.REFUSED], account.unanswered) == (len(MISDEEDS), 0, ())


def forget_breakers(gateway: Gateway) -> None:
    """So that the next misdeed is met, too: they have opened by now."""
    with redis.Redis.from_url(gateway.environment["REDIS_URL"]) as client:
        client.flushall()


def in_force(gateway: Gateway) -> list[dict[str, object]]:
    """Rules that apply themselves, and kept writes that are to land with a fix of the AI."""
    rules = gateway.control("SELECT sentence FROM healing_rule WHERE state = 'active'")
    return rules + gateway.control("SELECT id FROM healing_quarantineitem WHERE assist_id IS NOT NULL AND state = 'replayed'")
