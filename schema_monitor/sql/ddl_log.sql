-- The DDL log from a horizon on ($1: every transaction below it was consumed), and the next horizon. One row with null id where
-- there is nothing new. Rows of transactions that are still under way come with a later look. A horizon of the future means that the
-- database went back in time: then everything is read again.
SELECT pg_snapshot_xmin(h.now)::text::int8 AS horizon,
       l.id, l.system, l.database::int8 AS database, l.tag, l.otype, l.objid::int8 AS objid, l.dropped, l.usr, l.app, l.names::text AS names
FROM (SELECT pg_current_snapshot() AS now) h
LEFT JOIN mendgate.ddl_log l ON l.xid >= CASE WHEN $1::text::xid8 > pg_snapshot_xmax(h.now) THEN '0'::xid8 ELSE $1::text::xid8 END
ORDER BY l.id
