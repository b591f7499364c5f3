DROP INDEX api_keys_previous_last4;
DROP INDEX api_keys_last4;
ALTER TABLE api_keys DROP COLUMN used_client;
ALTER TABLE api_keys DROP COLUMN used_from;
ALTER TABLE api_keys DROP COLUMN admin;
