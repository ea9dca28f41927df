"""What a migration of the control database may do while the previous release still runs: it may add, it may not take away.

During a rolling upgrade both releases use one schema. So, beside what the previous release knows (``state`` as it was released):
new tables and columns are free, if its INSERTs go on without them; nothing that it reads or writes is dropped, renamed, retyped to
something narrower, made NOT NULL or bound by a new constraint. What it does not know any more may go (docs/howto/run-several-hosts.md).
``RunPython`` cannot be judged; a migration may say ``previous_release = "why it does not mind"``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from django.db import connection
from django.db.migrations import Migration, operations
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import CheckConstraint, Field, Q
from msgspec import Struct

_WIDER = {("integer", "bigint"), ("smallint", "integer"), ("smallint", "bigint")}
_VARCHAR = re.compile(r"varchar\((\d+)\)")
_NAME = r'(?:"?\w+"?\.)?"?(?P<table>\w+)"?'
_TAKES_AWAY = re.compile(
    rf"DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?{_NAME}"
    rf"|ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?{_NAME.replace('table', 'altered')}\s+(?P<actions>[^;]*)",
    re.IGNORECASE,
)
_ACTION = re.compile(
    r'(?P<drop>DROP\s+(?:COLUMN\s+)?|RENAME\s+(?:COLUMN\s+)?|ALTER\s+(?:COLUMN\s+)?)(?:IF\s+EXISTS\s+)?"?(?P<column>\w+)"?\s*(?P<how>[^,]*)',
    re.IGNORECASE,
)


class Breach(Struct, frozen=True):
    """What the previous release would stumble over."""

    migration: str
    what: str

    def __str__(self) -> str:
        return f"{self.migration}: {self.what}"


class Released:
    """Tables and columns that the previous release reads and writes."""

    def __init__(self, state: ProjectState) -> None:
        self.columns = {table_of(model): {name_of(name, field) for name, field in model.fields.items()} for model in state.models.values()}

    def knows(self, table: str, column: str | None = None) -> bool:
        """Whether it uses the table, or that column of it."""
        return table in self.columns and (column is None or column in self.columns[table])


def breaches(new: Iterable[Migration], state: ProjectState) -> Iterator[Breach]:
    """All of the migrations that came since that state; it is brought forward by each."""
    released = Released(state)
    for migration in new:
        named = f"{migration.app_label}.{migration.name}"
        found = list(chain.from_iterable(_judged(each, migration.app_label, state, released) for each in migration.operations))
        if not getattr(migration, "previous_release", ""):
            yield from (Breach(named, what) for what in found)


def _judged(operation: Any, app: str, state: ProjectState, released: Released) -> list[str]:
    """What is wrong with one operation; the state is brought forward by it."""
    if isinstance(operation, operations.SeparateDatabaseAndState):
        scratch = state.clone()
        found = [what for each in operation.database_operations for what in _judged(each, app, scratch, released)]
        operation.state_forwards(app, state)
        return found
    before = state.clone()
    operation.state_forwards(app, state)
    judge = _JUDGES.get(type(operation))
    return list(judge(operation, app, before, state, released)) if judge else []


def _dropped_model(op: Any, app: str, before: ProjectState, _after: ProjectState, released: Released) -> Iterator[str]:
    table = table_of(before.models[app, getattr(op, "old_name", op.name).lower()])
    if released.knows(table):
        yield f"table {table} is {'dropped' if isinstance(op, operations.DeleteModel) else 'renamed'}, and the previous release uses it"


def _moved_table(op: Any, app: str, before: ProjectState, after: ProjectState, released: Released) -> Iterator[str]:
    old, new = (table_of(state.models[app, op.name.lower()]) for state in (before, after))
    if old != new and released.knows(old):
        yield f"table {old} is renamed, and the previous release uses it"


def _dropped_field(op: Any, app: str, before: ProjectState, _after: ProjectState, released: Released) -> Iterator[str]:
    model, name = before.models[app, op.model_name.lower()], getattr(op, "old_name", op.name)
    column = name_of(name, model.fields[name])
    if released.knows(table_of(model), column):
        verb = "dropped" if isinstance(op, operations.RemoveField) else "renamed"
        yield f"column {table_of(model)}.{column} is {verb}, and the previous release uses it"


def _added_field(op: Any, app: str, _before: ProjectState, after: ProjectState, released: Released) -> Iterator[str]:
    model, field = after.models[app, op.model_name.lower()], op.field
    if released.knows(table_of(model)) and not (field.null or field.has_db_default() or field.many_to_many):
        column = name_of(op.name, field)
        yield f"column {table_of(model)}.{column} is NOT NULL without db_default: INSERTs of the previous release would fail"


def _altered_field(op: Any, app: str, before: ProjectState, after: ProjectState, released: Released) -> Iterator[str]:
    model = before.models[app, op.model_name.lower()]
    old, new = model.fields[op.name], after.models[app, op.model_name.lower()].fields[op.name]
    table, column = table_of(model), name_of(op.name, old)
    if not released.knows(table, column):
        return
    if name_of(op.name, new) != column:
        yield f"column {table}.{column} is renamed, and the previous release uses it"
    if not _fits(_type(model, op.name, old), _type(model, op.name, new)):
        yield f"column {table}.{column} becomes {_type(model, op.name, new)}, and the previous release writes {_type(model, op.name, old)}"
    if old.null and not new.null:
        yield f"column {table}.{column} becomes NOT NULL, and the previous release may leave it out"
    if (new.unique and not old.unique) or (old.has_db_default() and not new.has_db_default() and not new.null):
        yield f"column {table}.{column} is bound more strictly than the previous release knows"


def _constrained(op: Any, app: str, _before: ProjectState, after: ProjectState, released: Released) -> Iterator[str]:
    model = after.models[app, op.model_name.lower()]
    columns = {name_of(name, model.fields[name]) for name in _fields_of(op.constraint) if name in model.fields}
    if released.knows(table_of(model)) and (not columns or any(released.knows(table_of(model), each) for each in columns)):
        yield f"constraint {op.constraint.name} on {table_of(model)}: the previous release does not know of it"


def _made_unique(op: Any, app: str, _before: ProjectState, after: ProjectState, released: Released) -> Iterator[str]:
    table = table_of(after.models[app, op.name.lower()])
    if op.option_value and released.knows(table):
        yield f"unique_together on {table}: the previous release does not know of it"


def _ran(op: Any, _app: str, _before: ProjectState, _after: ProjectState, released: Released) -> Iterator[str]:
    for found in _TAKES_AWAY.finditer(_text_of(op.sql)):
        if found["table"] and released.knows(found["table"]):
            yield f"table {found['table']} is dropped, and the previous release uses it"
        for action in _ACTION.finditer(found["actions"] or ""):
            yield from _acted(found["altered"], action, released)


def _acted(table: str, action: re.Match[str], released: Released) -> Iterator[str]:
    verb, column, how = action["drop"].upper(), action["column"], action["how"].upper()
    harmless = verb.startswith("ALTER") and not how.startswith(("TYPE", "SET DATA TYPE", "SET NOT NULL", "DROP DEFAULT"))
    if verb.startswith("RENAME") and column.upper() == "TO" and released.knows(table):
        yield f"table {table} is renamed, and the previous release uses it"
    elif not harmless and released.knows(table, column):
        yield f"column {table}.{column} is changed by SQL ({' '.join(action[0].split())}), and the previous release uses it"


def _fits(old: str, new: str) -> bool:
    """Whether whatever the previous release writes and reads goes on."""
    before, after = _VARCHAR.fullmatch(old), _VARCHAR.fullmatch(new)
    wider = bool(before) and (new == "text" or (after is not None and int(after[1]) >= int(before[1])))  # type: ignore[index]
    return old == new or wider or (old, new) in _WIDER


def _type(model: ModelState, name: str, field: Field[Any, Any]) -> str:
    bare = field.clone()
    bare.set_attributes_from_name(name)
    if field.remote_field is not None:
        return f"a reference to {field.remote_field.model}"
    return bare.db_type(connection) or f"no column of {model.name}"


def table_of(model: ModelState) -> str:
    """Its table."""
    return str(model.options.get("db_table") or f"{model.app_label}_{model.name.lower()}")


def name_of(name: str, field: Field[Any, Any]) -> str:
    """Its column."""
    return field.db_column or (f"{name}_id" if field.remote_field is not None and not field.many_to_many else name)


def _fields_of(constraint: Any) -> set[str]:
    """Names of the fields that it is about."""
    if isinstance(constraint, CheckConstraint):
        return _named_in(constraint.condition)
    return set(getattr(constraint, "fields", ()))


def _named_in(condition: Any) -> set[str]:
    if not isinstance(condition, Q):
        return set()
    children: list[Any] = list(condition.children)
    return set().union(*(_named_in(each) if isinstance(each, Q) else {each[0].split("__")[0]} for each in children))


def _text_of(sql: Any) -> str:
    if isinstance(sql, str):
        return sql
    return ";".join(each if isinstance(each, str) else each[0] for each in sql)


_JUDGES: dict[type[Any], Any] = {
    operations.DeleteModel: _dropped_model,
    operations.RenameModel: _dropped_model,
    operations.AlterModelTable: _moved_table,
    operations.RemoveField: _dropped_field,
    operations.RenameField: _dropped_field,
    operations.AddField: _added_field,
    operations.AlterField: _altered_field,
    operations.AddConstraint: _constrained,
    operations.AlterUniqueTogether: _made_unique,
    operations.RunSQL: _ran,
}
