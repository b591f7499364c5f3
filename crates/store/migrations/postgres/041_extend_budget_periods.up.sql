-- Budgets of weeks. Older binaries cannot read them, so they are set after all nodes are updated.
ALTER TABLE budgets DROP CONSTRAINT budgets_per_check;
ALTER TABLE budgets ADD CONSTRAINT budgets_per_check CHECK (per IN ('day', 'week', 'month'));
ALTER TABLE lease_books DROP CONSTRAINT lease_books_per_check;
ALTER TABLE lease_books ADD CONSTRAINT lease_books_per_check CHECK (per IN ('day', 'week', 'month'));
