-- What PostgreSQL tells everybody in a database, and nobody in another: definitions and comments.
set role "{t}_owner";
comment on table {schema}.docs is '{secret}';
comment on column {schema}.docs.body is '{secret}';
create function {schema}.told() returns text language sql as $$ select '{secret}'::text $$;
create view {schema}.told as select '{secret}'::text as body;
alter table {schema}.docs add constraint told check (body <> '{secret}' or true);
alter table {schema}.docs add column later text default '{secret}';
reset role;
