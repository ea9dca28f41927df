(SELECT coalesce(sum(id), 0)::text FROM (SELECT id FROM mendgate.ddl_log ORDER BY id DESC LIMIT 200) newest)
