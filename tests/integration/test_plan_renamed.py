"""Old clients after a migration: names that were renamed still mean the same thing, and answers keep the old names."""

from __future__ import annotations

import msgspec
import pytest

from healing.gateway.errors import DialectError
from resilience_site.embedded_state import OWNER
from tests.integration.dialect_target import Target


@pytest.fixture(scope="module")
def target(make_target, postgres):
    name = make_target()
    target = Target.fresh(postgres.url(name, OWNER))
    target.execute("ALTER TABLE person RENAME note TO remark")
    target.execute("ALTER TABLE person RENAME remark TO remarks")
    target.execute("ALTER TABLE person RENAME country_code TO land")
    target.execute("ALTER TABLE country RENAME TO nation")
    target.execute("ALTER TYPE mood RENAME VALUE 'happy' TO 'glad'")
    target.execute("ALTER TABLE pair RENAME c TO was_c")
    target.execute("ALTER TABLE pair RENAME b TO c")
    target.execute("ALTER TABLE club RENAME TO society; ALTER TABLE society SET SCHEMA hidden")
    yield target
    target.close()


def test_select_filter_and_order_follow_and_the_answer_keeps_the_old_names(target: Target):
    rows = target.rows("/person?select=id,note&note=like.*fox*&order=note.desc")
    assert rows == [{"id": 1, "note": "the quick fox"}]
    assert target.healed == [("rename_column", "note", "remarks")]


def test_embeddings_follow_tables_and_key_columns(target: Target):
    assert target.rows("/person?select=country(name)&id=eq.1") == [{"country": {"name": "Germany"}}]
    assert target.rows("/person?select=land:country_code(name)&id=eq.1") == [{"land": {"name": "Germany"}}]
    assert target.rows("/country?select=person!country_code(id)&code=eq.de&person.order=id") == [{"person": [{"id": 1}, {"id": 2}]}]


def test_a_renamed_table_is_found_and_told(target: Target):
    assert target.rows("/country?select=code&code=eq.fr") == [{"code": "fr"}]
    assert target.healed == [("rename_table", "country", "nation")]


def test_a_renamed_label_means_the_same(target: Target):
    assert target.rows("/person?select=id&mood=eq.happy") == [{"id": 1}]
    assert target.rows("/person?select=id&mood=in.(happy,sad)&order=id") == [{"id": 1}, {"id": 2}]
    assert target.healed == [("map_value", "happy", "glad")]


def test_upserts_follow_their_conflict_columns(target: Target):
    target.execute("ALTER TABLE keyless RENAME x TO z; ALTER TABLE keyless ADD UNIQUE (z)")
    answer = target.write("POST", "/keyless?on_conflict=x&select=x", {"z": 1}, prefer="resolution=merge-duplicates,return=representation")
    assert msgspec.json.decode(answer.body) == [{"x": 1}]


def test_without_following_an_old_name_is_unknown(target: Target):
    for address in ("/person?select=note", "/country", "/person?select=country(name)"):
        with pytest.raises(DialectError):
            target.get(address, follow=False)


def test_a_reused_name_is_read_as_it_is_now_and_noted_for_writes(target: Target):
    assert target.rows("/pair?select=c&order=c") == [{"c": 1}, {"c": 2}]
    target.write("PATCH", "/pair?c=eq.1", {"was_c": "x"})
    assert target.reused == [("pair", "c")]


def test_a_table_that_left_the_exposed_schemas_is_not_followed(target: Target):
    with pytest.raises(DialectError) as refused:
        target.get("/club")
    assert refused.value.code == "PGRST205"
