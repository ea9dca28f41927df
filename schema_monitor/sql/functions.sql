-- Of the functions that are asked for those that a caller could name, as JSON in the shape of snapshot.Function.
SELECT 'function', json_build_object(
           'oid', p.oid::int8,
           'schema', n.nspname,
           'name', p.proname,
           'arguments', coalesce(args.list, '[]'),
           'returns', format_type(p.prorettype, NULL),
           'returns_set', p.proretset,
           'returns_relation', (SELECT rc.oid::int8 FROM pg_class rc WHERE rc.oid = rt.typrelid AND rc.relkind IN ('r', 'p', 'v', 'm', 'f')),
           'returns_composite', rt.typtype = 'c',
           'volatility', p.provolatile
       )::text, NULL, NULL
FROM asked_functions
JOIN pg_proc p ON p.oid = asked_functions.oid
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_type rt ON rt.oid = p.prorettype
LEFT JOIN LATERAL (
    SELECT json_agg(json_build_object(
               'name', coalesce(p.proargnames[x.at], ''),
               'type', format_type(x.type, NULL),
               'base', s.typname,
               'mode', x.mode,
               'has_default', x.mode IN ('i', 'b', 'v') AND x.input > p.pronargs - p.pronargdefaults
           ) ORDER BY x.at) AS list
    FROM (
        SELECT u.at, u.type, coalesce(p.proargmodes[u.at], 'i') AS mode,
               count(*) FILTER (WHERE coalesce(p.proargmodes[u.at], 'i') IN ('i', 'b', 'v')) OVER (ORDER BY u.at) AS input
        FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY u (type, at)
    ) x
    LEFT JOIN bottom d ON d.oid = x.type
    JOIN pg_type b ON b.oid = coalesce(d.base, x.type)
    LEFT JOIN pg_type el ON el.oid = b.typelem AND b.typcategory = 'A'
    LEFT JOIN bottom ed ON ed.oid = el.oid
    JOIN pg_type s ON s.oid = coalesce(ed.base, el.oid, b.oid)
) args ON true
WHERE n.nspname NOT IN ('mendgate', 'pg_catalog', 'information_schema')
  AND p.prokind = 'f'
  AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
  AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_proc'::regclass AND x.objid = p.oid AND x.deptype = 'e')
