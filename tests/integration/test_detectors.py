"""Every kind of target has its detector: the best that it allows, and it sees what changes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import psycopg
import pytest
from django.conf import LazySettings

from resilience_site import unprivileged
from resilience_site.embedded import EmbeddedPostgres
from resilience_site.embedded_postgres import BINARIES, SETTINGS
from resilience_site.embedded_state import free_port
from schema_monitor import install
from schema_monitor.ear import is_pooled
from schema_monitor.models import SchemaChange
from tests.integration.watching import HANGS, point_at, state, wait_for, wait_for_detector, wait_for_epoch, watching
from tests.transaction_pooler import TransactionPooler

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_login_that_may_only_read_polls_counters_and_the_fingerprint(
    settings: LazySettings, target_url: str, owner: psycopg.Connection
) -> None:
    install.remove(owner)
    owner.execute("ALTER ROLE authenticator SET default_transaction_read_only = on")
    try:
        point_at(settings, target_url)
        with watching():
            wait_for_detector("counters")
            owner.execute("CREATE TABLE t (a int)")
            wait_for_epoch(2)
            assert "not installed" in state().why_not[0]
    finally:
        owner.execute("ALTER ROLE authenticator RESET default_transaction_read_only")


def test_behind_a_transaction_pooler_the_log_is_looked_at(settings: LazySettings, target_url: str, owner: psycopg.Connection) -> None:
    with TransactionPooler(target_url) as pooler:
        with psycopg.connect(pooler.url, autocommit=True) as pooled, psycopg.connect(target_url, autocommit=True) as direct:
            assert is_pooled(pooled) and not is_pooled(direct)
        point_at(settings, pooler.url)
        with watching():
            wait_for_detector("log")
            for number in range(3):
                owner.execute(f"CREATE TABLE t{number} (a int)")
                wait_for_epoch(number + 2)
            assert "transaction pooler" in state().why_not[0]
    assert SchemaChange.objects.filter(usr="postgres").count() == 3


@pytest.fixture
def standby(postgres: EmbeddedPostgres, owner: psycopg.Connection) -> Iterator[int]:
    """The port of a streaming standby of this run's server."""
    home, port = postgres.home / "standby", free_port()
    home.mkdir()
    account = unprivileged.account()
    unprivileged.give(home, account)
    source = f"host=127.0.0.1 port={owner.info.port} user=postgres password={owner.info.password}"
    owner.execute("SELECT pg_switch_wal()")
    as_account = {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    base = [BINARIES / "pg_basebackup", "-d", source, "-D", home / "data", "-R", "-X", "stream", "-c", "fast", "--no-sync"]
    subprocess.run(base, check=True, **as_account)
    options = [
        word for name, value in {**SETTINGS, "fsync": "off"}.items() for word in ("-c", f"{name}={value}")
    ]  # it must have room for as many
    command = [BINARIES / "postgres", "-D", home / "data", "-p", str(port), *options]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, **as_account)
    try:
        wait_for(lambda: _answers(owner, port))
        yield port
    finally:
        server.terminate()
        server.wait(HANGS)


def _answers(owner: psycopg.Connection, port: int) -> bool:
    try:
        with psycopg.connect(owner.info.dsn, password=owner.info.password, port=port):
            return True
    except psycopg.OperationalError:
        return False


def test_a_standby_is_watched_by_its_log_and_without_one_by_its_fingerprint(
    settings: LazySettings, target_url: str, owner: psycopg.Connection, standby: int
) -> None:
    point_at(settings, target_url.replace(f":{owner.info.port}/", f":{standby}/"))
    with watching():
        wait_for_detector("log")
        owner.execute("CREATE TABLE t (a int)")
        wait_for_epoch(2)
        assert any("standby" in reason for reason in state().why_not)
        install.remove(owner)
        wait_for_detector("fingerprint")
        owner.execute("CREATE TABLE u (a int)")
        wait_for(lambda: SchemaChange.objects.filter(kind="table_added", relation="u").exists())
