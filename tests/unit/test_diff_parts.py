"""The small decisions of the diff and the catalog reader: what widens, which grants an acl holds, which text is a check list."""

from __future__ import annotations

import pytest

from schema_monitor.core.checks import allowed_values
from schema_monitor.core.diff_access import access_changes, grants
from schema_monitor.core.nodetree import plain_columns
from schema_monitor.core.severity import LEVELS, WEIGHTS
from schema_monitor.core.snapshot import Column, Relation
from schema_monitor.core.widening import widens


def of(base: str, length: int | None = None, precision: int | None = None, scale: int | None = None, **more: object) -> Column:
    return Column(1, "a", base, base, length=length, precision=precision, scale=scale, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (of("int2"), of("int8"), True),
        (of("int8"), of("int4"), False),
        (of("int4"), of("numeric"), True),
        (of("int4"), of("numeric", precision=12, scale=2), True),
        (of("int4"), of("numeric", precision=11, scale=2), False),
        (of("int8"), of("float8"), False),
        (of("varchar", 5), of("varchar", 6), True),
        (of("varchar"), of("varchar", 6), False),
        (of("varchar", 5), of("text"), True),
        (of("text"), of("varchar"), False),
        (of("numeric", precision=6, scale=2), of("numeric"), True),
        (of("numeric"), of("numeric", precision=30, scale=10), False),
        (of("numeric", precision=6, scale=2), of("numeric", precision=7, scale=4), False),
        (of("timestamptz", precision=3), of("timestamptz"), True),
        (of("timestamp"), of("timestamptz"), False),
        (of("mood", enum=9), of("text"), True),
        (of("text"), of("mood", enum=9), False),
        (of("bpchar", 3), of("bpchar", 4), False),
        (of("int4"), of("int4", array=True), False),
        (of("text"), of("text", domain="word"), False),
    ],
)
def test_a_type_widens_only_where_every_old_value_fits_and_means_the_same(old: Column, new: Column, expected: bool) -> None:
    assert widens(old, new) is expected


def test_an_acl_is_read_without_what_the_owner_has_by_itself() -> None:
    acl = 'postgres=arwdDxtm/postgres,anon=r*w/postgres,=r/postgres,"odd role"=a/postgres\nv:{anon=w/postgres}\nmy col:{=r/postgres}'
    assert grants(acl) == {
        ("", "anon", "r"),
        ("", "anon", "w"),
        ("", "", "r"),
        ("", "odd role", "a"),
        ("v", "anon", "w"),
        ("my col", "", "r"),
    }
    assert grants("") == set()


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("CHECK ((a = ANY (ARRAY['x'::text, 'it''s'::text])))", ("x", "it's")),
        ("CHECK (((a)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying])::text[])))", ("x", "y")),
        ("CHECK (((a)::text = ANY (ARRAY[('x'::character varying)::text, ('y'::character varying)::text])))", ("x", "y")),
        ("CHECK ((a = 'x'::text))", ("x",)),
        ("CHECK ((a = ANY (ARRAY['x'::text]))) NOT VALID", ("x",)),
        ("CHECK ((a = ANY (ARRAY['x'::text]))) NOT ENFORCED", None),
        ("CHECK ((a <> ALL (ARRAY['x'::text])))", None),
        ("CHECK (((a = ANY (ARRAY['x'::text])) OR (b > 1)))", None),
        ("CHECK ((lower(a) = ANY (ARRAY['x'::text])))", None),
        ("CHECK ((a = ANY (ARRAY[1, 2])))", None),
        ("CHECK ((a = ANY (ARRAY['x'::public.citext])))", None),
        (r"CHECK ((a = ANY (ARRAY['x'::text, E'y\\'::text])))", None),
    ],
)
def test_only_a_plain_list_of_texts_is_a_check_list(definition: str, expected: tuple[str, ...] | None) -> None:
    assert allowed_values(definition) == expected


def test_target_entries_of_subqueries_constants_and_hidden_columns_are_no_plain_columns() -> None:
    tree = (
        "({QUERY :rtable ({RANGETBLENTRY :subquery {QUERY :targetList ({TARGETENTRY :resno 7 :resorigtbl 70 :resorigcol 7})}}) "
        ":targetList ({TARGETENTRY :expr {VAR :varno 1} :resno 1 :resname a\\}b :resorigtbl 16384 :resorigcol 3 :resjunk false} "
        "{TARGETENTRY :expr {CONST :constvalue 4 [ 1 0 0 0 ]} :resno 2 :resname one :resorigtbl 0 :resorigcol 0 :resjunk false} "
        "{TARGETENTRY :expr {VAR :varno 1} :resno 3 :resname <> :resorigtbl 16384 :resorigcol 9 :resjunk true})})"
    )
    assert plain_columns(tree) == ((1, 16384, 3),)


def test_every_kind_of_change_has_a_known_severity() -> None:
    assert {weight.severity for weight in WEIGHTS.values()} == set(LEVELS)


def access(**facts: object) -> Relation:
    return Relation(7, "public", "notes", "r", (), **facts)  # type: ignore[arg-type]


MINE = "mine PERMISSIVE FOR SELECT TO authenticated USING (true)"


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ({}, {"row_security": True}, "row_security_on_without_policy"),
        ({}, {"row_security": True, "policies": (MINE,)}, "row_security_on"),
        ({"row_security": True, "policies": (MINE,)}, {"row_security": True}, "row_security_on_without_policy"),
        ({"row_security": True}, {}, "row_security_off"),
        ({"policies": (MINE,)}, {"policies": (MINE.replace("authenticated", "anon"),)}, "policy_opened"),
        ({"policies": (MINE,)}, {"policies": (MINE.replace("true", "false"),)}, "policy_changed"),
        ({}, {"policies": (MINE.replace("PERMISSIVE", "RESTRICTIVE"),)}, "policy_restricted"),
        ({}, {"policies": (MINE.replace("authenticated", "authenticated, public"),)}, "policy_opened"),
        ({}, {"policies": (MINE,)}, "policy_added"),
    ],
)
def test_row_security_and_policies_are_told_apart(before: dict[str, object], after: dict[str, object], kind: str) -> None:
    assert kind in [each.kind for each in access_changes(access(**before), access(**after))]
