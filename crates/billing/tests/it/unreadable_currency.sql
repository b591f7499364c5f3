-- A currency that this version does not know.
PRAGMA ignore_check_constraints = ON;
UPDATE invoices SET currency = 'EUR' WHERE number = 1;
