"""What is no valid request is refused in PostgREST's shape or kept whole in quarantine; no table ever changes by it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row

from healing.gateway import keytext
from healing.gateway.seal import unseal
from resilience_site.config import config
from tests.gateway_process import Gateway
from tests.integration.raw_http import Reply, send

SCHEMA = """
CREATE TYPE shade AS ENUM ('light', 'dark');
CREATE TABLE things (id int PRIMARY KEY, name text, n int, price numeric(6, 2), data jsonb, shade shade, tags text[]);
CREATE TABLE parts (id int PRIMARY KEY, thing_id int REFERENCES things, name text);
CREATE FUNCTION add(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
INSERT INTO things VALUES (1, 'first', 1, 1, '{}', 'light', '{}');
INSERT INTO parts VALUES (1, 1, 'part');
"""
TABLES = """SELECT (SELECT json_agg(t ORDER BY id) FROM things t)::text, (SELECT json_agg(p ORDER BY id) FROM parts p)::text,
(SELECT count(*) FROM mendgate.receipts)"""
KEPT = "SELECT (SELECT count(*) FROM healing_quarantineitem), (SELECT count(*) FROM healing_receipt)"
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
KEPT_HINT = re.compile(rf"Nothing was written; the payload is kept in quarantine as ({UUID})\.")
NAMES = ["nope", 'x"; DROP TABLE things; --', "id) or (1", "naïve ☃", "a.b", "' OR 1=1 --", "id, name", "%", "\\"]


class Watched(NamedTuple):
    """A gateway, and an open connection to each of its databases."""

    gateway: Gateway
    target: psycopg.Connection
    control: psycopg.Connection

    def send(self, *request: Any, **headers: str) -> Reply:
        return send(self.gateway, *request, **headers)

    def rows(self) -> tuple[Any, ...] | None:
        """Every row of the tables, and the number of receipts beside them."""
        return self.target.execute(TABLES).fetchone()

    def everything(self) -> tuple[Any, ...]:
        return self.rows(), self.control.execute(KEPT).fetchone()


@pytest.fixture(scope="module")
def site(make_gateway: Callable[..., Gateway]) -> Iterator[Watched]:
    gateway = make_gateway(SECRET_KEY=config().secret_key)  # so that we can open what it seals
    gateway.sql(SCHEMA)
    gateway.make_key()
    gateway.start()
    with psycopg.connect(gateway.owner_url, autocommit=True) as target, psycopg.connect(gateway.control_url, autocommit=True) as control:
        yield Watched(gateway, target, control)
    gateway.stop()


@contextmanager
def nothing_happens(site: Watched) -> Iterator[None]:
    """No row of any table changes, nothing is kept, no receipt is written."""
    before = site.everything()
    yield
    assert site.everything() == before


def refused(reply: Reply, status: int, code: str, message: str, details: str | None = None, hint: str | None = None) -> None:
    """Exactly this error, in exactly the four keys."""
    assert (reply.status, reply.body) == (status, {"code": code, "message": message, "details": details, "hint": hint})
    assert not [name for name in reply.headers if name.startswith("mendgate-")]


def kept(site: Watched, reply: Reply, status: int, code: str, sent: bytes) -> dict[str, Any]:
    """An error that names the quarantined item, which holds the request byte by byte; the item."""
    assert (reply.status, reply.body["code"]) == (status, code), reply.body
    assert list(reply.body) == ["code", "message", "details", "hint"]
    found = KEPT_HINT.search(reply.body["hint"])
    assert found, reply.body
    assert found[1] == reply.headers["mendgate-quarantine"]
    item = site.control.cursor(row_factory=dict_row).execute("SELECT * FROM healing_quarantineitem WHERE id = %s", [found[1]]).fetchone()
    assert item is not None
    assert (item["state"], str(item["receipt"])) == ("waiting", reply.headers["mendgate-receipt"])
    assert base64.b64decode(msgspec.json.decode(unseal(item["request"]))["body"]) == sent
    return item


# --- bodies


@pytest.mark.parametrize(
    ("body", "details"),
    [
        (b'{"id":2,', "Input data was truncated"),
        (b"{'id':2}", "JSON is malformed: object keys must be strings (byte 1)"),
        (b"nonsense", "JSON is malformed: invalid character (byte 4)"),
        (b'{"id":2}{}', "JSON is malformed: trailing characters (byte 9)"),
        (b'{"id":2,"n":NaN}', "JSON is malformed: invalid character (byte 12)"),
        (b'{"id":2,"n":Infinity}', "JSON is malformed: invalid character (byte 12)"),
        (b'\xef\xbb\xbf{"id":2}', "JSON is malformed: invalid character (byte 0)"),
        (b'{"id":2,"name":"a\x00b"}', "JSON is malformed: invalid character (byte 17)"),
        (b'{"id":2,"name":"\xff"}', "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b'{"id":2,"name":"\\ud800"}', "Input data was truncated"),
        (b"\x1f\x8b\x08\x00", "JSON is malformed: invalid character (byte 0)"),
        (b"", None),
        (b" \n ", None),
    ],
)
def test_fault_15_what_is_no_json_is_refused(site: Watched, body: bytes, details: str | None) -> None:
    for method, target in (("POST", "things"), ("PATCH", "things?id=eq.1"), ("PUT", "things?id=eq.1")):
        with nothing_happens(site):
            refused(site.send(method, target, body), 400, "PGRST102", "Empty or invalid json", details)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"5", "Expected an object or an array of objects"),
        (b'"id"', "Expected an object or an array of objects"),
        (b"null", "Expected an object or an array of objects"),
        (b"[1,2]", "All object keys must match"),
        (b'[{"id":2},3]', "All object keys must match"),
        (b'[[{"id":2}]]', "All object keys must match"),
    ],
)
def test_what_is_no_object_and_no_array_of_objects_is_refused(site: Watched, body: bytes, message: str) -> None:
    for method, target in (("POST", "things"), ("PATCH", "things?id=eq.1")):
        with nothing_happens(site):
            refused(site.send(method, target, body), 400, "PGRST102", message)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"id":2,"name":"a","name":"b"}', "name"),
        (b'{"id":2,"na\\u006de":"a","name":"b"}', "name"),
        (b'{"id":2,"name":"x\\":1","name":"y"}', "name"),
        (b'[{"id":2},{"id":3,"n":1,"n":1}]', "n"),
        (b'{"id":2,"data":{"a":1,"a":2}}', "a"),
    ],
)
def test_a_key_sent_twice_is_refused(site: Watched, body: bytes, key: str) -> None:
    hint = "JSON keeps only the last one in silence; send each key once."
    with nothing_happens(site):
        refused(site.send("POST", "things", body), 400, "PGRST102", f"The key '{key}' appears more than once in one object", None, hint)


@pytest.mark.parametrize("body", [b'{"id":2,"data":' + b"[" * 101 + b"]" * 101 + b"}", b"[" * 100_000, b'{"a":' * 50_000])
def test_fault_15_json_deeper_than_a_hundred_levels_is_refused(site: Watched, body: bytes) -> None:
    with nothing_happens(site):
        refused(site.send("POST", "things", body), 400, "PGRST102", "The JSON is nested deeper than 100 levels")


def test_brackets_in_a_text_are_no_depth(site: Watched) -> None:
    text = "[{" * 300
    assert site.send("POST", "things", msgspec.json.encode({"id": 300, "name": text})).status == 201
    assert site.target.execute("DELETE FROM things WHERE id = 300 RETURNING name").fetchone() == (text,)


def test_fault_15_a_body_over_the_limit_is_refused_before_it_is_read(site: Watched) -> None:
    hint = "At most 16777216 bytes; send fewer rows at once."
    with nothing_happens(site):
        refused(site.send("POST", "things", content_length="16777217"), 413, "MG413", "The body is too large", None, hint)
        chunks = (b" " * 1_048_576 for _ in range(17))
        refused(site.send("POST", "things", chunks), 413, "MG413", "The body is too large", None, hint)


@pytest.mark.parametrize("media", ["text/csv", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_that_is_not_json_by_its_type_is_refused(site: Watched, media: str) -> None:
    with nothing_happens(site):
        reply = site.send("POST", "things", b"id=2", content_type=media)
        refused(reply, 415, "PGRST102", f"Content-Type not acceptable: {media}", None, "Send application/json.")


def test_several_objects_for_one_update_are_refused(site: Watched) -> None:
    for method in ("PATCH", "PUT"):
        with nothing_happens(site):
            reply = site.send(method, "things?id=eq.1", b'[{"id":1,"n":7},{"id":1,"n":8}]')
            refused(reply, 400, "PGRST102", "Expected exactly one object", None, f"{method} takes one JSON object.")


def test_an_update_of_nothing_changes_nothing(site: Watched) -> None:
    for body in (b"{}", b"[]"):
        with nothing_happens(site):
            assert site.send("PATCH", "things?id=eq.1", body).status == 204


# --- values


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"id":2,"name":"a\\u0000b"}', "22P05"),
        (b'{"id":2,"data":{"x":"\\u0000"}}', "22P05"),
        (b'{"id":2,"n":99999999999}', "22003"),
        (b'{"id":2,"n":1e999999999}', "22P02"),
        (b'{"id":2,"n":1.5}', "22P02"),
        (b'{"id":2,"n":"1e999999999"}', "22P02"),
        (b'{"id":2,"n":""}', "22P02"),
        (b'{"id":2,"n":[1]}', "22P02"),
        (b'{"id":2,"n":true}', "22P02"),
        (b'{"id":2,"price":1e999999999}', "22003"),
        (b'{"id":2,"data":1e999999999}', "22003"),
        (b'{"id":2,"shade":"pink"}', "22P02"),
        (b'{"id":null}', "23502"),
        (b"{}", "23502"),
        (b'[{"id":2},{"id":3,"n":"x"}]', "22P02"),
    ],
)
def test_a_value_that_does_not_fit_is_kept_whole(site: Watched, body: bytes, code: str) -> None:
    before = site.rows()
    kept(site, site.send("POST", "things", body), 400, code, body)
    assert site.rows() == before


def test_a_number_of_five_thousand_digits_is_refused_at_once(site: Watched) -> None:
    with nothing_happens(site):
        reply = site.send("POST", "things", b'{"id":2,"n":' + b"1" * 5000 + b"}")
        assert (reply.status, reply.body["code"]) == (400, "PGRST102")


# --- names: in every place where one can stand


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_column_in_a_payload_is_kept(site: Watched, name: str) -> None:
    before = site.rows()
    body = msgspec.json.encode({"id": 2, name: 1})
    reply = site.send("POST", "things", body)
    item = kept(site, reply, 400, "PGRST204", body)
    assert reply.body["message"] == f"Could not find the '{name}' column of 'things' in the schema cache"
    assert (item["table"], item["operation"], item["signature"]) == ("things", "insert", f"unknown_column:{name}")
    assert site.rows() == before


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_column_elsewhere_in_a_write_is_kept(site: Watched, name: str) -> None:
    quoted = in_url(name)
    before = site.rows()
    for method, target, body, headers, code in [
        ("POST", f"things?columns=id,{quoted}", b'{"id":2}', {}, "PGRST204"),
        ("POST", f"things?on_conflict={quoted}", b'{"id":2}', {"prefer": "resolution=merge-duplicates"}, "42703"),
        ("POST", f"things?select={quoted}", b'{"id":2}', {"prefer": "return=representation"}, "42703"),
        ("PATCH", f"things?{quoted}=eq.1", b'{"n":7}', {}, "42703"),
        ("PATCH", f"things?or=(id.eq.1,{quoted}.eq.1)", b'{"n":7}', {}, "42703"),
        ("DELETE", f"things?{quoted}=eq.1", b"", {}, "42703"),
        ("DELETE", f"things?not.and=(id.eq.9,{quoted}.eq.1)", b"", {}, "42703"),
    ]:
        reply = site.send(method, target, body, **headers)
        kept(site, reply, 400, code, body)
        table = f"Could not find the '{name}' column of 'things' in the schema cache"
        assert reply.body["message"] == (table if code == "PGRST204" else f"column things.{name} does not exist")
    assert site.rows() == before


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_name_in_a_read_is_refused(site: Watched, name: str) -> None:
    quoted = in_url(name)
    for target, relation in [
        (f"things?select={quoted}", "things"),
        (f"things?select=a:{quoted}::text", "things"),
        (f"things?select=id,parts({quoted})", "parts"),
        (f"things?{quoted}=eq.1", "things"),
        (f"things?or=(id.eq.1,{quoted}.eq.1)", "things"),
        (f"things?order={quoted}.desc", "things"),
        (f"things?select=id,parts(id)&parts.{quoted}=eq.1", "parts"),
        (f"things?select=id,parts(id)&parts.order={quoted}", "parts"),
    ]:
        with nothing_happens(site):
            refused(site.send("GET", target), 400, "42703", f"column {relation}.{name} does not exist")


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_relationship_is_refused(site: Watched, name: str) -> None:
    message = f"Could not find a relationship between 'things' and '{name}' in the schema cache"
    details = f"Searched for a foreign key relationship between 'things' and '{name}' in the schema 'public', but no matches were found."
    for target in (f"things?select=id,{in_url(name)}(*)", f"things?select=id,...{in_url(name)}(id)"):
        with nothing_happens(site):
            refused(site.send("GET", target), 400, "PGRST200", message, details)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "a.b"])
def test_an_unknown_table_is_404_and_a_write_to_it_is_kept(site: Watched, name: str) -> None:
    before, target = site.rows(), quote(name, safe="")
    message = f"Could not find the table 'public.{name}' in the schema cache"
    with nothing_happens(site):
        refused(site.send("GET", target), 404, "PGRST205", message)
    for method, body in (("POST", b'{"id":2}'), ("PATCH", b'{"n":1}'), ("DELETE", b"")):
        reply = site.send(method, f"{target}?id=eq.1" if method != "POST" else target, body)
        kept(site, reply, 404, "PGRST205", body)
        assert reply.body["message"] == message
    assert site.rows() == before


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_function_or_argument_is_404(site: Watched, name: str) -> None:
    with nothing_happens(site):
        reply = site.send("POST", "rpc/" + quote(name, safe=""), b"{}")
        assert (reply.status, reply.body["code"]) == (404, "PGRST202")
        assert reply.body["message"] == f"Could not find the function public.{name} without parameters in the schema cache"
        reply = site.send("POST", "rpc/add", msgspec.json.encode({"a": 1, name: 2}))
        assert (reply.status, reply.body["code"]) == (404, "PGRST202")
        reply = site.send("GET", f"rpc/add?a=1&{quote(name, safe='')}=2")
        assert (reply.status, reply.body["code"]) == (404, "PGRST202")


@pytest.mark.parametrize("name", ["nope", 'x"; DROP TABLE things; --', "mendgate", "pg_catalog", "public, mendgate", "PUBLIC", ""])
def test_a_schema_that_is_not_exposed_is_406(site: Watched, name: str) -> None:
    said = (406, "PGRST106", f"Invalid schema: {name}", None, "Only the following schemas are exposed: public")
    with nothing_happens(site):
        refused(site.send("GET", "things", accept_profile=name), *said)
        refused(site.send("POST", "things", b'{"id":2}', content_profile=name), *said)
        refused(site.send("POST", "rpc/add", b'{"a":1,"b":2}', content_profile=name), *said)


def test_a_column_whose_name_holds_a_nul_is_refused_or_kept_and_said_truly(site: Watched) -> None:
    before = site.rows()
    body = b'{"id":2,"na\\u0000me":1}'
    kept(site, site.send("POST", "things", body), 400, "PGRST204", body)
    assert site.rows() == before


# --- URLs and headers


@pytest.mark.parametrize(
    ("target", "details"),
    [
        ("things?name=eq.%00", "a NUL character"),
        ("things?na%00me=eq.1", "a NUL character"),
        ("things?name=eq.%ff", "the bytes are not UTF-8"),
        ("things?n%ff=eq.1", "the bytes are not UTF-8"),
        ("things?name=eq.%zz", "a % that is not followed by two hexadecimal digits"),
        ("things?name=eq.%", "a % that is not followed by two hexadecimal digits"),
        ("things?" + "&".join(["id=eq.1"] * 2001), "more than 2000 parameters"),
    ],
)
def test_a_query_that_is_no_text_is_refused(site: Watched, target: str, details: str) -> None:
    for method, body in (("GET", b""), ("PATCH", b'{"n":7}'), ("DELETE", b"")):
        with nothing_happens(site):
            refused(site.send(method, target, body), 400, "PGRST100", "failed to decode the query string", details)


@pytest.mark.parametrize("target", ["things%00", "thi%ffngs", "things/1", "rpc/add/1"])
def test_a_path_that_names_nothing_is_404(site: Watched, target: str) -> None:
    for method, body in (("GET", b""), ("POST", b'{"id":2}'), ("DELETE", b"")):
        with nothing_happens(site):
            refused(site.send(method, target, body), 404, "PGRST125", "Invalid path specified in request URL")


@pytest.mark.parametrize(
    ("query", "where", "details"),
    [
        ("id=nope.1", "filter (nope.1)", 'unexpected "n" expecting "not" or operator (eq, gt, ...)'),
        ("id=not.nope.1", "filter (not.nope.1)", 'unexpected "n" expecting operator (eq, gt, ...)'),
        ("id=", "filter ()", 'unexpected end of input expecting "not" or operator (eq, gt, ...)'),
        ("id=in.(1", "filter (in.(1)", 'unexpected end of input expecting "," or ")"'),
        ("id=is.nope", "filter (is.nope)", 'unexpected "n" expecting isVal: (null, not_null, true, false, unknown)'),
        ("or=()", "logic tree (())", 'unexpected ")" expecting field name (* or [a..z0..9_$])'),
        ("or=(id.eq.1", "logic tree ((id.eq.1)", 'unexpected end of input expecting "," or ")"'),
    ],
)
def test_a_filter_that_cannot_be_read_never_widens_to_all_rows(site: Watched, query: str, where: str, details: str) -> None:
    for method, body in (("GET", b""), ("PATCH", b'{"n":7}'), ("DELETE", b"")):
        with nothing_happens(site):
            reply = site.send(method, f"things?{query}", body)
            assert (reply.status, reply.body["code"], reply.body["details"]) == (400, "PGRST100", details)
            assert reply.body["message"].startswith(f'"failed to parse {where}" (line 1, column ')


@pytest.mark.parametrize(
    "query",
    [
        "and=(" + "and(" * 200 + "id.eq.1" + ")" * 201,
        "select=" + "parts(" * 200 + "id" + ")" * 200,
        "select=((",
        "select=id,",
        "order=id.up",
    ],
)
def test_a_query_that_cannot_be_read_is_refused(site: Watched, query: str) -> None:
    with nothing_happens(site):
        reply = site.send("GET", f"things?{query}")
        assert (reply.status, reply.body["code"], list(reply.body)) == (400, "PGRST100", ["code", "message", "details", "hint"])


def test_a_url_that_is_too_long_is_414(site: Watched) -> None:
    with nothing_happens(site):
        refused(site.send("GET", "things?id=eq." + "1" * 33_000), 414, "MG414", "The URL is too long", None, "At most 32768 bytes.")
        assert site.send("GET", "things?id=eq." + "1" * 70_000).status == 414


def test_a_range_below_zero_is_416(site: Watched) -> None:
    for query, what in (("limit=-1", "Limit"), ("offset=-1", "Offset")):
        with nothing_happens(site):
            details = f"{what} should be greater than or equal to zero."
            refused(site.send("GET", f"things?{query}"), 416, "PGRST103", "Requested range not satisfiable", details)


@pytest.mark.parametrize("unknown", ["nope=1", "return=everything", "healing=certified", 'x"; DROP TABLE things; --=1'])
def test_an_unknown_preference_is_refused_in_strict_mode_only(site: Watched, unknown: str) -> None:
    message = "Invalid preferences given with handling=strict"
    with nothing_happens(site):
        for method, body in (("GET", b""), ("POST", b'{"id":2}'), ("DELETE", b"")):
            reply = site.send(method, "things" if method != "DELETE" else "things?id=eq.1", body, prefer=f"handling=strict, {unknown}")
            refused(reply, 400, "PGRST122", message, f"Invalid preferences: {unknown}")
    assert site.send("GET", "things", prefer=unknown).status == 200


def test_preferences_on_two_lines_all_count(site: Watched) -> None:
    lines = [
        ("apikey", site.gateway.make_key()),
        ("prefer", "handling=strict"),
        ("prefer", "max-affected=0"),
        ("prefer", "return=representation"),
    ]
    with nothing_happens(site):
        answer = httpx.delete(f"{site.gateway.base_url}/rest/v1/parts?id=eq.1", headers=lines)
        assert (answer.status_code, answer.json()["code"]) == (400, "PGRST124")


@pytest.mark.parametrize("method", ["TRACE", "FOO", "PROPFIND"])
def test_an_unknown_method_is_405(site: Watched, method: str) -> None:
    with nothing_happens(site):
        refused(site.send(method, "things", b'{"id":2}'), 405, "PGRST117", f"Unsupported HTTP method: {method}")


def test_bytes_that_are_no_header_or_target_are_400(site: Watched) -> None:
    with nothing_happens(site):
        assert site.send("DELETE", b"/rest/v1/things?name=neq.\xff").status == 400
        assert site.send("DELETE", b"/rest/v1/things ?id=eq.1").status == 400
    assert site.send("GET", "things", prefer="\xff\xfe").status == 200


# --- keys


def test_a_wrong_a_mistyped_and_a_missing_key_are_401(site: Watched) -> None:
    right = site.gateway.make_key()
    mistyped = right[:-3] + ("a" if right[-3] != "a" else "b") + right[-2:]
    made_up = keytext.make()[0]
    make_one = "Make one with: python manage.py create_api_key --role service_role"
    for key, message, hint in [
        (mistyped, "Invalid API key", "The key is mistyped or cut off: its checksum does not fit. Copy it again."),
        (right[:-1], "Invalid API key", "The key is mistyped or cut off: its checksum does not fit. Copy it again."),
        (made_up, "Unknown or revoked API key", f"It is another Mendgate's, or was revoked. {make_one}"),
        ("sb_secret_x", "Invalid API key", f"Keys of Mendgate begin with mg_. {make_one}"),
    ]:
        with nothing_happens(site):
            reply = site.send("POST", "things", b'{"id":2}', key=key)
            refused(reply, 401, "PGRST301", message, None, hint)
            assert reply.headers["www-authenticate"].startswith("Bearer ")
    with nothing_happens(site):
        reply = site.send("POST", "things", b'{"id":2}', key="")
        refused(reply, 401, "PGRST302", "Anonymous access is disabled", None, "Send your key in the apikey header.")


def in_url(name: str) -> str:
    """A name as a quoted identifier in a query string."""
    return quote('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"', safe="")
