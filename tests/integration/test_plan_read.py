"""Reads of every kind against a real Postgres."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from healing.gateway.errors import DialectError
from resilience_site.embedded_state import OWNER
from tests.integration.dialect_target import Target


@pytest.fixture(scope="module")
def target(make_target, postgres) -> Iterator[Target]:
    name = make_target()
    target = Target.fresh(postgres.url(name, OWNER))
    yield target
    target.close()


def ids(target: Target, query: str) -> list[int]:
    return [row["id"] for row in target.rows(f"/person?select=id&order=id&{query}")]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("id=eq.1", [1]),
        ("id=neq.1", [2, 3]),
        ("id=gt.1", [2, 3]),
        ("id=gte.2", [2, 3]),
        ("id=lt.2", [1]),
        ("id=lte.2", [1, 2]),
        ("id=not.eq.1", [2, 3]),
        ("id=in.(1,3)", [1, 3]),
        ("id=not.in.(1,3)", [2]),
        ("id=in.()", []),
        ('name=in.("Ada",Bob)', [1, 2]),
        ("name=eq.AdaXX", []),
        ("name=eq.Adalbertine", []),
        ("name=like.*d*", [1]),
        ("name=ilike.b*", [2]),
        ("name=like(any).{A*,C*}", [1, 3]),
        ("name=like(all).{A*,*a}", [1]),
        ("name=match.^[AB]", [1, 2]),
        ("name=imatch.^a", [1]),
        ("id=eq(any).{1,2}", [1, 2]),
        ("mood=eq.happy", [1]),
        ('mood=in.(happy,"so so")', [1, 3]),
        ("mood=gt.happy", [2, 3]),
        ("tags=cs.{a}", [1]),
        ("tags=cd.{a,b,z}", [1]),
        ("tags=ov.{b,q}", [1, 2]),
        ("tags=eq.{a,b}", [1]),
        ('tags=in.("{a,b}","{x}")', [1]),
        ('data=cs.{"n":5}', [1]),
        ("data->a->>b=eq.deep", [1]),
        ("data->>n=gt.4", [1]),
        ("data->n=gt.6", [2]),
        ("data->list->1=eq.20", [1]),
        ("data->list->>-1=eq.20", [1]),
        ("raw->>k=eq.1", [1]),
        ("tags->>0=eq.a", [1]),
        ("data=is.null", [3]),
        ("data=not.is.null", [1, 2]),
        ("data=is.not_null", [1, 2]),
        ("born=gte.1990-01-01", [1, 2]),
        ("height=eq.1.7", [1]),
        ("height=eq.1.701", []),
        ("height=isdistinct.1.70", [2, 3]),
        ("spans=sl.[5,9)", [1]),
        ("spans=sr.[1,5)", [2]),
        ("spans=adj.[5,9)", [1]),
        ("spans=nxr.[1,5)", [1]),
        ("spans=nxl.[5,9)", [2]),
        ("spans=cs.[2,3)", [1]),
        ("note=fts.fox", [1]),
        ("note=fts(english).dog", [2]),
        ("note=plfts.quick fox", [1]),
        ("note=phfts(english).quick fox", [1]),
        ("note=wfts.fox -dog", [1]),
        ("note=not.fts.fox", [2]),
        ("or=(id.eq.1,name.eq.Cy)", [1, 3]),
        ("and=(id.gt.1,not.or(name.eq.Cy,name.eq.X))", [2]),
        ("not.or=(id.eq.1,id.eq.2)", [3]),
        ("or=(id.in.(1,2),tags.cs.{zzz})", [1, 2]),
        ('or=(tags.cs.{b,"c d"},data->>n.eq.5)', [1, 2]),
        ("%22Gr%C3%B6%C3%9Fe%20%5C%22x%5C%22%22=eq.7", [1]),
        ("nick=is.null", [1, 2, 3]),
        ("shout=eq.ADA", [1]),
    ],
)
def test_a_filter_chooses_the_rows_that_postgrest_would(target: Target, query: str, expected: list[int]):
    assert ids(target, query) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/person?select=id,n:name&id=eq.1", [{"id": 1, "n": "Ada"}]),
        ("/person?select=id::text,height::int&id=eq.1", [{"id": "1", "height": 2}]),
        ("/person?select=data->a->b,data->>n,x:data->list->0&id=eq.1", [{"b": "deep", "n": "5", "x": 10}]),
        ("/person?select=data->list->0&id=eq.1", [{"list": 10}]),
        ("/person?select=shout&id=eq.1", [{"shout": "ADA"}]),
        ("/person?select=count", [{"count": 3}]),
        ("/person?select=count()", [{"count": 3}]),
        (
            "/person?select=country_code,count(),top:id.max()&order=country_code",
            [{"country_code": "de", "count": 2, "top": 2}, {"country_code": None, "count": 1, "top": 3}],
        ),
        ("/person?select=h:height.sum()::text", [{"h": "3.50"}]),
        (
            "/country?select=code,person(name,data->>n)&code=eq.de&person.order=id",
            [{"code": "de", "person": [{"name": "Ada", "n": "5"}, {"name": "Bob", "n": "12"}]}],
        ),
        (
            "/country?select=code,person(count)&order=code",
            [{"code": "de", "person": [{"count": 2}]}, {"code": "fr", "person": [{"count": 0}]}, {"code": "xx", "person": [{"count": 0}]}],
        ),
        ("/country?select=code,person!inner(id)&person.id=eq.2", [{"code": "de", "person": [{"id": 2}]}]),
        ("/country?select=code,person()&person=is.null&order=code", [{"code": "fr"}, {"code": "xx"}]),
        ("/country?select=code,person()&person=not.is.null", [{"code": "de"}]),
        ("/country?select=code,person!inner()", [{"code": "de"}]),
        (
            "/country?select=code,person(id)&or=(code.eq.fr,person.not.is.null)&order=code",
            [{"code": "de", "person": [{"id": 1}, {"id": 2}]}, {"code": "fr", "person": []}],
        ),
        ("/country?select=code,p:person(id)&p.id=eq.1&code=eq.de", [{"code": "de", "p": [{"id": 1}]}]),
        ("/country?select=code,person(id)&person.limit=1&person.order=id.desc&code=eq.de", [{"code": "de", "person": [{"id": 2}]}]),
        (
            "/person?select=id,country(name)&order=id",
            [{"id": 1, "country": {"name": "Germany"}}, {"id": 2, "country": {"name": "Germany"}}, {"id": 3, "country": None}],
        ),
        ("/person?select=id,land:country_code(name)&id=eq.1", [{"id": 1, "land": {"name": "Germany"}}]),
        (
            "/person?select=id,...country(land:name)&order=id",
            [{"id": 1, "land": "Germany"}, {"id": 2, "land": "Germany"}, {"id": 3, "land": None}],
        ),
        ("/country?select=code,...person(id,name)&code=eq.de", [{"code": "de", "id": [1, 2], "name": ["Ada", "Bob"]}]),
        ("/country?select=code,...person!inner(id)", [{"code": "de", "id": [1, 2]}]),
        ("/person?select=id&order=country(name).desc.nullslast,id.desc&select=id,country()", [{"id": 2}, {"id": 1}, {"id": 3}]),
        ("/person?select=passport(number)&id=eq.1", [{"passport": {"number": "P1"}}]),
        ("/passport?select=number,person(name,country(code))", [{"number": "P1", "person": {"name": "Ada", "country": {"code": "de"}}}]),
        (
            "/person?select=id,club(name)&order=id&club.order=name",
            [{"id": 1, "club": [{"name": "chess"}, {"name": "go"}]}, {"id": 2, "club": [{"name": "chess"}]}, {"id": 3, "club": []}],
        ),
        ("/club?select=name,person!inner(name)&person.name=eq.Bob", [{"name": "chess", "person": [{"name": "Bob"}]}]),
        ("/person?select=id,message!message_sender_fkey(id)&id=eq.1", [{"id": 1, "message": [{"id": 1}, {"id": 3}]}]),
        (
            "/person?select=id,got:message!receiver_id(id),sent:message!sender_id(id)&id=eq.2",
            [{"id": 2, "got": [{"id": 1}], "sent": [{"id": 2}]}],
        ),
        (
            "/message?select=id,sender:message_sender_fkey(name),receiver:receiver_id(name)&id=eq.1",
            [{"id": 1, "sender": {"name": "Ada"}, "receiver": {"name": "Bob"}}],
        ),
        ("/message?select=id,from:person!message_sender_fkey(name)&id=eq.3", [{"id": 3, "from": {"name": "Ada"}}]),
        (
            "/person?select=id,team:person(id),boss:boss_id(name)&id=in.(1,2)&order=id&team.order=id",
            [{"id": 1, "team": [{"id": 2}, {"id": 3}], "boss": None}, {"id": 2, "team": [], "boss": {"name": "Ada"}}],
        ),
        ("/adult?select=full_name,country(name)", [{"full_name": "Ada", "country": {"name": "Germany"}}]),
        ("/country?select=adult(id)&code=eq.de", [{"adult": [{"id": 1}]}]),
        ("/adult?select=full_name,club(name)&club.order=name.desc", [{"full_name": "Ada", "club": [{"name": "go"}, {"name": "chess"}]}]),
        ("/person?select=*,country(*)&id=eq.99", []),
        ("/country?select=&code=eq.de", [{"code": "de", "name": "Germany"}]),
        ("/pair?select=a,count()&limit=1", [{"a": 1, "count": 2}]),
    ],
)
def test_a_select_shapes_the_answer_as_postgrest_would(target: Target, address: str, expected: list[object]):
    if address.count("select=") == 2:
        address = address.replace("select=id&", "", 1)
    assert target.rows(address) == expected


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("/nothing", 404, "PGRST205"),
        ("/person?select=nope", 400, "42703"),
        ("/person?nope=eq.1", 400, "42703"),
        ("/person?order=nope", 400, "42703"),
        ("/person?select=id,nope(*)", 400, "PGRST200"),
        ("/person?select=id,message(*)", 300, "PGRST201"),
        ("/person?club.name=eq.x", 400, "PGRST108"),
        ("/person?select=*,club(*)&order=club(name)", 400, "PGRST118"),
        ("/person?select=*,club(*)&club=eq.1", 400, "PGRST120"),
        ("/club?select=*,secret(*)", 400, "PGRST200"),
        ("/club?select=*,secret_id(*)", 400, "PGRST200"),
        ("/secret", 404, "PGRST205"),
        ("/person?select=id::sometype", 400, "PGRST127"),
    ],
)
def test_what_cannot_be_read_is_refused_in_postgrests_words(target: Target, address: str, status: int, code: str):
    with pytest.raises(DialectError) as refused:
        target.get(address)
    assert (refused.value.status, refused.value.code) == (status, code)


def test_an_ambiguous_embedding_lists_its_ways(target: Target):
    with pytest.raises(DialectError) as refused:
        target.get("/person?select=message(*)")
    assert [way["relationship"] for way in refused.value.details] == [
        "message_receiver_fkey using person(id) and message(receiver_id)",
        "message_sender_fkey using person(id) and message(sender_id)",
    ] or len(refused.value.details) == 2
    assert "'message!message_sender_fkey'" in (refused.value.hint or "")


def header(answer, name: str) -> str:
    return dict(answer.headers)[name]


@pytest.mark.parametrize(
    ("address", "headers", "status", "content_range"),
    [
        ("/person", {}, 200, "0-2/*"),
        ("/person", {"prefer": "count=exact"}, 200, "0-2/3"),
        ("/person?limit=2", {"prefer": "count=exact"}, 206, "0-1/3"),
        ("/person?limit=2&offset=2", {"prefer": "count=exact"}, 206, "2-2/3"),
        ("/person", {"range": "1-1", "prefer": "count=exact"}, 206, "1-1/3"),
        ("/person?limit=0", {"prefer": "count=exact"}, 206, "*/3"),
        ("/person?id=eq.99", {"prefer": "count=exact"}, 200, "*/0"),
        ("/country?select=*,person!inner(*)&limit=5", {"prefer": "count=exact"}, 200, "0-0/1"),
        ("/person?id=gt.1&limit=1", {"prefer": "count=estimated"}, 206, "0-0/2"),
        ("/person?offset=3", {"prefer": "count=exact"}, 206, "*/3"),
    ],
)
def test_counts_and_ranges_are_told_in_the_header(target: Target, address: str, headers: dict[str, str], status: int, content_range: str):
    answer = target.get(address, **headers)
    assert (answer.status, header(answer, "Content-Range")) == (status, content_range)


def test_a_planned_count_is_an_integer(target: Target):
    answer = target.get("/person?id=gt.0&data->>n=eq.5", prefer="count=planned")
    assert header(answer, "Content-Range").split("/")[1].isdigit()


def test_an_offset_past_the_end_is_not_satisfiable(target: Target):
    with pytest.raises(DialectError) as refused:
        target.get("/person?offset=9", prefer="count=exact")
    assert (refused.value.status, refused.value.details) == (416, "An offset of 9 was requested, but there are only 3 rows.")


def test_head_has_headers_and_no_body(target: Target):
    answer = target.get("/person", method="HEAD", prefer="count=exact")
    assert (answer.body, header(answer, "Content-Range")) == (b"", "0-2/3")


def test_one_object_is_one_object_or_an_error(target: Target):
    answer = target.get("/country?code=eq.de", accept="application/vnd.pgrst.object+json")
    assert answer.body == b'{"code":"de","name":"Germany"}'
    with pytest.raises(DialectError) as refused:
        target.get("/country", accept="application/vnd.pgrst.object+json")
    assert (refused.value.code, refused.value.details) == ("PGRST116", "The result contains 3 rows")


def test_nulls_can_be_left_out(target: Target):
    answer = target.get("/person?select=id,tags&id=eq.3", accept="application/vnd.pgrst.array+json;nulls=stripped")
    assert answer.body == b'[{"id":3}]'


def test_csv_has_a_header_line(target: Target):
    answer = target.get("/country?order=code", accept="text/csv")
    assert answer.body == b"code,name\nde,Germany\nfr,France\nxx,Nowhere"


def test_numbers_keep_their_digits(target: Target):
    assert b'"height":1.70' in target.get("/person?id=eq.1").body


def test_values_are_only_ever_parameters(target: Target):
    evil = "x'; DROP TABLE person; --"
    assert ids(target, f"note=eq.{evil}") == []
    assert evil not in target.query.sql
    assert evil in target.query.params


def test_a_selected_name_with_quotes_stays_an_identifier(target: Target):
    with pytest.raises(DialectError):
        target.get('/person?select="id\\" FROM x"')
    assert target.rows('/person?select="a\\"b":id&id=eq.1') == [{'a"b': 1}]
