-- A table that all tenants have, and who owns it.
create role shared_tables nologin;
create schema app authorization shared_tables;
create table app.docs (
    id     int generated always as identity primary key,
    tenant text not null,
    body   text,
    kind   text,
    number bigint
);
alter table app.docs owner to shared_tables;
