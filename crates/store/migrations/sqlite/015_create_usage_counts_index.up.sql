-- A user's counts of a time range, for time series. Counts have one row per key, route, status class and minute, so the index costs
-- nothing per request.
CREATE INDEX usage_counts_user ON usage_counts (user_no, minute);
