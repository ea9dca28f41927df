"""What changed in who may do what with one relation: row security, policies, grants; and its triggers and comment."""

from __future__ import annotations

import re
from collections.abc import Iterator

from schema_monitor.core.changes import Change, change
from schema_monitor.core.snapshot import Relation

OPEN_TO_ALL = frozenset({"", "anon", "public"})
"""Grantees that anybody on the internet is; '' is how an acl spells PUBLIC."""
Grant = tuple[str, str, str]
"""(column or '', grantee, privilege letter)"""


def access_changes(old: Relation, new: Relation) -> Iterator[Change]:
    """In the order of how bad they may be."""
    yield from _row_security(old, new)
    yield from _policies(old, new)
    yield from _grants(old, new)
    yield from _writes(old, new)
    yield from _triggers(old, new)
    if old.comment != new.comment:
        yield change("comment_changed", _where(new), f"The comment on {_title(new)} changed.", old=old.comment, new=new.comment)


def _row_security(old: Relation, new: Relation) -> Iterator[Change]:
    if old.row_security and not new.row_security:
        yield change("row_security_off", _where(new), f"Row security of {_title(new)} was switched off.")
    elif new.row_security and not new.policies and (old.policies or not old.row_security):
        how = "has no policy any more" if old.row_security else "was switched on without any policy"
        sentence = f"Row security of {_title(new)} {how}: nobody but the owner sees rows."
        yield change("row_security_on_without_policy", _where(new), sentence)
    elif new.row_security and not old.row_security:
        yield change("row_security_on", _where(new), f"Row security of {_title(new)} was switched on.")
    if old.force_row_security != new.force_row_security:
        kind, how = "row_security_unforced", "no longer binds"
        if new.force_row_security:
            kind, how = "row_security_forced", "now binds"
        yield change(kind, _where(new), f"Row security of {_title(new)} {how} the owner.")


def _policies(old: Relation, new: Relation) -> Iterator[Change]:
    before, after = ({_policy_name(line): line for line in side.policies} for side in (old, new))
    for name, line in after.items():
        if name not in before:
            kind = "policy_opened" if _opens(line) else "policy_restricted" if " RESTRICTIVE FOR " in line else "policy_added"
            yield change(kind, _where(new), f"Policy {name} was added to {_title(new)}.", object=name, new=line)
        elif before[name] != line:
            kind = "policy_opened" if _opens(line) and not _opens(before[name]) else "policy_changed"
            yield change(kind, _where(new), f"Policy {name} of {_title(new)} was altered.", object=name, old=before[name], new=line)
    for name, line in before.items():
        if name not in after:
            yield change("policy_removed", _where(new), f"Policy {name} was removed from {_title(new)}.", object=name, old=line)


def _policy_name(policy: str) -> str:
    """Names may hold spaces; what follows them is fixed text."""
    return re.split(r" (?:PERMISSIVE|RESTRICTIVE) FOR [A-Z]+ TO ", policy, maxsplit=1)[0]


def _opens(policy: str) -> bool:
    found = re.search(r" PERMISSIVE FOR \w+ TO (.*?)(?: USING | WITH CHECK |$)", policy)
    return found is not None and not OPEN_TO_ALL.isdisjoint(found[1].split(", "))


def _grants(old: Relation, new: Relation) -> Iterator[Change]:
    before, after = grants(old.acl), grants(new.acl)
    for kind, how, both in (("grant_added", "was granted", after - before), ("grant_removed", "was revoked", before - after)):
        for grantee in sorted({g for _, g, _ in both}):
            letters = "".join(sorted({p for _, g, p in both if g == grantee}))
            opened = kind == "grant_added" and grantee in OPEN_TO_ALL
            to = "to" if kind == "grant_added" else "from"
            sentence = f"Access to {_title(new)} {how} {to} {grantee or 'public'} ({letters})."
            yield change("grant_opened" if opened else kind, _where(new), sentence, object=grantee or "public", new=letters)


def grants(acl: str) -> set[Grant]:
    """The grants in a relation's acl text (its own on the first line, then a line a column), without what owners have anyway."""
    whole, *columns = acl.split("\n")
    parts = [("", whole), *((column, items) for column, _, items in (line.rpartition(":") for line in columns))]
    return {grant for column, items in parts for item in items.strip("{}").split(",") for grant in _items(column, item)}


def _items(column: str, item: str) -> Iterator[Grant]:
    grantee, equals, rest = item.rpartition("=")
    letters, _, grantor = rest.partition("/")
    if equals and grantee.strip('"') != grantor.strip('"'):
        for letter in letters.replace("*", ""):
            yield (column, grantee.strip('"'), letter)


def _writes(old: Relation, new: Relation) -> Iterator[Change]:
    before, after = ((r.insertable, r.updatable, r.deletable) for r in (old, new))
    if before != after:
        lost = any(a and not b for a, b in zip(before, after, strict=True))
        kind = "writes_lost" if lost else "writes_gained"
        how = "no longer takes every write it took" if lost else "takes more writes"
        yield change(kind, _where(new), f"{_title(new)} {how}.")


def _triggers(old: Relation, new: Relation) -> Iterator[Change]:
    before, after = ({_trigger_name(line): line for line in side.triggers} for side in (old, new))
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) == after.get(name):
            continue
        how = "added" if name not in before else "removed" if name not in after else "changed"
        sentence = f"Trigger {name} of {_title(new)} was {how}."
        yield change(f"trigger_{how}", _where(new), sentence, object=name, old=before.get(name), new=after.get(name))


def _trigger_name(definition: str) -> str:
    found = re.match(r'CREATE (?:CONSTRAINT )?TRIGGER ("(?:[^"]|"")+"|\S+)', definition)
    return found[1] if found else definition


def _where(relation: Relation) -> tuple[str, str]:
    return (relation.schema, relation.name)


def _title(relation: Relation) -> str:
    return f"{relation.schema}.{relation.name}"
