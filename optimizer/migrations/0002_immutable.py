"""Revisions and decisions may be added, never changed or removed, whoever tries."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

FORBID = """
CREATE FUNCTION optimizer_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON optimizer_revision
    FOR EACH ROW EXECUTE FUNCTION optimizer_is_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON optimizer_decision
    FOR EACH ROW EXECUTE FUNCTION optimizer_is_append_only();
"""
ALLOW = """
DROP TRIGGER append_only ON optimizer_revision;
DROP TRIGGER append_only ON optimizer_decision;
DROP FUNCTION optimizer_is_append_only()
"""


class Migration(migrations.Migration):
    """The triggers."""

    dependencies: ClassVar = [("optimizer", "0001_initial")]
    operations: ClassVar = [migrations.RunSQL(FORBID, ALLOW)]
