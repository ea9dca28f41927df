"""The impact check foretells what the gateway then does: the same payloads, judged, and sent again after the DDL really ran."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from resilience_site.embedded import EmbeddedPostgres
from tests.gateway_process import Gateway
from tests.waiting import HANGS

START = """
CREATE TYPE mood AS ENUM ('happy', 'sad');
CREATE TABLE fits (id serial PRIMARY KEY, a text);
CREATE TABLE renamed (id serial PRIMARY KEY, email text, other text);
CREATE TABLE moved (id serial PRIMARY KEY, a text);
CREATE TABLE dropped (id serial PRIMARY KEY, a text, b text, extra jsonb);
CREATE TABLE required (id serial PRIMARY KEY, a text);
CREATE TABLE typed (id serial PRIMARY KEY, n text);
CREATE TABLE swapped (id serial PRIMARY KEY, x text, y text);
CREATE TABLE labelled (id serial PRIMARY KEY, m mood);
CREATE TABLE gone (id serial PRIMARY KEY, a text);
CREATE TABLE closed (id serial PRIMARY KEY, a text);
CREATE TABLE upserted (id serial PRIMARY KEY, code text UNIQUE, a text);
CREATE TABLE taken (id serial PRIMARY KEY, a text);
CREATE TABLE given (id serial PRIMARY KEY, a text);
CREATE TABLE below (id serial PRIMARY KEY, a text);
CREATE VIEW seen_through AS SELECT id, a FROM below;
GRANT ALL ON ALL TABLES IN SCHEMA public TO anon, authenticated, service_role;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO anon, authenticated, service_role;
"""
DDL = """
ALTER TABLE fits ADD COLUMN more text;
ALTER TABLE renamed RENAME email TO email_address;
ALTER TABLE moved RENAME TO moved_on;
ALTER TABLE dropped DROP COLUMN a;
ALTER TABLE required ADD COLUMN needed text NOT NULL;
ALTER TABLE typed ALTER n TYPE int USING n::int;
ALTER TABLE swapped RENAME x TO z; ALTER TABLE swapped RENAME y TO x;
ALTER TYPE mood RENAME VALUE 'sad' TO 'gloomy';
DROP TABLE gone;
ALTER TABLE closed ENABLE ROW LEVEL SECURITY;
ALTER TABLE upserted DROP CONSTRAINT upserted_code_key;
REVOKE INSERT ON taken FROM anon;
ALTER TABLE given ALTER id DROP DEFAULT, ALTER id ADD GENERATED ALWAYS AS IDENTITY;
ALTER TABLE below ADD needed int NOT NULL;
"""
Write = tuple[str, str, Any, str]
WRITES: dict[str, Write] = {
    "fits": ("POST", "/fits", {"a": "1"}, "fits"),
    "an old key": ("POST", "/renamed", {"email": "a@b.c"}, "heals"),
    "another key": ("POST", "/renamed", {"other": "x"}, "fits"),
    "an old filter": ("PATCH", "/renamed?email=eq.a@b.c", {"other": "y"}, "heals"),
    "an old table": ("POST", "/moved", {"aa": "1"}, "heals"),
    "a dropped key": ("POST", "/dropped", {"a": "1", "b": "2"}, "needs_rule"),
    "no dropped key": ("POST", "/dropped", {"b": "2"}, "fits"),
    "a missing value": ("POST", "/required", {"a": "1"}, "needs_rule"),
    "a value of another type": ("POST", "/typed", {"n": "42"}, "depends"),
    "a reused name": ("POST", "/swapped", {"x": "1"}, "needs_rule"),
    "both names": ("POST", "/swapped", {"x": "1", "y": "2"}, "needs_rule"),
    "an old label": ("POST", "/labelled", {"m": "sad"}, "heals"),
    "a dropped table": ("POST", "/gone", {"a": "1"}, "breaks"),
    "no policy": ("POST", "/closed", {"a": "1"}, "breaks"),
    "no conflict target": ("POST", "/upserted?on_conflict=code", {"code": "c", "a": "1"}, "breaks"),
    "no right": ("POST", "/taken", {"a": "1"}, "breaks"),
    "a given id": ("POST", "/given", {"id": 7, "a": "1"}, "needs_rule"),
    "no given id": ("POST", "/given", {"a": "1"}, "fits"),
    "through a view": ("POST", "/seen_through", {"a": "1"}, "needs_rule"),
}
READS = {
    "/renamed?select=id,email": "heals", "/renamed?email=eq.x&select=id": "heals", "/dropped?select=a": "breaks", "/fits?select=id": "fits",
    "/moved?select=id": "heals", "/gone?select=id": "breaks",
}  # fmt: skip


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], postgres: EmbeddedPostgres) -> Gateway:
    """One gateway with a place to try DDL out."""
    gateway = make_gateway(SCRATCH_DATABASE_URL=postgres.state.scratch_url)
    gateway.sql(START)
    gateway.manage("capture_schema")
    gateway.sql("CREATE TABLE later (a int); GRANT SELECT ON later TO anon")
    gateway.sql("ALTER TABLE moved RENAME a TO aa")
    gateway.manage("capture_schema")
    return gateway.start()


def send(client: httpx.Client, write: Write) -> httpx.Response:
    method, path, row, _ = write
    prefer = "return=minimal,resolution=merge-duplicates" if "on_conflict" in path else "return=minimal"
    return client.request(method, f"/rest/v1{path}", json=row, headers={"prefer": prefer})


def wait_for(gateway: Gateway, query: str, count: int) -> None:
    until = time.monotonic() + HANGS
    while gateway.control(query)[0]["n"] < count:
        assert time.monotonic() < until, gateway.control(query)
        time.sleep(0.1)


def test_what_is_foretold_happens(gateway: Gateway) -> None:
    with gateway.client("anon") as anon, gateway.client("service_role") as service:
        for name, write in WRITES.items():
            assert send(anon, write).is_success, (name, send(anon, write).text)
        for path in READS:
            assert anon.get(f"/rest/v1{path}").is_success, path
        wait_for(gateway, "SELECT count(*) AS n FROM schema_monitor_payloadshape", len(WRITES) + len(READS) - 1)

        answer = service.post("/api/v1/schema/impact", json={"ddl": DDL})
        assert answer.status_code == 200, answer.text
        impact = answer.json()
        assert impact["refusal"] is None, impact["refusal"]
        assert impact["notes"] == ["The copy has no rows: whether those of the target satisfy the change was not tried."]
        judged = {(s["operation"], s["table"], *s["keys"], *s["named"]): s for s in impact["shapes"]}

        gateway.sql("TRUNCATE required, below, given")  # what is there would refuse the DDL itself
        gateway.sql(DDL)
        gateway.manage("capture_schema")
        for name, write in WRITES.items():
            said = found(judged, write)
            verdict = said["verdict"] if said else "fits"
            assert verdict == write[3], (name, said)
            happened = send(anon, write)
            if verdict in ("fits", "heals"):
                assert happened.is_success, (name, happened.text)
                assert ("mendgate-healed" in happened.headers) == (verdict == "heals"), (name, happened.headers)
            elif verdict in ("needs_rule", "breaks"):
                codes = {reason["code"] for reason in said["reasons"] if reason["verdict"] == verdict}
                assert happened.json()["code"] in codes, (name, codes, happened.text)
        for path, expected in READS.items():
            happened = anon.get(f"/rest/v1{path}")
            assert happened.is_success == (expected != "breaks"), (path, happened.text)
            table, _, query = path[1:].partition("?")
            said = next(
                (s for s in impact["shapes"] if s["operation"] == "select" and s["table"] == table and _names(query) == set(s["named"])),
                None,
            )
            assert (said["verdict"] if said else "fits") == expected, (path, said)
            if expected == "breaks":
                assert happened.json()["code"] in {reason["code"] for reason in said["reasons"]}


def found(judged: dict[Any, Any], write: Write) -> Any:
    method, path, row, _ = write
    table, _, query = path[1:].partition("?")
    operation = {"PATCH": "update"}.get(method, "upsert" if "on_conflict" in query else "insert")
    named = {"on_conflict=code": ["code"], "email=eq.a@b.c": ["email"]}.get(query, [])
    return judged.get((operation, table, *sorted(row), *named))


def _names(query: str) -> set[str]:
    parts = dict(part.split("=", 1) for part in query.split("&"))
    return {*parts.pop("select").split(","), *parts}


def test_versions_changes_and_differences_are_told_by_what_the_caller_may_know(gateway: Gateway) -> None:
    with gateway.client("anon") as anon, gateway.client("service_role") as service:
        first = service.get("/api/v1/schema/versions").json()[-1]["epoch"]
        newest = service.get("/api/v1/schema/versions?limit=1").json()[0]["epoch"]
        for client, full in ((anon, False), (service, True)):
            change = next(c for c in client.get(f"/api/v1/schema/changes?since={first}").json() if c["kind"] == "column_renamed")
            assert (change["old"], change["usr"]) == (("a", "postgres") if full else (None, None))
            assert {"epoch", "taken_at", "base_severity", "severity", "sentence", "hits", "tag", "usr", "app"} <= set(change)
            detail = client.get(f"/api/v1/schema/versions/{newest}").json()
            assert (detail["epoch"], detail["relations"] > 10) == (newest, True)
            diff = client.get(f"/api/v1/schema/diff?from={first}&to={first + 1}").json()
            assert [each["kind"] for each in diff["changes"]] == ["column_renamed", "table_added"]
            assert (diff["from"], diff["to"], diff["changes"][0]["old"]) == (first, first + 1, "a" if full else None)
        back = service.get(f"/api/v1/schema/diff?from={first + 1}&to={first}").json()
        assert [each["kind"] for each in back["changes"]] == ["table_removed", "column_renamed"]
        assert anon.get("/api/v1/schema/versions/99999").json()["code"] == "MG404"
        assert anon.get(f"/api/v1/schema/diff?from={first}&to=99999").status_code == 404
        assert anon.get(f"/api/v1/schema/versions/{newest}/export").status_code == 403


def test_a_version_is_exported_whole_and_an_old_one_says_what_it_lacks(gateway: Gateway) -> None:
    with gateway.client("service_role") as service:
        newest = service.get("/api/v1/schema/versions?limit=1").json()[0]["epoch"]
        whole = service.get(f"/api/v1/schema/versions/{newest}/export")
        assert whole.headers["content-type"] == "application/sql; charset=utf-8"
        assert 'CREATE VIEW "public"."seen_through"' in whole.text
        old = service.get(f"/api/v1/schema/versions/{newest - 1}/export").text
        assert "its query is not stored" in old
        assert service.get(f"/api/v1/schema/versions/{newest}/export?format=json").json()["snapshot"]["relations"]
        assert service.get(f"/api/v1/schema/versions/{newest}/export?format=xml").status_code == 422


def test_an_impact_check_is_for_service_role_and_refusals_are_answers(gateway: Gateway) -> None:
    with gateway.client("anon") as anon, gateway.client("service_role") as service:
        assert anon.post("/api/v1/schema/impact", json={"ddl": "SELECT 1"}).status_code == 403
        refused = service.post("/api/v1/schema/impact", json={"ddl": "ALTER TABLE nowhere ADD x int"}).json()
        assert (refused["refusal"]["code"], refused["verdict"], refused["shapes"]) == ("42P01", "fits", [])
        assert service.post("/api/v1/schema/impact", json={"ddl": ""}).status_code == 422
        assert service.post("/api/v1/schema/impact", json={"ddl": "x" * 70_000}).status_code == 422
        for ddl in ("SELECT '\0'", "SELECT pg_terminate_backend(pg_backend_pid())"):
            stopped = service.post("/api/v1/schema/impact", json={"ddl": ddl})
            assert (stopped.status_code, stopped.json()["code"]) == (422, "MG422"), stopped.text
        assert service.post("/api/v1/schema/impact", json={"ddl": "ALTER TABLE nowhere ADD x int"}).json()["refusal"]
        kept = gateway.control("SELECT by, outcome FROM schema_monitor_impactcheck ORDER BY id")
        assert kept[-1] == {"by": "API key test", "outcome": "refused"}
