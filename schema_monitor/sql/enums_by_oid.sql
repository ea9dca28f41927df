-- Some enums ($1 = oids) as JSON in the shape of snapshot.EnumType.
SELECT json_build_object(
           'oid', t.oid::int8,
           'schema', n.nspname,
           'name', t.typname,
           'labels', (SELECT coalesce(json_agg(json_build_object('oid', e.oid::int8, 'name', e.enumlabel) ORDER BY e.enumsortorder), '[]') FROM pg_enum e WHERE e.enumtypid = t.oid)
       )::text AS body
FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'e' AND t.oid = ANY ($1::oid[])
