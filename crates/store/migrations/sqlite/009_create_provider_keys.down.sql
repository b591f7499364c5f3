DROP TABLE master_keys;
DROP TABLE provider_keys;
