"""psql at a terminal: it starts, and somebody presses the tabulator at the beginning of most statements."""

import os
import re
import subprocess

import pexpect

# What has been written when the key is pressed.
BEGINNINGS = [
    "select * from ", "select * from shop.", "select * from shop.or", 'select * from "Seq', "select count(",
    "insert into ", "insert into shop.orders (", "update ", "update shop.people set ", "delete from ",
    "delete from shop.people where ", "table ", "truncate ", "copy ", "analyze ", "vacuum full ", "cluster ",
    "cluster shop.people using ", "reindex index ", "reindex table ", "refresh materialized view ", "lock table ",
    "explain select * from ", "call ", "execute ", "alter table ",
    "alter table shop.orders add constraint x unique using index ", "alter table shop.orders drop column ",
    "alter table shop.orders drop constraint ", "alter table shop.orders alter column ",
    "alter table shop.orders rename column ", "alter table shop.orders disable trigger ",
    "alter table shop.parts detach partition ", "alter table shop.parts attach partition ",
    "alter table shop.orders set tablespace ", "alter table shop.orders owner to ",
    "alter table shop.people disable rule ", "alter index ", "alter index shop.orders_note alter column ",
    "alter view ", "alter materialized view ", "alter sequence ", "alter domain ",
    "alter domain shop.price drop constraint ", "alter type ", "alter type shop.mood rename value ",
    "alter type shop.pair alter attribute ", "alter function ", "alter function shop.total(", "alter procedure ",
    "alter aggregate ", "alter operator ", "alter schema ", "alter role ", "alter user ", "alter group clerk add user ",
    "alter database ", "alter extension ", "alter extension hstore update to ", "alter server ", "alter foreign table ",
    "alter foreign data wrapper ", "alter user mapping for ", "alter publication ", "alter publication news add table ",
    "alter subscription ", "alter language ", "alter event trigger ", "alter policy ", "alter policy own on ",
    "alter rule ", "alter rule no_deletes on ", "alter trigger ", "alter trigger touch on ", "alter statistics ",
    "alter collation ", "alter conversion ", "alter text search configuration ", "alter text search dictionary ",
    "alter system set ", "alter default privileges in schema ", "alter large object ", "create index on ",
    "create index on shop.orders (", "create index on shop.orders using ", "create trigger x before insert on ",
    "create trigger x before insert on shop.orders execute function ", "create policy x on ",
    "create rule x as on insert to ", "create extension ", "create extension hstore version ",
    "create table x partition of ", "create server x foreign data wrapper ", "create foreign table x (id int) server ",
    "create publication x for table ", "create schema authorization ", "create database x template ",
    "create database x encoding ", "create statistics x on a from ", "create event trigger x on ",
    "create collation x from ", "create user mapping for x server ", "create view x as select * from ", "drop table ",
    "drop view ", "drop materialized view ", "drop index ", "drop index concurrently ", "drop sequence ",
    "drop schema ", "drop type ", "drop domain ", "drop function ", "drop function shop.total(", "drop procedure ",
    "drop aggregate ", "drop operator class ", "drop role ", "drop database ", "drop extension ", "drop server ",
    "drop foreign table ", "drop publication ", "drop subscription ", "drop policy ", "drop policy own on ",
    "drop trigger ", "drop trigger touch on ", "drop rule ", "drop rule no_deletes on ", "drop event trigger ",
    "drop language ", "drop collation ", "drop conversion ", "drop text search parser ", "drop owned by ",
    "drop access method ", "comment on table ", "comment on column ", "comment on constraint ",
    "comment on constraint noted on ", "comment on function ", "grant ", "grant select on ", "grant select on table ",
    "grant usage on schema ", "grant execute on function ", "grant usage on language ",
    "grant select on shop.people to ", "grant clerk to ", "revoke all on ", "revoke select on shop.people from ",
    "reassign owned by ", "security label on table ", "set ", "set search_path to ", "set timezone to ",
    "set session authorization ", "set role ", "set constraints ", "set datestyle to ", "set client_encoding to ",
    "set default_table_access_method to ", "show ", "reset ", "listen ", "notify ", "unlisten ", "deallocate ",
    "fetch ", "close ", "move ", "import foreign schema x from server ", "values (", "with x as (select * from ",
    "\\d ", "\\d shop.", "\\da ", "\\dA ", "\\dAc ", "\\dAf ", "\\dAo btree ", "\\dAp ", "\\db ", "\\dconfig ", "\\dC ",
    "\\dD ", "\\des ", "\\deu ", "\\dew ", "\\df ", "\\df shop.total ", "\\dF ", "\\dFd ", "\\dFp ", "\\dFt ", "\\di ",
    "\\dL ", "\\dm ", "\\dn ", "\\do ", "\\dp ", "\\dP ", "\\dPi ", "\\drds ", "\\drds x ", "\\dRp ", "\\dRs ", "\\ds ",
    "\\dt ", "\\dT ", "\\du ", "\\dv ", "\\dE ", "\\dx ", "\\dX ", "\\dy ", "\\l ", "\\c ", "\\connect template1 ",
    "\\z ", "\\sf ", "\\sv ", "\\ef ", "\\ev ", "\\h alter t", "\\encoding ", "\\password ", "\\copy ", "\\lo_unlink ",
]

version = subprocess.run(["psql", "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
print("version", re.search(r"[0-9.]+", version)[0])
print("did a start at a terminal, and the tabulator after", len(BEGINNINGS), "beginnings of statements and commands")

# A plain terminal, so that what is read back has no colours in it.
environment = {**os.environ, "TERM": "dumb", "PAGER": "cat", "INPUTRC": os.devnull, "PSQL_HISTORY": os.devnull}
process = pexpect.spawn("psql", ["-X"], env=environment, encoding="utf-8", timeout=60, dimensions=(50, 400))
process.expect("=# ")
for number, beginning in enumerate(BEGINNINGS):
    process.send(beginning + "\t")
    # Ctrl-A and Ctrl-K: the line is forgotten. Then a word of its own says that psql has come so far.
    process.send("\x01\x0b")
    process.send(f"\\echo so-far-{number}-come\n")
    process.expect(rf"\nso-far-{number}-come")
    process.expect("=# ")
process.sendline("\\q")
process.expect(pexpect.EOF)
