"""How bad each kind of change is, and for whom. One row a kind; the traffic that a change hits may move it by one step elsewhere.

``writers``: requests that fitted the old schema may fail or mean another thing. ``readers``: answers may lack what an old reader
expects, or hold what it does not know.
"""

from __future__ import annotations

from typing import NamedTuple

LEVELS = ("low", "medium", "high", "critical")


class Weight(NamedTuple):
    """What a kind of change does."""

    severity: str
    writers: bool = False
    readers: bool = False


WEIGHTS: dict[str, Weight] = {
    "scope_changed": Weight("high"),
    "monitor_disabled": Weight("critical"),  # who changes what is not known any more
    "monitor_removed": Weight("critical"),
    "monitor_on": Weight("low"),
    "table_removed": Weight("critical", writers=True, readers=True),
    "table_renamed": Weight("high", writers=True, readers=True),
    "table_replaced": Weight("high", writers=True, readers=True),
    "table_added": Weight("low"),
    "column_removed": Weight("critical", writers=True, readers=True),
    "column_renamed": Weight("high", writers=True, readers=True),
    "column_added": Weight("low"),
    "required_column_added": Weight("critical", writers=True),
    "type_changed": Weight("critical", writers=True, readers=True),
    "type_widened": Weight("medium"),
    "not_null_set": Weight("high", writers=True),
    "not_null_dropped": Weight("medium", readers=True),
    "default_added": Weight("medium"),
    "default_changed": Weight("medium"),
    "default_removed": Weight("medium"),
    "required_default_removed": Weight("critical", writers=True),
    "generation_changed": Weight("high", writers=True),
    "primary_key_changed": Weight("critical", writers=True),
    "unique_added": Weight("high", writers=True),
    "unique_removed": Weight("high", writers=True),  # ON CONFLICT that named it fails
    "index_added": Weight("low"),
    "index_removed": Weight("medium"),
    "foreign_key_added": Weight("high", writers=True),
    "foreign_key_changed": Weight("high", writers=True),
    "foreign_key_removed": Weight("medium", readers=True),  # embedding went through it
    "check_added": Weight("high", writers=True),
    "check_changed": Weight("high", writers=True),
    "check_loosened": Weight("medium"),
    "check_removed": Weight("medium"),
    "exclusion_added": Weight("high", writers=True),
    "exclusion_changed": Weight("high", writers=True),
    "exclusion_removed": Weight("medium"),
    "constraint_renamed": Weight("low"),
    "row_security_off": Weight("critical"),
    "row_security_on": Weight("high", writers=True, readers=True),
    "row_security_on_without_policy": Weight("critical", writers=True, readers=True),
    "row_security_forced": Weight("high", writers=True, readers=True),
    "row_security_unforced": Weight("high"),
    "policy_opened": Weight("critical"),
    "policy_added": Weight("high"),
    "policy_restricted": Weight("high", writers=True, readers=True),
    "policy_changed": Weight("high", writers=True, readers=True),
    "policy_removed": Weight("high", writers=True, readers=True),
    "grant_opened": Weight("critical"),
    "grant_added": Weight("medium"),
    "grant_removed": Weight("high", writers=True, readers=True),
    "trigger_added": Weight("medium"),
    "trigger_changed": Weight("medium"),
    "trigger_removed": Weight("medium"),
    "writes_lost": Weight("high", writers=True),
    "writes_gained": Weight("low"),
    "comment_changed": Weight("low"),
    "enum_added": Weight("low"),
    "enum_removed": Weight("medium"),
    "enum_renamed": Weight("low"),
    "label_added": Weight("medium", readers=True),
    "label_renamed": Weight("high", writers=True, readers=True),
    "label_removed": Weight("critical", writers=True, readers=True),
    "function_added": Weight("low"),
    "function_removed": Weight("high", writers=True, readers=True),
    "function_changed": Weight("high", writers=True, readers=True),
    "function_renamed": Weight("high", writers=True, readers=True),
}
INFERRED_RENAME = Weight("critical", writers=True, readers=True)
"""A rename that no exact lineage covers: the old name has no alias."""
