"""What the control database must be able to do, as ``doctor`` finds it out."""

from __future__ import annotations

import psycopg
import pytest

from resilience_site.control_features import FEATURES, missing


def test_postgres_has_all_and_nothing_stays(control_url: str) -> None:
    with psycopg.connect(control_url, autocommit=True) as control:
        assert [feature.name for feature in missing(control)] == []
        assert control.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'mendgate_doctor%'").fetchone() == (0,)
        assert control.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()").fetchone() == (0,)
        assert len({feature.name for feature in FEATURES}) == len(FEATURES)


FAKES = {
    "advisory locks of a session": "pg_try_advisory_lock(int, int) RETURNS bool LANGUAGE sql AS 'SELECT false'",
    "LISTEN and NOTIFY": "pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE feature_not_supported; END'",
    "settings of a transaction": "set_config(text, text, bool) RETURNS text LANGUAGE sql AS $$SELECT 'other'$$",
}


@pytest.mark.parametrize("name", FAKES)
def test_what_is_missing_is_named(control_url: str, name: str) -> None:
    """An engine that lacks something, played by functions that come before the server's own."""
    with psycopg.connect(control_url, autocommit=True) as control:
        control.execute(f"CREATE SCHEMA fake; CREATE FUNCTION fake.{FAKES[name]}")
        control.execute("SET search_path = fake, pg_catalog, public")
        assert [feature.name for feature in missing(control)] == [name]
