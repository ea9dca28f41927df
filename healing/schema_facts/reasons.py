"""Why a kind of change is as bad as it is, for people. One line a kind; pure."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "scope_changed": "The target is another database now: things could only be matched by their names.",
    "table_removed": "Every request that names this table fails from now on.",
    "table_renamed": "Requests that use the old name are followed to the new one; a plain Postgres client gets an error.",
    "table_replaced": "The same name means another table now: old rows and rights are gone.",
    "table_added": "Nothing that worked before is touched.",
    "column_removed": "Writes that send this column no longer fit, and answers no longer hold it.",
    "column_renamed": "Requests that use the old name are followed to the new one; answers to old requests keep the old name.",
    "column_added": "Nothing that worked before is touched; answers hold one more field.",
    "required_column_added": "Inserts that leave it out, as all old callers do, fail.",
    "type_changed": "Values that fitted before may not fit now, and answers hold another type.",
    "type_widened": "Every value that fitted before still fits; answers may hold larger ones.",
    "not_null_set": "Writes that leave it out or send null fail.",
    "not_null_dropped": "Answers may hold null where old readers never saw one.",
    "default_added": "Rows written without this column hold a value now.",
    "default_changed": "Rows written without this column hold another value than before.",
    "default_removed": "Rows written without this column hold null now.",
    "required_default_removed": "Inserts that leave it out were filled by the default; now they fail.",
    "generation_changed": "Who may write this column changed: values that callers send may be refused.",
    "index_added": "Nothing that worked before is touched; writes cost a little more.",
    "index_removed": "Requests that were quick through it may be slow.",
    "primary_key_changed": "Upserts and links that rely on the key may fail or hit other rows.",
    "unique_added": "Rows that repeat these values are refused.",
    "unique_removed": "Upserts that name it in on_conflict fail, and doubles may come in.",
    "foreign_key_added": "Rows whose parent does not exist are refused.",
    "foreign_key_changed": "What a row may point at, or what follows when its parent goes, changed.",
    "foreign_key_removed": "Embedding through it ends, and rows may lose their parent.",
    "check_added": "Values outside the check are refused.",
    "check_changed": "Values that passed the old check may not pass the new one.",
    "check_loosened": "Every value that passed before still passes.",
    "check_removed": "Values that were refused before come in now.",
    "exclusion_added": "Rows that overlap are refused.",
    "exclusion_changed": "Other rows than before are refused.",
    "exclusion_removed": "Rows that were refused before come in now.",
    "constraint_renamed": "Only errors are worded differently.",
    "row_security_off": "Security: rows that policies hid are open to everyone who may read the table.",
    "row_security_on": "Callers see and write only what policies allow.",
    "row_security_on_without_policy": "Nobody but the owner sees or writes any row: every caller's requests come back empty or fail.",
    "row_security_forced": "The owner is bound by the policies too.",
    "row_security_unforced": "Security: the owner is no longer bound by the policies.",
    "policy_opened": "Security: anybody on the internet may match this policy.",
    "policy_added": "Security: more or fewer rows may be reached.",
    "policy_changed": "Security: other rows than before may be reached.",
    "policy_removed": "Security: rows that were reached through it may be out of reach.",
    "policy_restricted": "Security: callers may reach fewer rows than before.",
    "monitor_disabled": "Our event triggers were disabled: who changes what is not known any more, and changes are found later.",
    "monitor_removed": "Our event triggers are gone: who changes what is not known any more, and changes are found later.",
    "monitor_on": "Changes are logged again, with who made them.",
    "grant_opened": "Security: anybody on the internet holds this right now.",
    "grant_added": "Security: one more role may do this.",
    "grant_removed": "A role lost a right: its requests are refused.",
    "trigger_added": "Postgres may change or refuse what is written.",
    "trigger_changed": "Postgres may change or refuse what is written in another way.",
    "trigger_removed": "What the trigger filled in or refused, it no longer does.",
    "writes_lost": "Writes that this view took are refused now.",
    "writes_gained": "It takes writes that it refused before.",
    "comment_changed": "Words only; nothing behaves differently.",
    "enum_added": "Nothing that worked before is touched.",
    "enum_removed": "The type is gone; columns that had it changed or went with it.",
    "enum_renamed": "The values stay the same.",
    "label_added": "Answers may hold a value that old readers do not know.",
    "label_renamed": "Writes with the old label are followed to the new one; answers hold the new one.",
    "label_removed": "Writes with this label no longer fit.",
    "function_added": "Nothing that worked before is touched.",
    "function_removed": "Calls of it fail.",
    "function_changed": "Calls may fail or come back in another form.",
    "function_renamed": "Calls under the old name fail.",
}


def reason(kind: str) -> str:
    """A sentence; a kind without one is described by its words."""
    return REASONS.get(kind, f"This kind of change ({kind.replace('_', ' ')}) may matter to callers.")


def breaks(writers: bool, readers: bool) -> str:
    """Whom it may break, in a few words."""
    if writers and readers:
        return "old writers and old readers may fail"
    if writers:
        return "old writers may fail"
    return "old readers may be surprised" if readers else "breaks nobody"
