-- Relations whose own row or whose columns' rights were written by transactions from $1 (xid8 as text) on: a GRANT is logged without
-- saying of what.
WITH since AS (
    SELECT age($1::text::xid8::xid) AS age
)
SELECT c.oid::int8 FROM pg_class c, since WHERE age(c.xmin) <= since.age
UNION
SELECT a.attrelid::int8 FROM pg_attribute a, since WHERE a.attacl IS NOT NULL AND age(a.xmin) <= since.age
