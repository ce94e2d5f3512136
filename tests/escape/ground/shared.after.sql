-- What PostgreSQL itself makes of the rows of all.
create materialized view app.totals as select tenant, body, count(*) from app.docs group by 1, 2;
create statistics app.pairs (mcv) on tenant, body from app.docs;
analyze;
checkpoint;
