//! Shared tables: row-level security by the role that logged in (hazards R114, V11, V13).

use super::{Case, Room};

/// Rows of two tenants, of which each login sees its own.
pub(super) const TABLES: &str = "revoke create on schema public from public; \
     create table items (id int primary key, tenant name not null, note text not null); alter table items owner to {o}; \
     insert into items values (1, '{team}', 'ours'), (2, '{others}', 'theirs'); \
     alter table items enable row level security; alter table items force row level security; \
     create policy members on items using (pg_has_role(session_user, tenant, 'MEMBER')); \
     grant select, insert, update, delete on items to {team}, {others};";

pub(super) const KEYS: &str = "isolation = 'shared'\n";

/// Hazards V13, R114: who the login is.
const ROLES: [Case; 14] = [
    (
        "alter role {w} superuser",
        "alter role {w} nosuperuser",
        "role {w}: is a superuser",
    ),
    (
        "alter role {r} superuser",
        "alter role {r} nosuperuser",
        "role {r}: is a superuser",
    ),
    (
        "alter role {w} bypassrls",
        "alter role {w} nobypassrls",
        "role {w}: has BYPASSRLS",
    ),
    (
        "alter role {team} bypassrls",
        "alter role {team} nobypassrls",
        "role {team}: has BYPASSRLS",
    ),
    (
        "alter role {w} replication",
        "alter role {w} noreplication",
        "role {w}: has REPLICATION",
    ),
    (
        "alter role {w} createrole",
        "alter role {w} nocreaterole",
        "role {w}: has CREATEROLE",
    ),
    (
        "alter role {r} createdb",
        "alter role {r} nocreatedb",
        "role {r}: has CREATEDB",
    ),
    (
        "grant {others} to {w}",
        "revoke {others} from {w}",
        "role {others}: has a member outside of the tenant",
    ),
    (
        "grant {team} to {x}",
        "revoke {team} from {x}",
        "role {team}: has a member outside of the tenant",
    ),
    (
        "grant {team} to {others}",
        "revoke {team} from {others}",
        "role {team}: has a member outside of the tenant",
    ),
    (
        "grant {w} to {x}",
        "revoke {w} from {x}",
        "role {w}: has a member outside of the tenant",
    ),
    (
        "grant {x} to {w}",
        "revoke {x} from {w}",
        "role {x}: the login is a member of a login of somebody else",
    ),
    (
        "grant pg_read_all_data to {team}",
        "revoke pg_read_all_data from {team}",
        "role pg_read_all_data: the login is a member of a predefined role",
    ),
    (
        "grant pg_execute_server_program to {r}",
        "revoke pg_execute_server_program from {r}",
        "role pg_execute_server_program: the login is a member of a predefined role",
    ),
];

/// Hazards R114: where row security is not, or does not say anything.
const ROWS: [Case; 15] = [
    (
        "alter table items no force row level security",
        "alter table items force row level security",
        "public.items: row security is not forced on its owner",
    ),
    (
        "alter table items disable row level security",
        "alter table items enable row level security",
        "public.items: has no row security",
    ),
    (
        "create table plain (a int); grant select on plain to {team}",
        "drop table plain",
        "public.plain: has no row security",
    ),
    (
        "create table plain (a int, b int); grant select (a) on plain to {r}",
        "drop table plain",
        "public.plain: has no row security",
    ),
    (
        "create table plain (a int, b int); grant update (b) on plain to public",
        "drop table plain",
        "public.plain: has no row security",
    ),
    (
        "create table parts (a int, tenant name) partition by list (a); create table part1 partition of parts for values in (1); \
         alter table parts enable row level security; alter table parts force row level security; \
         create policy p on parts using (pg_has_role(session_user, tenant, 'MEMBER')); grant select on parts, part1 to {team}",
        "drop table parts",
        "public.part1: has no row security",
    ),
    (
        "create materialized view sums as select tenant, count(*) from items group by 1; grant select on sums to public",
        "drop materialized view sums",
        "public.sums: has no row security: it is a materialized view",
    ),
    (
        "create view peek as select * from items; grant select on peek to {r}",
        "drop view peek",
        "public.peek: shows what its owner may see, whom no policy binds",
    ),
    (
        "create table plain (a int); alter table plain owner to {o}; create view peek as select * from plain; \
         alter view peek owner to {o}; create view through as select * from peek; alter view through owner to {o}; \
         grant select on through to {team}",
        "drop table plain cascade",
        "public.plain: has no row security",
    ),
    (
        "create policy open on items using (true)",
        "drop policy open on items",
        "policy open on public.items: lets every row pass",
    ),
    (
        "create policy open on items using (session_user is not null)",
        "drop policy open on items",
        "policy open on public.items: lets every row pass",
    ),
    (
        "create policy open on items using (pg_has_role(session_user, tenant, 'MEMBER')) with check (true)",
        "drop policy open on items",
        "policy open on public.items: lets every row pass",
    ),
    // V11: anybody may set it.
    (
        "create policy open on items using (tenant = current_setting('app.tenant', true))",
        "drop policy open on items",
        "policy open on public.items: leans on a setting, which anybody may set",
    ),
    (
        "create policy open on items using (note <> 'secret')",
        "drop policy open on items",
        "policy open on public.items: does not ask who is logged in",
    ),
    (
        "alter policy members on items to {x}",
        "alter policy members on items to public",
        "public.items: has no policy for {w}",
    ),
];

/// What minds no policy, and what is the login's own.
const RIGHTS: [Case; 8] = [
    (
        "grant truncate on items to {team}",
        "revoke truncate on items from {team}",
        "public.items: the login may truncate it",
    ),
    (
        "grant trigger on items to {w}",
        "revoke trigger on items from {w}",
        "public.items: the login may have triggers on it",
    ),
    (
        "grant references (id) on items to {w}",
        "revoke references (id) on items from {w}",
        "public.items: the login may refer to it",
    ),
    (
        "alter table items owner to {w}",
        "alter table items owner to {o}",
        "table public.items: is owned by the login",
    ),
    (
        "alter table items owner to {team}",
        "alter table items owner to {o}; grant select, insert, update, delete on items to {team}",
        "table public.items: is owned by the login",
    ),
    (
        "grant create on schema public to {team}",
        "revoke create on schema public from {team}",
        "schema public: the login may make things in it",
    ),
    (
        "grant create on database {db} to {w}",
        "revoke create on database {db} from {w}",
        "database {db}: the login may make schemas in it",
    ),
    (
        "create table mine (a int); alter table mine owner to {r}",
        "drop table mine",
        "table public.mine: is owned by the login",
    ),
];

/// What leads out of the database (hazards V15, R44, R48).
const WAYS_OUT: [Case; 9] = [
    (
        "create extension dblink",
        "drop extension dblink",
        "function public.dblink(text): the login may call what leads out",
    ),
    (
        "grant execute on function pg_read_file(text) to {r}",
        "revoke execute on function pg_read_file(text) from {r}",
        "function pg_read_file(text): the login may call what leads out",
    ),
    (
        "grant execute on function lo_import(text) to public",
        "revoke execute on function lo_import(text) from public",
        "function lo_import(text): the login may call what leads out",
    ),
    (
        "create extension postgres_fdw; create server far foreign data wrapper postgres_fdw; grant usage on foreign server far to {team}",
        "drop extension postgres_fdw cascade",
        "foreign server far: the login may use it",
    ),
    (
        "create extension file_fdw; grant usage on foreign data wrapper file_fdw to {w}",
        "drop extension file_fdw cascade",
        "foreign-data wrapper file_fdw: the login may use it",
    ),
    (
        "create extension file_fdw; create server files foreign data wrapper file_fdw; \
         create foreign table passwd (line text) server files options (filename '/etc/passwd'); grant select on passwd to {r}",
        "drop extension file_fdw cascade",
        "foreign table public.passwd: another server or a file answers it",
    ),
    (
        "create function peek() returns bigint language sql security definer as 'select count(*) from public.items'",
        "drop function peek()",
        "function public.peek(): runs with the rights of postgres",
    ),
    (
        "create function peek() returns bigint language sql security definer as 'select count(*) from public.items'; \
         alter function peek() owner to {o}",
        "drop function peek()",
        "function public.peek(): runs with the rights of {o}",
    ),
    (
        "update pg_language set lanpltrusted = true where lanname = 'c'",
        "update pg_language set lanpltrusted = false where lanname = 'c'",
        "language c: the login may write functions in it",
    ),
];

fn room() -> Room {
    let room = Room::new(TABLES).start(KEYS);
    assert_eq!(
        room.ask("select note from items").ok().stdout.trim(),
        "ours"
    );
    room
}

#[test]
fn roles_that_reach_others_are_found() {
    room().finds(&ROLES);
}

#[test]
fn rows_that_no_policy_keeps_apart_are_found() {
    room().finds(&ROWS);
}

#[test]
fn rights_past_policies_are_found() {
    room().finds(&RIGHTS);
}

#[test]
fn ways_out_of_the_database_are_found() {
    room().finds(&WAYS_OUT);
}

/// A policy may go by a setting if it asks a function that the login cannot change whether it is signed; a permissive policy may
/// let all pass beside a restrictive one; a view may be its owner's whom the policies bind; a trigger may run as somebody else.
#[test]
fn what_is_safe_is_served() {
    let room = Room::new(TABLES);
    room.sql(
        "create function signed() returns name language sql stable security definer set search_path = pg_catalog \
         as $$ select current_setting('app.signed', true)::name $$; alter function signed() owner to {o}; \
         create policy by_signature on items using (tenant = signed());",
    );
    room.sql(
        "create table notes (tenant name not null, note text); alter table notes owner to {o}; \
         alter table notes enable row level security; alter table notes force row level security; \
         create policy all_rows on notes using (true); \
         create policy members on notes as restrictive using (pg_has_role(session_user, tenant, 'MEMBER')); \
         insert into notes values ('{team}', 'our note'), ('{others}', 'their note'); grant select on notes to {team}; \
         create view items_view as select * from items; alter view items_view owner to {o}; grant select on items_view to {team}; \
         create function audits() returns trigger language plpgsql security definer as 'begin return new; end'; \
         create trigger audits before insert on items for each row execute function audits();",
    );
    let room = room.start(KEYS);
    assert_eq!(
        room.ask("select note from notes").ok().stdout.trim(),
        "our note"
    );
    assert_eq!(
        room.ask("select note from items_view").ok().stdout.trim(),
        "ours"
    );
    room.ask("insert into items values (3, '{others}', 'foisted')")
        .failed(1);
}
