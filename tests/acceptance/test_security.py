"""Rows of docs/security.md that no other test names: over HTTP, against a running gateway."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

import httpx
import pytest

from healing.gateway import keytext
from resilience_site import processes
from tests import commands
from tests.acceptance.bookshop import ANN, BOB, token
from tests.gateway_process import Gateway

SCHEMA = """
CREATE TABLE safe_notes (id int PRIMARY KEY, owner uuid NOT NULL, body text);
ALTER TABLE safe_notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON safe_notes TO authenticated
    USING (owner = (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')::uuid);
GRANT ALL ON safe_notes TO authenticated;
CREATE TABLE safe_board (id int PRIMARY KEY);
ALTER TABLE safe_board ENABLE ROW LEVEL SECURITY;
CREATE POLICY nothing ON safe_board FOR SELECT TO anon USING (false);
CREATE POLICY all_of_it ON safe_board FOR SELECT TO authenticated USING (true);
GRANT SELECT ON safe_board TO anon, authenticated;
INSERT INTO safe_board SELECT generate_series(1, 3);
"""


@pytest.fixture(scope="module")
def site(shared_gateway: Gateway) -> Iterator[Gateway]:
    shared_gateway.sql(SCHEMA)
    shared_gateway.manage("capture_schema")
    with person(shared_gateway, ANN) as ann:
        known = lambda: ann.get("/rest/v1/safe_board").status_code == 200  # noqa: E731
        assert processes.wait_until(known, 90)
    yield shared_gateway
    shared_gateway.sql("DROP TABLE safe_notes, safe_board")


def person(gateway: Gateway, subject: str) -> httpx.Client:
    return httpx.Client(base_url=gateway.base_url, headers={"authorization": f"Bearer {token(gateway, subject)}"}, timeout=60)


def transactions(gateway: Gateway) -> int:
    """Of the target, ever."""
    (row,) = gateway.sql("SELECT xact_commit + xact_rollback AS n FROM pg_stat_database WHERE datname = current_database()")
    return int(row["n"])


def test_a_bad_token_uses_no_connection_to_the_database(site: Gateway) -> None:
    calls, refused = 200, 600
    with person(site, ANN) as good, httpx.Client(base_url=site.base_url, headers={"authorization": "Bearer a.b.c"}, timeout=60) as bad:
        before = transactions(site)
        assert {bad.get("/rest/v1/safe_board").status_code for _ in range(refused)} == {401}
        assert {good.get("/rest/v1/safe_board").status_code for _ in range(calls)} == {200}
        assert processes.wait_until(lambda: transactions(site) - before >= calls, 90, every=0.3), "the measure sees what does use one"
        assert transactions(site) - before < calls + refused, "the refused ones did, too"


def test_a_key_that_is_sql_is_no_key(site: Gateway) -> None:
    known = site.control("SELECT count(*) AS n FROM healing_apikey")
    body = keytext.make()[0]
    tries = ["' OR '1'='1", "mg_' OR true --_x", f"{body}'; DROP TABLE healing_apikey; --", body[:12] + "\\", "%", "_" * 60, body]
    for key in tries:
        answer = httpx.get(f"{site.base_url}/rest/v1/safe_board", headers={"apikey": key}, timeout=60)
        assert answer.status_code == 401, key
    assert site.control("SELECT count(*) AS n FROM healing_apikey") == known


def test_the_login_has_no_right_of_the_roles_it_may_become(site: Gateway) -> None:
    facts = "SELECT rolinherit, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = 'authenticator'"
    assert site.sql(facts) == [{"rolinherit": False, "rolsuper": False, "rolbypassrls": False, "rolcreaterole": False}]
    (row,) = site.sql("SELECT has_table_privilege('authenticator', 'safe_notes', 'SELECT') AS may")
    assert row["may"] is False


def test_a_plan_made_for_one_role_never_serves_another(site: Gateway) -> None:
    """CVE-2023-2455: the same statement, prepared on the same connections, under two roles with policies of their own."""
    with person(site, ANN) as ann, httpx.Client(base_url=site.base_url, headers={"apikey": site.make_key("anon")}, timeout=60) as anon:
        for _ in range(60):
            assert len(ann.get("/rest/v1/safe_board").json()) == 3
            assert anon.get("/rest/v1/safe_board").json() == []


@pytest.mark.parametrize("how", ["insert", "upsert", "update", "delete"])
def test_row_security_holds_for_many_rows_at_once(site: Gateway, how: str) -> None:
    site.sql("TRUNCATE safe_notes")
    site.sql("INSERT INTO safe_notes SELECT n, %s, 'bob' FROM generate_series(1, 5) n", BOB)
    mine = [{"id": n, "owner": ANN, "body": "ann"} for n in range(100, 150)]
    with person(site, ANN) as ann:
        match how:
            case "insert":
                answer = ann.post("/rest/v1/safe_notes", json=[*mine, {"id": 200, "owner": BOB, "body": "forged"}])
            case "upsert":
                prefer = {"prefer": "resolution=merge-duplicates"}
                answer = ann.post("/rest/v1/safe_notes", json=[*mine, {"id": 1, "owner": ANN, "body": "taken"}], headers=prefer)
            case "update":
                answer = ann.patch("/rest/v1/safe_notes?id=gt.0", json={"body": "taken"})
            case _:
                answer = ann.delete("/rest/v1/safe_notes?id=gt.0")
    assert answer.status_code in ((403,) if how in ("insert", "upsert") else (200, 204)), answer.text
    assert site.sql("SELECT count(*) AS n, min(body) AS a, max(body) AS z FROM safe_notes") == [{"n": 5, "a": "bob", "z": "bob"}]


@pytest.mark.parametrize("name", ["columns", "on_conflict", "order", "select"])
@pytest.mark.parametrize("text", ["%FF%FE", "id%22;drop%20table%20safe_board;--", "id%00", "(select%201)", "%ED%A0%80"])
def test_names_in_an_address_are_names_of_the_catalog_or_refused(site: Gateway, name: str, text: str) -> None:
    with httpx.Client(base_url=site.base_url, headers={"apikey": site.make_key()}, timeout=60) as client:
        if name in ("columns", "on_conflict"):
            answer = client.post(f"/rest/v1/safe_board?{name}={text}", json={"id": 99}, headers={"prefer": "resolution=merge-duplicates"})
        else:
            answer = client.get(f"/rest/v1/safe_board?{name}={text}")
    assert 400 <= answer.status_code < 500, answer.text
    assert site.sql("SELECT count(*) AS n FROM safe_board") == [{"n": 3}]


def test_pages_forbid_inline_scripts_and_have_none(site: Gateway) -> None:
    page = httpx.get(f"{site.base_url}/admin/login/", timeout=90)
    policy = page.headers["content-security-policy"]
    scripts = next(part for part in policy.split(";") if part.strip().startswith("script-src"))
    assert "unsafe-inline" not in scripts and "frame-ancestors 'none'" in policy and "object-src 'none'" in policy
    assert page.headers["x-frame-options"] == "DENY" and page.headers["x-content-type-options"] == "nosniff"
    inline = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", page.text)
    assert [tag for tag in inline if "application/json" not in tag] == []


def test_djangos_own_check_of_a_deployment_is_clean(site: Gateway) -> None:
    environment = {
        **site.environment,
        "BASE_URL": "https://mendgate.example",
        "ALLOWED_HOSTS": "mendgate.example",
        "SECRET_KEY": "abcdefghij0123456789" * 3,
    }
    environment["DJANGO_SETTINGS_MODULE"] = "resilience_site.settings"
    judged = commands.run(["check", "--deploy", "--fail-level", "WARNING"], {**os.environ, **environment})
    assert judged.returncode == 0, json.dumps([judged.stdout, judged.stderr])
