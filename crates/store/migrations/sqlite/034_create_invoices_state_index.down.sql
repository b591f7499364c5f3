DROP INDEX invoices_listed;
