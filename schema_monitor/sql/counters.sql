-- How often catalog rows were written, as the statistics know it: nearly free, may lag some seconds, moves for temporary tables too.
SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::text AS writes
FROM pg_stat_sys_tables
WHERE schemaname = 'pg_catalog'
  AND relname IN ('pg_namespace', 'pg_class', 'pg_attribute', 'pg_attrdef', 'pg_constraint', 'pg_index', 'pg_type', 'pg_enum',
                  'pg_proc', 'pg_policy', 'pg_trigger', 'pg_rewrite', 'pg_description')
