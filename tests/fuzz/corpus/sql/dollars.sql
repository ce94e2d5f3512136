select $1, a$b$c, 1 $$;$$; select $é$;$é$
