-- Which relations are read after a change: of $2 (oids) those in the exposed schemas ($1), the tables under their views, through
-- views of views, and what any of these refers to by foreign key. As wanted_exposed.sql, but from the changed ones only.
-- $3 = functions, $4 = enums that changed.
changed AS MATERIALIZED (
    SELECT c.oid
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = ANY ($2::oid[]) AND n.nspname = ANY ($1::text[]) AND n.nspname NOT IN ('mendgate', 'pg_catalog', 'information_schema', 'pg_toast')
),
under_views (oid) AS (
    SELECT oid FROM changed
    UNION
    SELECT d.refobjid
    FROM under_views v
    JOIN pg_rewrite r ON r.ev_class = v.oid AND r.ev_type = '1'
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
),
wanted AS MATERIALIZED (
    SELECT c.oid
    FROM (SELECT oid FROM under_views
          UNION
          SELECT f.confrelid FROM under_views u JOIN pg_constraint f ON f.conrelid = u.oid AND f.contype = 'f') found
    JOIN pg_class c ON c.oid = found.oid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('mendgate', 'pg_catalog', 'information_schema', 'pg_toast')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
),
asked_functions AS MATERIALIZED (
    SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = ANY ($3::oid[]) AND n.nspname = ANY ($1::text[])
),
asked_enums AS MATERIALIZED (
    SELECT unnest($4::oid[]) AS oid
),
-- The types of all these, and what lies below them.
seed (oid) AS (
    SELECT a.atttypid FROM wanted JOIN pg_attribute a ON a.attrelid = wanted.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION
    SELECT unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) FROM asked_functions f JOIN pg_proc p ON p.oid = f.oid
    UNION
    SELECT below.oid
    FROM seed
    JOIN pg_type t ON t.oid = seed.oid
    CROSS JOIN LATERAL (VALUES (t.typbasetype), (t.typelem)) below (oid)
    WHERE below.oid <> 0
)
