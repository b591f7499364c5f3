-- What the amounts of an invoice were computed from: tax, prices by day, exchange rates, and the usage as it was then. terms: JSON.
-- listed_at: the time at which the requests of its days were listed; NULL: not yet.
CREATE TABLE invoice_terms (
    id         UUID   NOT NULL PRIMARY KEY,
    invoice_id UUID   NOT NULL UNIQUE REFERENCES invoices (id),
    terms      TEXT   NOT NULL,
    listed_at  BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX invoice_terms_unlisted ON invoice_terms (invoice_id) WHERE listed_at IS NULL;

-- The requests of each day of an invoice. digest: SHA-256 of the day's file in the receipt, in hex digits; empty if the requests
-- that were stored did not add up to the usage of the invoice. Rows are added and never changed.
CREATE TABLE invoice_days (
    id         UUID   NOT NULL PRIMARY KEY,
    invoice_id UUID   NOT NULL REFERENCES invoices (id),
    day        BIGINT NOT NULL,
    row_count  BIGINT NOT NULL,
    digest     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (invoice_id, day)
);
