-- Budgets that nodes share, one row a budget and period. scope_id: the plan or the subject. id: made of the columns from scope to first_day, so that everybody
-- names it alike; carried: charged before anything was lent, none before that was looked up; most: the largest limit by which anything
-- was lent; recall: the latest one; pressed: whose requests waited in vain last, and until when others get no more than theirs need.
CREATE TABLE lease_books (
    id            UUID   NOT NULL PRIMARY KEY,
    scope       TEXT   NOT NULL CHECK (scope IN ('key', 'user', 'subject', 'plan', 'everybody')),
    scope_no    BIGINT NOT NULL,
    scope_id      UUID,
    measure       TEXT   NOT NULL CHECK (measure IN ('credits', 'tokens', 'money')),
    per           TEXT   NOT NULL CHECK (per IN ('day', 'month')),
    first_day     BIGINT NOT NULL,
    ends_at       BIGINT NOT NULL,
    carried       BIGINT,
    most          BIGINT NOT NULL,
    recall        BIGINT NOT NULL,
    pressed_id    UUID,
    pressed_until BIGINT,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);
CREATE INDEX lease_books_end ON lease_books (ends_at);

-- What of a book is lent to an incarnation of a node, or was. base: what had been charged of the budget through that node by
-- when the lease began: what its totals say beyond that was spent of this lease. recalled: the latest of the book's other
-- leases' recalls.
CREATE TABLE leases (
    id          UUID    NOT NULL PRIMARY KEY,
    book_id     UUID    NOT NULL,
    node_id     UUID    NOT NULL,
    incarnation BIGINT  NOT NULL,
    seq         BIGINT  NOT NULL,
    term        BIGINT  NOT NULL,
    granted     BIGINT  NOT NULL,
    used        BIGINT  NOT NULL,
    spent       BIGINT  NOT NULL,
    ceded       BIGINT  NOT NULL,
    round       BIGINT  NOT NULL,
    recalls     BIGINT  NOT NULL,
    recalled    BIGINT  NOT NULL,
    heard_at    BIGINT  NOT NULL,
    closed      BOOLEAN NOT NULL,
    told        BOOLEAN NOT NULL,
    base        BIGINT  NOT NULL,
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL,
    UNIQUE (book_id, node_id, incarnation)
);
CREATE INDEX leases_untold ON leases (node_id) WHERE NOT told;
CREATE INDEX leases_recalled ON leases (node_id) WHERE recalled > ceded AND NOT told;

-- When each node last asked for leases: id is the node's. Apart from nodes, whose rows ingest holds.
CREATE TABLE lease_holders (
    id         UUID   NOT NULL PRIMARY KEY,
    heard_at   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
