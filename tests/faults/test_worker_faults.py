"""Rows 4 and 5 of docs/reliability.md: Valkey goes wrong, workers are killed. A kept write still has one effect."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests import commands
from tests.breaker_valkey import OwnValkey
from tests.faults.crowd import TABLES, Crowd, tables, wait_for
from tests.faults.programs import kill9, program
from tests.gateway_process import Gateway
from tests.ledger import End, Ledger, send, settle

SEED = 20261128
SWEEP = "from healing.jobs import sweep; sweep()"
LATE = """
CREATE TABLE late (mark text);
CREATE TRIGGER hold BEFORE INSERT ON late FOR EACH ROW EXECUTE FUNCTION hold();
"""


@pytest.fixture(scope="module")
def own_valkey() -> Iterator[OwnValkey]:
    with OwnValkey() as valkey:
        yield valkey


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], own_valkey: OwnValkey) -> Iterator[Gateway]:
    gateway = make_gateway(REDIS_URL=own_valkey.url)
    tables(gateway).sql(LATE)
    yield gateway.start()
    gateway.stop()


# --- row 4


def test_fault_04_valkey_that_is_away_emptied_or_evicting_stops_no_write(gateway: Gateway, own_valkey: OwnValkey) -> None:
    """Writes, heals and the quarantine go on as if nothing had happened: nobody is refused, nobody waits in vain."""
    ledger = Ledger(SEED)
    with Crowd(gateway, ledger, size=4) as crowd:
        crowd.more(20)
        own_valkey.stop()
        crowd.more(30)
        own_valkey.start()
        crowd.more(20)
        with own_valkey.client() as client:
            client.flushall()
            crowd.more(20)
            client.config_set("maxmemory-policy", "allkeys-random")
            client.config_set("maxmemory", "2mb")
            for number in range(300):
                client.set(f"junk-{number}", b"x" * 10_000)
            crowd.more(20)
            own_valkey.freeze()
            crowd.more(30)
    own_valkey.stop()
    own_valkey.start()
    account = settle(ledger, gateway, *TABLES)
    assert account.unanswered == ()
    assert set(account.ends) == {End.COMMITTED, End.KEPT}


def test_fault_04_what_no_bell_was_heard_for_is_found_by_the_sweep(gateway: Gateway, own_valkey: OwnValkey) -> None:
    """The order was given, then Valkey lost everything. Real worker and scheduler: the scheduler's first rings bring it home."""
    ledger = Ledger(SEED)
    keep(gateway, ledger, "emptied")
    with own_valkey.client() as client:
        assert client.llen("rq:queue:default") >= 1
        client.flushall()
    with program(gateway, "rqworker"), program(gateway, "rqcron"):
        wait_for(lambda: stored(gateway, "emptied") == 1, lambda: "it was never replayed")
        wait_for(lambda: state(gateway, "emptied") == "replayed")
    settle(ledger, gateway, "late")


# --- row 5


def test_fault_05_a_worker_that_is_killed_at_dequeue_loses_nothing(gateway: Gateway, own_valkey: OwnValkey) -> None:
    """Its ring is gone from Valkey and no item is claimed: the sweep finds it."""
    ledger = Ledger(SEED)
    keep(gateway, ledger, "dequeue")
    with psycopg.connect(gateway.control_url) as control, Worker(gateway, own_valkey) as worker:
        control.execute("LOCK TABLE healing_quarantineitem IN ACCESS EXCLUSIVE MODE")
        with psycopg.connect(gateway.control_url, autocommit=True) as looking:
            wait_for(lambda: blocked(looking) >= 1, lambda: "the worker never came to its claim")
        worker.kill9()
        control.rollback()
    assert (stored(gateway, "dequeue"), state(gateway, "dequeue")) == (0, "waiting")
    gateway.manage("shell", "-c", SWEEP)
    once(gateway, ledger, "dequeue")


def test_fault_05_a_worker_that_is_killed_mid_job_is_followed_when_its_lease_ends(gateway: Gateway, own_valkey: OwnValkey) -> None:
    """In the middle of the replay's transaction: nothing of it stays; nobody else takes the item before the lease ends."""
    ledger = Ledger(SEED)
    keep(gateway, ledger, "mid")
    with psycopg.connect(gateway.owner_url, autocommit=True) as owner, Worker(gateway, own_valkey) as worker:
        owner.execute("SELECT pg_advisory_lock(4711)")
        wait_for(lambda: blocked(owner) >= 1, lambda: "the replay never came to its row")
        worker.kill9()
        owner.execute("SELECT pg_advisory_unlock(4711)")
    gateway.manage("shell", "-c", SWEEP)
    assert (stored(gateway, "mid"), state(gateway, "mid")) == (0, "replaying")
    end_lease(gateway, "mid")
    gateway.manage("shell", "-c", SWEEP)
    once(gateway, ledger, "mid")


def test_fault_05_a_worker_that_is_killed_after_the_commit_has_one_effect(gateway: Gateway, own_valkey: OwnValkey) -> None:
    """The row is committed and nobody wrote down that it is: the next one finds the answer that the same transaction recorded."""
    ledger = Ledger(SEED)
    keep(gateway, ledger, "after")
    with (
        psycopg.connect(gateway.owner_url, autocommit=True) as owner,
        psycopg.connect(gateway.control_url) as control,
        psycopg.connect(gateway.control_url, autocommit=True) as looking,
        Worker(gateway, own_valkey) as worker,
    ):
        owner.execute("SELECT pg_advisory_lock(4711)")
        wait_for(lambda: blocked(owner) >= 1, lambda: "the replay never came to its row")
        control.execute("SELECT FROM healing_quarantineitem WHERE idempotency_key = 'after' FOR UPDATE")
        owner.execute("SELECT pg_advisory_unlock(4711)")
        wait_for(lambda: stored(gateway, "after") == 1)
        wait_for(lambda: blocked(looking) >= 1, lambda: "the worker never came to write it down")
        worker.kill9()
        control.rollback()
    assert state(gateway, "after") == "replaying"
    end_lease(gateway, "after")
    gateway.manage("shell", "-c", SWEEP)
    once(gateway, ledger, "after")


def keep(gateway: Gateway, ledger: Ledger, name: str) -> None:
    """A write that is kept, that would fit by now, and whose replay was ordered."""
    gateway.control("DELETE FROM healing_quarantineitem; UPDATE healing_replay SET state = 'done'")
    gateway.sql("TRUNCATE late")
    with gateway.client() as client:
        assert send(ledger, client, name, "/rest/v1/late", {"mark": name, name: "x"}).kept
    gateway.sql(f"ALTER TABLE late ADD COLUMN {name} text")
    gateway.manage("capture_schema")
    gateway.manage("replay", "--all-waiting")


def once(gateway: Gateway, ledger: Ledger, name: str) -> None:
    """It landed, is written down so, and nothing happens to it again."""
    assert state(gateway, name) == "replayed"
    gateway.manage("shell", "-c", SWEEP)
    assert settle(ledger, gateway, "late").ends == {End.COMMITTED: 1}


def stored(gateway: Gateway, name: str) -> int:
    return int(gateway.sql("SELECT count(*) AS n FROM late WHERE mark = %s", name)[0]["n"])


def state(gateway: Gateway, name: str) -> str:
    return str(gateway.control("SELECT state FROM healing_quarantineitem WHERE idempotency_key = %s", name)[0]["state"])


def end_lease(gateway: Gateway, name: str) -> None:
    """As if its thirty seconds were over."""
    sql = "UPDATE healing_quarantineitem SET lease_until = now() - interval '1 s' WHERE idempotency_key = %s AND lease_until IS NOT NULL"
    gateway.control(sql, name)


def blocked(connection: psycopg.Connection) -> int:
    """Backends of this database that wait for a lock."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    row = connection.execute(sql).fetchone()
    return int(row[0]) if row else 0


class Worker:
    """A real RQ worker, as ``manage.py rqworker`` starts it; killed at the latest at the end. No other command runs beside it."""

    def __init__(self, gateway: Gateway, valkey: OwnValkey) -> None:
        self._valkey, self._known = valkey, set(pids(valkey))
        self._thread = threading.Thread(target=commands.run, args=(["rqworker"], gateway.environment), daemon=True)

    def __enter__(self) -> Worker:
        self._thread.start()
        wait_for(lambda: bool(set(pids(self._valkey)) - self._known), lambda: "the worker never began")
        return self

    def kill9(self) -> None:
        """The worker and the process of its job, at once."""
        for pid in set(pids(self._valkey)) - self._known:
            kill9(pid)
        self._thread.join(60)
        assert not self._thread.is_alive()

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self.kill9()


def pids(valkey: OwnValkey) -> list[int]:
    """Workers that told Valkey of themselves."""
    with valkey.client() as client:
        found = [client.hget(key, "pid") for key in client.smembers("rq:workers")]  # type: ignore[union-attr]
    return [int(pid) for pid in found if pid]  # type: ignore[arg-type]
