-- A login as it was made, and impatient.
alter role "{role}" reset all;
alter role "{role}" in database "{database}" reset all;
alter role "{role}" set search_path = {path}, pg_temp;
alter role "{role}" set lock_timeout = '2s';
alter role "{role}" set statement_timeout = '10s';
alter role "{role}" set default_transaction_read_only = {read_only};
alter role "{role}" password '{password}';
