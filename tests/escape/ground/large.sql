-- A tenant's large object.
select lo_unlink(oid) from pg_largeobject_metadata where oid = {lo};
select lo_from_bytea({lo}, '{secret}');
alter large object {lo} owner to "{t}_app";
