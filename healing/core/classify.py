"""A database error as a misfit: which key of which rows does not fit, read off the server's fields, its message and the payload.

Postgres names the column of an error only sometimes; ``culprit`` finds it then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from healing.core import culprit
from healing.core.actions import Action, action, reason
from healing.core.signature import listed
from healing.core.types import Failure, Kind, Misfit, Statement
from healing.core.values import as_text
from schema_monitor.core.snapshot import Column, Constraint, Relation

__all__ = ["Action", "action", "misfit", "reason"]

Reader = Callable[[Failure, Statement, "Relation | None"], "Misfit | None"]

_COLUMN = re.compile(
    r"""(?:column "(.+)" of relation ".+" does not exist|column "(.+)" does not exist|column (?:\S+\.)?(\S+) does not exist"""
    r"""|Could not find the '(.+)' column of '.+' in the schema cache)"""
)
_TABLE = re.compile(r"""(?:relation "(.+)" does not exist|Could not find the table '(.+)' in the schema cache)""")
_TYPE_AND_VALUE = re.compile(r'(?:invalid input (?:syntax for type|value for enum) (?P<type>.+?): "(?P<value>.*)")', re.DOTALL)
_VALUE_AND_TYPE = re.compile(r'(?:value )?"(?P<value>.*)" is out of range for type (?P<type>.+)', re.DOTALL)
_VALUE = re.compile(r'[a-z/ -]+: "(?P<value>.*)"', re.DOTALL)
_TOO_LONG = re.compile(r"(?:value too long for|bit string .*) type (?P<type>.+)")
_OVERFLOW = re.compile(r"A field with precision (\d+), scale (-?\d+)")
_KEY_HINT = re.compile(r'See the (?:value of key|array element .* of key) "(.+)"')
_NULL = re.compile(r'null value in column "(.+?)" (?:of relation ".+" )?violates')
_DOMAIN = re.compile(r"(?:value for domain (.+) violates check constraint|domain (.+) does not allow null)")
_DETAIL_KEY = re.compile(r"Key \((.+?)\)=\((.*)\) (?:is not present in table \"(.+)\"|conflicts)", re.DOTALL)
_GENERATED = re.compile(r'column "(.+)"')


def misfit(failure: Failure, statement: Statement, relation: Relation | None) -> Misfit | None:
    """What does not fit; None where the error is about no part of the payload. ``statement`` is the one that was sent to the
    database: keys are named as in it."""
    reader = _READERS.get(failure.code)
    return reader(failure, statement, relation) if reader is not None else None


def _unknown_column(failure: Failure, statement: Statement, relation: Relation | None) -> Misfit | None:
    match = _COLUMN.fullmatch(failure.message)
    if match is None:
        return None
    name = next(n for n in match.groups() if n)
    return culprit.at(Kind.UNKNOWN_COLUMN, name, statement, "")


def _unknown_table(failure: Failure, statement: Statement, relation: Relation | None) -> Misfit | None:
    """Only the statement's own table; a trigger that misses one is not the payload's fault."""
    match = _TABLE.fullmatch(failure.message)
    name = next((n for n in match.groups() if n), "") if match else ""
    own = name in (statement.table, f"{statement.schema}.{statement.table}")
    return Misfit(Kind.UNKNOWN_TABLE, statement.table) if own else None


def _bad_value(failure: Failure, statement: Statement, relation: Relation | None) -> Misfit | None:
    """A value that is none of its type. The message quotes it, with the type's name or without; or names the key in the hint."""
    hinted = _KEY_HINT.search(failure.hint or "")
    if hinted is not None and any(hinted[1] in row for row in statement.rows):
        return culprit.at(Kind.INVALID_VALUE, hinted[1], statement, culprit.expected_type(hinted[1], relation))
    kind = Kind.UNKNOWN_LABEL if "for enum" in failure.message else Kind.INVALID_VALUE
    match = _TYPE_AND_VALUE.fullmatch(failure.message) or _VALUE.fullmatch(failure.message)
    if match is not None and failure.message.startswith("malformed array literal"):
        return culprit.found_by_value(kind, match["value"], "[]", statement, relation)
    if match is None:
        return culprit.found_by_check(kind, statement, relation, "")
    return culprit.found_by_value(kind, match["value"], match.groupdict().get("type") or "", statement, relation)


def _out_of_range(failure: Failure, statement: Statement, relation: Relation | None) -> Misfit | None:
    match = _VALUE_AND_TYPE.fullmatch(failure.message)
    if match is not None:
        return culprit.found_by_value(Kind.OUT_OF_RANGE, match["value"], match["type"], statement, relation)
    field = _OVERFLOW.match(failure.details or "")
    type_name = f"numeric({field[1]},{field[2]})" if field else ""
    return culprit.found_by_check(Kind.OUT_OF_RANGE, statement, relation, type_name)


def _too_long(failure: Failure, statement: Statement, relation: Relation | None) -> Misfit | None:
    match = _TOO_LONG.fullmatch(failure.message)
    return culprit.found_by_check(Kind.TOO_LONG, statement, relation, match["type"] if match else "")


def _nul(failure: Failure, statement: Statement, relation: Relation | None) -> Misfit | None:
    keys = dict.fromkeys(key for row in statement.rows for key, value in row.items() if "\\u0000" in as_text([value]))
    if len(keys) != 1:
        return Misfit(Kind.UNTRANSLATABLE)
    name = next(iter(keys))
    return culprit.at(Kind.UNTRANSLATABLE, name, statement, culprit.expected_type(name, relation))


def _missing_value(failure: Failure, statement: Statement, relation: Relation | None) -> Misfit | None:
    match = _NULL.match(failure.message)
    name = failure.column or (match[1] if match else "")
    if not name:
        domain = _DOMAIN.match(failure.message)
        names = _of_domain(domain[2] if domain else None, relation)
        name = names[0] if len(names) == 1 else ""
    rows = tuple(i for i, row in enumerate(statement.rows) if row.get(name) is None) if name else ()
    return Misfit(Kind.MISSING_VALUE, name, None, culprit.expected_type(name, relation), rows)


def _missing_parent(failure: Failure, statement: Statement, relation: Relation | None) -> Misfit | None:
    """A foreign key without its row. That other rows still refer to this one is no misfit of the payload."""
    if failure.message.startswith("update or delete"):
        return None
    detail = _DETAIL_KEY.match(failure.details or "")
    names = _constrained(failure, relation) or ([n.strip(' "') for n in detail[1].split(",")] if detail else [])
    key = next((n for n in names if any(row.get(n) is not None for row in statement.rows)), names[0] if names else "")
    expected = f"a row in {detail[3]}" if detail and detail[3] else ""
    rows = tuple(i for i, row in enumerate(statement.rows) if detail and len(names) == 1 and as_text(row.get(key)) == detail[2])
    found = culprit.at(Kind.MISSING_PARENT, key, statement, expected)
    return Misfit(found.kind, key, statement.rows[rows[0]][key], expected, rows) if rows else found


def _check(failure: Failure, statement: Statement, relation: Relation | None) -> Misfit | None:
    """A check on one column names it, one with a list of texts is about a label; a check on several columns names none."""
    domain = _DOMAIN.match(failure.message)
    names = _of_domain(domain[1], relation) if domain else _constrained(failure, relation)
    constraint = _constraint(failure, relation)
    if len(names) != 1:
        return Misfit(Kind.CHECK, "", None, constraint.definition if constraint else failure.constraint or "")
    allowed = constraint.allowed if constraint else None
    if allowed is None:
        return culprit.at(Kind.CHECK, names[0], statement, constraint.definition if constraint else failure.constraint or "")
    rows = tuple(i for i, row in enumerate(statement.rows) if row.get(names[0]) is not None and as_text(row[names[0]]) not in allowed)
    value = statement.rows[rows[0]][names[0]] if rows else None
    return Misfit(Kind.UNKNOWN_LABEL, names[0], value, " | ".join(allowed), rows)


def _generated(failure: Failure, statement: Statement, relation: Relation | None) -> Misfit | None:
    match = _GENERATED.search(failure.message)
    return culprit.at(Kind.GENERATED, match[1], statement, culprit.expected_type(match[1], relation)) if match else None


def _conflict_target(failure: Failure, statement: Statement, relation: Relation | None) -> Misfit | None:
    return Misfit(Kind.CONFLICT_TARGET, listed(statement.on_conflict))


def _ragged(failure: Failure, statement: Statement, relation: Relation | None) -> Misfit | None:
    return Misfit(Kind.RAGGED) if "keys" in failure.message else None


_READERS: Final[dict[str, Reader]] = {
    "42703": _unknown_column,
    "PGRST204": _unknown_column,
    "42P01": _unknown_table,
    "PGRST205": _unknown_table,
    "PGRST102": _ragged,
    "22P02": _bad_value,
    "22007": _bad_value,
    "22008": _bad_value,
    "22009": _bad_value,
    "22003": _out_of_range,
    "22001": _too_long,
    "22026": _too_long,
    "22P05": _nul,
    "23502": _missing_value,
    "23503": _missing_parent,
    "23514": _check,
    "23P01": _check,
    "428C9": _generated,
    "42P10": _conflict_target,
    "21000": _conflict_target,
}


def _constraint(failure: Failure, relation: Relation | None) -> Constraint | None:
    constraints = relation.constraints if relation is not None else ()
    return next((c for c in constraints if c.name == failure.constraint), None)


def _constrained(failure: Failure, relation: Relation | None) -> list[str]:
    """Names of the columns of the violated constraint, in key order."""
    constraint = _constraint(failure, relation)
    if constraint is None or relation is None:
        return []
    return [column.name for attnum in constraint.columns if (column := relation.by_attnum(attnum)) is not None]


def _of_domain(domain: str | None, relation: Relation | None) -> list[str]:
    """Columns of a domain."""
    bare = (domain or "").split(".")[-1].strip('"')
    return [column.name for column in _columns(relation) if bare and (column.domain or "").split(".")[-1].strip('"') == bare]


def _columns(relation: Relation | None) -> Iterator[Column]:
    return iter(relation.columns if relation is not None else ())
