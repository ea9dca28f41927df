"""``prepare --wait`` ends when the control database is ready, however often that goes away before."""

from __future__ import annotations

import psycopg
import pytest
from django.db import connection

from resilience_site.management.commands import prepare


@pytest.mark.django_db(transaction=True)
def test_waiting_goes_on_after_a_connection_was_lost() -> None:
    assert prepare._not_prepared() == ""
    connection.ensure_connection()
    pid, url = connection.connection.info.backend_pid, connection.settings_dict
    other = {"host": url["HOST"], "port": url["PORT"], "dbname": url["NAME"], "user": url["USER"], "password": url["PASSWORD"]}
    with psycopg.connect(**other, autocommit=True) as beside:
        beside.execute("SELECT pg_terminate_backend(%s, 60000)", [pid])
    assert "does not answer" in prepare._not_prepared()
    assert prepare._not_prepared() == ""
