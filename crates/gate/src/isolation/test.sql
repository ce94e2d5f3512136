-- What lets a login out of its tenant, or others in: a row a finding. Asked as that login. One question of the catalog, by its
-- indexes where it may be large; nothing is asked for each object that is as it should be.
WITH RECURSIVE
asked AS MATERIALIZED (
    SELECT {model}::text AS model, {schemas}::text[] AS schemas, {logins}::text[] AS logins, {ledger}::boolean AS ledger,
        (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = SESSION_USER) AS login,
        (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) AS here
),
-- The login, and what it is a member of by whatever way.
me (oid) AS (
    SELECT login FROM asked
    UNION SELECT m.roleid FROM me JOIN pg_catalog.pg_auth_members m ON m.member = me.oid
),
mine AS MATERIALIZED (SELECT r.* FROM pg_catalog.pg_roles r JOIN me ON me.oid = r.oid),
-- The logins of the tenant, their groups, and those who may help themselves to any of this anyway.
insiders AS MATERIALIZED (
    SELECT r.oid FROM pg_catalog.pg_roles r, asked
    WHERE r.rolname = ANY (asked.logins) OR r.rolsuper OR r.rolcreaterole OR r.rolbypassrls OR r.rolreplication
    UNION SELECT oid FROM mine WHERE NOT rolcanlogin
),
members (role, oid) AS (
    SELECT m.roleid, m.member FROM me JOIN pg_catalog.pg_auth_members m ON m.roleid = me.oid
    UNION SELECT members.role, m.member FROM members JOIN pg_catalog.pg_auth_members m ON m.roleid = members.oid
),
places AS MATERIALIZED (
    SELECT n.oid, n.nspname AS name, n.nspowner AS owner, n.nspacl AS acl, n.nspname = ANY (asked.schemas) AS own,
        has_schema_privilege(asked.login, n.oid, 'USAGE') AS usable,
        has_schema_privilege(asked.login, n.oid, 'CREATE') AS creates
    FROM pg_catalog.pg_namespace n, asked
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_(toast_)?temp_'
),
-- What these roles own ("o") or were given rights on ("a"), as the server keeps it by role.
marks AS MATERIALIZED (
    SELECT s.deptype AS kind, s.dbid, s.classid, s.objid, s.objsubid, CASE
            WHEN s.dbid <> asked.here THEN NULL
            WHEN s.classid = 'pg_catalog.pg_class'::regclass
                THEN (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = s.objid)
            WHEN s.classid = 'pg_catalog.pg_proc'::regclass
                THEN (SELECT pronamespace FROM pg_catalog.pg_proc WHERE oid = s.objid)
            WHEN s.classid = 'pg_catalog.pg_type'::regclass
                THEN (SELECT typnamespace FROM pg_catalog.pg_type WHERE oid = s.objid)
            WHEN s.classid = 'pg_catalog.pg_namespace'::regclass THEN s.objid
            ELSE (SELECT oid FROM pg_catalog.pg_namespace
                WHERE nspname = (pg_identify_object(s.classid, s.objid, s.objsubid)).schema)
        END AS place
    FROM asked, me JOIN pg_catalog.pg_shdepend s
        ON s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.refobjid = me.oid AND s.deptype IN ('o', 'a')
    -- What may be later, and large objects, are nobody's way to anything of others.
    WHERE s.classid NOT IN ('pg_catalog.pg_default_acl'::regclass, 'pg_catalog.pg_largeobject'::regclass)
),
-- Those outside of temporary schemas.
lasting AS MATERIALIZED (
    SELECT m.*, n.nspname, coalesce(n.nspname = ANY (asked.schemas), false) AS own
    FROM asked, marks m LEFT JOIN pg_catalog.pg_namespace n ON n.oid = m.place
    WHERE coalesce(n.nspname !~ '^pg_(toast_)?temp_', true)
),
-- Relations that it may do something with where tables are shared, and what its views lead to, each with whoever it is reached
-- as: the rights and the row security of a view are those of its owner.
reached (relation, role) AS (
    SELECT g.relation, asked.login FROM asked, LATERAL (
        SELECT objid AS relation FROM lasting WHERE classid = 'pg_catalog.pg_class'::regclass
        UNION SELECT c.oid FROM places p JOIN pg_catalog.pg_class c ON c.relnamespace = p.oid, aclexplode(c.relacl) a
            WHERE p.usable AND a.grantee = 0
        UNION SELECT t.attrelid FROM places p JOIN pg_catalog.pg_class c ON c.relnamespace = p.oid
            JOIN pg_catalog.pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a
            WHERE p.usable AND t.attacl IS NOT NULL AND a.grantee = 0
    ) AS g WHERE asked.model = 'shared'
    UNION
    SELECT d.refobjid, CASE WHEN v.invoker THEN r.role ELSE v.owner END
    FROM asked, reached r, LATERAL (
        SELECT c.oid, c.relowner AS owner, EXISTS (SELECT FROM unnest(c.reloptions) o
            WHERE o ~* '^security_invoker=(t|tr|tru|true|on|y|ye|yes|1)$') AS invoker
        FROM pg_catalog.pg_class c WHERE c.oid = r.relation AND c.relkind = 'v'
    ) AS v
    JOIN pg_catalog.pg_rewrite w ON w.ev_class = v.oid
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
        AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> v.oid AND d.refobjid >= 16384
    -- What is reached as the login is among its own rights already.
    WHERE NOT v.invoker OR r.role <> asked.login
),
relations AS MATERIALIZED (
    SELECT c.oid, c.relkind AS kind, c.relrowsecurity AS secured, c.relforcerowsecurity AS forced, r.role, asked.login,
        c.relowner AS owner, format('%I.%I', n.nspname, c.relname) AS name, c.reloptions AS options
    FROM asked, reached r JOIN pg_catalog.pg_class c ON c.oid = r.relation
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
),
-- A policy holds if it is about a column, and about who is logged in: by their name, by a role that it is for, or by a function
-- that only a role other than the login can change. A setting is anybody's to set.
policies AS MATERIALIZED (
    SELECT p.oid, p.polrelid, p.polpermissive, p.polcmd, p.polroles, format('%I on %s', p.polname, t.name) AS name, e.words,
        e.bare OR NOT e.columns AS all_rows, e.words ~ 'current_setting[(]' AND NOT e.signed AS settable,
        e.signed OR e.words ~ '(SESSION_USER|CURRENT_USER|pg_has_role[(])'
            OR p.polroles <@ ARRAY (SELECT oid FROM insiders) AS told_apart
    FROM (SELECT DISTINCT oid, name FROM relations WHERE kind IN ('r', 'p')) t
        JOIN pg_catalog.pg_policy p ON p.polrelid = t.oid, LATERAL (
        SELECT concat_ws(' ', q.one, q.other) AS words, 'true' IN (q.one, q.other) AS bare, EXISTS (
                SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid
                AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = p.polrelid AND d.refobjsubid > 0
            ) AS columns, EXISTS (
                SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc f ON f.oid = d.refobjid
                WHERE d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid
                AND d.refclassid = 'pg_catalog.pg_proc'::regclass AND f.prosecdef AND f.proowner NOT IN (SELECT oid FROM me)
            ) AS signed
        FROM (SELECT coalesce(pg_get_expr(p.polqual, p.polrelid), '') AS one,
            coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') AS other) q
    ) AS e
),
-- Which apply to whom.
applied AS MATERIALIZED (
    SELECT r.oid AS relation, r.role, p.name, p.polpermissive AS permissive, p.polcmd AS command, p.all_rows, p.settable, p.told_apart,
        p.words = '' OR NOT (p.all_rows OR p.settable) AND p.told_apart AS holds
    FROM relations r JOIN policies p ON p.polrelid = r.oid
    WHERE EXISTS (SELECT FROM unnest(p.polroles) it WHERE it = 0 OR pg_has_role(r.role, it, 'MEMBER'))
),
found (what, object) AS (
    SELECT a.what, format('role %I', r.rolname) FROM mine r, LATERAL (VALUES
        ('is a superuser', r.rolsuper), ('has BYPASSRLS', r.rolbypassrls), ('has REPLICATION', r.rolreplication),
        ('has CREATEROLE', r.rolcreaterole), ('has CREATEDB', r.rolcreatedb)) AS a (what, has) WHERE a.has
    UNION ALL SELECT 'the login is a member of a predefined role', format('role %I', rolname) FROM mine WHERE left(rolname, 3) = 'pg_'
    UNION ALL SELECT 'the login is a member of a login of somebody else', format('role %I', r.rolname) FROM mine r, asked
        WHERE r.rolcanlogin AND NOT r.rolname = ANY (asked.logins)
    UNION ALL SELECT 'has a member outside of the tenant', format('role %I', r.rolname) FROM mine r
        WHERE left(r.rolname, 3) <> 'pg_' AND EXISTS (SELECT FROM members m JOIN pg_catalog.pg_roles o ON o.oid = m.oid
            WHERE m.role = r.oid AND o.rolcanlogin AND o.oid NOT IN (SELECT oid FROM insiders))
    -- Ownership.
    UNION ALL SELECT 'is owned by the login or a role of it', pg_describe_object(l.classid, l.objid, l.objsubid) FROM lasting l, asked
        WHERE l.kind = 'o' AND l.dbid IN (0, asked.here) AND CASE asked.model
            WHEN 'shared' THEN true
            WHEN 'schema' THEN NOT l.own
            WHEN 'database' THEN l.dbid = 0 AND NOT (l.classid = 'pg_catalog.pg_database'::regclass AND l.objid = asked.here)
            ELSE false END
    UNION ALL SELECT DISTINCT 'something in it belongs to the login or a role of it', format('database %I', d.datname)
        FROM asked, lasting l JOIN pg_catalog.pg_database d ON d.oid = l.dbid
        WHERE l.dbid <> asked.here AND (l.kind = 'o' AND asked.model <> 'instance' OR asked.model = 'database')
    -- Rights of its own.
    UNION ALL SELECT 'the login was given rights outside of its schemas', pg_describe_object(l.classid, l.objid, l.objsubid)
        FROM lasting l, asked WHERE l.kind = 'a' AND asked.model = 'schema' AND NOT asked.ledger AND NOT l.own
        AND l.classid <> 'pg_catalog.pg_namespace'::regclass
        AND l.nspname NOT IN ('pg_catalog', 'information_schema', 'portcullis')
    UNION ALL SELECT 'the login of the ledger was given more than that', pg_describe_object(l.classid, l.objid, l.objsubid)
        FROM lasting l, asked WHERE l.kind = 'a' AND asked.ledger AND l.dbid IN (0, asked.here)
        AND l.nspname IS DISTINCT FROM 'portcullis'
        AND NOT (l.classid = 'pg_catalog.pg_database'::regclass AND l.objid = asked.here)
    UNION ALL SELECT 'the login may set what is the server''s', pg_describe_object(l.classid, l.objid, l.objsubid)
        FROM lasting l WHERE l.kind = 'a' AND l.dbid = 0 AND (pg_identify_object(l.classid, l.objid, l.objsubid)).type = 'parameter ACL'
    -- What leads out of the database.
    UNION ALL SELECT 'the login may call what leads out', 'function ' || f.oid::regprocedure
        FROM asked, pg_catalog.pg_proc f LEFT JOIN places p ON p.oid = f.pronamespace
        WHERE f.proname IN ('dblink', 'dblink_connect', 'dblink_connect_u', 'dblink_exec', 'dblink_open',
            'dblink_send_query', 'lo_import', 'lo_export', 'pg_read_file',
            'pg_read_binary_file', 'pg_ls_dir', 'pg_stat_file', 'pg_logdir_ls', 'pg_file_read', 'pg_file_write', 'pg_file_rename',
            'pg_file_unlink', 'pg_file_sync', 'pg_file_length', 'pg_ls_logdir', 'pg_ls_waldir', 'pg_ls_tmpdir',
            'pg_ls_archive_statusdir', 'pg_reload_conf', 'pg_rotate_logfile')
        AND coalesce(p.usable, f.pronamespace = 'pg_catalog'::regnamespace) AND has_function_privilege(asked.login, f.oid, 'EXECUTE')
    UNION ALL SELECT 'the login may use it', format('foreign server %I', s.srvname) FROM asked, pg_catalog.pg_foreign_server s
        WHERE has_server_privilege(asked.login, s.oid, 'USAGE')
    UNION ALL SELECT 'the login may use it', format('foreign-data wrapper %I', w.fdwname) FROM asked, pg_catalog.pg_foreign_data_wrapper w
        WHERE has_foreign_data_wrapper_privilege(asked.login, w.oid, 'USAGE')
    UNION ALL SELECT 'another server or a file answers it', format('foreign table %I.%I', p.name, c.relname)
        FROM asked, pg_catalog.pg_foreign_table t JOIN pg_catalog.pg_class c ON c.oid = t.ftrelid JOIN places p ON p.oid = c.relnamespace
        WHERE p.usable AND (has_table_privilege(asked.login, c.oid, 'DELETE')
            OR has_any_column_privilege(asked.login, c.oid, 'SELECT, INSERT, UPDATE'))
    -- USAGE of an untrusted language is nothing unless somebody has made it pass for trusted.
    UNION ALL SELECT 'the login may write functions in it, and it is not to be trusted', format('language %I', l.lanname)
        FROM asked, pg_catalog.pg_language l WHERE l.lanpltrusted AND (l.lanname IN ('c', 'internal') OR l.lanname ~ '^pl.*u$')
        AND has_language_privilege(asked.login, l.oid, 'USAGE')
    -- SECURITY DEFINER. Of triggers the tables decide; what policies call is judged with them.
    UNION ALL SELECT 'runs with the rights of ' || quote_ident(o.rolname), 'function ' || f.oid::regprocedure
        FROM asked, pg_catalog.pg_proc f JOIN places p ON p.oid = f.pronamespace JOIN pg_catalog.pg_roles o ON o.oid = f.proowner
        WHERE f.prosecdef AND p.usable AND f.proowner NOT IN (SELECT oid FROM me) AND has_function_privilege(asked.login, f.oid, 'EXECUTE')
        AND (asked.model IN ('shared', 'schema') OR o.rolsuper OR o.rolbypassrls OR o.rolcreaterole)
        AND NOT (p.name = 'portcullis' AND f.proname IN ('claim', 'fence'))
        AND NOT (asked.model = 'shared' AND (f.prorettype = 'trigger'::regtype OR EXISTS (
            SELECT FROM pg_catalog.pg_depend d WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid = f.oid
            AND d.classid = 'pg_catalog.pg_policy'::regclass)))
    -- Schemas.
    UNION ALL SELECT 'there is none', format('schema %I', it) FROM asked, unnest(asked.schemas) it
        WHERE NOT asked.ledger AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = it)
    UNION ALL SELECT 'the login may use it, and it is not of the tenant', format('schema %I', p.name) FROM asked, places p
        WHERE asked.model = 'schema' AND NOT p.own AND p.name <> 'portcullis' AND (p.usable OR p.creates)
    UNION ALL SELECT 'the login may make things in it', format('schema %I', p.name) FROM asked, places p
        WHERE p.creates AND (asked.model = 'shared' OR p.name = 'portcullis')
    UNION ALL SELECT 'the login may make schemas in it', format('database %I', current_database()) FROM asked
        WHERE asked.model IN ('shared', 'schema') AND has_database_privilege(asked.login, asked.here, 'CREATE')
    UNION ALL SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE 'role ' || quote_ident(pg_get_userbyid(a.grantee)) END
            || CASE a.privilege_type WHEN 'CREATE' THEN ' may make things in it' ELSE ' may use it' END, format('schema %I', p.name)
        FROM asked, places p, aclexplode(p.acl) a WHERE asked.model = 'schema' AND p.own
        AND a.grantee <> p.owner AND a.grantee NOT IN (SELECT oid FROM insiders)
        AND (a.privilege_type = 'CREATE' OR p.name <> 'public')
    UNION ALL SELECT DISTINCT 'shows what is outside of the tenant''s schemas', format('view %I.%I', p.name, c.relname)
        FROM asked, places p JOIN pg_catalog.pg_class c ON c.relnamespace = p.oid AND c.relkind IN ('v', 'm')
        JOIN pg_catalog.pg_rewrite w ON w.ev_class = c.oid
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
            AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid >= 16384
        JOIN pg_catalog.pg_class t ON t.oid = d.refobjid JOIN places q ON q.oid = t.relnamespace
        WHERE asked.model = 'schema' AND p.own AND NOT q.own AND NOT EXISTS (SELECT FROM unnest(c.reloptions) o
            WHERE o ~* '^security_invoker=(t|tr|tru|true|on|y|ye|yes|1)$')
    -- Databases. PUBLIC may connect to "postgres" wherever nobody has changed that: initdb makes it for tools, and nothing of a
    -- tenant is there.
    UNION ALL SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE 'role ' || quote_ident(pg_get_userbyid(a.grantee)) END
            || ' may connect to it', format('database %I', d.datname)
        FROM asked JOIN pg_catalog.pg_database d ON d.oid = asked.here, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
        WHERE asked.model IN ('database', 'instance') AND a.privilege_type = 'CONNECT' AND a.grantee <> d.datdba
        AND a.grantee NOT IN (SELECT oid FROM insiders)
    UNION ALL SELECT 'the login may connect to it', format('database %I', d.datname) FROM asked, pg_catalog.pg_database d
        WHERE asked.model IN ('database', 'instance') AND d.oid <> asked.here AND d.datname <> 'postgres'
        AND d.datallowconn AND NOT d.datistemplate AND has_database_privilege(asked.login, d.oid, 'CONNECT')
    -- Rows of shared tables.
    UNION ALL SELECT CASE kind WHEN 'm' THEN 'has no row security: it is a materialized view' ELSE 'has no row security: it is a foreign table' END,
        name FROM relations WHERE kind IN ('m', 'f')
    UNION ALL SELECT 'shows what its owner may see, whom no policy binds', r.name
        FROM relations r JOIN pg_catalog.pg_roles o ON o.oid = r.owner WHERE r.kind = 'v' AND (o.rolsuper OR o.rolbypassrls)
        AND NOT EXISTS (SELECT FROM unnest(r.options) it WHERE it ~* '^security_invoker=(t|tr|tru|true|on|y|ye|yes|1)$')
    UNION ALL SELECT DISTINCT CASE WHEN secured THEN 'row security is not forced on its owner' ELSE 'has no row security' END, name
        FROM relations WHERE kind IN ('r', 'p') AND NOT (secured AND forced)
    UNION ALL SELECT DISTINCT 'has no policy for ' || quote_ident(pg_get_userbyid(r.role)), r.name FROM relations r
        WHERE r.kind IN ('r', 'p') AND r.secured AND NOT EXISTS (SELECT FROM applied a WHERE a.relation = r.oid AND a.role = r.role)
    UNION ALL SELECT DISTINCT CASE WHEN a.settable THEN 'leans on a setting, which anybody may set'
            WHEN a.all_rows THEN 'lets every row pass' ELSE 'does not ask who is logged in' END, 'policy ' || a.name
        FROM applied a WHERE NOT a.holds AND a.permissive AND NOT EXISTS (
            SELECT FROM applied b WHERE b.relation = a.relation AND b.role = a.role AND b.holds AND NOT b.permissive AND b.command = '*')
    UNION ALL SELECT DISTINCT 'the login may ' || it.does, r.name FROM relations r, LATERAL (VALUES
        ('truncate it, which minds no policy', has_table_privilege(r.login, r.oid, 'TRUNCATE')),
        ('have triggers on it, which run as others', has_table_privilege(r.login, r.oid, 'TRIGGER')),
        ('refer to it by keys, which minds no policy', has_any_column_privilege(r.login, r.oid, 'REFERENCES'))) AS it (does, may)
        WHERE r.kind IN ('r', 'p') AND r.role = r.login AND it.may
    UNION ALL SELECT 'lets large objects be read by all', 'setting lo_compat_privileges' FROM asked
        WHERE asked.model IN ('shared', 'schema') AND current_setting('lo_compat_privileges')::boolean
)
SELECT what, object FROM found
-- To a superuser all of it is open: that says enough.
WHERE what = 'is a superuser' OR NOT EXISTS (SELECT FROM mine WHERE rolsuper)
ORDER BY 2, 1 LIMIT 200
