-- The list of the invoices of all users in one state, page by page, from the newest to the oldest.
CREATE INDEX invoices_listed ON invoices (state, id);
