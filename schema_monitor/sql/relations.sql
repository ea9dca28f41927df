-- The wanted relations as JSON in the shape of snapshot.Relation; beside it a view's parsed query (pg_node_tree), and what
-- writes run beyond it: [what, inserts, updates, text or null], some of it to be left out.
SELECT 'relation' AS kind,
       json_build_object(
           'oid', c.oid::int8,
           'schema', n.nspname,
           'name', c.relname,
           'kind', c.relkind,
           'columns', coalesce(cols.list, '[]'),
           'constraints', coalesce(cons.list, '[]'),
           'unique_indexes', coalesce(uniq.list, '[]'),
           'indexes', coalesce(idx.list, '[]'),
           'insertable', may.bits & 8 = 8,
           'updatable', may.bits & 4 = 4,
           'deletable', may.bits & 16 = 16,
           'row_security', c.relrowsecurity,
           'force_row_security', c.relforcerowsecurity,
           'policies', coalesce(pols.list, '[]'),
           'triggers', coalesce(trgs.list, '[]'),
           'has_before_triggers', coalesce(trgs.changing, false),
           'acl', coalesce(array_to_string(ARRAY(SELECT x::text COLLATE "C" FROM unnest(c.relacl) x ORDER BY 1), ','), '') || coalesce(cols.acl, ''),
           'comment', obj_description(c.oid, 'pg_class')
       )::text AS body,
       CASE WHEN c.relkind IN ('v', 'm') THEN
           (SELECT r.ev_action::text FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type = '1')
       END AS view_query,
       more.list::text AS runs_also
FROM wanted
JOIN pg_class c ON c.oid = wanted.oid
JOIN pg_namespace n ON n.oid = c.relnamespace
-- Asked only where the answer is not plain: the function takes a lock, and a table under ALTER would make us wait.
CROSS JOIN LATERAL (
    SELECT CASE WHEN c.relkind IN ('r', 'p') THEN 28 WHEN c.relkind = 'm' THEN 0 ELSE pg_relation_is_updatable(c.oid, true) END AS bits
) may
LEFT JOIN LATERAL (
    SELECT json_agg(json_build_object(
               'attnum', a.attnum,
               'name', a.attname,
               'type', format_type(a.atttypid, a.atttypmod),
               'base', s.typname,
               'nullable', NOT (a.attnotnull OR coalesce(d.not_null, false)),
               'array', el.oid IS NOT NULL,
               'enum', CASE WHEN s.typtype = 'e' THEN s.oid::int8 END,
               'length', CASE WHEN s.typname IN ('varchar', 'bpchar') AND m.typmod >= 4 THEN m.typmod - 4
                              WHEN s.typname IN ('bit', 'varbit') AND m.typmod > 0 THEN m.typmod END,
               'precision', CASE WHEN m.typmod < 0 THEN NULL
                                 WHEN s.typname = 'numeric' THEN ((m.typmod - 4) >> 16) & 65535
                                 WHEN s.typname IN ('time', 'timetz', 'timestamp', 'timestamptz') THEN m.typmod
                                 WHEN s.typname = 'interval' THEN nullif(m.typmod & 65535, 65535) END,
               'scale', CASE WHEN s.typname = 'numeric' AND m.typmod >= 4 THEN (((m.typmod - 4) & 2047) # 1024) - 1024 END,
               'default', coalesce(pg_get_expr(ad.adbin, ad.adrelid), d.preset),
               'generated', a.attgenerated,
               'identity', a.attidentity,
               'domain', CASE WHEN d.oid IS NOT NULL THEN format_type(a.atttypid, NULL) END,
               'comment', col_description(a.attrelid, a.attnum)
           ) ORDER BY a.attnum) AS list,
           string_agg(E'\n' || a.attname || ':' || a.attacl::text, '' ORDER BY a.attnum) FILTER (WHERE a.attacl IS NOT NULL) AS acl
    FROM pg_attribute a
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN bottom d ON d.oid = t.oid
    JOIN pg_type b ON b.oid = coalesce(d.base, t.oid)
    LEFT JOIN pg_type el ON el.oid = b.typelem AND b.typcategory = 'A'
    LEFT JOIN bottom ed ON ed.oid = el.oid
    JOIN pg_type s ON s.oid = coalesce(ed.base, el.oid, b.oid)
    CROSS JOIN LATERAL (SELECT coalesce(nullif(a.atttypmod, -1), nullif(d.typmod, -1), nullif(ed.typmod, -1), -1) AS typmod) m
    LEFT JOIN pg_attrdef ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum AND a.atthasdef
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
) cols ON true
LEFT JOIN LATERAL (
    SELECT json_agg(k.body ORDER BY k.oid, k.attnum) AS list
    FROM (
        SELECT con.oid, 0 AS attnum, json_build_object(
                   'oid', con.oid::int8,
                   'name', con.conname,
                   'kind', con.contype,
                   'columns', coalesce(con.conkey, '{}'),
                   'definition', pg_get_constraintdef(con.oid),
                   'references', nullif(con.confrelid::int8, 0),
                   'referenced_columns', coalesce(con.confkey, '{}')
               ) AS body
        FROM pg_constraint con
        WHERE con.conrelid = c.oid AND con.contype IN ('p', 'u', 'f', 'c', 'x', 'n')
          -- A foreign key to a partitioned table has a row for each partition; only the declared one counts.
          AND (con.contype <> 'f' OR con.conparentid = 0
               OR (SELECT up.conrelid FROM pg_constraint up WHERE up.oid = con.conparentid) IS DISTINCT FROM con.conrelid)
        UNION ALL
        SELECT dc.oid, a.attnum, json_build_object(
                   'oid', dc.oid::int8,
                   'name', dc.name,
                   'kind', 'c',
                   'columns', json_build_array(a.attnum),
                   'definition', dc.definition
               )
        FROM pg_attribute a
        JOIN domain_checks dc ON dc.domain = a.atttypid
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ) k
) cons ON true
LEFT JOIN LATERAL (
    SELECT json_agg(json_build_object(
               'oid', i.indexrelid::int8,
               'name', ic.relname,
               'columns', (SELECT json_agg(key.attnum ORDER BY key.at) FROM unnest(i.indkey::int2[]) WITH ORDINALITY key (attnum, at) WHERE key.at <= i.indnkeyatts),
               'partial', i.indpred IS NOT NULL
           ) ORDER BY i.indexrelid) AS list
    FROM pg_index i
    JOIN pg_class ic ON ic.oid = i.indexrelid
    WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indisready AND i.indimmediate AND i.indexprs IS NULL
) uniq ON true
LEFT JOIN LATERAL (
    SELECT json_agg(json_build_object(
               'oid', i.indexrelid::int8,
               'name', ic.relname,
               'columns', (SELECT coalesce(json_agg(key.attnum ORDER BY key.at), '[]') FROM unnest(i.indkey::int2[]) WITH ORDINALITY key (attnum, at) WHERE key.at <= i.indnkeyatts),
               'partial', i.indpred IS NOT NULL,
               'definition', pg_get_indexdef(i.indexrelid)
           ) ORDER BY i.indexrelid) AS list
    FROM pg_index i
    JOIN pg_class ic ON ic.oid = i.indexrelid
    WHERE i.indrelid = c.oid AND i.indisvalid
      AND NOT (i.indisunique AND i.indisready AND i.indimmediate AND i.indexprs IS NULL)
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
) idx ON true
LEFT JOIN LATERAL (
    SELECT json_agg(format('%s %s FOR %s TO %s%s%s',
               p.polname,
               CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
               CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
               array_to_string(ARRAY(SELECT CASE r WHEN 0 THEN 'public' ELSE pg_get_userbyid(r)::text END COLLATE "C" FROM unnest(p.polroles) r ORDER BY 1), ', '),
               ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
               ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'
           ) ORDER BY p.polname) AS list
    FROM pg_policy p
    WHERE p.polrelid = c.oid
) pols ON true
LEFT JOIN LATERAL (
    SELECT json_agg(pg_get_triggerdef(g.oid) || CASE g.tgenabled WHEN 'D' THEN ' DISABLED' ELSE '' END ORDER BY g.tgname) AS list,
           bool_or(g.tgenabled IN ('O', 'A') AND g.tgtype & 66 <> 0) AS changing
    FROM pg_trigger g
    WHERE g.tgrelid = c.oid AND NOT g.tgisinternal
) trgs ON true
-- What a write also runs that the table's own description does not hold. Reached: itself, what inherits from it, and what follows its keys by an UPDATE.
-- ``text`` is what may ask for something; where there is none, it counts as it is. A row that moves between partitions fires all kinds.
LEFT JOIN LATERAL (
    WITH RECURSIVE reached (oid, follows) AS (
        SELECT c.oid, false
        UNION
        SELECT next.oid, next.follows
        FROM reached r
        CROSS JOIN LATERAL (
            SELECT h.inhrelid AS oid, r.follows FROM pg_inherits h WHERE h.inhparent = r.oid
            UNION ALL
            SELECT k.conrelid, true
            FROM pg_depend d
            JOIN pg_constraint k ON k.oid = d.objid AND k.contype = 'f' AND k.confrelid = r.oid AND k.confupdtype IN ('c', 'n', 'd')
            WHERE d.classid = 'pg_constraint'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = r.oid
        ) next
    ),
    inner_types (oid, relation, follows) AS (
        SELECT a.atttypid, r.oid, r.follows
        FROM reached r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384
        UNION
        SELECT below.oid, i.relation, i.follows
        FROM inner_types i
        JOIN pg_type t ON t.oid = i.oid
        CROSS JOIN LATERAL (
            SELECT t.typbasetype AS oid UNION ALL SELECT t.typelem
            UNION ALL SELECT e.atttypid FROM pg_attribute e WHERE t.typrelid <> 0 AND e.attrelid = t.typrelid AND e.attnum > 0 AND NOT e.attisdropped
            UNION ALL SELECT g.rngsubtype FROM pg_range g WHERE t.typtype = 'r' AND g.rngtypid = t.oid
            UNION ALL SELECT g.rngtypid FROM pg_range g WHERE t.typtype = 'm' AND g.rngmultitypid = t.oid
        ) below
        WHERE below.oid >= 16384
    ),
    found (relation, what, inserts, updates, text) AS (
        SELECT r.oid, 'trigger ' || quote_ident(g.tgname), NOT r.follows AND g.tgtype & 4 <> 0, g.tgtype & 28 <> 0, NULL::text
        FROM reached r JOIN pg_trigger g ON g.tgrelid = r.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D'
        WHERE r.oid <> c.oid
        UNION
        SELECT r.oid, 'rule ' || quote_ident(w.rulename), NOT r.follows AND w.ev_type = '3', w.ev_type = '2', NULL
        FROM reached r JOIN pg_rewrite w ON w.ev_class = r.oid AND w.ev_type IN ('2', '3') AND w.ev_enabled <> 'D'
        WHERE r.oid = c.oid OR r.follows
        UNION
        SELECT r.oid, 'constraint ' || quote_ident(k.conname), NOT r.follows, true, pg_get_constraintdef(k.oid)
        FROM reached r JOIN pg_constraint k ON k.conrelid = r.oid AND k.contype = 'c'
        WHERE r.oid <> c.oid
        UNION
        SELECT r.oid, 'column ' || quote_ident(a.attname), NOT r.follows, true, pg_get_expr(x.adbin, x.adrelid)
        FROM reached r
        JOIN pg_attrdef x ON x.adrelid = r.oid
        JOIN pg_attribute a ON a.attrelid = x.adrelid AND a.attnum = x.adnum
        WHERE r.oid <> c.oid AND (a.attgenerated <> '' OR r.follows)
        UNION
        SELECT i.relation, 'constraint ' || quote_ident(k.conname) || ' of a type', NOT i.follows, true, pg_get_constraintdef(k.oid)
        FROM inner_types i JOIN pg_constraint k ON k.contypid = i.oid AND k.contype = 'c'
    )
    SELECT json_agg(json_build_array(format('%s of %s.%s', f.what, quote_ident(fn.nspname), quote_ident(fc.relname)), f.inserts, f.updates, f.text)
                    ORDER BY fn.nspname, fc.relname, f.what, f.inserts) AS list
    FROM found f
    JOIN pg_class fc ON fc.oid = f.relation
    JOIN pg_namespace fn ON fn.oid = fc.relnamespace
    WHERE f.inserts OR f.updates
) more ON c.relkind IN ('r', 'p')
