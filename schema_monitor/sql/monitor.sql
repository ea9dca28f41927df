-- The DDL log of Mendgate's schema monitor: who changed what, and the names that things had afterwards. Idempotent. Nothing outside
-- schema mendgate is touched but two event triggers; `manage.py remove_monitor` takes everything away again.
--
-- A user's DDL never fails and hardly waits because of this: every fault becomes a WARNING, a lock on the log is waited for 100 ms at
-- most, rows are only inserted (no hot row), and nothing notifies where PREPARE TRANSACTION is possible (it fails after a NOTIFY).
--
-- The functions are SECURITY DEFINER: every role that runs DDL writes the log, and none has any right on it, so nobody can forge a
-- name. They therefore run as whoever installs this, often a superuser. So: search_path is pinned, no dynamic SQL, no function of
-- anyone else; and schema mendgate must belong to the installer, for the owner of a schema could put another table (with a trigger)
-- in the log's place.
--
-- The triggers are dropped first and made last, so that none of this is noted; all in one transaction, so others miss nothing.
DROP EVENT TRIGGER IF EXISTS mendgate_ddl;
DROP EVENT TRIGGER IF EXISTS mendgate_drop;
CREATE SCHEMA IF NOT EXISTS mendgate;
DO $$
DECLARE
    former name := (SELECT rolname FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner WHERE nspname = 'mendgate');
BEGIN
    IF former <> current_user THEN
        ALTER SCHEMA mendgate OWNER TO CURRENT_USER;
        EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA mendgate TO %I', former);
    END IF;
    -- What stands under our names but is not ours was put there by somebody else.
    IF EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass('mendgate.ddl_log') AND c.relowner <> current_user::pg_catalog.regrole)
       OR EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'mendgate'::pg_catalog.regnamespace AND p.proowner <> current_user::pg_catalog.regrole) THEN
        RAISE insufficient_privilege USING MESSAGE = 'schema mendgate holds a DDL log or functions of another role';
    END IF;
    -- A log that was altered takes no entries and cannot be read: what is in it is lost already.
    IF (SELECT count(*) FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = pg_catalog.to_regclass('mendgate.ddl_log') AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attname IN ('id', 'xid', 'at', 'system', 'database', 'tag', 'classid', 'objid', 'objsubid', 'otype', 'ident', 'dropped', 'usr', 'app', 'names')) < 15 THEN
        DROP TABLE IF EXISTS mendgate.ddl_log;
    END IF;
END
$$;
REVOKE ALL ON SCHEMA mendgate FROM PUBLIC;

CREATE TABLE IF NOT EXISTS mendgate.ddl_log (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid      xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    system   text NOT NULL,
    database oid NOT NULL,
    tag      text NOT NULL,
    classid  oid,
    objid    oid,
    objsubid integer,
    otype    text,
    ident    text,
    dropped  boolean NOT NULL DEFAULT false,
    usr      text NOT NULL,
    app      text,
    names    jsonb
);
COMMENT ON TABLE mendgate.ddl_log IS 'One row for each object that a DDL command touched. names: {"relations": {oid: {schema, name, columns: {attnum: name}}}, "enums": {oid: {schema, name, labels: {oid: name}}}} as after the command; of dropped things what they were called. Oids mean something in (system, database) only.';
CREATE INDEX IF NOT EXISTS ddl_log_xid ON mendgate.ddl_log (xid);
CREATE INDEX IF NOT EXISTS ddl_log_at ON mendgate.ddl_log (at);

-- Nobody else may change the log or make anything beside it, whatever default privileges say.
DO $$
DECLARE
    other record;
BEGIN
    FOR other IN
        SELECT DISTINCT coalesce(quote_ident(r.rolname), 'PUBLIC') AS name
        FROM pg_catalog.pg_namespace n
        CROSS JOIN LATERAL (SELECT * FROM pg_catalog.aclexplode(n.nspacl)
                            UNION ALL
                            SELECT a.* FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a WHERE c.oid = 'mendgate.ddl_log'::pg_catalog.regclass) a
        LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
        WHERE n.nspname = 'mendgate' AND a.grantee <> n.nspowner
    LOOP
        EXECUTE pg_catalog.format('REVOKE CREATE ON SCHEMA mendgate FROM %s', other.name);
        EXECUTE pg_catalog.format('REVOKE ALL ON mendgate.ddl_log FROM %s', other.name);
    END LOOP;
END
$$;

-- Relations, and all that inherit from them (a column is renamed in these too), as they are now.
CREATE OR REPLACE FUNCTION mendgate.relation_names(touched oid[]) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN  -- plpgsql, for it keeps the plan
    RETURN (
        WITH RECURSIVE family (oid) AS (
            SELECT unnest(touched)
            UNION
            SELECT i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.oid
        )
        SELECT jsonb_build_object('relations', jsonb_object_agg(c.oid::text, jsonb_build_object(
                   'schema', n.nspname,
                   'name', c.relname,
                   'columns', (SELECT coalesce(jsonb_object_agg(a.attnum::text, a.attname), '{}') FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
               )))
        FROM family f
        JOIN pg_class c ON c.oid = f.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        JOIN pg_namespace n ON n.oid = c.relnamespace
        HAVING count(*) > 0
    );
END
$$;

-- The names of what a command touched; null where no relation or enum is concerned.
CREATE OR REPLACE FUNCTION mendgate.names_after(class oid, object oid) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    CASE class
        WHEN 'pg_class'::regclass THEN
            RETURN mendgate.relation_names(ARRAY[coalesce((SELECT indrelid FROM pg_index WHERE indexrelid = object), object)]
                || CASE WHEN (SELECT relkind FROM pg_class WHERE oid = object) = 'c'  -- tables OF that type
                   THEN ARRAY(SELECT t.oid FROM pg_class t JOIN pg_type y ON y.oid = t.reloftype WHERE y.typrelid = object) END);
        WHEN 'pg_constraint'::regclass THEN
            RETURN mendgate.relation_names(ARRAY(SELECT conrelid FROM pg_constraint WHERE oid = object));
        WHEN 'pg_policy'::regclass THEN
            RETURN mendgate.relation_names(ARRAY(SELECT polrelid FROM pg_policy WHERE oid = object));
        WHEN 'pg_trigger'::regclass THEN
            RETURN mendgate.relation_names(ARRAY(SELECT tgrelid FROM pg_trigger WHERE oid = object));
        WHEN 'pg_rewrite'::regclass THEN
            RETURN mendgate.relation_names(ARRAY(SELECT ev_class FROM pg_rewrite WHERE oid = object));
        WHEN 'pg_namespace'::regclass THEN
            RETURN (SELECT jsonb_build_object('relations', jsonb_object_agg(c.oid::text, jsonb_build_object('schema', n.nspname, 'name', c.relname, 'columns', '{}'::jsonb)))
                    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.oid = object AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
                    HAVING count(*) > 0);
        WHEN 'pg_type'::regclass THEN
            RETURN coalesce(
                (SELECT jsonb_build_object('enums', jsonb_object_agg(t.oid::text, jsonb_build_object(
                            'schema', n.nspname,
                            'name', t.typname,
                            'labels', (SELECT coalesce(jsonb_object_agg(e.oid::text, e.enumlabel), '{}') FROM pg_enum e WHERE e.enumtypid = t.oid))))
                 FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
                 WHERE t.oid = object AND t.typtype = 'e'
                 HAVING count(*) > 0),
                mendgate.relation_names(ARRAY(SELECT c.oid FROM pg_class c WHERE c.reloftype = object)));
        ELSE
            RETURN NULL;
    END CASE;
END
$$;

-- What something dropped was called: a relation, a column, an enum; or the living relation that a constraint, policy, trigger, rule or
-- default was dropped from.
CREATE OR REPLACE FUNCTION mendgate.names_before(class oid, object oid, sub integer, kind text, address text[]) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF kind IN ('table', 'view', 'materialized view', 'foreign table', 'table column', 'view column', 'materialized view column', 'foreign table column') THEN
        RETURN jsonb_build_object('relations', jsonb_build_object(object::text, jsonb_build_object(
            'schema', address[1],
            'name', address[2],
            'columns', CASE WHEN sub = 0 THEN '{}'::jsonb ELSE jsonb_build_object(sub::text, address[3]) END)));
    ELSIF kind IN ('table constraint', 'policy', 'trigger', 'rule', 'default value') THEN
        RETURN mendgate.relation_names(ARRAY[to_regclass(quote_ident(address[1]) || '.' || quote_ident(address[2]))::oid]);
    ELSE
        RETURN NULL;
    END IF;
END
$$;

-- Appends one row to the log, and rings.
CREATE OR REPLACE FUNCTION mendgate.note(tag text, class oid, object oid, sub integer, kind text, ident text, dropped boolean, names jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place text := 'unknown';
BEGIN
    IF has_function_privilege('pg_control_system()', 'execute') THEN
        place := (SELECT system_identifier::text FROM pg_control_system());
    END IF;
    INSERT INTO mendgate.ddl_log (system, database, tag, classid, objid, objsubid, otype, ident, dropped, usr, app, names)
    VALUES (place, (SELECT oid FROM pg_database WHERE datname = current_database()), tag, class, object, sub, kind, ident, dropped,
            coalesce(nullif(current_setting('role'), 'none'), session_user), nullif(current_setting('application_name'), ''), names);
    PERFORM mendgate.ring();
END
$$;

-- Tells listeners; Postgres sends equal notifications of a transaction once. Not where the user might PREPARE it, unless `ALTER DATABASE … SET mendgate.notify = 'on'`;
-- never with 'off', nor while some stuck listener lets the queue fill up (a full queue would fail the user's commit).
CREATE OR REPLACE FUNCTION mendgate.ring() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wish text := coalesce(nullif(current_setting('mendgate.notify', true), ''),
                          CASE current_setting('max_prepared_transactions') WHEN '0' THEN 'on' ELSE 'off' END);
BEGIN
    IF wish = 'on' AND pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify('mendgate_ddl', '');
    END IF;
END
$$;

-- Commands that make or alter something.
CREATE OR REPLACE FUNCTION mendgate.on_ddl() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
    seen record;
BEGIN
    FOR seen IN
        SELECT * FROM pg_event_trigger_ddl_commands()
        WHERE NOT in_extension
          AND (coalesce(schema_name, '') NOT IN ('pg_temp', 'mendgate') OR object_identity = 'mendgate.canary')
          AND NOT (object_type = 'schema' AND object_identity = 'mendgate')
          AND command_tag NOT IN ('REFRESH MATERIALIZED VIEW', 'REINDEX')
    LOOP
        PERFORM mendgate.note(seen.command_tag, seen.classid, seen.objid, seen.objsubid, seen.object_type, seen.object_identity,
                              false, mendgate.names_after(seen.classid, seen.objid));
    END LOOP;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'mendgate did not note this change of the schema: % (%)', SQLERRM, SQLSTATE;
END
$$;

-- Everything that goes away: only here is it told.
CREATE OR REPLACE FUNCTION mendgate.on_drop() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
    gone  record;
    names jsonb;
BEGIN
    FOR gone IN
        SELECT * FROM pg_event_trigger_dropped_objects()
        WHERE NOT is_temporary
          AND coalesce(schema_name, '') NOT IN ('pg_temp', 'pg_toast', 'mendgate')
          AND coalesce(address_names[1], '') <> 'mendgate'
          AND (original OR object_type IN ('table', 'view', 'materialized view', 'foreign table', 'table column', 'view column',
                                           'materialized view column', 'foreign table column', 'table constraint', 'policy',
                                           'trigger', 'rule', 'default value', 'function', 'index', 'schema'))
    LOOP
        names := mendgate.names_before(gone.classid, gone.objid, gone.objsubid, gone.object_type, gone.address_names);
        -- Parts of a table that is dropped itself say nothing new.
        CONTINUE WHEN names IS NULL AND NOT gone.original AND gone.object_type <> 'function';
        PERFORM mendgate.note(TG_TAG, gone.classid, gone.objid, gone.objsubid, gone.object_type, gone.object_identity, true, names);
    END LOOP;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'mendgate did not note this change of the schema: % (%)', SQLERRM, SQLSTATE;
END
$$;

-- A change of the schema that changes nothing, to see whether it is seen: a table that comes and goes. Its transaction.
CREATE OR REPLACE FUNCTION mendgate.canary() RETURNS xid8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
BEGIN
    CREATE TABLE mendgate.canary ();
    DROP TABLE mendgate.canary;
    RETURN pg_current_xact_id();
END
$$;

REVOKE ALL ON FUNCTION mendgate.canary(), mendgate.relation_names(oid[]), mendgate.names_after(oid, oid), mendgate.names_before(oid, oid, integer, text, text[]),
    mendgate.note(text, oid, oid, integer, text, text, boolean, jsonb), mendgate.ring(), mendgate.on_ddl(), mendgate.on_drop() FROM PUBLIC;

-- The login that captures: mendgate.reader, set for this transaction by the installer.
DO $$
DECLARE
    reader text := nullif(pg_catalog.current_setting('mendgate.reader', true), '');
BEGIN
    IF reader IS NOT NULL THEN
        EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA mendgate TO %I', reader);
        EXECUTE pg_catalog.format('GRANT SELECT, DELETE ON mendgate.ddl_log TO %I', reader);
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION mendgate.canary() TO %I', reader);
    END IF;
END
$$;

-- ALWAYS: a session_replication_role of replica hides nothing.
CREATE EVENT TRIGGER mendgate_ddl ON ddl_command_end EXECUTE FUNCTION mendgate.on_ddl();
ALTER EVENT TRIGGER mendgate_ddl ENABLE ALWAYS;
CREATE EVENT TRIGGER mendgate_drop ON sql_drop EXECUTE FUNCTION mendgate.on_drop();
ALTER EVENT TRIGGER mendgate_drop ENABLE ALWAYS;
