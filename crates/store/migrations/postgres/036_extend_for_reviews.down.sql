ALTER TABLE daily_labels DROP COLUMN own_cost_nano;
ALTER TABLE invoices DROP COLUMN usage_last_day;
ALTER TABLE invoices DROP COLUMN usage_first_day;
