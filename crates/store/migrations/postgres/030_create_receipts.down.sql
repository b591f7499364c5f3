DROP TABLE invoice_days;
DROP TABLE invoice_terms;
