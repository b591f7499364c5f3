-- The terms of the first invoice are not JSON.
UPDATE invoice_terms SET terms = '{' WHERE invoice_id = (SELECT id FROM invoices WHERE number = 1);
