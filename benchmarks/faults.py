"""Faults 1 to 5 and 8 of docs/reliability.md in full, on durable databases: ``python -m benchmarks.faults [part …] [--cuts 1000]``.

Callers of every kind write by a ledger (``tests/faults/crowd.py``); afterwards every request is accounted for. ``kills``: backends are
ended before their COMMIT. ``cuts``: answers of COMMIT are cut off between gateway and database, and as many between caller and gateway.
``lock``: a lock is held for ever. ``silent``: the database answers nobody any more. ``sweep``: Valkey is emptied after an order to
replay, with a real worker and scheduler. ``lease``: the worker is killed in the middle of a replay, and another runs. ``pooler``: two
people's calls through PgBouncer in transaction mode, on three sessions, while it is killed and started again.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Callable

import psycopg
import redis

from benchmarks.figures import figure
from benchmarks.web_process import web_process
from tests.acceptance import test_transaction_pooler as pooled
from tests.faults.crowd import TABLES, Crowd, tables, wait_for
from tests.faults.programs import kill9, program
from tests.faults.test_worker_faults import LATE, keep
from tests.faulty_proxy import FaultyProxy
from tests.gateway_process import Gateway
from tests.hosts import eventually
from tests.ledger import Account, Ledger, found_in
from tests.pgbouncer import PgBouncer

OURS = "FROM pg_stat_activity WHERE application_name = 'mendgate' AND datname = current_database()"
LIMIT = 5
"""seconds of a statement; a request may take that for the batch before it and for itself, and ten for a connection."""


class Stage:
    """The gateway, its target through a proxy, and the options."""

    def __init__(self, gateway: Gateway, proxy: FaultyProxy, options: argparse.Namespace) -> None:
        self.gateway, self.proxy, self.options = gateway, proxy, options
        self.broken = 0

    def account(self, name: str, ledger: Ledger, *where: str) -> Account:
        """Prints the account; what is unexplained breaks the promise."""
        with self.gateway.client() as client:
            account = ledger.account(found_in(self.gateway, *(where or TABLES), client=client))
        print(account.report(), flush=True)
        self.figure(f"{name}: requests unexplained", str(len(account.unexplained)), "0", not account.unexplained)
        return account

    def figure(self, name: str, value: str, aim: str, reached: bool) -> None:
        """A figure that must be reached."""
        figure(name, value, aim, reached)
        self.broken += not reached


def main() -> int:
    """Runs the parts; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description="Faults in full.")
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="part", help=", ".join(PARTS))
    parser.add_argument("--cuts", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with web_process(STATEMENT_TIMEOUT=str(LIMIT)) as gateway, FaultyProxy(gateway.target_url) as proxy:
        tables(gateway).sql(LATE)
        gateway.stop()
        gateway.environment["TARGET_DATABASE_URL"] = proxy.url
        gateway.start()
        stage = Stage(gateway, proxy, options)
        for name in options.parts:
            proxy.mend()
            gateway.sql("TRUNCATE notes, orders, items, late; TRUNCATE mendgate.idempotency")
            gateway.control("DELETE FROM healing_quarantineitem; UPDATE healing_replay SET state = 'done'")
            PARTS[name](stage)
    return int(stage.broken > 0)


def kills(stage: Stage) -> None:
    """Backends are ended in the middle of their transactions."""
    ledger, dice, gateway = Ledger(stage.options.seed), random.Random(stage.options.seed), stage.gateway
    where = "AND xact_start IS NOT NULL AND backend_type = 'client backend' ORDER BY random() LIMIT 1"
    with Crowd(gateway, ledger) as crowd:
        for _ in range(stage.options.kills):
            crowd.more(dice.randint(2, 6))
            wait_for(lambda: bool(gateway.sql(f"SELECT pg_terminate_backend(pid) {OURS} {where}")))
    stage.account(f"{stage.options.kills} backends killed before COMMIT", ledger)


def cuts(stage: Stage) -> None:
    """Committed, and nobody was told."""
    ledger, count = Ledger(stage.options.seed), stage.options.cuts
    before = stage.proxy.cuts
    with FaultyProxy(stage.gateway.base_url) as front, Crowd(stage.gateway, ledger, url=front.url, size=8) as crowd:
        stage.proxy.cut(b"COMMIT", answered=True, times=count, share=0.2, seed=stage.options.seed)
        front.cut(b"POST ", answered=True, times=count, share=0.2, seed=stage.options.seed)
        while stage.proxy.cuts - before < count or front.cuts < count:
            crowd.more(20)
    stage.account(f"{count} + {count} cut after COMMIT", ledger)


def lock(stage: Stage) -> None:
    """Nobody's answer waits for the lock."""
    ledger, slowest = Ledger(stage.options.seed), 0.0
    with psycopg.connect(stage.gateway.owner_url) as owner, Crowd(stage.gateway, ledger, size=64, kinds=("plain", "healed")) as crowd:
        crowd.more(64)
        owner.execute("LOCK TABLE notes")
        for _ in range(3):
            began = time.monotonic()
            crowd.more(64)
            slowest = max(slowest, time.monotonic() - began)
        waiting = len(stage.gateway.sql(f"SELECT pid {OURS} AND wait_event_type = 'Lock'"))
        owner.rollback()
        crowd.heard(lambda heard: heard.status == 201)
    bound = 2 * LIMIT + 10
    stage.figure("a lock is held: 64 callers answered within", f"{slowest:.1f} s", f"≤ {bound} s", slowest <= bound)
    stage.figure("a lock is held: backends that wait for it", str(waiting), "≤ 10", waiting <= 10)
    stage.account("a lock is held", ledger)


def silent(stage: Stage) -> None:
    """From silence to the first refusal at once, and back."""
    ledger = Ledger(stage.options.seed)
    with Crowd(stage.gateway, ledger, size=64) as crowd:
        crowd.more(200)
        stage.proxy.freeze()
        opened = took(lambda: crowd.heard(lambda heard: heard.code == "PGRST001"))
        stage.proxy.thaw()
        back = took(lambda: crowd.heard(lambda heard: heard.status == 201))
    bound = 20 + 2 * LIMIT  # what went well before leaves the breaker's window after 20 s
    stage.figure("a silent database: its breaker is open after", f"{opened:.1f} s", f"≤ {bound} s", opened <= bound)
    stage.figure("a silent database: served again after", f"{back:.1f} s", "≤ 60 s", back <= 60)
    stage.account("a silent database", ledger)


def sweep(stage: Stage) -> None:
    """The bell is lost with everything in Valkey."""
    ledger, gateway = Ledger(stage.options.seed), stage.gateway
    with program(gateway, "rqcron"):
        time.sleep(35)  # past the scheduler's first rings
        keep(gateway, ledger, "swept")
        with redis.Redis.from_url(gateway.environment["REDIS_URL"]) as client:
            client.flushall()
        with program(gateway, "rqworker"):
            seconds = took(lambda: wait_for(lambda: landed(gateway)))
    stage.figure("Valkey emptied: replayed by the sweep after", f"{seconds:.0f} s", "≤ 60 s", seconds <= 60)
    stage.account("Valkey emptied", ledger, "late")


def lease(stage: Stage) -> None:
    """Killed in the middle of the replay; the next takes over when the lease has ended."""
    ledger, gateway = Ledger(stage.options.seed), stage.gateway
    with psycopg.connect(gateway.owner_url, autocommit=True) as owner:
        owner.execute("SELECT pg_advisory_lock(4711)")
        keep(gateway, ledger, "leased")
        with program(gateway, "rqworker") as worker:
            wait_for(lambda: bool(gateway.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory'")))
            kill9(worker)
        owner.execute("SELECT pg_advisory_unlock(4711)")
    with program(gateway, "rqworker"), program(gateway, "rqcron"):
        seconds = took(lambda: wait_for(lambda: landed(gateway)))
    stage.figure("worker killed mid-job: landed after", f"{seconds:.0f} s", "≤ 90 s", seconds <= 90)
    stage.account("worker killed mid-job", ledger, "late")


def pooler(stage: Stage) -> None:
    """Nobody is somebody else, and what was answered is what is stored; every second round the pooler is killed in the middle."""
    leaks: list[str] = []
    answered, cut, rounds = 0, 0, -(-stage.options.calls // pooled.CALLS)
    with web_process() as gateway:
        bouncer = PgBouncer(gateway.home / "pooler", gateway.target_url)
        gateway.sql(pooled.SCHEMA)
        gateway.manage("capture_schema")
        gateway.stop()
        gateway.environment["TARGET_DATABASE_URL"] = bouncer.start(eventually).url
        gateway.start()

        def restart() -> None:
            bouncer.kill()
            bouncer.start(eventually)

        try:
            for number in range(1, rounds + 1):
                midway = restart if number % 2 else (lambda: None)
                outcomes = asyncio.run(pooled.interleaved(gateway, stage.options.seed * 1000 + number, midway))
                answered += sum(answer is not None and answer.status_code < 500 for *_, answer in outcomes)
                cut += sum(answer is None or answer.status_code >= 500 for *_, answer in outcomes)
                try:
                    pooled.judge(gateway, outcomes)
                except AssertionError as error:
                    leaks.append(str(error))
        finally:
            gateway.stop()
            bouncer.kill()
    print(
        f"{rounds * pooled.CALLS} calls of two people, {(rounds + 1) // 2} restarts: {answered} carried out or refused, {cut} told 503, 504"
    )
    stage.figure("pooler restarts: rounds with a leak", f"{len(leaks)} of {rounds}", "0", not leaks)


def landed(gateway: Gateway) -> bool:
    """Whether everything kept was replayed."""
    return not gateway.control("SELECT 1 FROM healing_quarantineitem WHERE state <> 'replayed'")


def took(doing: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.monotonic()
    doing()
    return time.monotonic() - began


PARTS: dict[str, Callable[[Stage], None]] = {
    "kills": kills,
    "cuts": cuts,
    "lock": lock,
    "silent": silent,
    "lease": lease,
    "sweep": sweep,
    "pooler": pooler,
}

if __name__ == "__main__":
    sys.exit(main())
