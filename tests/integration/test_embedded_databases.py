"""The databases that tests start from are what ``up`` makes."""

from __future__ import annotations

import psycopg


def test_each_test_gets_a_migrated_control_database(control_url: str) -> None:
    with psycopg.connect(control_url) as control:
        assert control.execute("SELECT count(*) FROM healing_quarantineitem").fetchone() == (0,)


def test_the_gateways_login_may_write_receipts_but_the_callers_roles_may_not(target_url: str) -> None:
    with psycopg.connect(target_url, autocommit=True) as login:
        assert login.execute("SELECT has_table_privilege('mendgate.receipts', 'INSERT')").fetchone() == (True,)
        for role in ("anon", "authenticated", "service_role"):
            assert login.execute("SELECT has_schema_privilege(%s, 'mendgate', 'USAGE')", [role]).fetchone() == (False,)


def test_two_databases_are_not_the_same(owner: psycopg.Connection, control_url: str) -> None:
    owner.execute("CREATE TABLE only_here (id int)")
    with psycopg.connect(control_url) as control:
        assert control.execute("SELECT to_regclass('only_here')").fetchone() == (None,)
