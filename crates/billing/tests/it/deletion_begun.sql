-- Retention records the time before it deletes usage.
UPDATE revision SET usage_from = {from};
