-- What a snapshot leaves out and a copy of the schema needs, as JSON in the shape of definitions.Definitions. $1 = oids of the snapshot's relations.
-- Everything of ordinary schemas; never members of extensions, never our own schema.
WITH spaces AS MATERIALIZED (
    SELECT oid, nspname FROM pg_namespace WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'mendgate') AND nspname !~ '^pg_(toast_)?temp_'
),
member AS MATERIALIZED (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
),
wanted AS MATERIALIZED (
    SELECT c.oid, c.relkind, c.relnamespace, c.relpartbound, c.relispartition, c.reloptions
    FROM pg_class c WHERE c.oid IN (SELECT unnest($1::int8[])::oid)
)
SELECT json_build_object(
    'extensions', (
        SELECT coalesce(json_agg(json_build_array(e.extname, n.nspname) ORDER BY e.oid), '[]')
        FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql'
    ),
    'domains', (
        SELECT coalesce(json_agg(json_build_object(
            'schema', n.nspname, 'name', t.typname, 'type', format_type(t.typbasetype, t.typtypmod), 'not_null', t.typnotnull,
            'default', pg_get_expr(t.typdefaultbin, 0),
            'checks', (SELECT coalesce(json_agg(json_build_array(k.conname, pg_get_constraintdef(k.oid)) ORDER BY k.oid), '[]')
                       FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c')
        ) ORDER BY t.oid), '[]')
        FROM pg_type t JOIN spaces n ON n.oid = t.typnamespace
        WHERE t.typtype = 'd' AND ('pg_type'::regclass, t.oid) NOT IN (SELECT classid, objid FROM member)
    ),
    'composites', (
        SELECT coalesce(json_agg(json_build_object(
            'schema', n.nspname, 'name', c.relname,
            'attributes', (SELECT coalesce(json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum), '[]')
                           FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
        ) ORDER BY c.oid), '[]')
        FROM pg_class c JOIN spaces n ON n.oid = c.relnamespace
        WHERE c.relkind = 'c' AND ('pg_type'::regclass, c.reltype) NOT IN (SELECT classid, objid FROM member)
    ),
    'sequences', (
        SELECT coalesce(json_agg(json_build_object(
            'schema', n.nspname, 'name', c.relname, 'type', format_type(s.seqtypid, NULL), 'start', s.seqstart, 'increment', s.seqincrement,
            'least', s.seqmin, 'most', s.seqmax, 'cache', s.seqcache, 'cycle', s.seqcycle, 'relation', d.refobjid::int8, 'attnum', d.refobjsubid
        ) ORDER BY c.oid), '[]')
        FROM pg_sequence s
        JOIN pg_class c ON c.oid = s.seqrelid
        JOIN spaces n ON n.oid = c.relnamespace
        LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
        WHERE d.deptype IS DISTINCT FROM 'i' AND ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM member)
    ),
    'functions', (
        SELECT coalesce(json_agg(json_build_object(
            'schema', n.nspname, 'name', p.proname, 'sql', pg_get_functiondef(p.oid),
            'late', p.prosqlbody IS NOT NULL OR EXISTS (
                SELECT FROM unnest(p.prorettype || coalesce(p.proallargtypes, p.proargtypes::oid[])) used (oid)
                JOIN pg_type t ON t.oid = used.oid
                LEFT JOIN pg_type el ON el.oid = t.typelem AND t.typcategory = 'A'
                JOIN pg_class rel ON rel.oid = coalesce(nullif(el.typrelid, 0), nullif(t.typrelid, 0)) AND rel.relkind <> 'c')
        ) ORDER BY p.oid), '[]')
        FROM pg_proc p
        JOIN spaces n ON n.oid = p.pronamespace
        JOIN pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal')
        WHERE p.prokind IN ('f', 'p') AND ('pg_proc'::regclass, p.oid) NOT IN (SELECT classid, objid FROM member)
    ),
    'views', (
        SELECT coalesce(json_agg(json_build_object(
            'oid', w.oid::int8, 'query', pg_get_viewdef(w.oid), 'options', coalesce(w.reloptions, '{}'),
            'needs', (SELECT coalesce(json_agg(DISTINCT d.refobjid::int8), '[]') FROM pg_rewrite r
                      JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
                      WHERE r.ev_class = w.oid AND d.refobjid <> w.oid)
        ) ORDER BY w.oid), '[]')
        FROM wanted w WHERE w.relkind IN ('v', 'm')
    ),
    'indexes', (
        SELECT coalesce(json_agg(json_build_array(i.indrelid::int8, i.indexrelid::int8, pg_get_indexdef(i.indexrelid)) ORDER BY i.indexrelid), '[]')
        FROM wanted w
        JOIN pg_index i ON i.indrelid = w.oid AND i.indisvalid
        JOIN pg_class ic ON ic.oid = i.indexrelid AND NOT ic.relispartition
        WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
    ),
    'collations', (
        SELECT coalesce(json_agg(json_build_array(a.attrelid::int8, a.attnum, quote_ident(n.nspname) || '.' || quote_ident(c.collname))), '[]')
        FROM wanted w
        JOIN pg_attribute a ON a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN pg_type t ON t.oid = a.atttypid AND t.typcollation <> a.attcollation
        JOIN pg_collation c ON c.oid = a.attcollation
        JOIN pg_namespace n ON n.oid = c.collnamespace
    ),
    'partitioned', (
        SELECT coalesce(json_agg(json_build_array(w.oid::int8, pg_get_partkeydef(w.oid))), '[]') FROM wanted w WHERE w.relkind = 'p'
    ),
    'partitions', (
        SELECT coalesce(json_agg(json_build_array(w.oid::int8, h.inhparent::int8, pg_get_expr(w.relpartbound, w.oid)) ORDER BY w.oid), '[]')
        FROM wanted w JOIN pg_inherits h ON h.inhrelid = w.oid WHERE w.relispartition
    ),
    'inheriting', (
        SELECT coalesce(json_agg(json_build_array(w.oid::int8, h.inhparent::int8) ORDER BY w.oid, h.inhseqno), '[]')
        FROM wanted w JOIN pg_inherits h ON h.inhrelid = w.oid WHERE NOT w.relispartition
    )
)::text
