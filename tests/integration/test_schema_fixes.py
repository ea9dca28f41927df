"""Schema proposals from what waits: in the API, on the pages, decided by people, run where it was allowed, and followed until rows land."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest
from django.test import Client
from django.urls import reverse
from msgspec.structs import replace

from healing.models import Decision, QuarantineItem, Replay, ReviewRules, SchemaFix
from healing.refusals import AlreadyDecided, NotAllowed, NotFound, PolicyForbids
from healing.schema_fixes import decide
from healing.schema_fixes.offers import Place, offers_for
from schema_monitor.core.snapshot import Column
from tests.gateway_process import Gateway
from tests.integration.control_rows import USERS, capture, keep, onlooker, reviewer

CAUSE: Place = ("public", "users", "unknown_column:email")


@pytest.fixture
def kept(db: None, settings: Any) -> None:
    """Three callers' writes with the same unknown key."""
    settings.RQ_QUEUES = {"default": {"URL": "redis://127.0.0.1:1/0", "SERIALIZER": "rq.serializers.JSONSerializer"}}
    capture()
    keep({"email": "ann@example.com"})
    keep({"email": None})
    keep([{"email": "bob@example.com", "score": 1}], signature="unknown_column:email + unknown_column:score")


@pytest.mark.usefixtures("kept")
def test_offers_learn_from_everything_that_waits_for_the_table() -> None:
    """Also from writes with other misfits; the counts are those of the cause alone."""
    offers = offers_for([CAUSE])[CAUSE]
    assert offers.schema[0].proposal.sql == 'ALTER TABLE "public"."users" ADD COLUMN "email" text;'
    assert "email: 2 of 3 waiting rows of users have a value for it" in offers.schema[0].proposal.evidence["for"]
    assert (offers.waiting.writes, offers.waiting.rows) == (2, 2)
    assert [way.fix[0]["op"] for way in offers.instead] == ["rescue", "drop_key"]


@pytest.mark.usefixtures("kept")
def test_a_value_of_another_kind_changes_the_offer_and_an_old_id_is_refused() -> None:
    """Nobody approves what they did not see."""
    user = reviewer()
    before = offers_for([CAUSE])[CAUSE].schema[0]
    keep({"email": {"address": "x"}})
    assert '"email" jsonb' in offers_for([CAUSE])[CAUSE].schema[0].proposal.sql
    with pytest.raises(NotFound, match="not what it was"):
        decide.approve(CAUSE, before.id, user)
    assert not SchemaFix.objects.exists()


@pytest.mark.usefixtures("kept")
def test_an_approved_migration_that_a_person_runs_is_noticed_and_replayed() -> None:
    """The new version is enough; nothing is replayed before it."""
    fix = decide.approve(CAUSE, offers_for([CAUSE])[CAUSE].schema[0].id, reviewer(), note="as discussed")
    assert (fix.state, Replay.objects.count()) == ("approved", 0)
    capture(replace(USERS, columns=(*USERS.columns, Column(4, "other", "text", "text"))), epoch=2)
    assert SchemaFix.objects.get().state == "approved"
    capture(replace(USERS, columns=(*USERS.columns, Column(5, "email", "text", "text"))), epoch=3)
    fix = SchemaFix.objects.get()
    assert (fix.state, fix.replay and fix.replay.total) == ("landed", 2)
    assert list(Decision.objects.order_by("id").values_list("action", "kind")) == [
        ("approve", "migration"), ("replay", "replay"), ("land", "migration"),
    ]  # fmt: skip
    assert offers_for([CAUSE])[CAUSE].caught_up


@pytest.mark.usefixtures("kept")
def test_a_rejected_one_is_not_offered_again_for_this_cause() -> None:
    """For another cause it is."""
    offer = offers_for([CAUSE])[CAUSE].schema[0]
    decide.reject(CAUSE, offer.id, reviewer(), "we will rename the key")
    assert offers_for([CAUSE])[CAUSE].schema == ()
    both: Place = ("public", "users", "unknown_column:email + unknown_column:score")
    assert offers_for([both])[both].schema


@pytest.mark.usefixtures("kept")
def test_a_decision_needs_a_person_with_the_right_and_is_made_once() -> None:
    """Running DDL needs one right more, and the operator's leave."""
    offer, user = offers_for([CAUSE])[CAUSE].schema[0], reviewer()
    with pytest.raises(NotAllowed):
        decide.approve(CAUSE, offer.id, onlooker())
    with pytest.raises(PolicyForbids, match="may not run DDL"):
        decide.approve(CAUSE, offer.id, user, run=True)
    decide.approve(CAUSE, offer.id, user)
    with pytest.raises(AlreadyDecided):
        decide.approve(CAUSE, offer.id, user)


@pytest.mark.usefixtures("kept")
def test_running_ddl_takes_as_many_people_as_a_rule(settings: Any) -> None:
    """One person twice is one person; who runs it elsewhere asks nobody here."""
    settings.MENDGATE = replace(settings.MENDGATE, ddl_database_url="postgresql://nobody@127.0.0.1:1/none")
    ReviewRules.objects.create(people=2)
    offer = offers_for([CAUSE])[CAUSE].schema[0]
    rita, sam = reviewer(), reviewer("sam")
    for _ in range(2):
        fix = decide.approve(CAUSE, offer.id, rita, run=True)
        assert (fix.state, fix.agreed, fix.due_at) == ("partly", ["rita"], None)
        rita.username = "margherita"  # a new name is no second person
        rita.save()
    fix = decide.approve(CAUSE, offer.id, sam, run=True)
    assert (fix.state, fix.agreed, fix.due_at is not None) == ("approved", ["rita", "sam"], True)


@pytest.mark.usefixtures("kept")
def test_pages_offer_download_approve_and_the_ways_around() -> None:
    """Over the dashboard's own doors; who may only look is refused."""
    client, watcher = Client(), Client()
    client.force_login(reviewer())
    watcher.force_login(onlooker())
    said = dict(zip(("schema", "table", "signature"), CAUSE, strict=True))
    page = client.get(reverse("admin:healing_schema_fixes"), said)
    assert b"ADD COLUMN &quot;email&quot; text" in page.content
    assert b"Approve and run it" not in page.content
    for name in ("healing_causes", "healing_review"):
        assert client.get(reverse(f"admin:{name}")).status_code == 200
    assert b"By migration" in client.get(reverse("admin:healing_causes")).content
    item = QuarantineItem.objects.first()
    assert item is not None
    assert b"By migration" in client.get(reverse("admin:healing_quarantineitem_change", args=[item.pk])).content
    offer = offers_for([CAUSE])[CAUSE].schema[0]
    file = client.get(reverse("admin:healing_schema_fix_file", args=[offer.id]), said)
    assert file["Content-Disposition"].endswith('_add_email_to_users.sql"')
    assert file.content.decode().endswith(f"\n\n{offer.proposal.sql}\n")
    assert watcher.post(reverse("admin:healing_schema_fix_approve", args=[offer.id]), said).status_code == 403
    turned = client.post(reverse("admin:healing_schema_fix_instead"), {**said, "number": "0"})
    assert "/proposal/" in turned["Location"]
    assert b"not done" not in client.post(reverse("admin:healing_schema_fix_approve", args=[offer.id]), said, follow=True).content
    assert client.get(reverse("admin:healing_schemafix_change", args=[offer.id])).status_code == 200
    assert client.get(reverse("admin:healing_schemafix_changelist")).status_code == 200


# --- on a real target, over real HTTP


@pytest.fixture(scope="module")
def running(make_gateway: Callable[..., Gateway]) -> Iterator[Gateway]:
    """A gateway that may run DDL."""
    gateway = make_gateway(ALLOW_DDL="on")
    gateway.environment["DDL_DATABASE_URL"] = gateway.owner_url
    gateway.sql(
        "CREATE TYPE mood AS ENUM ('happy');"
        "CREATE TABLE notes(id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, body text, mood mood, n smallint,"
        " state text CHECK (state IN ('open', 'done')), who text NOT NULL DEFAULT 'x');"
        "CREATE TABLE strict(id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, who text NOT NULL, v varchar(3));"
    )
    gateway.manage("capture_schema")
    yield gateway.start()
    gateway.stop()


def insert(gateway: Gateway, table: str, rows: Any) -> str:
    """The id of the quarantined write that it becomes."""
    answer = httpx.post(f"{gateway.base_url}/rest/v1/{table}", json=rows, headers={"apikey": gateway.make_key()})
    assert answer.status_code >= 400, answer.text
    return answer.headers["mendgate-quarantine"]


def told(gateway: Gateway, item: str) -> dict[str, Any]:
    """The kept write as the API tells it."""
    url = f"{gateway.base_url}/api/v1/quarantine/{item}"
    found: dict[str, Any] = httpx.get(url, headers={"apikey": gateway.make_key()}).json()
    return found


CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("notes", {"body": "a", "meta": {"a": 1}}, "add_column", 'ADD COLUMN "meta" jsonb'),
    ("notes", {"body": "a", "mood": "so'so"}, "add_label", "ADD VALUE IF NOT EXISTS 'so''so'"),
    ("notes", {"body": "a", "state": "gone"}, "allow_value", "IN ('open', 'done', 'gone')) NOT VALID"),
    ("notes", {"body": "a", "n": 40_000}, "widen_type", 'ALTER COLUMN "n" TYPE integer'),
    ("strict", {"v": "abc"}, "drop_not_null", 'ALTER COLUMN "who" DROP NOT NULL'),
    ("strict", {"who": "a", "v": "abcd"}, "widen_type", 'ALTER COLUMN "v" TYPE text'),
]


def test_the_migrations_that_are_told_let_the_writes_land(running: Gateway) -> None:
    """Told over HTTP, run by the database's owner, replayed: the rows are there as they were sent."""
    items = [insert(running, table, row) for table, row, _, _ in CASES]
    for item, (_, _, kind, sql) in zip(items, CASES, strict=True):
        found = told(running, item)["schema_proposals"][0]
        assert found["kind"] == kind
        assert sql in found["sql"]
        assert (found["state"], found["cases"], found["leaves"]) == ("open", 1, [])
        with psycopg.connect(running.owner_url, autocommit=True) as owner:
            for statement in found["sql"].split("\n"):
                owner.execute(statement.encode())
    running.manage("capture_schema")
    assert f"{len(CASES)} replayed" in running.manage("replay", "--quarantine", *items, "--wait")
    assert told(running, items[0])["schema_proposals"] == []
    for table, row, _, _ in CASES:
        (stored,) = running.sql(f"SELECT * FROM {table} WHERE to_jsonb({table}) @> %s::jsonb", json.dumps(row))
        assert {key: stored[key] for key in row} == row


def approve_and_run(gateway: Gateway, item: str) -> str:
    """Approves the best migration as rita and lets the worker's job run it; its id."""
    found = told(gateway, item)["schema_proposals"][0]["id"]
    gateway.manage("shell", "-c", RUN.format(item=item, offer=found))
    return str(found)


RUN = """
from uuid import UUID
from django.contrib.auth import get_user_model
from healing.jobs import migrate
from healing.models import QuarantineItem
from healing.schema_fixes import decide
user, _ = get_user_model().objects.get_or_create(username="rita", defaults={{"is_superuser": True, "is_staff": True}})
i = QuarantineItem.objects.get(pk="{item}")
decide.approve((i.schema, i.table, i.signature), UUID("{offer}"), user, run=True)
migrate()
"""


def test_an_approved_migration_is_run_by_a_worker_and_closed(running: Gateway) -> None:
    """The person's decision, its audit, the check on a copy, the run."""
    item = insert(running, "leads", {"name": "Ann", "score": 3})
    fix_id = approve_and_run(running, item)
    (fix,) = running.control("SELECT state, kind, impact, error FROM healing_schemafix WHERE id = %s", fix_id)
    assert (fix["state"], fix["kind"]) == ("landed", "create_table"), fix
    assert running.sql("SELECT relrowsecurity FROM pg_class WHERE relname = 'leads'") == [{"relrowsecurity": True}]
    rows = running.control("SELECT action, who FROM healing_decision WHERE kind = 'migration' ORDER BY id")
    assert [(row["action"], row["who"]) for row in rows] == [("approve", "rita"), ("land", "schema monitor")]
    assert running.control("SELECT state, total FROM healing_replay WHERE why LIKE 'migration%%'") == [{"state": "running", "total": 1}]


def test_two_approved_for_one_check_list_do_not_take_each_other_back(running: Gateway) -> None:
    """The second was made from the list as it was before the first: it is looked at again."""
    running.sql("CREATE TABLE steps(id int PRIMARY KEY, state text CHECK (state IN ('a', 'b')))")
    running.manage("capture_schema")
    items = [insert(running, "steps", {"id": id_, "state": state}) for id_, state in ((1, "first"), (2, "second"))]
    approve = [RUN.format(item=i, offer=told(running, i)["schema_proposals"][0]["id"]).replace("\nmigrate()", "") for i in items]
    running.manage("shell", "-c", "".join(approve) + "\nmigrate()\nmigrate()")
    states = running.control("SELECT state, error->>'code' AS code FROM healing_schemafix WHERE \"table\" = 'steps' ORDER BY decided_at")
    assert states == [{"state": "landed", "code": None}, {"state": "failed", "code": "MG409"}]
    assert "'second'" in told(running, items[1])["schema_proposals"][0]["sql"]
    approve_and_run(running, items[1])
    running.sql("INSERT INTO steps VALUES (3, 'first'), (4, 'second')")


def test_a_table_that_is_locked_is_tried_for_again(running: Gateway) -> None:
    """Writers must not queue up behind us: the lock is waited for briefly."""
    item = insert(running, "notes", {"locked_out": 1})
    with psycopg.connect(running.owner_url) as owner:
        owner.execute("LOCK TABLE notes IN ACCESS SHARE MODE")
        fix_id = approve_and_run(running, item)
    (fix,) = running.control("SELECT state, tries, error->>'code' AS code FROM healing_schemafix WHERE id = %s", fix_id)
    assert fix == {"state": "approved", "tries": 1, "code": "55P03"}
    running.control("UPDATE healing_schemafix SET due_at = now() WHERE id = %s", fix_id)
    running.manage("shell", "-c", "from healing import jobs; jobs.migrate()")
    assert running.control("SELECT state FROM healing_schemafix WHERE id = %s", fix_id) == [{"state": "landed"}]


def test_what_postgres_refuses_on_a_copy_is_not_run(running: Gateway) -> None:
    """A view stands in the way; the command says what is offered."""
    running.sql("CREATE TABLE seen(id int PRIMARY KEY, v varchar(2)); CREATE VIEW shown AS SELECT v FROM seen")
    running.manage("capture_schema")
    item = insert(running, "seen", {"id": 1, "v": "abc"})
    fix_id = approve_and_run(running, item)
    (fix,) = running.control("SELECT state, done, error->>'message' AS message FROM healing_schemafix WHERE id = %s", fix_id)
    assert (fix["state"], fix["done"]) == ("failed", 0)
    assert "used by a view" in fix["message"]
    assert f"{fix_id} failed: Make `seen.v` text" in running.manage("schema_fix", "--quarantine", item)
