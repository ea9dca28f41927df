"""What no door may go round, held by the database itself:

- decisions form one chain without gaps, and are not emptied away either
- an approval says truly whose fix it is about, and is never changed, only taken back
- a rule is active only with enough different people behind exactly its fix, the author not among them where four eyes are asked for;
  or by evidence, where its table asked for that and the fix is exact
"""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

CHAIN = """
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON healing_decision
    FOR EACH STATEMENT EXECUTE FUNCTION healing_decision_is_append_only();

CREATE FUNCTION healing_decision_is_chained() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE last record;
BEGIN
    PERFORM pg_advisory_xact_lock(1835491701);  -- one writer at a time (healing/audit.py)
    SELECT number, hash INTO last FROM healing_decision ORDER BY number DESC LIMIT 1;
    IF NEW.number <> coalesce(last.number, 0) + 1 OR NEW.prev_hash <> coalesce(last.hash, '') THEN
        RAISE EXCEPTION 'decision % does not follow decision %', NEW.number, coalesce(last.number, 0)
            USING ERRCODE = 'check_violation', CONSTRAINT = 'decisions_are_one_chain';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER chained BEFORE INSERT ON healing_decision FOR EACH ROW EXECUTE FUNCTION healing_decision_is_chained();
"""
UNCHAIN = """
DROP TRIGGER chained ON healing_decision; DROP FUNCTION healing_decision_is_chained();
DROP TRIGGER never_emptied ON healing_decision;
"""

APPROVALS = """
CREATE FUNCTION healing_approval_is_true() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT author INTO NEW.author FROM healing_proposal WHERE id = NEW.proposal_id;
        SELECT username INTO NEW.approver_name FROM auth_user WHERE id = NEW.approver_id;
        NEW.four_eyes := coalesce((SELECT four_eyes FROM healing_reviewrules), false);
        NEW.author := coalesce(NEW.author, '');
        NEW.approver_name := coalesce(NEW.approver_name, '');
    ELSIF OLD.revoked_at IS NOT NULL
        OR to_jsonb(NEW) - ARRAY['revoked_at', 'why_revoked'] <> to_jsonb(OLD) - ARRAY['revoked_at', 'why_revoked'] THEN
        RAISE EXCEPTION 'an approval can be taken back, once, and not be changed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER true_approval BEFORE INSERT OR UPDATE ON healing_approval FOR EACH ROW EXECUTE FUNCTION healing_approval_is_true();
"""
NO_APPROVALS = "DROP TRIGGER true_approval ON healing_approval; DROP FUNCTION healing_approval_is_true()"

RULES = """
CREATE FUNCTION healing_rule_is_decided() RETURNS trigger LANGUAGE plpgsql AS $$
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
        RETURN NEW;
    END IF;
    SELECT four_eyes, people INTO eyes, wanted FROM healing_reviewrules;
    IF NOT coalesce(eyes, false) AND coalesce(wanted, 1) <= 1 THEN
        RETURN NEW;
    END IF;
    SELECT count(DISTINCT a.approver_id) INTO had
    FROM healing_approval a JOIN healing_proposal p ON p.id = a.proposal_id
    WHERE a.revoked_at IS NULL AND p.schema = NEW.schema AND p."table" = NEW."table" AND p.signature = NEW.signature
        AND p.fix = NEW.fix AND (NOT eyes OR a.approver_name NOT IN (p.author, NEW.author));
    IF had < wanted THEN
        RAISE EXCEPTION '% of % people approved this fix%', had, wanted, CASE WHEN eyes THEN ' (its author does not count)' ELSE '' END
            USING ERRCODE = 'check_violation', CONSTRAINT = 'rules_have_enough_people';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER decided BEFORE INSERT OR UPDATE ON healing_rule FOR EACH ROW EXECUTE FUNCTION healing_rule_is_decided();
"""
NO_RULES = "DROP TRIGGER decided ON healing_rule; DROP FUNCTION healing_rule_is_decided()"


class Migration(migrations.Migration):
    """The triggers."""

    dependencies: ClassVar = [("healing", "0009_review")]
    operations: ClassVar = [migrations.RunSQL(CHAIN, UNCHAIN), migrations.RunSQL(APPROVALS, NO_APPROVALS), migrations.RunSQL(RULES, NO_RULES)]
