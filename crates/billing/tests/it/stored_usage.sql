-- All nodes have stored their usage until a late day.
UPDATE nodes SET ingested_until = 9000000000000000;
