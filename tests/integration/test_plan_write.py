"""Writes of every kind against a real Postgres; each is rolled back."""

from __future__ import annotations

import asyncpg
import msgspec
import pytest

from healing.gateway.errors import DialectError
from healing.gateway.plan_write import row_select
from resilience_site.embedded_state import OWNER
from tests.integration.dialect_target import Target

FULL = "return=representation"
MERGE = "resolution=merge-duplicates"
OBJECT = "application/vnd.pgrst.object+json"


@pytest.fixture(scope="module")
def target(make_databases, postgres):
    _, name = make_databases()
    target = Target.fresh(postgres.url(name, OWNER))
    yield target
    target.close()


def body(answer):
    return msgspec.json.decode(answer.body)


def header(answer, name: str) -> str | None:
    return dict(answer.headers).get(name)


def test_an_insert_answers_201_without_a_body(target: Target):
    answer = target.write("POST", "/club", {"id": 9, "name": "x"})
    assert (answer.status, answer.body, header(answer, "Content-Range")) == (201, b"", "*/*")


def test_a_minimal_insert_needs_no_right_to_read(target: Target):
    target.write("POST", "/club", {"id": 9, "name": "x"})
    assert "RETURNING 1)" in target.query.sql


def test_an_insert_returns_what_is_selected(target: Target):
    answer = target.write("POST", "/club?select=n:name", [{"id": 9, "name": "x"}, {"id": 8, "name": "y"}], prefer=FULL)
    assert (answer.status, body(answer)) == (201, [{"n": "x"}, {"n": "y"}])
    assert header(answer, "Preference-Applied") == "return=representation"


def test_an_insert_returns_embedded_rows(target: Target):
    address = "/person?select=name,country(name),message!message_sender_fkey(id),shout"
    answer = target.write("POST", address, {"name": "Dan", "country_code": "fr"}, prefer=FULL)
    assert body(answer) == [{"name": "Dan", "shout": "DAN", "country": {"name": "France"}, "message": []}]


def test_a_counted_insert_tells_its_rows(target: Target):
    answer = target.write("POST", "/club", [{"id": 9}, {"id": 8}], prefer="count=exact")
    assert header(answer, "Content-Range") == "*/2"


def test_a_single_insert_can_tell_its_address(target: Target):
    answer = target.write("POST", "/pair", {"a": 5, "b": 6, "c": "x"}, prefer="return=headers-only")
    assert (answer.status, answer.body, header(answer, "Location")) == (201, b"", "/pair?a=eq.5&b=eq.6")


def test_every_type_goes_in_as_json(target: Target):
    row = {
        "name": "Eve", "mood": "so so", "tags": ["x", "y z"], "data": {"a": [1]}, "raw": {"b": 2}, "born": "2001-02-03",
        "height": 1.25, "spans": "[1,3)", "nick": "e", 'Größe "x"': 3,
    }  # fmt: skip
    answer = target.write("POST", "/person", row, prefer=FULL)
    assert {k: v for k, v in body(answer)[0].items() if k in row} == row


def test_a_row_without_keys_takes_every_default(target: Target):
    answer = target.write("POST", "/keyless", [{}, {}], prefer=FULL)
    assert body(answer) == [{"x": None, "y": "why"}, {"x": None, "y": "why"}]


def test_a_left_out_key_is_null_or_with_missing_default_its_default(target: Target):
    rows = [{"x": 1, "y": "given"}, {"x": 2}, {"x": 3, "y": None}]
    plain = target.write("POST", "/keyless?columns=x,y", rows, prefer=FULL)
    assert [row["y"] for row in body(plain)] == ["given", None, None]
    defaulted = target.write("POST", "/keyless?columns=x,y", rows, prefer=f"{FULL},missing=default")
    assert [row["y"] for row in body(defaulted)] == ["given", "why", None]


def test_missing_default_asks_an_identity_for_its_next_number(target: Target):
    rows = [{"id": 50, "name": "a"}, {"name": "b"}]
    answer = target.write("POST", "/person?columns=id,name&select=id,height", rows, prefer=f"{FULL},missing=default")
    assert body(answer)[0] == {"id": 50, "height": 1.75}
    assert body(answer)[1]["id"] > 100


def test_a_key_outside_columns_is_ignored(target: Target):
    answer = target.write("POST", "/keyless?columns=x", {"x": 1, "y": "z"}, prefer=FULL)
    assert body(answer) == [{"x": 1, "y": "why"}]


def test_an_upsert_tells_whether_it_inserted(target: Target):
    rows = [{"id": 1, "name": "new"}, {"id": 7, "name": "x"}]
    answer = target.write("POST", "/club?select=id,name", rows, prefer=f"{FULL},{MERGE}")
    assert (answer.status, target.written["inserted"], target.written["n"]) == (201, 1, 2)
    assert body(answer) == rows
    answer = target.write("POST", "/club", {"id": 1, "name": "new"}, prefer=MERGE)
    assert (answer.status, target.written["inserted"]) == (200, 0)


def test_two_upserts_in_one_transaction_count_for_themselves(target: Target):
    async def twice() -> tuple[int, int]:
        async with target.conn.transaction():
            first = await target.conn.fetchrow(target.query.sql, '[{"id":70},{"id":71}]')
            second = await target.conn.fetchrow(target.query.sql, '[{"id":70},{"id":72}]')
            await target.conn.execute("DELETE FROM club WHERE id >= 70")
            return first["inserted"], second["inserted"]

    target.write("POST", "/club", {"id": 77}, prefer=MERGE)
    assert target.run(twice()) == (2, 1)


def test_an_upsert_may_ignore_what_is_there(target: Target):
    rows = [{"id": 1, "name": "new"}, {"id": 7, "name": "x"}]
    answer = target.write("POST", "/club?select=id", rows, prefer=f"{FULL},resolution=ignore-duplicates")
    assert (answer.status, body(answer)) == (201, [{"id": 7}])


def test_an_upsert_goes_by_the_columns_that_are_named(target: Target):
    row = {"a": 1, "b": 1, "c": "changed"}
    answer = target.write("POST", "/pair?on_conflict=a,b&select=c", row, prefer=f"{FULL},{MERGE}")
    assert body(answer) == [{"c": "changed"}]
    with pytest.raises(asyncpg.PostgresError) as refused:
        target.write("POST", "/pair?on_conflict=c", row, prefer=MERGE)
    assert refused.value.sqlstate == "42P10"


def test_put_replaces_exactly_its_row(target: Target):
    answer = target.write("PUT", "/club?id=eq.1", {"id": 1, "name": "y"}, prefer=FULL)
    assert (answer.status, body(answer)[0]["name"]) == (200, "y")
    answer = target.write("PUT", "/club?id=eq.55", {"id": 55, "name": "y"}, prefer=FULL)
    assert answer.status == 201
    with pytest.raises(DialectError) as refused:
        target.write("PUT", "/club?id=eq.2", {"id": 1, "name": "y"})
    assert refused.value.code == "PGRST115"
    with pytest.raises(DialectError) as refused:
        target.write("PUT", "/club?name=eq.x", {"id": 1, "name": "y"})
    assert refused.value.code == "PGRST105"


def test_an_update_answers_204_or_the_rows(target: Target):
    assert target.write("PATCH", "/club?id=eq.1", {"name": "z"}).status == 204
    answer = target.write("PATCH", "/club?id=in.(1,2)&select=id,name&order=id.desc", {"name": "z"}, prefer=FULL)
    assert (answer.status, body(answer)) == (200, [{"id": 2, "name": "z"}, {"id": 1, "name": "z"}])


def test_an_update_of_nothing_is_an_empty_array(target: Target):
    answer = target.write("PATCH", "/club?id=eq.99", {"name": "z"}, prefer=FULL)
    assert (answer.status, body(answer)) == (200, [])


def test_an_update_without_keys_touches_nothing(target: Target):
    answer = target.write("PATCH", "/club?id=eq.1", {}, prefer=f"{FULL},count=exact")
    assert (answer.status, body(answer), target.written["n"]) == (200, [], 0)
    assert header(answer, "Content-Range") == "*/0"


def test_an_update_can_filter_by_and_show_what_it_does_not_set(target: Target):
    answer = target.write("PATCH", "/person?data->>n=eq.5&select=id,country(name)", {"note": "n"}, prefer=FULL)
    assert body(answer) == [{"id": 1, "country": {"name": "Germany"}}]


def test_a_delete_answers_204_or_the_rows(target: Target):
    assert target.write("DELETE", "/membership?person_id=eq.1").status == 204
    answer = target.write("DELETE", "/membership?person_id=eq.1&select=club_id,club(name)&order=club_id", prefer=f"{FULL},count=exact")
    assert body(answer) == [{"club_id": 1, "club": {"name": "chess"}}, {"club_id": 2, "club": {"name": "go"}}]
    assert header(answer, "Content-Range") == "*/2"


def test_one_object_comes_back_as_one_object(target: Target):
    answer = target.write("POST", "/club?select=id", {"id": 9}, prefer=FULL, accept=OBJECT)
    assert answer.body == b'{"id":9}'
    with pytest.raises(DialectError) as refused:
        target.write("PATCH", "/club", {"name": "z"}, prefer=FULL, accept=OBJECT)
    assert (refused.value.code, refused.value.details) == ("PGRST116", "The result contains 3 rows")


def test_a_representation_that_an_inner_join_empties_is_no_object(target: Target):
    with pytest.raises(DialectError) as refused:
        target.write("PATCH", "/club?id=eq.3&select=id,person!inner(id)", {"name": "z"}, prefer=FULL, accept=OBJECT)
    assert refused.value.details == "The result contains 0 rows"


def test_more_rows_than_allowed_are_refused(target: Target):
    with pytest.raises(DialectError) as refused:
        target.write("DELETE", "/message", prefer="handling=strict,max-affected=2")
    assert (refused.value.code, refused.value.details) == ("PGRST124", "The query affects 3 rows")


def test_a_limit_on_a_write_is_refused_only_where_it_would_matter(target: Target):
    assert target.write("PATCH", "/club?id=eq.1&limit=1", {"name": "z"}).status == 204
    for address in ("/club?limit=1", "/club?limit=2&order=id"):
        with pytest.raises(DialectError) as refused:
            target.write("PATCH", address, {"name": "z"})
        assert (refused.value.status, refused.value.code) == (400, "PGRST127")
    with pytest.raises(DialectError):
        target.write("DELETE", "/club?offset=1")


def test_rows_come_back_for_the_check_of_a_heal(target: Target):
    target.write("POST", "/club", [{"id": 9, "name": "x"}, {"id": 8, "name": "y"}], back=("id", "name"))
    assert target.written["body"] is None
    assert msgspec.json.decode(target.written["back"]) == [{"id": 9, "name": "x"}, {"id": 8, "name": "y"}]
    assert target.written["xid"].isdigit()


def test_an_old_client_reads_back_the_key_that_it_sent(target: Target):
    answer = target.write("POST", "/club", {"id": 9, "name": "x"}, asked={"name": "title"}, back=("name",), prefer=FULL)
    assert body(answer) == [{"id": 9, "name": "x", "secret_id": None, "title": "x"}]
    answer = target.write("POST", "/club?select=title", {"id": 9, "name": "x"}, asked={"name": "title"}, prefer=FULL)
    assert body(answer) == [{"title": "x"}]


def test_a_plain_row_has_a_select_list_of_its_own(target: Target):
    def listed(address: str) -> str | None:
        request = target.parse("POST", address, {})
        return row_select(request, target.names().relation("public", "club"), target.names(), {"name": "title"})

    assert listed("/club") == '"club".*, "club"."name" AS "title"'
    assert listed("/club?select=id,n:name,title,secret_id::text") == (
        '"club"."id" AS "id", "club"."name" AS "n", "club"."name" AS "title", CAST("club"."secret_id" AS pg_catalog."text") AS "secret_id"'
    )
    assert listed("/club?select=id,person(*)") is None
    assert listed("/club?select=id->a") is None


def test_an_updatable_view_is_written_like_a_table(target: Target):
    answer = target.write("PATCH", "/adult?full_name=eq.Ada&select=full_name", {"full_name": "Eda"}, prefer=FULL)
    assert body(answer) == [{"full_name": "Eda"}]


def test_unknown_keys_and_conflict_columns_are_named(target: Target):
    with pytest.raises(DialectError) as refused:
        target.write("POST", "/club", {"id": 1, "nope": 2})
    assert refused.value.message == "Could not find the 'nope' column of 'club' in the schema cache"
    with pytest.raises(DialectError) as refused:
        target.write("POST", "/club?on_conflict=nope", {"id": 1}, prefer=MERGE)
    assert refused.value.code == "42703"


def test_a_filter_on_an_embedding_that_is_not_shown_stops_a_delete(target: Target):
    with pytest.raises(DialectError) as refused:
        target.write("DELETE", "/club?person.name=eq.x")
    assert refused.value.code == "PGRST108"


def test_text_that_is_too_long_is_an_error_not_a_cut(target: Target):
    with pytest.raises(asyncpg.PostgresError) as refused:
        target.write("POST", "/person", {"name": "too long"})
    assert refused.value.sqlstate == "22001"
