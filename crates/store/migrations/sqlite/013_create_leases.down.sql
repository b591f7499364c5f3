DROP TABLE lease_holders;
DROP TABLE leases;
DROP TABLE lease_books;
