"""Decisions may be added, never changed or removed, whoever tries."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

FORBID = """
CREATE FUNCTION healing_decision_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'decisions are append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON healing_decision
    FOR EACH ROW EXECUTE FUNCTION healing_decision_is_append_only();
"""
ALLOW = "DROP TRIGGER append_only ON healing_decision; DROP FUNCTION healing_decision_is_append_only()"


class Migration(migrations.Migration):
    """The trigger."""

    dependencies: ClassVar = [("healing", "0001_initial")]
    operations: ClassVar = [migrations.RunSQL(FORBID, ALLOW)]
