-- The UTC days whose usage an invoice charges as that of its ended period; NULL without one, and for invoices of older binaries.
-- With billing.review: signoff, the invoice waits until these days are signed off.
ALTER TABLE invoices ADD COLUMN usage_first_day BIGINT;
ALTER TABLE invoices ADD COLUMN usage_last_day BIGINT;
-- As in daily_models: the part of cost_nano that providers bill to users' own credentials. Older binaries add nothing to it.
ALTER TABLE daily_labels ADD COLUMN own_cost_nano BIGINT NOT NULL DEFAULT 0;
-- An audit compares it with the requests that are stored already.
UPDATE daily_labels SET own_cost_nano = own.cost_nano
FROM (
    SELECT day, coalesce(label_set_no, 0) AS label_set_no, coalesce(user_no, 0) AS user_no,
        CASE WHEN format IS NULL THEN -1 ELSE coalesce(model_no, 0) END AS model_no,
        CASE WHEN sum(own_cost_nano / 1000000000) + sum(own_cost_nano % 1000000000) / 1000000000 >= 9223372036
            THEN 9223372036854775807
            ELSE CAST(sum(own_cost_nano / 1000000000) * 1000000000 + sum(own_cost_nano % 1000000000) AS BIGINT) END AS cost_nano
    FROM usage_events WHERE own_cost_nano > 0 GROUP BY 1, 2, 3, 4
) AS own
WHERE daily_labels.day = own.day AND daily_labels.label_set_no = own.label_set_no AND daily_labels.user_no = own.user_no
    AND daily_labels.model_no = own.model_no;
