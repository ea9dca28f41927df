"""What a new schema version brings about: weights by traffic, suggested renames, rules back to review; on a real target."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import psycopg
import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.utils import timezone

from healing import approval
from healing.models import Decision, Proposal, Rule
from schema_monitor import traffic
from schema_monitor.capture import capture
from schema_monitor.models import SchemaChange
from schema_monitor.traffic_models import PayloadShape, TrafficRecording
from tests.integration.control_rows import propose, reviewer

pytestmark = pytest.mark.django_db


@pytest.fixture
def target(settings: LazySettings, target_url: str, owner: psycopg.Connection) -> psycopg.Connection:
    """The owner's connection to a captured target with one table."""
    settings.MENDGATE = msgspec.structs.replace(settings.MENDGATE, target_database_url=target_url, exposed_schemas=("public",))
    owner.execute("CREATE TABLE notes (id int PRIMARY KEY, title text, size int, mood text)")
    assert capture("command") is not None
    return owner


def changed(target: psycopg.Connection, ddl: str) -> dict[str, SchemaChange]:
    """The changes that a capture after that DDL finds, by kind."""
    target.execute(ddl)
    version = capture("command")
    assert version is not None
    return {row.kind: row for row in version.changes.all()}


def many(target: psycopg.Connection, *ddl: str, before: Callable[[str], Any] = str) -> list[Any]:
    """A table like notes for each DDL, captured; what ``before`` made of their names; then all the DDL, captured."""
    tables = [f"notes_{i}" for i in range(len(ddl))]
    changed(target, ";".join(f"CREATE TABLE {table} (id int PRIMARY KEY, title text, size int, mood text)" for table in tables))
    made = [before(table) for table in tables]
    changed(target, ";".join(each.format(t=table) for each, table in zip(ddl, tables, strict=True)))
    return made


def sent(target: psycopg.Connection, *keys: str, hours_ago: float = 1, **more: Any) -> None:
    """Some inserts into notes by one caller."""
    row = target.execute("SELECT 'notes'::regclass::oid::int8").fetchone()
    assert row is not None
    then = timezone.now() - timedelta(hours=hours_ago)
    facts = {"caller": "signup form", "role": "anon", "requests": 3, "rows": 3, "misfits": 0, "healed": 0, "named": [], **more}
    hour = then.replace(minute=0, second=0, microsecond=0)
    PayloadShape.objects.create(
        hour=hour, schema="public", relation_oid=row[0], name="notes", operation="insert", keys=sorted(keys), shape=str(keys), last_at=then,
        **facts,
    )  # fmt: skip


def recording(days: float, lost_days_ago: float | None = None) -> None:
    """Recorded since so many days."""
    now = timezone.now()
    lost_at = None if lost_days_ago is None else now - timedelta(days=lost_days_ago)
    TrafficRecording.objects.create(since=now - timedelta(days=days), last_at=now, lost=0, lost_at=lost_at)


def test_a_change_that_callers_feel_weighs_more_and_says_who(target: psycopg.Connection) -> None:
    """The severity that is stored, and shown, is the weighted one."""
    sent(target, "id", "title")
    sent(target, "id", "title", hours_ago=30)
    found = changed(target, "ALTER TABLE notes RENAME title TO headline")["column_renamed"]
    assert (found.base_severity, found.severity, found.hits["requests"]) == ("high", "critical", 6)
    assert [(c["name"], c["requests"]) for c in found.hits["callers"]] == [("signup form", 6)]


@pytest.mark.parametrize(("days", "lost", "severity"), [(8, None, "medium"), (3, None, "high"), (30, 2, "high"), (30, 9, "medium")])
def test_what_nobody_uses_weighs_less_only_if_everything_was_recorded(
    target: psycopg.Connection, days: float, lost: float | None, severity: str
) -> None:
    """Seven whole days, and nothing lost in them."""
    recording(days, lost)
    sent(target, "id")
    sent(target, "title", hours_ago=8 * 24)
    assert changed(target, "ALTER TABLE notes RENAME title TO headline")["column_renamed"].severity == severity


def test_a_version_is_stored_even_if_the_traffic_cannot_be_read(target: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The change has the severity of its kind then."""

    def broken(**_: Any) -> None:
        raise RuntimeError("no traffic today")

    monkeypatch.setattr(traffic, "recent_shapes", broken)
    assert changed(target, "ALTER TABLE notes DROP size")["column_removed"].severity == "critical"


def test_traffic_of_a_table_is_told_by_caller_and_column(target: psycopg.Connection) -> None:
    """For its page."""
    sent(target, "id", "title")
    sent(target, "id", key="00000000-0000-0000-0000-000000000001", caller="importer", requests=9)
    oid = PayloadShape.objects.values_list("relation_oid", flat=True)[0]
    found = traffic.traffic_of(oid)
    assert found["requests"] == {"insert": 12} and found["columns"] == {"id": 12, "title": 3}
    assert [(c["name"], c["requests"]) for c in found["callers"]] == [("importer", 9), ("signup form", 3)]


def test_old_counts_are_forgotten(target: psycopg.Connection) -> None:
    """Eight days are kept: seven, and the hour that is under way."""
    sent(target, "id", hours_ago=24 * 9)
    sent(target, "title")
    assert traffic.prune() == 1
    assert [shape.keys for shape in traffic.recent_shapes()] == [("title",)]


def test_drop_and_add_is_suggested_as_a_rename_and_works_once_approved(target: psycopg.Connection) -> None:
    """One proposal for each column that could take the values; none for the one that could not."""
    changed(target, "ALTER TABLE notes DROP title, ADD headline text, ADD subtitle varchar(40), ADD weight int")
    proposal = Proposal.objects.get()
    assert (proposal.signature, proposal.state, proposal.table) == ("unknown_column:title", "open", "notes")
    assert proposal.fix == [{"op": "rename_column", "from": "title", "to": "headline"}]
    assert "dropped" in proposal.evidence["for"][0]
    rule = approval.approve(proposal, reviewer())
    assert rule.state == "active" and rule.bound["columns"] == {"headline": 3 + 2}


def test_nothing_is_suggested_where_nothing_could_have_been_renamed(target: psycopg.Connection) -> None:
    """Same name, other type, generated, a true rename, another table."""
    many(
        target,
        "ALTER TABLE {t} DROP title, ADD title text",
        "ALTER TABLE {t} DROP title, ADD headline int",
        "ALTER TABLE {t} DROP title, ADD headline text GENERATED ALWAYS AS (mood) STORED",
        "ALTER TABLE {t} RENAME title TO headline",
        "DROP TABLE {t}; CREATE TABLE {t} (id int PRIMARY KEY, headline text)",
    )
    assert not Proposal.objects.exists()


def test_a_rejected_suggestion_does_not_come_back(target: psycopg.Connection) -> None:
    """Dropped and added once more."""
    changed(target, "ALTER TABLE notes DROP title, ADD headline text")
    approval.reject(Proposal.objects.get(), reviewer(), "unrelated")
    changed(target, "ALTER TABLE notes DROP headline, ADD title text")
    changed(target, "ALTER TABLE notes DROP title, ADD headline text")
    assert Proposal.objects.get(signature="unknown_column:title").state == "rejected"


def ruled(table: str) -> Rule:
    """``name`` goes into ``title`` of that table, approved."""
    fix = [{"op": "rename_column", "from": "name", "to": "title"}]
    user = User.objects.filter(username="rita").first() or reviewer()
    return approval.approve(propose(fix, table=table, signature="unknown_column:name"), user)


def test_a_rule_goes_back_to_review_when_what_it_names_changed(target: psycopg.Connection) -> None:
    """With the reason, in the audit, and its proposal open again."""
    rules = many(
        target,
        "ALTER TABLE {t} RENAME title TO headline",
        "ALTER TABLE {t} DROP title",
        "ALTER TABLE {t} ALTER title TYPE varchar(10)",
        "ALTER TABLE {t} ALTER title TYPE jsonb USING to_jsonb(title)",
        "DROP TABLE {t}; CREATE TABLE {t} (id int, title text, size int, mood text)",
        before=ruled,
    )
    for rule in rules:
        rule.refresh_from_db()
        assert rule.state == "review" and ("title" in rule.why or "renamed, replaced or removed" in rule.why)
        assert Proposal.objects.get(rule=rule).state == "open"
        assert Decision.objects.filter(action="review", subject=str(rule.pk), why=rule.why).count() == 1


def test_a_rule_stays_active_when_something_else_changed(target: psycopg.Connection) -> None:
    """Nobody is asked about what does not matter to the rule."""
    rules = many(
        target,
        "ALTER TABLE {t} RENAME TO articles",
        "ALTER TABLE {t} ADD extra text, DROP size",
        "ALTER TABLE {t} RENAME mood TO feeling",
        "ALTER TABLE {t} ALTER title SET DEFAULT 'x', ALTER title SET NOT NULL",
        "COMMENT ON COLUMN {t}.title IS 'what it says'",
        "ALTER TABLE {t} ENABLE ROW LEVEL SECURITY",
        "CREATE TABLE others (title int)",
        before=ruled,
    )
    for rule in rules:
        rule.refresh_from_db()
        assert rule.state == "active", rule.why


def test_a_rule_whose_label_is_gone_goes_back_to_review(target: psycopg.Connection) -> None:
    """The value it puts in would be refused."""
    changed(target, "CREATE TYPE tone AS ENUM ('glad', 'sad'); ALTER TABLE notes ALTER mood TYPE tone USING mood::tone")
    fix = [{"op": "map_value", "column": "mood", "from": "Glad", "to": "glad"}]
    rule = approval.approve(propose(fix, table="notes", signature="unknown_label:mood=Glad"), reviewer())
    changed(target, "ALTER TYPE tone RENAME VALUE 'glad' TO 'happy'")
    rule.refresh_from_db()
    assert rule.state == "review" and "does not fit" in rule.why
