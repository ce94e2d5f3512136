-- The ledger of Portcullis: one row for each signed write, written in the transaction of what was signed, so that either both
-- are there or neither. To be run by a role that is neither of the two logins below.
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
CREATE SCHEMA IF NOT EXISTS portcullis;
CREATE TABLE IF NOT EXISTS portcullis.ledger (
    key    bytea PRIMARY KEY CHECK (length(key) = 32),
    fate   text NOT NULL CHECK (fate IN ('ran', 'fenced')),
    ticket text,
    login  name NOT NULL DEFAULT session_user,
    at     timestamptz NOT NULL DEFAULT transaction_timestamp()
);
COMMENT ON TABLE portcullis.ledger IS
    'What Portcullis had run after people had signed for it. Rows older than any ticket lives may be deleted.';
CREATE OR REPLACE FUNCTION portcullis.claim(nonce bytea, ticket text) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $fn$ INSERT INTO portcullis.ledger (key, fate, ticket) VALUES (sha256(nonce), 'ran', ticket) $fn$;
COMMENT ON FUNCTION portcullis.claim(bytea, text) IS 'Says that what follows in this transaction is what was signed.';
CREATE OR REPLACE FUNCTION portcullis.fence(key bytea, ticket text) RETURNS text
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
    AS $fn$ INSERT INTO portcullis.ledger (key, fate, ticket) VALUES ($1, 'fenced', $2) ON CONFLICT DO NOTHING;
            SELECT fate FROM portcullis.ledger WHERE ledger.key = $1 $fn$;
COMMENT ON FUNCTION portcullis.fence(bytea, text) IS 'Says whether it ran; and if it did not, that it never will.';
REVOKE ALL ON SCHEMA portcullis FROM PUBLIC;
REVOKE ALL ON TABLE portcullis.ledger FROM PUBLIC, {write}, {ledger};
REVOKE ALL ON FUNCTION portcullis.claim(bytea, text), portcullis.fence(bytea, text) FROM PUBLIC;
GRANT USAGE ON SCHEMA portcullis TO {write}, {ledger};
GRANT EXECUTE ON FUNCTION portcullis.claim(bytea, text) TO {write};
GRANT EXECUTE ON FUNCTION portcullis.fence(bytea, text) TO {ledger};
DO $do$
BEGIN
    -- Whoever was here before could change it.
    IF EXISTS (
        SELECT FROM (
            SELECT nspowner FROM pg_namespace WHERE nspname = 'portcullis'
            UNION ALL SELECT relowner FROM pg_class WHERE relnamespace = 'portcullis'::regnamespace
            UNION ALL SELECT proowner FROM pg_proc WHERE pronamespace = 'portcullis'::regnamespace
        ) AS owned (owner), (VALUES ({write_text}::name), ({ledger_text})) AS logins (login)
        WHERE pg_has_role(login, owner, 'MEMBER')
    ) THEN
        RAISE EXCEPTION 'a login of the gate owns what is in schema "portcullis", or is a superuser';
    END IF;
END
$do$;
COMMIT;
