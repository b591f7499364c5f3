-- All nodes have stored their usage until `MICROS`, which the test replaces.
UPDATE nodes SET ingested_until = MICROS;
