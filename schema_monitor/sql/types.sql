-- Every domain of the seed with what is below it: base type, modifier, whether any level forbids NULL, the default, all levels.
domains (oid, base, typmod, not_null, preset, levels) AS (
    SELECT t.oid, t.typbasetype, t.typtypmod, t.typnotnull, pg_get_expr(t.typdefaultbin, 0), ARRAY[t.oid]
    FROM seed
    JOIN pg_type t ON t.oid = seed.oid AND t.typtype = 'd'
    UNION ALL
    SELECT d.oid, t.typbasetype, CASE WHEN d.typmod = -1 THEN t.typtypmod ELSE d.typmod END,
           d.not_null OR t.typnotnull, coalesce(d.preset, pg_get_expr(t.typdefaultbin, 0)), d.levels || t.oid
    FROM domains d
    JOIN pg_type t ON t.oid = d.base AND t.typtype = 'd'
),
bottom AS MATERIALIZED (
    SELECT DISTINCT ON (oid) oid, base, typmod, not_null, preset, levels FROM domains ORDER BY oid, cardinality(levels) DESC
),
-- The checks of each domain, its own and those of the levels below.
domain_checks AS MATERIALIZED (
    SELECT b.oid AS domain, con.oid, con.conname AS name, pg_get_constraintdef(con.oid) AS definition
    FROM bottom b
    CROSS JOIN unnest(b.levels) level (oid)
    JOIN pg_constraint con ON con.conrelid = 0 AND con.contypid = level.oid AND con.contype = 'c'
)
