"""Oddities that once ended in a 500, a lost payload or more rows than were meant: each has an answer, and nothing is lost by it."""

from __future__ import annotations

import json
import random
import string
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest

from tests.gateway_process import Gateway
from tests.integration.raw_http import Reply, send

SCHEMA = """
CREATE TYPE spot AS (x numeric(6, 2), label text);
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TABLE places (id int PRIMARY KEY, spot spot, mood mood);
CREATE FUNCTION dressed(headers text, status text) RETURNS int LANGUAGE sql
    AS $$SELECT 1 FROM (SELECT set_config('response.headers', headers, true), set_config('response.status', status, true)) set$$;
CREATE FUNCTION raised(detail text) RETURNS void LANGUAGE plpgsql
    AS $$BEGIN RAISE SQLSTATE 'PGRST' USING MESSAGE = '{"code":"X1","message":"no"}', DETAIL = detail; END$$;
"""


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Iterator[Gateway]:
    gateway = make_gateway()
    gateway.sql(SCHEMA)
    gateway.make_key()
    gateway.start()
    yield gateway
    gateway.stop()


def random_text(length: int) -> str:
    """So that no index makes it smaller."""
    dice = random.Random(length)  # noqa: S311
    return "".join(dice.choice(string.ascii_letters + string.digits) for _ in range(length))


def as_someone(gateway: Gateway, body: bytes, claims: dict[str, Any], **headers: str) -> Reply:
    token = jwt.encode({"role": "service_role", "sub": "ann", "exp": int(time.time()) + 3600, **claims}, gateway.jwt_secret)
    return send(gateway, "POST", "places", body, authorization=f"Bearer {token}", **headers)


def said(**arguments: str) -> bytes:
    """The body of a call."""
    return json.dumps(arguments).encode()


def kept(gateway: Gateway, reply: Reply) -> dict[str, Any]:
    """The item that an error names."""
    (item,) = gateway.control("SELECT * FROM healing_quarantineitem WHERE id = %s", reply.headers["mendgate-quarantine"])
    return item


# --- nothing about who writes, or what a cause is called, loses a payload


def test_a_write_under_a_token_that_counts_in_milliseconds_is_kept(gateway: Gateway) -> None:
    for expires in (int(time.time() * 1000), 10**18, 10**400):
        item = kept(gateway, as_someone(gateway, b'{"id":"x"}', {"exp": expires}))
        assert item["token_expires_at"].year == 9999


def test_a_subject_too_long_for_an_index_is_kept_and_lands_once(gateway: Gateway) -> None:
    claims = {"sub": random_text(5000)}
    item = kept(gateway, as_someone(gateway, b'{"id":"x"}', claims, idempotency_key="long"))
    assert item["subject"].startswith("sub:") and len(item["subject"]) == 68
    assert [as_someone(gateway, b'{"id":1}', claims, idempotency_key="longer").status for _ in range(2)] == [201, 201]
    assert gateway.sql("SELECT count(*) AS n FROM mendgate.idempotency WHERE key = 'longer'") == [{"n": 1}]
    other = as_someone(gateway, b'{"id":1}', {"sub": claims["sub"] + "x"}, idempotency_key="longer")
    assert other.body["code"] == "23505", "another caller's key is another key"


@pytest.mark.parametrize("length", [200, 3000, 20_000])
def test_a_cause_with_a_name_of_any_length_is_kept(gateway: Gateway, length: int) -> None:
    name = random_text(length)
    for target, body in (("places", f'{{"id":2,"{name}":1}}'), ("places", f'{{"id":2,"mood":"{name}"}}'), (name[:5000], '{"id":2}')):
        item = kept(gateway, send(gateway, "POST", target, body.encode()))
        assert (item["state"], item["table"]) == ("waiting", target[:200])


def test_more_misfits_than_anybody_could_look_at_are_kept_without_proposals(gateway: Gateway) -> None:
    rows = [{"id": number, f"own_{number}": 1} for number in range(1100)]
    item = kept(gateway, send(gateway, "POST", "places", json.dumps(rows).encode()))
    assert (item["state"], item["row_count"]) == ("waiting", 1100)
    assert gateway.control("SELECT count(*) AS n FROM healing_proposal WHERE signature = %s", item["signature"]) == [{"n": 0}]


def test_more_rows_than_are_taken_at_once_are_refused(gateway: Gateway) -> None:
    reply = send(gateway, "POST", "places", b"[" + b",".join([b"{}"] * 100_001) + b"]")
    assert (reply.status, reply.body["code"], reply.body["hint"]) == (413, "MG413", "Send at most 100000 rows at once.")


# --- a filter that is none never means every row


@pytest.mark.parametrize("query", ["id", "id&mood=eq.sad", "id=eq.1&mood"])
def test_a_write_is_refused_whose_filter_was_cut_off(gateway: Gateway, query: str) -> None:
    gateway.sql("INSERT INTO places VALUES (50, NULL, 'glad') ON CONFLICT DO NOTHING")
    before = gateway.sql("SELECT * FROM places ORDER BY id")
    for method, body in (("DELETE", b""), ("PATCH", b'{"mood":"sad"}')):
        reply = send(gateway, method, f"places?{query}", body)
        assert (reply.status, reply.body["code"]) == (400, "PGRST100")
        assert "has no value, so it is no filter" in reply.body["details"]
    assert gateway.sql("SELECT * FROM places ORDER BY id") == before
    assert send(gateway, "GET", f"places?{query}").status == 200, "as PostgREST"


# --- a row as a literal


def test_a_composite_literal_that_is_rounded_is_told_of(gateway: Gateway) -> None:
    for number, text in ((60, '"(1.239,b)"'), (61, '{"x":1.239,"label":"b"}')):
        reply = send(gateway, "POST", "places", f'{{"id":{number},"spot":{text}}}'.encode())
        assert reply.status == 201, reply
        assert reply.headers["mendgate-changed"].startswith("spot(")
    assert gateway.sql("SELECT (spot).x::text AS x FROM places WHERE id IN (60, 61)") == [{"x": "1.24"}] * 2


# --- headers of the caller and of functions


@pytest.mark.parametrize("zone", ["posix/Europe/Berlin", "right/UTC", "posixrules", "localtime", "Nowhere/Land", "../../etc/passwd"])
def test_a_time_zone_that_is_none_is_passed_over_or_refused_in_strict_mode(gateway: Gateway, zone: str) -> None:
    reply = send(gateway, "GET", "places?id=eq.0", prefer=f"timezone={zone}")
    assert (reply.status, reply.headers.get("preference-applied")) == (200, None)
    reply = send(gateway, "GET", "places", prefer=f"timezone={zone},handling=strict")
    assert (reply.status, reply.body["details"]) == (400, f"Invalid preferences: timezone={zone}")


def test_a_time_zone_that_is_one_is_applied(gateway: Gateway) -> None:
    reply = send(gateway, "GET", "places?id=eq.0", prefer="timezone=Europe/Berlin")
    assert (reply.status, reply.headers["preference-applied"]) == (200, "timezone=Europe/Berlin")


NO_HEADERS = ['"x y":"b"', '"":"b"', '"x(":"b"', '"x:y":"b"', '"\\u2603":"b"', '"X-A":"b\\r\\nX-C: d"']
OF_THE_WIRE = ['"Content-Length":"0"', '"Transfer-Encoding":"chunked"', '"Connection":"close"']


@pytest.mark.parametrize("header", NO_HEADERS + OF_THE_WIRE)
def test_a_header_of_a_function_that_cannot_be_sent_is_left_out(gateway: Gateway, header: str) -> None:
    both = f'[{{{header}}},{{"X-Kept":"yes"}}]'
    reply = send(gateway, "POST", "rpc/dressed", said(headers=both, status="201"))
    assert (reply.status, reply.body, reply.headers["x-kept"]) == (201, 1, "yes")
    assert "x-c" not in reply.headers
    reply = send(gateway, "POST", "rpc/raised", said(detail=f'{{"status":418,"headers":{{{header},"X-Kept":"yes"}}}}'))
    assert (reply.status, reply.body["code"], reply.headers["x-kept"]) == (418, "X1", "yes")


def test_a_function_says_what_its_answer_is(gateway: Gateway) -> None:
    reply = send(gateway, "POST", "rpc/dressed", said(headers='[{"content-type":"text/html"}]', status="200"))
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html")


@pytest.mark.parametrize("status", ["²", "٣٠٠", "99", "1000", "x", " 200"])
def test_a_status_of_a_function_that_is_none_is_passed_over(gateway: Gateway, status: str) -> None:
    assert send(gateway, "POST", "rpc/dressed", said(headers="[]", status=status)).status == 200
