-- An invoice that an older release made.
DELETE FROM invoice_days;
DELETE FROM invoice_terms;
