-- A way to other servers, as operators leave it to everybody; where this PostgreSQL has it.
create schema if not exists ext;
grant usage on schema ext to public;
select exists (select from pg_available_extensions where name = 'dblink') as has_dblink \gset
\if :has_dblink
create extension if not exists dblink schema ext;
create extension if not exists postgres_fdw schema ext;
\endif
