-- What a demo tenant holds: a small shop's books.
CREATE TABLE accounts (
    id       integer PRIMARY KEY,
    name     text NOT NULL,
    plan     text NOT NULL DEFAULT 'free',
    balance  numeric(12, 2) NOT NULL DEFAULT 0,
    since    date NOT NULL
);
CREATE TABLE orders (
    id       integer PRIMARY KEY,
    account  integer NOT NULL REFERENCES accounts,
    item     text NOT NULL,
    amount   numeric(12, 2) NOT NULL,
    placed   timestamptz NOT NULL
);
INSERT INTO accounts VALUES
    (1, 'Ada Lovelace',      'team', 1200.00, '2023-02-11'),
    (2, 'Grace Hopper',      'team',  310.50, '2023-05-30'),
    (3, 'Katherine Johnson', 'free',    0.00, '2024-01-08'),
    (4, 'Edsger Dijkstra',   'free',   42.00, '2024-09-19');
INSERT INTO orders VALUES
    (101, 1, 'ten seats, a year',   990.00, '2026-10-02 09:14+00'),
    (102, 2, 'three seats, a month', 45.00, '2026-10-19 16:40+00'),
    (103, 1, 'support',             210.00, '2026-11-03 11:05+00');
GRANT SELECT, INSERT, UPDATE, DELETE ON accounts, orders TO :"login";
