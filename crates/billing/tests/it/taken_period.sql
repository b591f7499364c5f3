-- The first invoice has the days of the next period, December having 31 days.
UPDATE invoices SET first_day = first_day + 31, last_day = last_day + 31 WHERE number = 1;
