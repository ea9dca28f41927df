-- The enums that are asked for, and those that wanted relations or asked functions use, as JSON in the shape of snapshot.EnumType.
SELECT 'enum', json_build_object(
           'oid', t.oid::int8,
           'schema', n.nspname,
           'name', t.typname,
           'labels', (SELECT coalesce(json_agg(json_build_object('oid', e.oid::int8, 'name', e.enumlabel) ORDER BY e.enumsortorder), '[]') FROM pg_enum e WHERE e.enumtypid = t.oid)
       )::text, NULL, NULL
FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'e'
  AND (t.oid IN (SELECT oid FROM asked_enums) OR t.oid IN (
      SELECT coalesce(ed.base, el.oid, b.oid)
      FROM (
          SELECT a.atttypid FROM wanted JOIN pg_attribute a ON a.attrelid = wanted.oid AND a.attnum > 0 AND NOT a.attisdropped
          UNION
          SELECT unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) FROM asked_functions JOIN pg_proc p ON p.oid = asked_functions.oid
      ) used (oid)
      LEFT JOIN bottom d ON d.oid = used.oid
      JOIN pg_type b ON b.oid = coalesce(d.base, used.oid)
      LEFT JOIN pg_type el ON el.oid = b.typelem AND b.typcategory = 'A'
      LEFT JOIN bottom ed ON ed.oid = el.oid
  ))
  AND n.nspname NOT IN ('mendgate', 'pg_catalog', 'information_schema')
  AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_type'::regclass AND x.objid = t.oid AND x.deptype = 'e')
