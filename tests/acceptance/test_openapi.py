"""The schema's own document at ``/rest/v1/``, and the two documents held against the API by Schemathesis: nothing we say we take ends in
a fault of ours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from benchmarks.documents import SCHEMA, held_against
from tests.gateway_process import Gateway

SEED = int(os.environ.get("FAULT_SEED", "20261128"))


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Iterator[Gateway]:
    gateway = make_gateway()
    gateway.sql(SCHEMA)
    gateway.manage("capture_schema")
    for role in ("service_role", "anon"):
        gateway.make_key(role)
    gateway.start()
    yield gateway
    gateway.stop()


def document(gateway: Gateway, role: str = "service_role", **headers: str) -> Any:
    answer = httpx.get(f"{gateway.base_url}/rest/v1/", headers={"apikey": gateway.make_key(role), **headers}, timeout=300)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_root_tells_of_tables_views_and_functions_as_postgrest_does(gateway: Gateway) -> None:
    found = document(gateway)
    assert (found["swagger"], found["basePath"]) == ("2.0", "/rest/v1")
    assert set(found["paths"]) == {"/", "/shelves", "/things", "/glad", "/rpc/total", "/rpc/forget"}
    assert set(found["paths"]["/things"]) == {"get", "post", "patch", "delete"}
    assert set(found["paths"]["/rpc/total"]) == {"get", "post"} and set(found["paths"]["/rpc/forget"]) == {"post"}
    assert found["paths"]["/shelves"]["get"]["summary"] == "Where things stand"
    things = found["definitions"]["things"]
    assert things["required"] == ["id", "fine"]
    shown = things["properties"]
    assert shown["mood"] == {"type": "string", "format": "public.mood", "enum": ["glad", "sad"]}
    assert shown["tags"] == {"type": "array", "items": {"type": "string"}, "format": "text[]"}
    assert shown["price"] == {"type": "number", "format": "numeric", "default": 1.5}
    assert shown["data"] == {"format": "jsonb"} and shown["fine"]["default"] is True
    assert shown["id"]["description"] == "Note:\nThis is a Primary Key.<pk/>"
    assert "<fk table='shelves' column='id'/>" in shown["shelf"]["description"]
    assert found["definitions"]["shelves"]["properties"]["name"] == {
        "type": "string", "format": "character varying", "maxLength": 20, "default": "new",
    }  # fmt: skip


def test_it_tells_each_role_of_what_it_has_a_right_to(gateway: Gateway) -> None:
    assert set(document(gateway, "anon")["paths"]) == {"/", "/shelves", "/rpc/total"}
    assert httpx.get(f"{gateway.base_url}/rest/v1/", timeout=300).status_code == 401


def test_it_is_of_now(gateway: Gateway) -> None:
    gateway.sql("CREATE TABLE later (id int PRIMARY KEY); GRANT ALL ON later TO service_role")
    gateway.manage("capture_schema")
    for _ in range(600):
        if "later" in document(gateway)["definitions"]:
            break
    else:
        raise AssertionError("the new table is not told of")
    gateway.sql("DROP TABLE later")


def test_it_is_openapi_unless_json_is_asked_for(gateway: Gateway) -> None:
    url, key = f"{gateway.base_url}/rest/v1/", {"apikey": gateway.make_key()}
    for accept, media in (("*/*", "application/openapi+json"), ("application/json", "application/json")):
        answer = httpx.get(url, headers={**key, "accept": accept}, timeout=300)
        assert answer.headers["content-type"].startswith(media)
    head = httpx.head(url, headers=key, timeout=300)
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(("path", "examples"), [("/rest/v1/", 4), ("/api/v1/openapi.json", 2)])
def test_fault_18_nothing_that_a_document_allows_ends_in_a_fault_of_ours(gateway: Gateway, path: str, examples: int) -> None:
    """In small; in full: ``python -m benchmarks.documents``."""
    fine, said = held_against(gateway, path, SEED, examples, "fuzzing")
    print(said[-6000:])  # noqa: T201 - the seed, for whoever reads a failure
    assert fine, said[-6000:]
