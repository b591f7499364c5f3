-- admin: the key may call what admins call. used_from, used_client: address and product of the last client that used the key.
ALTER TABLE api_keys ADD COLUMN admin BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE api_keys ADD COLUMN used_from TEXT;
ALTER TABLE api_keys ADD COLUMN used_client TEXT;
CREATE INDEX api_keys_last4 ON api_keys (last4, id);
CREATE INDEX api_keys_previous_last4 ON api_keys (previous_last4, id) WHERE previous_last4 IS NOT NULL;
