-- A tenant's rows.
insert into app.docs (tenant, body, kind, number)
    select '{t}', '{secret}', '{secret}', {number} from generate_series(1, 20);
