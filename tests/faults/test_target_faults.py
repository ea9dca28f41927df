"""Rows 1, 2 and 8 of docs/reliability.md: the target, or the way to it, goes wrong under writes of every kind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator

import httpx
import psycopg
import pytest

from tests.faults.crowd import TABLES, Crowd, request_of, tables, wait_for, write_one
from tests.faulty_proxy import FaultyProxy
from tests.gateway_process import Gateway
from tests.ledger import End, Heard, Ledger, asend, settle

SEED = 20261128
KILLS, CUTS = 15, 25
OURS = "FROM pg_stat_activity WHERE application_name = 'mendgate' AND datname = current_database()"


@pytest.fixture(scope="module")
def proxied(make_gateway: Callable[..., Gateway]) -> Iterator[tuple[Gateway, FaultyProxy]]:
    """A gateway that reaches its target through a proxy; its statements may take one second."""
    gateway = make_gateway(STATEMENT_TIMEOUT="1", POOL_SIZE="6")
    tables(gateway)
    with FaultyProxy(gateway.target_url) as proxy:
        gateway.environment["TARGET_DATABASE_URL"] = proxy.url
        yield gateway.start(), proxy
        proxy.mend()
        gateway.stop()


@pytest.fixture
def gateway(proxied: tuple[Gateway, FaultyProxy]) -> Gateway:
    """With empty tables, and well: the breaker of the target is closed."""
    gateway, proxy = proxied
    proxy.mend()
    gateway.sql("TRUNCATE notes, orders, items; TRUNCATE mendgate.idempotency")
    gateway.control("DELETE FROM healing_quarantineitem")
    with gateway.client() as client:
        wait_for(lambda: client.patch("/rest/v1/notes?id=eq.0", json={"body": ""}).status_code == 204, lambda: "it never recovered")
    return gateway


@pytest.fixture
def proxy(proxied: tuple[Gateway, FaultyProxy]) -> FaultyProxy:
    return proxied[1]


@pytest.fixture
def patient(gateway: Gateway) -> Gateway:
    """The same for the tests at the end: its statements, and what it looks up, may take as long as a busy machine needs."""
    gateway.stop()
    gateway.environment["STATEMENT_TIMEOUT"] = "30"
    return gateway.start()


def test_fault_01_backends_that_are_killed_leave_no_part_of_a_write(gateway: Gateway) -> None:
    """While writes of every kind are under way, backends of the gateway are ended in the middle of their transactions."""
    ledger, dice = Ledger(SEED), random.Random(SEED)  # noqa: S311
    with Crowd(gateway, ledger) as crowd:
        for _ in range(KILLS):
            crowd.more(dice.randint(2, 6))
            wait_for(lambda: kill_one(gateway), lambda: "no backend was in a transaction")
    account = settle(ledger, gateway, *TABLES)
    assert account.ends[End.COMMITTED] > 0 and account.ends[End.KEPT] > 0
    assert account.unanswered == ()


def test_fault_01_killed_before_commit_a_transaction_over_tables_is_whole_or_not_there(gateway: Gateway) -> None:
    """Each is held by a lock in its second table, killed there, and again; told 503 or, sent again, whole."""
    ledger = Ledger(SEED)
    gateway.sql("CREATE TRIGGER hold BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION hold()")
    try:
        with psycopg.connect(gateway.owner_url, autocommit=True) as owner, Crowd(gateway, ledger, size=3, kinds=("several",)) as crowd:
            owner.execute("SELECT pg_advisory_lock(4711)")
            for _ in range(6):
                wait_for(lambda: bool(gateway.sql(f"SELECT pg_terminate_backend(pid) {OURS} AND wait_event = 'advisory'")))
            owner.execute("SELECT pg_advisory_unlock(4711)")
            crowd.more(3)
    finally:
        gateway.sql("DROP TRIGGER hold ON items")
    assert settle(ledger, gateway, *TABLES).unanswered == ()


def test_fault_02_commits_whose_answer_is_cut_off_are_settled(gateway: Gateway, proxy: FaultyProxy) -> None:
    """Between gateway and database, and between caller and gateway: committed, and nobody was told."""
    ledger, cuts = Ledger(SEED), proxy.cuts
    with FaultyProxy(gateway.base_url) as front, Crowd(gateway, ledger, url=front.url) as crowd:
        proxy.cut(b"COMMIT", answered=True, times=CUTS, share=0.25, seed=SEED)
        front.cut(b"POST ", answered=True, times=CUTS, share=0.25, seed=SEED)
        wait_for(lambda: proxy.cuts - cuts == front.cuts == CUTS, lambda: f"{proxy.cuts - cuts} and {front.cuts} of {CUTS}")
        crowd.more(10)
    account = settle(ledger, gateway, *TABLES)
    assert account.tries > account.sent
    assert all(mark.startswith(("plain", "healed")) for mark in account.unanswered)


def test_fault_08_while_a_lock_is_held_everybody_is_answered_and_nobody_is_left_behind(gateway: Gateway) -> None:
    """The lock is held until all are answered, however long that takes: so no answer waits for the lock."""
    ledger = Ledger(SEED)
    with psycopg.connect(gateway.owner_url) as owner:
        owner.execute("LOCK TABLE notes")
        heard = asyncio.run(at_once(gateway, ledger, 40))
        assert {each.status for each in heard} <= {503, 504}
        assert "57014" in {each.code for each in heard}
        wait_for(lambda: not gateway.sql(f"SELECT pid {OURS} AND wait_event_type = 'Lock'"), lambda: "writes pile up in the database")
        owner.rollback()
    assert len(gateway.sql(f"SELECT pid {OURS} AND backend_type = 'client backend'")) <= 6 + 4
    with gateway.client() as client:
        wait_for(lambda: write_one(ledger, client, "plain", f"after-{len(ledger.wants)}").status == 201)
    assert settle(ledger, gateway, *TABLES).unanswered == ()


def test_fault_08_a_database_that_falls_silent_opens_the_breaker_and_serves_again(gateway: Gateway, proxy: FaultyProxy) -> None:
    """Nothing passes any more, in the middle of everything: callers get 503 and 504, then at once; and it goes on by itself."""
    ledger = Ledger(SEED)
    with Crowd(gateway, ledger, size=8) as crowd:
        crowd.more(16)
        proxy.freeze()
        caught = [mark for mark, heard in list(ledger.heard.items()) if not heard]
        wait_for(lambda: all(ledger.heard[mark] for mark in caught), lambda: "a request hangs")
        assert all(ledger.heard[mark][0].status for mark in caught), "a request was not answered: its caller gave up"
        crowd.heard(lambda heard: heard.code == "PGRST001")
        assert httpx.get(f"{gateway.base_url}/healthz", timeout=60).status_code == 200
        assert httpx.get(f"{gateway.base_url}/readyz", timeout=60).status_code == 503
        proxy.thaw()
        crowd.heard(lambda heard: heard.status == 201)
        crowd.more(10)
    told = {each.status for heard in ledger.heard.values() for each in heard}
    assert told <= {0, 200, 201, 400, 409, 503, 504}
    settle(ledger, gateway, *TABLES)


def test_fault_10_what_is_unknown_while_the_catalog_cannot_be_read_is_not_called_wrong(gateway: Gateway, proxy: FaultyProxy) -> None:
    """The name may be new, or the table's new one: who asks is told to ask again, and nothing is kept as a misfit."""
    transaction = {"operations": [{"op": "insert", "table": "notes", "rows": [{"mark": "t", "colour": "red"}]}]}
    with gateway.client() as client:

        def told() -> list[tuple[int, str]]:
            answers = [
                client.get("/rest/v1/notes", params={"select": "colour"}),
                client.get("/rest/v1/paintings"),
                client.post("/rest/v1/rpc/paint", json={}),
                client.post("/rest/v1/notes", json={"mark": "m", "colour": "red"}),
                client.post("/api/v1/transactions", json=transaction),
            ]
            return [(answer.status_code, answer.json()["code"]) for answer in answers]

        proxy.drop()
        proxy.cut(b"pg_attribute", answered=False, times=1000)
        assert told() == [(503, "MG503")] * 5
        assert gateway.control("SELECT id FROM healing_quarantineitem") == []
        proxy.mend()
        settled = [(400, "42703"), (404, "PGRST205"), (404, "PGRST202"), (400, "PGRST204"), (400, "PGRST204")]
        wait_for(lambda: told() == settled, told)


def test_fault_02_without_the_front_every_caller_is_told_the_truth(patient: Gateway, proxy: FaultyProxy) -> None:
    """A commit that was cut is looked up by its transaction id: nobody needs to ask again, with a key or without."""
    ledger, cuts = Ledger(SEED), proxy.cuts
    with patient.client() as client:
        for number, kind in enumerate(("plain", "keyed", "healed", "batch", "several") * 2):
            proxy.cut(b"COMMIT", answered=number % 2 == 0)
            heard = write_one(ledger, client, kind, f"{kind}-{number}")
            assert heard.status in (200, 201), heard
            for read in range(3):  # it is well in between: by cuts alone the breaker would open, and refuse
                assert client.get("/rest/v1/orders", params={"limit": read}).status_code == 200
    assert proxy.cuts - cuts >= 10
    account = settle(ledger, patient, *TABLES)
    assert account.ends == {End.COMMITTED: 10} and account.tries == 10


async def at_once(gateway: Gateway, ledger: Ledger, count: int) -> list[Heard]:
    """So many writes, each once, all at a time."""
    key = gateway.make_key()
    async with httpx.AsyncClient(base_url=gateway.base_url, headers={"apikey": key}, timeout=120) as client:
        asking = []
        for number in range(count):
            kind = ("plain", "keyed", "healed", "batch")[number % 4]
            path, body, wants = request_of(kind, f"{kind}-{number}")
            asking.append(asend(ledger, client, f"{kind}-{number}", path, body, wants, keyed=kind in ("keyed", "batch")))
        return list(await asyncio.gather(*asking))


def kill_one(gateway: Gateway) -> bool:
    """Ends one backend of the gateway that is in a transaction; False where none is."""
    where = "AND xact_start IS NOT NULL AND backend_type = 'client backend' ORDER BY random() LIMIT 1"
    return bool(gateway.sql(f"SELECT pg_terminate_backend(pid) {OURS} {where}"))
