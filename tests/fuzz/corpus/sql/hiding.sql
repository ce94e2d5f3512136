explain analyze with w as (delete from t returning *) select * into x from w
