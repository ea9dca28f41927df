-- Takes away what monitor.sql made; receipts and idempotency records stay.
DROP EVENT TRIGGER IF EXISTS mendgate_ddl;
DROP EVENT TRIGGER IF EXISTS mendgate_drop;
DROP FUNCTION IF EXISTS mendgate.canary(), mendgate.on_ddl(), mendgate.on_drop(), mendgate.ring(), mendgate.names_after(oid, oid),
    mendgate.names_before(oid, oid, integer, text, text[]), mendgate.relation_names(oid[]),
    mendgate.note(text, oid, oid, integer, text, text, boolean, jsonb);
DROP TABLE IF EXISTS mendgate.ddl_log;
