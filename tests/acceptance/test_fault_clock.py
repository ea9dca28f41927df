"""Two web processes whose clocks are an hour before and an hour behind the databases', and workers like them: leases and breakers go by the
servers' clocks."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.test_breaker_api import acquire, report, state, wait_for
from tests.commands import ROOT
from tests.gateway_process import Gateway
from tests.ledger import Ledger, found_in, send
from tests.shifted_clock import COMPILER, build, shifted

HOUR = 3600
SECRET = "one secret for both, of at least fifty characters, made up"
SLOW_TO_OPEN = {"failure_threshold": 4, "minimum_calls": 4, "timeout": 2.0, "permits": 1, "permit_seconds": 30.0}
LIMIT = 120.0
"""Seconds; only there to end a hang."""
LEASES = "SELECT extract(epoch FROM lease_until - now())::float8 AS left FROM healing_quarantineitem WHERE lease_until IS NOT NULL"

pytestmark = pytest.mark.skipif(COMPILER is None or sys.platform != "linux", reason="needs a C compiler and Linux")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def early(make_gateway: Callable[..., Gateway], library: Path) -> Iterator[Gateway]:
    """Its clock is an hour ahead."""
    gateway = make_gateway(SECRET_KEY=SECRET)  # one for both: they open what the other seals
    gateway.sql(
        "CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mark text NOT NULL, body text CHECK (body <> 'poison'))"
    )
    gateway.manage("capture_schema")
    gateway.make_key()
    gateway.environment |= shifted(library, HOUR)
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def late(early: Gateway, library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The same databases; its clock is an hour behind."""
    urls = (early.control_url, early.target_url, early.owner_url, early.environment["REDIS_URL"])
    gateway = Gateway(tmp_path_factory.mktemp("late"), *urls, SECRET_KEY=SECRET, **shifted(library, -HOUR))
    gateway.keys = early.keys
    gateway.start()
    yield gateway
    gateway.stop()


def worker(gateway: Gateway) -> None:
    """An RQ worker with that gateway's clock works off what is rung for."""
    command = [sys.executable, "manage.py", "rqworker", "--burst"]
    done = subprocess.run(command, cwd=ROOT, env=gateway.environment, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_fault_11_the_clocks_are_off(early: Gateway, late: Gateway) -> None:
    program = "import time, datetime; print(time.time() + datetime.datetime.now().timestamp())"
    for gateway, off in ((early, HOUR), (late, -HOUR)):
        said = subprocess.run([sys.executable, "-c", program], env=gateway.environment, capture_output=True, text=True, check=True).stdout
        assert abs(float(said) / 2 - time.time() - off) < LIMIT


def test_fault_11_a_breaker_that_one_opens_is_open_for_both_until_its_time_is_over(early: Gateway, late: Gateway) -> None:
    with early.client() as one, late.client() as other:
        for first, second, name in ((one, other, "clock-a"), (other, one, "clock-b")):
            acquire(first, name, **SLOW_TO_OPEN)
            acquire(second, name, **SLOW_TO_OPEN)
            report(first, name, *["failure"] * 4)
            wait_for(lambda name=name, second=second: state(second, name)["state"] != "closed")
            wait_for(lambda name=name, second=second: acquire(second, name)["allowed"])  # the probe
            assert not acquire(first, name)["allowed"]  # and its permit is nobody else's, whatever the clocks say


def test_fault_11_what_a_worker_puts_off_is_due_in_seconds_for_every_other(early: Gateway, late: Gateway) -> None:
    ledger = Ledger(11)
    with early.client() as client:
        kept = send(ledger, client, "poison", "/rest/v1/notes", {"mark": "poison", "hue": "poison"}).kept
        assert send(ledger, client, "healthy", "/rest/v1/notes", {"mark": "healthy", "hue": "x"}).kept
        assert kept
    early.sql("ALTER TABLE notes ADD COLUMN hue text CHECK (hue <> 'poison')")
    early.manage("capture_schema")
    early.manage("replay", "--all-waiting")
    for turn in range(100):
        worker((early, late)[turn % 2])
        assert all(abs(lease["left"]) < 300 for lease in early.control(LEASES))
        (item,) = early.control("SELECT state, attempts FROM healing_quarantineitem WHERE id = %s", kept)
        if item["state"] == "parked":
            break
        early.manage("shell", "-c", "from healing.doorbell import ring; ring()")
    assert item["attempts"] == 3
    with early.client() as client:
        account = ledger.account(found_in(early, "notes", client=client))
    assert not account.unexplained, account.report()
    assert dict(account.ends) == {"committed": 1, "kept": 1}


def test_fault_11_one_key_has_one_effect_whichever_clock_it_meets(early: Gateway, late: Gateway) -> None:
    row = {"mark": "once", "body": "x"}
    for gateway in (early, late, early):
        with gateway.client() as client:
            assert client.post("/rest/v1/notes", json=row, headers={"Idempotency-Key": "once"}).status_code == 201
    assert early.sql("SELECT count(*) AS n FROM notes WHERE mark = 'once'") == [{"n": 1}]
