"""The embedded servers: durable, private, adopted when they run, started again when they do not."""

from __future__ import annotations

import os
import signal
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from resilience_site import embedded_state, processes
from resilience_site.embedded import EmbeddedPostgres, EmbeddedValkey
from resilience_site.embedded_state import GATEWAY, LOOPBACK


@pytest.fixture(scope="module")
def own_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mendgate-embedded-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="module")
def own_postgres(own_home: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(own_home) as server:
        yield server


def setting(server: EmbeddedPostgres, name: str) -> object:
    with psycopg.connect(server.url()) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row
    return row[0]


def test_postgres_writes_durably_and_listens_on_loopback_only(own_postgres: EmbeddedPostgres) -> None:
    assert setting(own_postgres, "fsync") == "on"
    assert setting(own_postgres, "synchronous_commit") == "on"
    assert setting(own_postgres, "full_page_writes") == "on"
    assert setting(own_postgres, "listen_addresses") == LOOPBACK


def test_postgres_asks_for_the_password(own_postgres: EmbeddedPostgres) -> None:
    wrong = own_postgres.url().replace(own_postgres.state.owner_password, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_passwords_are_readable_by_us_only(own_postgres: EmbeddedPostgres, own_home: Path) -> None:
    assert stat.S_IMODE((own_home / "embedded.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((own_home / "postgres").stat().st_mode) == 0o700
    assert not list(own_home.glob(".initial-password*"))


def test_the_gateways_login_has_no_rights_until_it_takes_a_role(own_postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(own_postgres.url(), autocommit=True) as owner:
        owner.execute("CREATE TABLE IF NOT EXISTS kept (id int)")
    with psycopg.connect(own_postgres.url(user=GATEWAY), autocommit=True) as login:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            login.execute("SELECT * FROM kept")
        for role in ("anon", "authenticated", "service_role"):
            with login.transaction():
                login.execute(f"SET LOCAL ROLE {role}")
                login.execute("INSERT INTO kept VALUES (1)")


def test_only_the_service_role_passes_row_security(own_postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(own_postgres.url(), autocommit=True) as owner:
        rows = owner.execute("SELECT rolname FROM pg_roles WHERE rolbypassrls AND NOT rolsuper").fetchall()
        assert rows == [("service_role",)]


def test_policies_can_ask_who_the_caller_is(own_postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(own_postgres.url(user=GATEWAY)) as login:
        login.execute("SET LOCAL ROLE authenticated")
        claims = '{"sub": "00000000-0000-0000-0000-00000000000a", "role": "authenticated"}'
        login.execute("SELECT set_config('request.jwt.claims', %s, true)", [claims])
        row = login.execute("SELECT auth.uid()::text, auth.role(), auth.jwt() ->> 'role'").fetchone()
    assert row == ("00000000-0000-0000-0000-00000000000a", "authenticated", "authenticated")


def test_a_second_start_adopts_the_running_server(own_postgres: EmbeddedPostgres, own_home: Path) -> None:
    again = EmbeddedPostgres(own_home).start()
    assert again.pid == own_postgres.pid
    assert again.process is None


def test_committed_rows_survive_a_kill_of_every_process_and_a_taken_port(own_home: Path) -> None:
    server = EmbeddedPostgres(own_home).start()
    with psycopg.connect(server.url(), autocommit=True) as owner:
        owner.execute("DROP TABLE IF EXISTS survivors")
        owner.execute("CREATE TABLE survivors AS SELECT 1 AS n")
    pid, port = server.pid, server.state.postgres_port
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert processes.wait_until(lambda: server.pid is None, 10)
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        assert processes.wait_until(lambda: embedded_state.port_is_free(port), 10)
        squatter.bind((LOOPBACK, port))
        squatter.listen()
        revived = EmbeddedPostgres(own_home).start()
    with psycopg.connect(revived.url()) as owner:
        assert owner.execute("SELECT n FROM survivors").fetchall() == [(1,)]
    assert revived.state.postgres_port != port
    revived.stop()
    assert revived.pid is None


def test_a_pid_file_that_names_another_program_does_not_stop_the_start(own_home: Path) -> None:
    server = EmbeddedPostgres(own_home)
    server.stop()
    (own_home / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{own_home}\n0\n1\n")
    assert server.pid is None
    with server:
        assert server.pid


def test_valkey_keeps_its_data_and_asks_for_the_password(own_home: Path) -> None:
    with EmbeddedValkey(own_home) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
    with EmbeddedValkey(own_home) as server:
        with redis.Redis.from_url(server.url) as client:
            assert client.get("kept") == b"yes"
        with redis.Redis(port=server.state.valkey_port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.get("kept")
    assert server.pid is None
