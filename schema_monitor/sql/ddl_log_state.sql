-- Whether the DDL log can be read by us and has the columns that it was made with, whether both event triggers fill it, and whether they notify.
SELECT coalesce((SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
                     AND (SELECT count(*) FROM pg_attribute a
                          WHERE a.attrelid = c.oid AND a.attname IN ('id', 'xid', 'at', 'system', 'database', 'tag', 'classid', 'objid', 'objsubid',
                                                                     'otype', 'ident', 'dropped', 'usr', 'app', 'names')) = 15
                 FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'ddl_log' AND c.relkind = 'r'
                 WHERE n.nspname = 'mendgate'), false) AS readable,
       (SELECT count(*) FROM pg_event_trigger WHERE evtname IN ('mendgate_ddl', 'mendgate_drop') AND evtenabled <> 'D') = 2 AS filled,
       coalesce(nullif(current_setting('mendgate.notify', true), ''),
                CASE current_setting('max_prepared_transactions') WHEN '0' THEN 'on' ELSE 'off' END) = 'on' AS notifies
