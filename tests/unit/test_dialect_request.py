"""Requests are read as PostgREST reads them, or refused; nothing else ever comes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healing.gateway.accept import Accept
from healing.gateway.errors import DialectError
from healing.gateway.field import Field, Step
from healing.gateway.filters import Filter, Logic
from healing.gateway.order import Order
from healing.gateway.ranges import Range
from healing.gateway.request import Request, parse
from healing.gateway.select import STAR, SelectField, SelectRelation

EXPOSED = ("public", "api")


def read(address: str, method: str = "GET", **headers: str) -> Request:
    path, _, query = address.partition("?")
    return parse(method, path, query.encode(), {k.replace("_", "-"): v for k, v in headers.items()}, EXPOSED)


def refusal(address: str, method: str = "GET", **headers: str) -> DialectError:
    with pytest.raises(DialectError) as refused:
        read(address, method, **headers)
    return refused.value


def condition(query: str) -> object:
    return read(f"/t?{query}").filters[0].condition


def field(name: str, *keys: str | int, text: bool = False) -> Field:
    return Field(name, tuple(Step(key, text and number == len(keys)) for number, key in enumerate(keys, 1)))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a=eq.1", Filter(field("a"), "eq", "1")),
        ("a=eq.", Filter(field("a"), "eq", "")),
        ("a=not.eq.not.eq.1", Filter(field("a"), "eq", "not.eq.1", negated=True)),
        ("a=eq.x%20%2B+y", Filter(field("a"), "eq", "x + y")),
        ("%22a.b%22=eq.1", Filter(field("a.b"), "eq", "1")),
        ("a b-c=eq.1", Filter(field("a b-c"), "eq", "1")),
        ("a=in.(1,%22x,y%22,%22q\\%22%22)", Filter(field("a"), "in", ("1", "x,y", 'q"'))),
        ("a=in.()", Filter(field("a"), "in", ("",))),
        ("a=is.NULL", Filter(field("a"), "is", "null")),
        ("a=is.not_null", Filter(field("a"), "is", "not_null")),
        ("a=like(any).{x*}", Filter(field("a"), "like", "{x*}", quantifier="any")),
        ("a=wfts(simple).x y", Filter(field("a"), "wfts", "x y", language="simple")),
        ("a-%3Eb-%3E%3Ec=eq.1", Filter(Field("a", (Step("b"), Step("c", True))), "eq", "1")),
        ("a->-1=eq.1", Filter(field("a", -1), "eq", "1")),
        ("a->1x=eq.1", Filter(field("a", "1x"), "eq", "1")),
    ],
)
def test_a_filter_is_read(query: str, expected: Filter):
    assert condition(query) == expected


def test_logic_is_a_tree():
    one, two = Filter(field("a"), "eq", "1"), Filter(field("b"), "in", ("2", "3"))
    inner = Logic("and", (two, Filter(field("c"), "eq", "x,y")), negated=True)
    assert condition("or=(a.eq.1,not.and(b.in.(2,3),c.eq.%22x,y%22))") == Logic("or", (one, inner))
    assert read("/t?select=r()&r.not.or=(a.eq.1)").filters[0].path == ("r",)
    assert condition("or=(or.eq.1,and.is.null)") == Logic("or", (Filter(field("or"), "eq", "1"), Filter(field("and"), "is", "null")))


def test_a_select_is_a_tree():
    items = read("/t?select=a,x:b->>c::text,*,r!fk!inner(d.sum()::int,...s(e),u()),n:count(),count").select
    assert items == (
        SelectField(field("a")),
        SelectField(Field("b", (Step("c", True),)), "x", "text"),
        STAR,
        SelectRelation(
            "r",
            (
                SelectField(field("d"), aggregate="sum", aggregate_cast="int"),
                SelectRelation("s", (SelectField(field("e")),), spread=True),
                SelectRelation("u"),
            ),
            hint="fk",
            join="inner",
        ),
        SelectField(field("*"), "n", aggregate="count"),
        SelectField(field("count")),
    )


def test_order_terms_have_directions_and_nulls():
    request = read("/t?order=a.desc.nullslast,b->>c.asc,r(d).nullsfirst&r.order=e")
    assert request.order == (
        Order(field("a"), True, "last"),
        Order(Field("b", (Step("c", True),)), False),
        Order(field("d"), None, "first", "r"),
    )
    assert request.orders["r",] == (Order(field("e")),)


@pytest.mark.parametrize(
    ("query", "header", "expected"),
    [
        ("", None, Range(0, None)),
        ("limit=5&offset=2", None, Range(2, 5)),
        ("", "0-9", Range(0, 10)),
        ("", "5-", Range(5, None)),
        ("", "items=0-9", Range(0, None)),
        ("limit=5&offset=2", "0-3", Range(2, 2)),
        ("limit=0", "0-3", Range(0, 0)),
        ("limit=abc", None, Range(0, None)),
    ],
)
def test_ranges_are_merged(query: str, header: str | None, expected: Range):
    assert read(f"/t?{query}", **({"range": header} if header else {})).range == expected


@pytest.mark.parametrize(
    ("address", "headers", "code", "status"),
    [
        ("/t?a=noop.1", {}, "PGRST100", 400),
        ("/t?a=1", {}, "PGRST100", 400),
        ("/t?a=in.1", {}, "PGRST100", 400),
        ("/t?a=is.nullx", {}, "PGRST100", 400),
        ("/t?a=eq().1", {}, "PGRST100", 400),
        ("/t?or=()", {}, "PGRST100", 400),
        ("/t?or=(a.eq.1", {}, "PGRST100", 400),
        ("/t?select=a,", {}, "PGRST100", 400),
        ("/t?select=a(b", {}, "PGRST100", 400),
        ("/t?select=a;b", {}, "PGRST100", 400),
        ("/t?order=a.up", {}, "PGRST100", 400),
        ("/t?a=eq.%FF", {}, "PGRST100", 400),
        ("/t?a=eq.%0", {}, "PGRST100", 400),
        ("/t?a=eq.%00", {}, "PGRST100", 400),
        ("/t?select=" + "a(" * 40 + ")" * 40, {}, "PGRST100", 400),
        ("/t?or=" + "(or" * 40 + "(a.eq.1)" + ")" * 40, {}, "PGRST100", 400),
        ("/t?limit=-1", {}, "PGRST103", 416),
        ("/t", {"range": "5-2"}, "PGRST103", 416),
        ("/t", {"accept_profile": "hidden"}, "PGRST106", 406),
        ("/t", {"accept": "application/geo+json"}, "PGRST107", 406),
        ("/t", {"prefer": "handling=strict, no=such"}, "PGRST122", 400),
        ("/t/u", {}, "PGRST125", 404),
    ],
)
def test_what_cannot_be_read_is_refused(address: str, headers: dict[str, str], code: str, status: int):
    error = refusal(address, **headers)
    assert (error.code, error.status) == (code, status)


def test_methods_are_checked_by_resource():
    assert (refusal("/t", "TRACE").code, refusal("/rpc/f", "PATCH").code) == ("PGRST117", "PGRST101")
    assert refusal("/t?limit=1", "PUT").code == "PGRST114"


def test_arguments_of_a_function_are_what_has_no_operator():
    request = read("/rpc/f?a=5&b=eq.3&a=6&select=c")
    assert request.arguments == (("a", "5"), ("a", "6"))
    assert [placed.condition.field.name for placed in request.filters if isinstance(placed.condition, Filter)] == ["b"]


def test_the_profile_header_depends_on_the_method():
    assert read("/t", accept_profile="api").schema == "api"
    assert read("/t", "POST", content_profile="api", accept_profile="public").schema == "api"
    assert read("/t").schema == "public"


def test_columns_and_conflict_targets_are_lists_of_names():
    request = read('/t?columns=%22a%22,"b,c"&on_conflict=a, d', "POST")
    assert (request.columns, request.on_conflict) == (("a", "b,c"), ("a", "d"))


def test_preferences_count_once_and_keep_ours():
    text = "return=minimal, count=exact,healing=partial , healing=off, quarantine=accept,wait=2.5,max-affected=9,count=planned,x=y"
    found = read("/t", prefer=text).preferences
    assert (found.representation, found.count, found.healing, found.partial) == ("minimal", "exact", "off", True)
    assert (found.quarantine, found.wait, found.max_affected, found.unknown) == ("accept", 2.5, 9, ("x=y",))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("application/vnd.pgrst.object+json;nulls=stripped", Accept("object", True)),
        ("text/html;q=0.1, text/csv;q=0.5, application/json;q=0.4", Accept("csv")),
        ("text/html,*/*;q=0.8", Accept("json")),
    ],
)
def test_the_first_served_media_type_is_taken(header: str, expected: Accept):
    assert read("/t", accept=header).accept == expected


TOKENS = st.sampled_from(
    [
        *"abc,.():*!\"\\->%&=' é",
        *("eq.", "in.", "not.", "or=", "and(", "select=", "...", "::", "->>", "count()", "order=", "limit="),
    ]
)


def refused_or_read(path: str, query: bytes, headers: dict[str, str]) -> DialectError | None:
    """None where it was read; any other exception is a failure."""
    try:
        parse("GET", path, query, headers, EXPOSED)
    except DialectError as refused:
        return refused
    return None


@given(st.lists(TOKENS, max_size=30).map("".join), st.sampled_from(["/t", "/rpc/f"]))
def test_any_query_is_read_or_refused(query: str, path: str):
    refused = refused_or_read(path, query.encode(), {"prefer": query})
    assert refused is None or refused.status in (400, 416)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(query: bytes):
    refused = refused_or_read("/t", query, {})
    assert refused is None or refused.status in (400, 416)
