"""A commit that a crash of the database cut off: what the server then says of the transaction's id may be true of another.

Ids that were not on disk are given again after a crash, so "committed" is no proof: a caller would be told of rows that are not there.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from healing.gateway.target import DatabaseError, Pool, Transaction
from resilience_site import processes
from resilience_site.embedded import EmbeddedPostgres

# A connection that the crash takes while psycopg opens it says so when it is forgotten.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[EmbeddedPostgres]:
    """One that may crash without taking others' tests along. (Not below pytest's directory, which each start of pytest closes again.)"""
    with EmbeddedPostgres(home / "crashing", durable=False) as server:
        with psycopg.connect(server.url(), autocommit=True) as owner:
            owner.execute("CREATE TABLE notes (text text)")
            for setting in ("wal_writer_delay = '10s'", "bgwriter_lru_maxpages = 0", "autovacuum = off"):  # nothing gets to disk by itself
                owner.execute(f"ALTER SYSTEM SET {setting}")
            owner.execute("SELECT pg_reload_conf()")
            owner.execute("CHECKPOINT")  # the table outlives the crash
        yield server


def crash(server: EmbeddedPostgres, backend: int, writes: int) -> None:
    """kill -9 of a backend; returns when the server is back and others wrote so often."""
    os.kill(backend, signal.SIGKILL)
    assert processes.wait_until(lambda: not processes.is_alive(backend), 60)
    assert processes.wait_until(server.answers, 60)
    with psycopg.connect(server.url(), autocommit=True) as others:
        for _ in range(writes):
            others.execute("INSERT INTO notes VALUES ('theirs')")


async def cut_off(server: EmbeddedPostgres, writes: int) -> tuple[str, str]:
    """The code of a commit that a crash came before; and what the bare id would have said."""
    pool = Pool(server.url(), 2, 10.0, 30.0)
    transaction = await Transaction.begin(pool, "BEGIN")
    record = await transaction.fetchrow(
        "INSERT INTO notes VALUES ('ours') RETURNING pg_current_xact_id()::text AS xid, pg_backend_pid() AS pid"
    )
    assert record is not None
    await asyncio.to_thread(crash, server, record["pid"], writes)
    with pytest.raises(DatabaseError) as told:
        await transaction.commit("", record["xid"])
    async with pool.connection() as connection:
        status = await connection.fetchval("SELECT pg_xact_status($1::text::xid8)", record["xid"]) if writes else ""
    await pool.close()
    return told.value.failure.code, status


def test_an_id_that_was_given_again_is_no_proof_of_a_commit(server: EmbeddedPostgres) -> None:
    for _ in range(20):  # until the crash was faster than the disk
        code, status = asyncio.run(cut_off(server, writes=5))
        if status == "committed":
            break
        assert code == "08007"
    assert (code, status) == ("MG504", "committed")
    with psycopg.connect(server.url()) as owner:
        assert owner.execute("SELECT count(*) FROM notes WHERE text = 'ours'").fetchone() == (0,)


def test_an_id_that_nobody_has_yet_says_that_nothing_was_stored(server: EmbeddedPostgres) -> None:
    assert asyncio.run(cut_off(server, writes=0)) == ("08007", "")
