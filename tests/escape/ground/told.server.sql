-- What PostgreSQL tells everybody on a server, and nobody on another.
comment on role "{t}_app" is '{secret}';
comment on database "{t}" is '{secret}';
alter role "{t}_app" set app.note = '{secret}';
