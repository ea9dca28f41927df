"""A table that nobody knows: kept, proposed, approved, and healed from then on."""

from __future__ import annotations

from tests.gateway_process import Gateway


def test_an_approved_table_rule_heals_writes_to_the_old_name(shared_gateway: Gateway) -> None:
    """The rule names the live table; the receipt says by which rule."""
    gateway = shared_gateway
    gateway.sql("CREATE TABLE activity_logs(id serial PRIMARY KEY, action text, details jsonb)")
    gateway.manage("capture_schema")
    with gateway.client() as client:
        row = {"action": "login", "details": {"a": 1}}
        kept = client.post("/rest/v1/activity_log", json=row)
        assert (kept.status_code, kept.json()["code"]) == (404, "PGRST205")
        item = client.get(f"/api/v1/quarantine/{kept.headers['mendgate-quarantine']}").json()
        proposal = next(p for p in item["proposals"] if p["fix"] == [{"op": "rename_table", "from": "activity_log", "to": "activity_logs"}])
        gateway.control(
            "INSERT INTO auth_user(username, password, is_superuser, is_staff, is_active, first_name, last_name, email, date_joined)"
            " VALUES ('rita', '', true, true, true, '', '', '', now()) ON CONFLICT DO NOTHING"
        )
        gateway.manage("approve", proposal["id"], "--user", "rita")
        healed = client.post("/rest/v1/activity_log", json=row)
        assert healed.status_code == 201, healed.text
        assert healed.headers["mendgate-healed"] == "rename_table(activity_log->activity_logs)"
        gateway.manage("replay", "--quarantine", item["id"], "--wait")
    assert gateway.sql("SELECT count(*) AS n FROM activity_logs WHERE details = '{\"a\": 1}'")[0]["n"] == 2
