-- The control: what tenants are granted where somebody is in a hurry. Run again it is as it was.
drop schema if exists app cascade;
drop schema public cascade;
create schema public;
create schema app authorization control_tables;
create table app.docs (
    id     int generated always as identity primary key,
    tenant text not null,
    body   text,
    kind   text,
    number bigint
);
insert into app.docs (tenant, body, kind, number)
    select '{a}', '{own}', '{own}', {own_number} from generate_series(1, 20);
insert into app.docs (tenant, body, kind, number)
    select '{b}', '{secret}', '{secret}', {number} from generate_series(1, 20);
-- Its owner sees all of it, for want of FORCE; and the policy asks a setting, and whoever one is now.
alter table app.docs owner to control_tables;
alter table app.docs enable row level security;
create policy by_setting on app.docs
    using (tenant = current_setting('app.tenant', true) or pg_has_role(current_user, tenant, 'USAGE'));
create materialized view app.totals as select tenant, body, count(*) from app.docs group by 1, 2;
create statistics app.pairs (mcv) on tenant, body from app.docs;
grant usage on schema app, public to public;
grant create on schema public to public;
grant connect, temporary on database esc_control to public;
grant select, insert, update, delete on app.docs to {a}_app, {b}_app;
grant select on app.docs, app.totals to {a}_app, {a}_read, {b}_app, {b}_read;
-- One tenant's login may become the other's, and make roles.
alter role {a}_app noinherit createrole;
alter role {b}_app inherit;
grant {b}_app to {a}_app;
alter role {a}_app set app.tenant = '{a}';
alter role {a}_read set app.tenant = '{a}';
alter role {b}_app set app.tenant = '{b}';
alter role {b}_read set app.tenant = '{b}';
-- Views and functions that run as the superuser who made them.
create view public.all_docs as select * from app.docs;
create function public.all_docs() returns setof text language sql security definer as 'select body from app.docs';
create function public.run(what text) returns text language plpgsql security definer
    as $$ declare found text; begin execute what into found; return found; end $$;
grant select on public.all_docs to public;
-- Eyes that see what the server sees.
grant pg_monitor, pg_read_server_files, pg_read_all_stats to {a}_read;
grant execute on function pg_read_file(text), pg_read_binary_file(text), pg_ls_dir(text) to {a}_app;
grant select on pg_statistic, pg_largeobject, pg_authid, pg_statistic_ext_data to {a}_app, {a}_read;
select lo_unlink(oid) from pg_largeobject_metadata where oid = {lo};
select lo_from_bytea({lo}, '{secret}');
alter large object {lo} owner to {b}_app;
grant select, update on large object {lo} to public;
-- A foreign server with the superuser's password for everybody.
drop server if exists other cascade;
select exists (select from pg_extension where extname = 'postgres_fdw') as has_fdw \gset
\if :has_fdw
create server other foreign data wrapper postgres_fdw
    options (host '127.0.0.1', port '{port}', dbname 'esc_control');
create user mapping for public server other options (user 'postgres', password '{superuser}');
grant usage on foreign server other to public;
\endif
analyze;
checkpoint;
