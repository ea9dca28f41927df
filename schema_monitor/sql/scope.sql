-- Where oids mean something, and the server's version. The system identifier needs a right that a managed server may withhold.
SELECT d.oid::int8 AS database_oid,
       current_setting('server_version_num')::int AS server_version,
       has_function_privilege('pg_control_system()', 'execute') AS may_identify
FROM pg_database d
WHERE d.datname = current_database()
