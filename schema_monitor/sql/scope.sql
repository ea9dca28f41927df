-- Where oids mean something, the server's version, and our own event triggers. The system identifier needs a right that a managed
-- server may withhold.
SELECT d.oid::int8 AS database_oid,
       current_setting('server_version_num')::int AS server_version,
       has_function_privilege('pg_control_system()', 'execute') AS may_identify,
       CASE WHEN (SELECT count(*) FROM pg_event_trigger WHERE evtname IN ('mendgate_ddl', 'mendgate_drop') AND evtenabled <> 'D') = 2 THEN 'on'
            WHEN (SELECT count(*) FROM pg_event_trigger WHERE evtname IN ('mendgate_ddl', 'mendgate_drop')) = 2 THEN 'disabled'
            WHEN EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'mendgate' AND c.relname = 'ddl_log') THEN 'dropped'
            ELSE '' END AS monitor
FROM pg_database d
WHERE d.datname = current_database()
