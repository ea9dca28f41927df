-- One relation by schema ($1) and name ($2).
wanted AS MATERIALIZED (
    SELECT c.oid
    FROM pg_class c
    WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1::text AND nspname NOT IN ('mendgate', 'pg_catalog', 'information_schema'))
      AND c.relname = $2::text
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND c.relpersistence <> 't'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
),
-- The types of its columns, and what lies below these.
seed (oid) AS (
    SELECT a.atttypid FROM wanted JOIN pg_attribute a ON a.attrelid = wanted.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION
    SELECT below.oid
    FROM seed
    JOIN pg_type t ON t.oid = seed.oid
    CROSS JOIN LATERAL (VALUES (t.typbasetype), (t.typelem)) below (oid)
    WHERE below.oid <> 0
)
