-- ; a habit
select 'it''s; here', E'\';', $$;$$, $a$ ; $$ $a$, U&'\003b' /* ; /* ; */ */ from "a;b" t;;
