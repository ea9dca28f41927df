"""Four eyes and agreements are about people, not names: whoever wrote a fix stays its author under a new name. A rule without a click is
never what a person wrote."""

from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

WRITTEN = """
UPDATE healing_proposal p SET written_by_id = u.id FROM auth_user u WHERE p.source = 'person' AND p.author = u.username;
UPDATE healing_rule SET reversals_known = reversals WHERE state = 'active';
"""

APPROVALS = """
CREATE FUNCTION healing_author_is_not_approver() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.four_eyes AND EXISTS (SELECT FROM healing_proposal WHERE id = NEW.proposal_id AND written_by_id = NEW.approver_id) THEN
        RAISE EXCEPTION 'the person who wrote a fix is not the one who approves it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'author_is_not_approver';
    END IF;
    RETURN NEW;
END
$$;
-- after "true_approval", which fills in four_eyes: triggers run in the order of their names
CREATE TRIGGER true_author BEFORE INSERT OR UPDATE ON healing_approval FOR EACH ROW EXECUTE FUNCTION healing_author_is_not_approver();
"""
NO_APPROVALS = "DROP TRIGGER true_author ON healing_approval; DROP FUNCTION healing_author_is_not_approver()"

RULES = """
CREATE OR REPLACE FUNCTION healing_rule_is_decided() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    eyes boolean; wanted int; had int; facts text[] := ARRAY['successes', 'failures', 'reversals', 'last_used_at', 'why', 'proof'];
BEGIN
    IF NEW.state <> 'active' THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - facts = to_jsonb(OLD) - facts THEN
        RETURN NEW;  -- it was active, and only what is counted about it changes
    END IF;
    IF NEW.certified_at IS NOT NULL AND NEW.approved_by_id IS NULL THEN
        IF NOT EXISTS (SELECT FROM healing_policy p WHERE p.auto_certify AND p.key_id IS NULL
                AND p."table" = NEW."table" AND p.schema IN ('', NEW.schema)) THEN
            RAISE EXCEPTION 'no policy of %.% asks for rules by themselves', NEW.schema, NEW."table"
                USING ERRCODE = 'check_violation', CONSTRAINT = 'certified_rules_are_asked_for';
        END IF;
        IF NEW.reversals > 0 OR EXISTS (SELECT FROM jsonb_array_elements(NEW.fix) op WHERE op->>'op' NOT IN
                ('rename_column', 'rename_table', 'cast', 'map_value', 'rescue', 'split_batch')) THEN
            RAISE EXCEPTION 'a fix that loses something, or was taken back, is for a person'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'certified_rules_are_exact';
        END IF;
        IF NEW.source = 'person' THEN
            RAISE EXCEPTION 'a fix that a person wrote is for people'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'certified_rules_are_found';
        END IF;
        RETURN NEW;
    END IF;
    SELECT four_eyes, people INTO eyes, wanted FROM healing_reviewrules;
    IF NOT coalesce(eyes, false) AND coalesce(wanted, 1) <= 1 THEN
        RETURN NEW;
    END IF;
    SELECT count(DISTINCT a.approver_id) INTO had
    FROM healing_approval a JOIN healing_proposal p ON p.id = a.proposal_id
    WHERE a.revoked_at IS NULL AND p.schema = NEW.schema AND p."table" = NEW."table" AND p.signature = NEW.signature
        AND p.fix = NEW.fix
        AND (NOT eyes OR (a.approver_name NOT IN (p.author, NEW.author) AND a.approver_id IS DISTINCT FROM p.written_by_id));
    IF had < wanted THEN
        RAISE EXCEPTION '% of % people approved this fix%', had, wanted, CASE WHEN eyes THEN ' (its author does not count)' ELSE '' END
            USING ERRCODE = 'check_violation', CONSTRAINT = 'rules_have_enough_people';
    END IF;
    RETURN NEW;
END
$$;
"""


class Migration(migrations.Migration):
    """Columns, then what holds them."""

    dependencies: ClassVar = [
        ("healing", "0017_people_agree_to_run"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: ClassVar = [
        migrations.AddField(
            model_name="proposal",
            name="written_by",
            field=models.ForeignKey(
                blank=True, help_text="The same person, whatever the name is now.", null=True,
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL,
            ),
        ),  # fmt: skip
        migrations.AddField(
            model_name="rule",
            name="reversals_known",
            field=models.PositiveIntegerField(default=0, editable=False, help_text="Those that a person knew of who approved it."),
        ),
        migrations.AddField(
            model_name="schemafix",
            name="agreed_ids",
            field=models.JSONField(default=list, help_text="The same people, whatever their names are now."),
        ),
        migrations.RunSQL(WRITTEN, migrations.RunSQL.noop),
        migrations.RunSQL(APPROVALS, NO_APPROVALS),
        migrations.RunSQL(RULES, migrations.RunSQL.noop),
    ]
