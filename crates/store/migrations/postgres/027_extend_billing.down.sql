DROP INDEX invoices_corrected;
ALTER TABLE invoices DROP COLUMN reason;
DROP INDEX subscriptions_usage_due;
ALTER TABLE subscriptions DROP COLUMN usage_due;
ALTER TABLE users DROP COLUMN hold;
