-- What a dump must bring back: types, sequences, constraints, views, functions, triggers, partitions,
-- comments, odd names, and ten megabytes of rows.
create schema shop;
create type shop.mood as enum ('sad', 'ok', 'šťastný');
create domain shop.price as numeric(12, 2) check (value >= 0);
create table shop.people (id int primary key, name text not null unique, mood shop.mood, tags text[]);
cluster shop.people using people_pkey;
create table shop.orders (
    id serial primary key, person int references shop.people, price shop.price,
    note text, at timestamptz default '2026-01-01', "odd ""name" jsonb,
    doubled numeric generated always as (price * 2) stored
);
create index on shop.orders (lower(note)) where price > 10;
create table shop.parts (id bigint generated always as identity, day date) partition by range (day);
create table shop.parts_1 partition of shop.parts for values from ('2026-01-01') to ('2026-02-01');
create view shop.dear as select * from shop.orders where price > 100;
create materialized view shop.sums as select person, sum(price) from shop.orders group by person;
create function shop.total(who int) returns numeric language sql stable
    as $$ select coalesce(sum(price), 0) from shop.orders where person = who $$;
create function shop.touch() returns trigger language plpgsql
    as $$ begin new.at := '2026-02-02'; return new; end $$;
create trigger touch before update on shop.orders for each row execute function shop.touch();
comment on table shop.orders is 'what was ordered; žluťoučký';
insert into shop.people values (1, 'Jana', 'ok', '{a,"b c"}'), (2, 'O''Neil', 'šťastný', null);
insert into shop.orders (person, price, note, "odd ""name")
    select 1 + i % 2, i, repeat(md5(i::text), 32) || e'\t\\\n', jsonb_build_object('i', i)
    from generate_series(1, 10000) i;
insert into shop.parts (day) select date '2026-01-01' + i from generate_series(0, 29) i;
refresh materialized view shop.sums;
