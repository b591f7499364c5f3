-- Refunds of payments. The amount leaves the wallet when a row is added, and returns to it if the state becomes failed.
-- way: midtrans, or hand for a transfer that finance makes. refund_key: the key of the request to the provider.
CREATE TABLE refunds (
    id         UUID   NOT NULL PRIMARY KEY,
    user_id    UUID   NOT NULL REFERENCES users (id),
    invoice_id UUID   NOT NULL REFERENCES invoices (id),
    payment_id UUID   NOT NULL REFERENCES payments (id),
    refund_key TEXT   NOT NULL UNIQUE,
    amount     BIGINT NOT NULL CHECK (amount > 0),
    reason     TEXT   NOT NULL,
    way        TEXT   NOT NULL CHECK (way IN ('midtrans', 'hand')),
    reference  TEXT   NOT NULL,
    state      TEXT   NOT NULL CHECK (state IN ('requested', 'done', 'failed')),
    error      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX refunds_invoice ON refunds (invoice_id, id);
CREATE INDEX refunds_requested ON refunds (id) WHERE state = 'requested';
