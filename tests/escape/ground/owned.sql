-- What a tenant's own login for migrations makes: rows, and what PostgreSQL makes of them.
set role "{t}_owner";
create table {schema}.docs (
    id     int generated always as identity primary key,
    tenant text not null,
    body   text,
    kind   text,
    number bigint
);
insert into {schema}.docs (tenant, body, kind, number)
    select '{t}', '{secret}', '{secret}', {number} from generate_series(1, 20);
create materialized view {schema}.totals as select tenant, body, count(*) from {schema}.docs group by 1, 2;
create statistics {schema}.pairs (mcv) on tenant, body from {schema}.docs;
create sequence {schema}.counter;
select setval('{schema}.counter', {number});
create view {schema}.current_docs as select * from {schema}.docs;
create function {schema}.count_docs() returns bigint language sql security definer
    as 'select count(*) from {schema}.docs';
reset role;
analyze;
checkpoint;
