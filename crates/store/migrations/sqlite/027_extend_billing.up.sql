-- hold: keys of the user are refused until open invoices are paid.
ALTER TABLE users ADD COLUMN hold BOOLEAN NOT NULL DEFAULT FALSE;
-- usage_due: the subscription was cancelled within a period, and the usage of that period is not invoiced yet.
ALTER TABLE subscriptions ADD COLUMN usage_due BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX subscriptions_usage_due ON subscriptions (id) WHERE usage_due;
-- reason: why a credit note was made.
ALTER TABLE invoices ADD COLUMN reason TEXT NOT NULL DEFAULT '';
CREATE INDEX invoices_corrected ON invoices (of_invoice_id) WHERE of_invoice_id IS NOT NULL;
