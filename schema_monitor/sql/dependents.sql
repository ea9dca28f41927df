-- Whose description holds a name or a type of these relations ($1, sequences too) or functions ($2): through foreign keys, policies,
-- defaults, checks, triggers, column types, arguments; and the views above them, through views of views. ('relation'|'function', oid).
WITH RECURSIVE things (class, oid) AS (
    SELECT 'pg_class'::regclass::oid, unnest($1::oid[])
    UNION
    SELECT 'pg_proc'::regclass::oid, unnest($2::oid[])
    UNION
    SELECT found.class, found.oid
    FROM things t
    CROSS JOIN LATERAL (
        -- row types, arrays and domains of what is concerned, and the views above it
        SELECT 'pg_type'::regclass::oid AS class, y.oid FROM pg_type y
        WHERE (t.class = 'pg_class'::regclass AND y.oid = (SELECT c.reltype FROM pg_class c WHERE c.oid = t.oid) AND y.oid <> 0)
           OR (t.class = 'pg_type'::regclass AND y.oid = (SELECT e.typarray FROM pg_type e WHERE e.oid = t.oid) AND y.oid <> 0)
        UNION ALL
        SELECT 'pg_type'::regclass::oid, d.objid FROM pg_depend d
        WHERE t.class = 'pg_type'::regclass AND d.refclassid = 'pg_type'::regclass AND d.refobjid = t.oid AND d.classid = 'pg_type'::regclass
        UNION ALL
        SELECT 'pg_class'::regclass::oid, r.ev_class
        FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
        WHERE d.refclassid = t.class AND d.refobjid = t.oid AND d.classid = 'pg_rewrite'::regclass AND r.ev_class <> t.oid
    ) found
)
SELECT DISTINCT found.kind, found.oid::int8
FROM things t
CROSS JOIN LATERAL (
    SELECT 'relation' AS kind, t.oid WHERE t.class = 'pg_class'::regclass
    UNION ALL
    SELECT CASE WHEN d.classid = 'pg_proc'::regclass THEN 'function' ELSE 'relation' END,
           CASE d.classid
               WHEN 'pg_proc'::regclass THEN d.objid
               WHEN 'pg_class'::regclass THEN d.objid
               WHEN 'pg_attrdef'::regclass THEN (SELECT x.adrelid FROM pg_attrdef x WHERE x.oid = d.objid)
               WHEN 'pg_constraint'::regclass THEN (SELECT nullif(x.conrelid, 0) FROM pg_constraint x WHERE x.oid = d.objid)
               WHEN 'pg_policy'::regclass THEN (SELECT x.polrelid FROM pg_policy x WHERE x.oid = d.objid)
               WHEN 'pg_trigger'::regclass THEN (SELECT x.tgrelid FROM pg_trigger x WHERE x.oid = d.objid)
           END
    FROM pg_depend d
    WHERE d.refclassid = t.class AND d.refobjid = t.oid
) found
WHERE found.oid IS NOT NULL
