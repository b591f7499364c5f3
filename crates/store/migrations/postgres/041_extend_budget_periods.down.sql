DELETE FROM budgets WHERE per = 'week';
DELETE FROM leases WHERE book_id IN (SELECT id FROM lease_books WHERE per = 'week');
DELETE FROM lease_books WHERE per = 'week';
ALTER TABLE budgets DROP CONSTRAINT budgets_per_check;
ALTER TABLE budgets ADD CONSTRAINT budgets_per_check CHECK (per IN ('day', 'month'));
ALTER TABLE lease_books DROP CONSTRAINT lease_books_per_check;
ALTER TABLE lease_books ADD CONSTRAINT lease_books_per_check CHECK (per IN ('day', 'month'));
