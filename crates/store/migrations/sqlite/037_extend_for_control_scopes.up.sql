-- What a key may call of the admin API: none, self or read. NULL is the default: self for restricted keys, otherwise everything.
ALTER TABLE api_keys ADD COLUMN control TEXT;
