DROP TABLE open_windows;
DROP TABLE window_usage;
DELETE FROM leases WHERE book_id IN (SELECT id FROM lease_books WHERE per NOT IN ('day', 'week', 'month'));
DELETE FROM lease_books WHERE per NOT IN ('day', 'week', 'month');
ALTER TABLE lease_books ADD CONSTRAINT lease_books_per_check CHECK (per IN ('day', 'week', 'month'));
