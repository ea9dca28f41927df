-- Which relations a snapshot holds ($1 = exposed schemas): those of the exposed schemas; the tables under their views, through
-- views of views; and what any of these refers to by foreign key; all functions and enums of the exposed schemas. Never extension
-- members, never our own schema.
member AS MATERIALIZED (
    SELECT objid AS oid FROM pg_depend WHERE classid = 'pg_class'::regclass AND deptype = 'e'
),
eligible AS MATERIALIZED (
    SELECT c.oid, n.nspname = ANY ($1::text[]) AS exposed
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('mendgate', 'pg_catalog', 'information_schema', 'pg_toast')
      AND NOT EXISTS (SELECT FROM member WHERE member.oid = c.oid)
),
under_views (oid) AS (
    SELECT oid FROM eligible WHERE exposed
    UNION
    SELECT e.oid
    FROM under_views v
    JOIN pg_rewrite r ON r.ev_class = v.oid AND r.ev_type = '1'
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
    JOIN eligible e ON e.oid = d.refobjid
),
wanted AS MATERIALIZED (
    SELECT oid FROM under_views
    UNION
    SELECT e.oid
    FROM under_views u
    JOIN pg_constraint f ON f.conrelid = u.oid AND f.contype = 'f'
    JOIN eligible e ON e.oid = f.confrelid
),
asked_functions AS MATERIALIZED (
    SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = ANY ($1::text[])
),
asked_enums AS MATERIALIZED (
    SELECT t.oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'e' AND n.nspname = ANY ($1::text[])
),
seed AS (SELECT oid FROM pg_type WHERE typtype = 'd')
