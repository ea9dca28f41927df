"""Whether a request, as it came before a change, would notice it: one row of ``FELT`` a kind of change."""

from __future__ import annotations

from collections.abc import Callable

from schema_monitor.core.meaning import Use
from schema_monitor.core.touched import Thing

Felt = Callable[[Use, Thing], bool]


def _any(use: Use, thing: Thing) -> bool:
    return True


def _sees(use: Use, thing: Thing) -> bool:
    return use.sees(thing.attnums)


def _gives(use: Use, thing: Thing) -> bool:
    """It stores values in one of the columns."""
    return use.writes and (use.vague or not use.set.isdisjoint(thing.attnums))


def _omits(use: Use, thing: Thing) -> bool:
    """It makes rows without a value for the column (which may be a new one)."""
    if not thing.attnums:
        return use.inserts and thing.change.object not in use.shape.keys
    return any(use.omits(attnum) for attnum in thing.attnums)


def _must_give(use: Use, thing: Thing) -> bool:
    """It may store a NULL: by leaving out a column that does not fill itself, or by sending one."""
    return _gives(use, thing) or (not thing.filled and _omits(use, thing))


def _gives_or_omits(use: Use, thing: Thing) -> bool:
    return _gives(use, thing) or _omits(use, thing)


def _checked(use: Use, thing: Thing) -> bool:
    """It stores rows that the constraint looks at."""
    return use.inserts or _gives(use, thing) or (use.writes and not thing.attnums)


def _conflicts(use: Use, thing: Thing) -> bool:
    return use.shape.operation == "upsert"


def _keyed(use: Use, thing: Thing) -> bool:
    return _conflicts(use, thing) or _gives(use, thing)


def _reads(use: Use, thing: Thing) -> bool:
    return use.shape.operation == "select"


def _writes(use: Use, thing: Thing) -> bool:
    return use.writes or use.shape.operation == "delete"


def _by_grantee(use: Use, thing: Thing) -> bool:
    return thing.change.object in ("public", use.shape.role)


FELT: dict[str, Felt] = {
    "table_removed": _any,
    "table_renamed": _any,
    "table_replaced": _any,
    "column_removed": _sees,
    "column_renamed": _sees,
    "type_changed": _sees,
    "type_widened": _sees,
    "not_null_set": _must_give,
    "not_null_dropped": _sees,
    "required_column_added": _omits,
    "default_added": _omits,
    "default_changed": _omits,
    "default_removed": _omits,
    "required_default_removed": _omits,
    "generation_changed": _gives_or_omits,
    "primary_key_changed": _keyed,
    "unique_added": _checked,
    "unique_removed": _conflicts,
    "index_removed": _sees,
    "foreign_key_added": _checked,
    "foreign_key_changed": _checked,
    "foreign_key_removed": _reads,
    "check_added": _checked,
    "check_changed": _checked,
    "exclusion_added": _checked,
    "exclusion_changed": _checked,
    "row_security_off": _any,
    "row_security_on": _any,
    "row_security_on_without_policy": _any,
    "row_security_forced": _any,
    "row_security_unforced": _any,
    "policy_opened": _any,
    "policy_added": _any,
    "policy_restricted": _any,
    "policy_changed": _any,
    "policy_removed": _any,
    "grant_opened": _by_grantee,
    "grant_added": _by_grantee,
    "grant_removed": _by_grantee,
    "trigger_added": _writes,
    "trigger_changed": _writes,
    "trigger_removed": _writes,
    "writes_lost": _writes,
    "enum_removed": _sees,
    "label_added": _sees,
    "label_renamed": _sees,
    "label_removed": _sees,
}
