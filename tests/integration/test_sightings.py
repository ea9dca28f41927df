"""A name that lived only between two captures: what the gateway saw of it survives captures and restarts."""

from __future__ import annotations

from tests.gateway_process import Gateway


def test_a_brief_name_is_healed_after_a_capture_and_a_restart(gateway: Gateway) -> None:
    """No watcher runs here: the table is made, written to, and renamed before anybody captured it."""
    gateway.manage("capture_schema")
    gateway.sql("CREATE TABLE brief(id serial PRIMARY KEY, email text)")
    with gateway.client() as client:
        assert client.post("/rest/v1/brief", json={"email": "1"}).status_code == 201
        gateway.sql("ALTER TABLE brief RENAME COLUMN email TO email_address")
        assert client.post("/rest/v1/brief", json={"email": "2"}).status_code == 201
        gateway.manage("capture_schema")
        assert client.post("/rest/v1/brief", json={"email": "3"}).status_code == 201
        gateway.stop()
        gateway.start()
        assert client.post("/rest/v1/brief", json={"email": "4"}).status_code == 201
    assert [row["email_address"] for row in gateway.sql("SELECT email_address FROM brief ORDER BY id")] == ["1", "2", "3", "4"]
    assert gateway.control("SELECT count(*) AS n FROM schema_monitor_schemasighting")[0]["n"] == 0
