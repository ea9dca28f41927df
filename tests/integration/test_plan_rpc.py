"""Function calls against a real Postgres."""

from __future__ import annotations

import asyncpg
import msgspec
import pytest

from healing.gateway.errors import DialectError
from resilience_site.embedded_state import OWNER
from tests.integration.dialect_target import Target

OBJECT = "application/vnd.pgrst.object+json"


@pytest.fixture(scope="module")
def target(make_databases, postgres):
    _, name = make_databases()
    target = Target.fresh(postgres.url(name, OWNER))
    yield target
    target.close()


@pytest.mark.parametrize(
    ("address", "arguments", "expected"),
    [
        ("add", {"a": 1, "b": 2}, 3),
        ("add", {"a": 1}, 11),
        ("numbers", {"n": 3}, [1, 2, 3]),
        ("numbers?limit=2&offset=1", {"n": 5}, [2, 3]),
        ("letters", {"n": 2}, [{"letter": "a", "place": 1}, {"letter": "b", "place": 2}]),
        ("letters?select=letter&place=gt.1&order=place.desc&limit=1", {"n": 4}, [{"letter": "d"}]),
        ("persons?select=id,country(name)&order=id&name=neq.Cy", {}, [
            {"id": 1, "country": {"name": "Germany"}}, {"id": 2, "country": {"name": "Germany"}}]),
        ("persons?select=id,shout&id=eq.2", {"first": 2}, [{"id": 2, "shout": "BOB"}]),
        ("one_person?select=id,name", {}, {"id": 1, "name": "Ada"}),
        ("outs", {}, {"a": 1, "b": "two"}),
        ("joined", {"words": ["a", "b c"]}, "a-b c"),
        ("whole", {"any": [1, {"thing": None}]}, {"any": [1, {"thing": None}]}),
        ("sum_of", {"list": [1, 2], "info": {"x": "!"}}, "3!"),
    ],
)  # fmt: skip
def test_a_posted_call_answers_as_postgrest_would(target: Target, address: str, arguments: dict[str, object], expected: object):
    answer = target.call(address, arguments)
    assert (answer.status, msgspec.json.decode(answer.body)) == (200, expected)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("add?a=1&b=5", 6),
        ('sum_of?list={1,2,3}&info={"x":"y"}', "6y"),
        ("joined?words=a&words=b", "a-b"),
        ("joined?words={a,b}", "a-b"),
        ("letters?n=3&select=letter&place=eq.2", [{"letter": "b"}]),
        ("persons?select=id&id=eq.1", [{"id": 1}]),
    ],
)
def test_a_call_by_get_takes_its_arguments_from_the_query(target: Target, address: str, expected: object):
    assert msgspec.json.decode(target.call(address, method="GET").body) == expected


def test_a_function_without_a_result_answers_204(target: Target):
    answer = target.call("nothing", {})
    assert (answer.status, answer.body) == (204, b"")


def test_a_call_can_be_counted(target: Target):
    answer = target.call("letters?limit=2", {"n": 5}, prefer="count=exact")
    assert (answer.status, dict(answer.headers)["Content-Range"]) == (206, "0-1/5")


def test_one_object_of_a_set_is_one_object_or_an_error(target: Target):
    assert target.call("persons?select=id&id=eq.1", {}, accept=OBJECT).body == b'{"id":1}'
    with pytest.raises(DialectError) as refused:
        target.call("persons?select=id", {}, accept=OBJECT)
    assert refused.value.code == "PGRST116"


def test_a_get_cannot_write(target: Target):
    assert target.call("writes", {}).body == b"99"
    with pytest.raises(asyncpg.PostgresError) as refused:
        target.call("writes", method="GET")
    assert refused.value.sqlstate == "25006"


def test_stable_functions_run_read_only(target: Target):
    target.call("persons", {})
    assert target.query.read_only
    target.call("writes", {})
    assert not target.query.read_only


@pytest.mark.parametrize(
    ("address", "arguments", "status", "code"),
    [
        ("nope", {}, 404, "PGRST202"),
        ("add", {"b": 1}, 404, "PGRST202"),
        ("add", {"a": 1, "c": 1}, 404, "PGRST202"),
        ("either", {"a": 1}, 300, "PGRST203"),
        ("letters?select=nope", {"n": 1}, 400, "42703"),
    ],
)
def test_what_cannot_be_called_is_refused_in_postgrests_words(
    target: Target, address: str, arguments: dict[str, object], status: int, code: str
):
    with pytest.raises(DialectError) as refused:
        target.call(address, arguments)
    assert (refused.value.status, refused.value.code) == (status, code)


def test_max_affected_needs_a_set(target: Target):
    with pytest.raises(DialectError) as refused:
        target.call("add", {"a": 1}, prefer="handling=strict,max-affected=1")
    assert refused.value.code == "PGRST128"
    with pytest.raises(DialectError) as refused:
        target.call("numbers", {"n": 3}, prefer="handling=strict,max-affected=1")
    assert refused.value.code == "PGRST124"
