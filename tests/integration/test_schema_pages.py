"""The pages of the schema monitor say what is in the rows, link one thing to the next, and let nobody act who may not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from msgspec.structs import replace

from healing import approval
from healing.models import Decision, QuarantineItem
from schema_monitor.aliases import aliases
from schema_monitor.models import SchemaChange, SchemaVersion
from schema_monitor.monitor_models import MonitorState
from schema_monitor.traffic_models import OldNameUse, PayloadShape
from tests.integration.control_rows import keep, onlooker, propose, reviewer
from tests.integration.schema_rows import evolve
from tests.integration.test_admin_pages import enter, redis_away  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres", "redis_away")]
NICK = "unknown_column:nick"
TO_DETAILS = [{"op": "drop_key", "column": "nick"}]


@pytest.fixture
def rita() -> Client:
    """Who may do everything."""
    return enter(reviewer())


@pytest.fixture
def story() -> list[SchemaVersion]:
    """email was renamed, nick removed, the table renamed; two writes still send nick."""
    versions = evolve(usr="ann", app="psql", tag="ALTER TABLE")
    for _ in range(2):
        keep({"nick": "x"}, signature=NICK, table="people")
    return versions


def shown(client: Client, view: str, *args: Any, **query: Any) -> str:
    """A page's text; it must answer."""
    answer = client.get(reverse(f"admin:{view}", args=args), query, follow=True)
    assert answer.status_code == 200, (view, answer.status_code)
    return answer.content.decode()


def change(kind: str) -> SchemaChange:
    return SchemaChange.objects.get(kind=kind)


def test_the_timeline_shows_changes_kept_writes_rules_and_replays_and_links_them(rita: Client, story: list[SchemaVersion]) -> None:
    approval.approve(propose(TO_DETAILS, signature=NICK, table="people", sentence="nick is left out"), User.objects.get(), "")
    text = shown(rita, "schema_timeline", last="24h")
    for part in ("Column nick was removed", "2 × unknown_column:nick", "Rule approved: nick is left out", "Replay of 2 writes"):
        assert part in text
    assert text.count('class="mg-curve"') == 3  # change → kept → rule → replay


def test_the_timeline_is_filtered_by_any_name_of_a_table_by_severity_kind_and_words(rita: Client, story: list[SchemaVersion]) -> None:
    for query, there, gone in (
        ({"table": "users"}, "was renamed to public.people", "nothing-at-all"),
        ({"table": "public.people"}, "Column nick was removed", "nothing-at-all"),
        ({"table": "orders"}, "No event in this stretch matches", "Column nick was removed"),
        ({"severity": "critical"}, "Column nick was removed", "was renamed to email_address"),
        ({"kind": "column_renamed"}, "was renamed to email_address", "Column nick was removed"),
        ({"kind": "kept"}, "2 × unknown_column:nick", "Column nick was removed"),
        ({"q": "ann"}, "Column nick was removed", "2 × unknown_column:nick"),
    ):
        text = shown(rita, "schema_timeline", **query)
        assert there in text, query
        assert gone not in text, query


def test_a_quiet_stretch_says_so_and_leads_to_the_last_change(rita: Client, story: list[SchemaVersion]) -> None:
    text = shown(rita, "schema_timeline", **{"from": "2020-01-01T00:00:00", "to": "2020-01-02T00:00:00"})
    assert "Nothing happened here." in text
    assert "version 4" in text


@pytest.mark.parametrize(
    "query", [{"from": "x", "to": "9999-99"}, {"last": "forever"}, {"page": "99"}, {"page": "no"}, {"table": "a.b.c"}, {"q": "%"}]
)
def test_nonsense_in_the_url_is_no_error(rita: Client, story: list[SchemaVersion], query: dict[str, str]) -> None:
    shown(rita, "schema_timeline", **query)
    shown(rita, "schema_tables", **query)


def test_who_may_not_see_writes_sees_only_the_schema(story: list[SchemaVersion]) -> None:
    user = User.objects.create_user("sam", password="pw", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="schema_monitor", codename__startswith="view_"))
    text = shown(enter(user), "schema_timeline")
    assert "Column nick was removed" in text
    assert "unknown_column:nick" not in text
    assert "writes wait" not in shown(enter(user), "schema_monitor_schemachange_change", change("column_removed").pk)


def test_a_change_says_who_did_it_whom_it_hits_and_the_one_next_step(rita: Client, story: list[SchemaVersion]) -> None:
    pk = change("column_removed").pk
    text = shown(rita, "schema_monitor_schemachange_change", pk)
    assert "2 writes wait because of this, and no fix is known." in text
    assert "ALTER TABLE" in text and "psql" in text and "ann" in text
    assert "Writes that send this column no longer fit" in text
    propose(TO_DETAILS, signature=NICK, table="people")
    assert "and a fix is proposed" in shown(rita, "schema_monitor_schemachange_change", pk)


def test_a_renamed_column_says_that_its_old_name_lives_on(rita: Client, story: list[SchemaVersion]) -> None:
    text = shown(rita, "schema_monitor_schemachange_change", change("column_renamed").pk)
    assert "The old name email still works: it is followed to email_address." in text
    assert "wait because of this" not in text


def test_marking_a_critical_change_as_seen_takes_it_off_the_dashboard(rita: Client, story: list[SchemaVersion]) -> None:
    QuarantineItem.objects.all().delete()
    pk = change("column_removed").pk
    assert "Column nick was removed" in shown(rita, "index")
    assert "Is it meant?" in shown(rita, "schema_monitor_schemachange_change", pk)
    answer = rita.post(reverse("admin:schema_seen", args=[pk]), follow=True)
    assert "Seen by rita" in answer.content.decode()
    assert "Column nick was removed" not in shown(rita, "index")


def test_a_busy_rename_that_is_followed_needs_nobody(rita: Client, story: list[SchemaVersion]) -> None:
    renamed = SchemaChange.objects.filter(kind="column_renamed")
    renamed.update(severity="critical", base_severity="high")
    assert "was renamed to email_address" not in shown(rita, "index")
    renamed.update(severity="critical", base_severity="critical")
    assert "was renamed to email_address" in shown(rita, "index")


def test_two_versions_stand_side_by_side_with_what_moved_marked(rita: Client, story: list[SchemaVersion]) -> None:
    text = shown(rita, "schema_compare", **{"from": 1, "to": 4})
    assert "public.users → " in text
    assert 'class="mg-moved"' in text and 'class="mg-removed"' in text
    assert "email_address" in text
    assert "are the same" in shown(rita, "schema_compare", **{"from": 2, "to": 2})
    assert rita.get(reverse("admin:schema_compare"), {"to": 99}).status_code == 404


def test_a_versions_page_is_its_comparison_with_the_one_before(rita: Client, story: list[SchemaVersion]) -> None:
    text = shown(rita, "schema_monitor_schemaversion_change", story[2].pk)
    assert "from version 2 to 3" in text
    assert "ann (psql): ALTER TABLE" in text
    assert "breaks writers, readers" in text
    assert story[2].summary in shown(rita, "schema_monitor_schemaversion_changelist")


def test_a_table_says_what_its_columns_were_called_and_when_they_changed(rita: Client, story: list[SchemaVersion]) -> None:
    text = shown(rita, "schema_table", 100)
    assert "Was public.users: still followed" in text
    assert "<code>email</code>" in text and "followed</span>" in text
    assert "Column nick was removed" in text  # under History of the table
    for name in ("public.users", "public.people"):
        found = rita.get(reverse("admin:schema_table_named"), {"name": name})
        assert found.headers["Location"] == reverse("admin:schema_table", args=[100])
    assert "public.people" in shown(rita, "schema_tables", q="details")
    assert rita.get(reverse("admin:schema_table", args=[7])).status_code == 404


@pytest.mark.parametrize("name", ["timeline", "compare", "tables", "names", "impact", "panel"])
def test_every_page_answers_before_the_first_version(rita: Client, name: str) -> None:
    shown(rita, f"schema_{name}")


def test_who_may_only_look_has_no_door(story: list[SchemaVersion]) -> None:
    otto = enter(onlooker())
    plain = [(f"schema_{name}", []) for name in ("capture", "retire_name", "restore_name", "test", "install", "remove")]
    for name, args in (*plain, ("schema_seen", [change("column_removed").pk])):
        url = reverse(f"admin:{name}", args=args)
        assert otto.get(url).status_code == 405
        assert otto.post(url).status_code == 403
    assert (
        '<form method="post"'
        not in shown(otto, "schema_monitor_schemachange_change", change("column_removed").pk).partition('class="mg"')[2]
    )


def test_a_stranger_sees_nothing(story: list[SchemaVersion]) -> None:
    user = User.objects.create_user("eve", password="pw", is_staff=True)
    for name in ("timeline", "compare", "tables", "names", "impact", "panel"):
        assert enter(user).get(reverse(f"admin:schema_{name}")).status_code == 403
    assert enter(user).get(reverse("admin:schema_monitor_schemachange_change", args=[change("column_removed").pk])).status_code == 403


def test_a_version_is_never_edited_added_or_deleted(rita: Client, story: list[SchemaVersion]) -> None:
    for name, args in (("change", [story[0].pk]), ("add", []), ("delete", [story[0].pk])):
        url = reverse(f"admin:schema_monitor_schemaversion_{name}", args=args)
        assert rita.post(url, {"summary": "other"}).status_code == 403


def test_a_target_that_cannot_be_read_is_told_and_stores_nothing(rita: Client, settings: Any) -> None:
    settings.MENDGATE = replace(settings.MENDGATE, target_database_url="postgresql://nobody@127.0.0.1:1/none")
    text = rita.post(reverse("admin:schema_capture"), follow=True).content.decode()
    assert "The target could not be read" in text
    assert not SchemaVersion.objects.exists()


def test_an_old_name_is_retired_with_a_reason_and_taken_back(rita: Client, story: list[SchemaVersion]) -> None:
    text = shown(rita, "schema_names")
    assert "<code>email</code> → <code>email_address</code>" in text
    alias = next(a for a in aliases() if a.name == "email")
    url = reverse("admin:schema_retire_name")
    assert "A reason is required" in rita.post(url, {"alias": alias.id, "why": " "}, follow=True).content.decode()
    assert "Retired: email is no longer followed" in rita.post(url, {"alias": alias.id, "why": "all moved"}, follow=True).content.decode()
    assert "all moved" in shown(rita, "schema_names", state="retired")
    assert "The old name email is not followed. Retired by rita" in shown(
        rita, "schema_monitor_schemachange_change", change("column_renamed").pk
    )
    back = rita.post(reverse("admin:schema_restore_name"), {"alias": alias.id, "why": "one left"}, follow=True).content.decode()
    assert "email is followed to email_address again" in back
    assert "There is no such former name" in rita.post(url, {"alias": "x", "why": "y"}, follow=True).content.decode()


def test_old_names_count_down_by_caller(rita: Client, story: list[SchemaVersion]) -> None:
    now = timezone.now()
    names = {"schema": "public", "relation_oid": 100, "attnum": 2, "enum_oid": 0, "label_oid": 0, "name": "email"}
    OldNameUse.objects.create(day=now.date(), caller="edge", role="anon", uses=7, last_at=now, **names)
    text = shown(rita, "schema_names")
    assert "1 caller still uses the old name" in text
    assert "edge" in text
    assert "1 caller would get errors" in text
    assert "1 caller still uses the old name" in shown(rita, "schema_monitor_schemachange_change", change("column_renamed").pk)


def test_the_monitor_says_what_is_in_force_and_tests_itself(rita: Client) -> None:
    assert "No watcher has run yet" in shown(rita, "schema_panel")
    bound = "A change is seen at once."
    MonitorState.objects.create(detector="listen", heartbeat_at=timezone.now(), bound=1, bound_text=bound, trigger_present=True)
    text = shown(rita, "schema_panel")
    assert bound in text
    assert "in force" in text
    assert "CREATE EVENT TRIGGER" in text
    MonitorState.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    assert "The watcher does not answer" in shown(rita, "schema_panel")


def test_a_self_test_that_fails_says_what_and_how_to_mend_it(rita: Client, settings: Any) -> None:
    settings.MENDGATE = replace(settings.MENDGATE, target_database_url="postgresql://nobody@127.0.0.1:1/none")
    text = rita.post(reverse("admin:schema_test"), {"canary": "1"}, follow=True).content.decode()
    assert "Not well: watcher, target." in text
    assert "Check TARGET_DATABASE_URL." in text


def test_nothing_is_installed_or_removed_before_somebody_says_sure(rita: Client) -> None:
    for name in ("schema_install", "schema_remove"):
        assert "Tick that you have read the SQL" in rita.post(reverse(f"admin:{name}"), follow=True).content.decode()
    assert not Decision.objects.exists()


def test_a_version_is_had_as_sql_and_as_json(rita: Client, story: list[SchemaVersion]) -> None:
    sql = rita.get(reverse("admin:schema_export", args=[4, "sql"]))
    assert 'CREATE TABLE "public"."people"' in sql.content.decode() or "CREATE TABLE public.people" in sql.content.decode()
    assert 'filename="schema-4-' in sql["Content-Disposition"]
    assert rita.get(reverse("admin:schema_export", args=[1, "json"])).json()["snapshot"]["relations"]["100"]["name"] == "users"
    assert rita.get(reverse("admin:schema_export", args=[9, "sql"])).status_code == 404
    assert rita.get(reverse("admin:schema_export", args=[1, "exe"])).status_code == 404


def test_the_impact_check_shows_each_callers_verdict_and_a_safer_way(rita: Client, settings: Any, owner: Any, owner_url: str) -> None:
    settings.MENDGATE = replace(settings.MENDGATE, target_database_url=owner_url)
    owner.execute("CREATE TABLE people (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, details jsonb)")
    (oid,) = owner.execute("SELECT 'people'::regclass::oid::int8").fetchone()
    assert "Version 1: First look" in rita.post(reverse("admin:schema_capture"), follow=True).content.decode()
    now = timezone.now()
    facts = {"hour": now, "schema": "public", "relation_oid": oid, "name": "people", "operation": "insert", "role": "anon", "last_at": now}
    counts = {"requests": 41, "rows": 41, "misfits": 0, "healed": 0}
    PayloadShape.objects.create(caller="edge", keys=["details"], named=[], shape="s", **facts, **counts)
    url = reverse("admin:schema_impact")
    text = rita.post(url, {"ddl": "ALTER TABLE people\n  ADD COLUMN age int NOT NULL;"}).content.decode()
    for part in ("edge", "41 ×", "insert public.people", "A way that breaks nobody", "Column age integer was added", "breaks"):
        assert part in text, part
    text = rita.post(url, {"ddl": "SELECT 1;\nALTER TABLE nowhere ADD a int;"}).content.decode()
    assert "Statement 2, line 2" in text
    assert "<mark>ALTER TABLE nowhere ADD a int;</mark>" in text
    assert "There is nothing to try" in rita.post(url, {"ddl": " "}).content.decode()
    assert enter(onlooker()).post(url, {"ddl": "SELECT 1"}).status_code == 403
