-- One number over the catalog rows that a snapshot is made of: changes with any DDL that is no matter of temporary tables. Order-free.
WITH spaces AS MATERIALIZED (
    SELECT oid FROM pg_namespace WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'mendgate') AND nspname !~ '^pg_(toast_)?temp_'
),
rels AS MATERIALIZED (
    SELECT c.oid, c.xmin FROM pg_class c WHERE c.relnamespace IN (SELECT oid FROM spaces)
)
SELECT (
    coalesce((SELECT sum(hashint8extended(oid::int8, xmin::text::int8)) FROM pg_namespace), 0)
  + coalesce((SELECT sum(hashint8extended(oid::int8, xmin::text::int8)) FROM rels), 0)
  + coalesce((SELECT sum(hashint8extended((a.attrelid::int8 << 16) + a.attnum, a.xmin::text::int8)) FROM pg_attribute a JOIN rels ON rels.oid = a.attrelid), 0)
  + coalesce((SELECT sum(hashint8extended(x.oid::int8, x.xmin::text::int8)) FROM pg_attrdef x), 0)
  + coalesce((SELECT sum(hashint8extended(x.oid::int8, x.xmin::text::int8)) FROM pg_constraint x), 0)
  + coalesce((SELECT sum(hashint8extended(x.indexrelid::int8, x.xmin::text::int8)) FROM pg_index x JOIN rels ON rels.oid = x.indrelid), 0)
  + coalesce((SELECT sum(hashint8extended(x.oid::int8, x.xmin::text::int8)) FROM pg_type x WHERE x.typnamespace IN (SELECT oid FROM spaces) AND x.typtype IN ('e', 'd')), 0)
  + coalesce((SELECT sum(hashint8extended(x.oid::int8, x.xmin::text::int8)) FROM pg_enum x), 0)
  + coalesce((SELECT sum(hashint8extended(x.oid::int8, x.xmin::text::int8)) FROM pg_proc x WHERE x.pronamespace IN (SELECT oid FROM spaces)), 0)
  + coalesce((SELECT sum(hashint8extended(x.oid::int8, x.xmin::text::int8)) FROM pg_policy x), 0)
  + coalesce((SELECT sum(hashint8extended(x.oid::int8, x.xmin::text::int8)) FROM pg_trigger x), 0)
  + coalesce((SELECT sum(hashint8extended(x.oid::int8, x.xmin::text::int8)) FROM pg_rewrite x JOIN rels ON rels.oid = x.ev_class), 0)
  + coalesce((SELECT sum(hashint8extended((x.objoid::int8 << 16) + x.objsubid, x.xmin::text::int8)) FROM pg_description x JOIN rels ON rels.oid = x.objoid), 0)
)::text AS fingerprint
