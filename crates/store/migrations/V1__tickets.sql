-- Tickets, the words of people, the uses of tickets, and the heads of journals.
-- Times are milliseconds since 1970 on the store's clock. Every table is STRICT.

CREATE TABLE tickets (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    scope          TEXT    NOT NULL,  -- JSON: {kind, ...}
    digest         TEXT    NOT NULL CHECK (length(digest) = 64),
    tenant         TEXT    NOT NULL,
    requester      TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN (
        'pending', 'approved', 'executing', 'done', 'failed', 'rolled_back',
        'in_doubt', 'rejected', 'withdrawn', 'expired', 'void', 'fenced')),
    class          TEXT    NOT NULL,
    rule           TEXT    NOT NULL,
    why            TEXT    NOT NULL,
    needs          TEXT    NOT NULL,  -- JSON: [{group, approvals}]
    asked          TEXT    NOT NULL,  -- JSON: [{text, parameters}]
    role           TEXT    NOT NULL,
    in_transaction INTEGER NOT NULL CHECK (in_transaction IN (0, 1)),
    client         TEXT    NOT NULL,
    reason         TEXT,
    time_outs      TEXT    NOT NULL,  -- JSON: {lock_ms, statement_ms}
    facts          TEXT    NOT NULL,  -- JSON: {reads, writes, functions, ...}
    created_ms     INTEGER NOT NULL,
    expires_ms     INTEGER NOT NULL,
    use_within_ms  INTEGER CHECK (use_within_ms > 0),  -- where its rule says so
    previous       INTEGER REFERENCES tickets (id),
    outcome        TEXT               -- JSON: {tags, error}
) STRICT;
CREATE INDEX tickets_by_request ON tickets (digest, requester, tenant, id);
CREATE INDEX tickets_by_state ON tickets (state, id);
-- Those that wait are counted whenever one more is opened.
CREATE INDEX tickets_pending_of_person ON tickets (requester, expires_ms) WHERE state = 'pending';
CREATE INDEX tickets_pending_of_tenant ON tickets (tenant, expires_ms) WHERE state = 'pending';

-- What people said, in order. The latest word of each counts, remarks aside.
CREATE TABLE words (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    ticket  INTEGER NOT NULL REFERENCES tickets (id),
    person  TEXT    NOT NULL,
    groups  TEXT    NOT NULL,         -- JSON: [group]
    say     TEXT    NOT NULL CHECK (say IN ('approve', 'reject', 'changes', 'comment')),
    comment TEXT,
    at_ms   INTEGER NOT NULL
) STRICT;
CREATE INDEX words_of_ticket ON words (ticket, id);

-- Each use of a ticket. A number is never given twice, as the journal names uses by it.
CREATE TABLE claims (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    ticket     INTEGER NOT NULL REFERENCES tickets (id),
    shared     INTEGER NOT NULL CHECK (shared IN (0, 1)),  -- of a grant, which can have several
    in_transaction INTEGER NOT NULL CHECK (in_transaction IN (0, 1)),
    holder     TEXT,                  -- of a script: the connection that runs it
    steps      INTEGER NOT NULL,      -- ... and how many of its steps it has begun
    row        INTEGER,               -- which of them last took a row of the ledger with it, 0 where it is no script
    place      TEXT,                  -- ... and where that ledger is
    claimed_ms INTEGER NOT NULL,
    ended      TEXT CHECK (ended IN ('undone', 'done', 'failed', 'rolled_back', 'in_doubt', 'fenced')),
    ended_ms   INTEGER
) STRICT;
CREATE UNIQUE INDEX claims_open ON claims (ticket) WHERE ended IS NULL AND NOT shared;
CREATE INDEX claims_of_ticket ON claims (ticket);

-- How far each node's journal is known to reach.
CREATE TABLE heads (
    node TEXT    PRIMARY KEY,
    seq  INTEGER NOT NULL CHECK (seq > 0),
    hash TEXT    NOT NULL CHECK (length(hash) = 64)
) STRICT, WITHOUT ROWID;

-- What is known of the whole; the gate is closed to all but reads where there is a 'hold_all'. What the rows of ledgers are
-- named by is in 'ledger'.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta (name, value) VALUES ('product', 'portcullis');
