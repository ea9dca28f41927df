-- Relations whose writes reach $1 (oids): parents and partitioned tables, and tables whose keys are followed by an UPDATE. As ``reached`` in
-- relations.sql, the other way round. Holds $1 too.
WITH RECURSIVE above (oid) AS (
    SELECT unnest($1::oid[])
    UNION
    SELECT next.oid
    FROM above
    CROSS JOIN LATERAL (
        SELECT h.inhparent AS oid FROM pg_inherits h WHERE h.inhrelid = above.oid
        UNION ALL
        SELECT k.confrelid FROM pg_constraint k WHERE k.conrelid = above.oid AND k.contype = 'f' AND k.confupdtype IN ('c', 'n', 'd')
    ) next
)
SELECT oid::int8 FROM above
