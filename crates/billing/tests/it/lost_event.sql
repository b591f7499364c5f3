-- An event that is part of the totals only.
DELETE FROM usage_events WHERE input_tokens = 1;
