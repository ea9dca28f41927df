-- One cheap look, every second: the log's tail (tail), how often catalog rows were written, whether the statistics can tell that
-- (not on a standby), and our own event triggers.
SELECT {tail} AS tail,
       (SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::text
        FROM pg_stat_sys_tables
        WHERE schemaname = 'pg_catalog'
          AND relname IN ('pg_namespace', 'pg_class', 'pg_attribute', 'pg_attrdef', 'pg_constraint', 'pg_index', 'pg_type', 'pg_enum',
                          'pg_proc', 'pg_policy', 'pg_trigger', 'pg_rewrite', 'pg_description')) AS writes,
       pg_is_in_recovery() AS standby,
       current_setting('track_counts') = 'on' AS counts,
       (SELECT string_agg(evtname::text || evtenabled::text, ' ' ORDER BY evtname) FROM pg_event_trigger WHERE evtname IN ('mendgate_ddl', 'mendgate_drop')) AS triggers
