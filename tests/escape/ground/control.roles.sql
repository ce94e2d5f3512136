-- The roles of the control as they were made, whatever has become of them.
do $$
declare who text;
begin
    for who in select rolname from pg_roles where rolname like 'way%' loop
        execute format('drop owned by %I cascade', who);
        execute format('drop role %I', who);
    end loop;
    foreach who in array array['{a}', '{b}'] loop
        if to_regrole(who) is null then
            execute format('create role %I', who);
        end if;
    end loop;
    foreach who in array array['{a_app}', '{a_read}', '{b_app}', '{b_read}', 'control_tables'] loop
        if to_regrole(who) is null then
            execute format('create role %I', who);
        end if;
        execute format('alter role %I login nosuperuser nocreatedb noreplication nobypassrls', who);
        execute format('alter role %I valid until ''infinity'' connection limit -1', who);
    end loop;
end $$;
grant {a} to {a_app}, {a_read};
grant {b} to {b_app}, {b_read};
grant connect, temporary on database esc_control to {a}, {b}, control_tables;
alter role control_tables password 'tables';
alter role all reset all;
alter database esc_control reset all;
