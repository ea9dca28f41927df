"""Migrations that the previous release can live beside, and those that it would stumble over."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models
from django.db.migrations import Migration
from django.db.migrations import operations as op
from django.db.migrations.state import ProjectState

from resilience_site.expand_contract import Breach, breaches


def released() -> ProjectState:
    """A release that knows one table of jobs, and one of people."""
    state = ProjectState()
    fields: list[tuple[str, Any]] = [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=20)),
        ("note", models.TextField(null=True)),
        ("tries", models.IntegerField(db_default=0)),
    ]
    op.CreateModel("Job", fields).state_forwards("work", state)
    op.CreateModel("Person", [("id", models.BigAutoField(primary_key=True))]).state_forwards("work", state)
    return state


def judged(*operations: op.base.Operation, why: str = "") -> list[Breach]:
    """What is found in one migration that does these."""
    migration = Migration("0002_new", "work")
    migration.operations = list(operations)
    if why:
        migration.previous_release = why  # type: ignore[attr-defined]
    return list(breaches([migration], released()))


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (op.DeleteModel("Person"), "work_person is dropped"),
        (op.RenameModel("Person", "Human"), "work_person is renamed"),
        (op.AlterModelTable("Person", "people"), "work_person is renamed"),
        (op.RemoveField("Job", "note"), "work_job.note is dropped"),
        (op.RenameField("Job", "note", "remark"), "work_job.note is renamed"),
        (op.AlterField("Job", "name", models.CharField(max_length=10)), "becomes varchar(10)"),
        (op.AlterField("Job", "note", models.JSONField(null=True)), "becomes jsonb"),
        (op.AlterField("Job", "note", models.TextField()), "becomes NOT NULL"),
        (op.AlterField("Job", "tries", models.IntegerField()), "bound more strictly"),
        (op.AlterField("Job", "name", models.CharField(max_length=20, db_column="title")), "work_job.name is renamed"),
        (op.AddField("Job", "kind", models.TextField(default="x")), "NOT NULL without db_default"),
        (op.AddField("Job", "who", models.ForeignKey("work.Person", models.CASCADE)), "work_job.who_id is NOT NULL"),
        (op.AddConstraint("Job", models.UniqueConstraint(fields=["name"], name="one")), "constraint one"),
        (op.AddConstraint("Job", models.CheckConstraint(condition=models.Q(tries__lt=9), name="few")), "constraint few"),
        (op.AlterUniqueTogether("Job", {("name", "note")}), "unique_together"),
        (op.RunSQL("DROP TABLE IF EXISTS work_job"), "work_job is dropped"),
        (op.RunSQL('SELECT 1; ALTER TABLE "work_job" ADD COLUMN x int, DROP COLUMN note'), "DROP COLUMN note"),
        (op.RunSQL(["ALTER TABLE work_job ALTER COLUMN name TYPE int USING 1"]), "ALTER COLUMN name TYPE"),
        (op.RunSQL("ALTER TABLE work_job RENAME name TO title"), "RENAME name TO title"),
        (op.SeparateDatabaseAndState(database_operations=[op.RemoveField("Job", "note")]), "work_job.note is dropped"),
    ],
)
def test_what_the_previous_release_uses_is_not_taken_away(operation: op.base.Operation, said: str) -> None:
    """Each is one breach, with its name."""
    (found,) = judged(operation)
    assert said in found.what
    assert str(found).startswith("work.0002_new: ")


@pytest.mark.parametrize(
    "operation",
    [
        op.CreateModel("New", [("id", models.BigAutoField(primary_key=True))]),
        op.AddField("Job", "kind", models.TextField(null=True)),
        op.AddField("Job", "kind", models.TextField(default="x", db_default="x")),
        op.AlterField("Job", "name", models.CharField(max_length=40)),
        op.AlterField("Job", "name", models.TextField()),
        op.AlterField("Job", "tries", models.BigIntegerField(db_default=0)),
        op.AddIndex("Job", models.Index(fields=["name"], name="by_name")),
        op.RunSQL("ALTER TABLE work_job ADD COLUMN x int; CREATE TABLE y (z int); DROP TABLE work_gone"),
        op.RunSQL("ALTER TABLE work_job DROP COLUMN not_known_any_more"),
        op.SeparateDatabaseAndState(state_operations=[op.RemoveField("Job", "note")]),
    ],
)
def test_what_only_adds_may_come(operation: op.base.Operation) -> None:
    """Expanding, and contracting what the release does not know."""
    assert judged(operation) == []


def test_what_came_with_this_release_is_its_own() -> None:
    """A column that was added since may be renamed, bound and dropped again."""
    assert not judged(
        op.AddField("Job", "kind", models.TextField(null=True)),
        op.RenameField("Job", "kind", "sort"),
        op.AddConstraint("Job", models.CheckConstraint(condition=models.Q(sort__isnull=False) | models.Q(sort="a"), name="ok")),
        op.RemoveConstraint("Job", "ok"),
        op.RemoveField("Job", "sort"),
    )


def test_a_migration_may_say_why_it_does_no_harm() -> None:
    """The reason stands in the migration, for whoever reviews it."""
    assert judged(op.RemoveField("Job", "note"))
    assert not judged(op.RemoveField("Job", "note"), why="nobody ever wrote it")
