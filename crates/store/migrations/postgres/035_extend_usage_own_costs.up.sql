-- Costs that providers bill to a user's own credential. own_cost_nano: the part of cost_nano; of a request or an attempt NULL
-- without an own credential. own_charged_nano: the part of charged_nano that the budgets of plans and of everybody do not count;
-- of a request NULL if they count all of it. Older binaries count all of charged_nano.
ALTER TABLE usage_events ADD COLUMN own_cost_nano BIGINT;
ALTER TABLE usage_events ADD COLUMN own_charged_nano BIGINT;
ALTER TABLE usage_attempts ADD COLUMN own_cost_nano BIGINT;
ALTER TABLE daily_usage ADD COLUMN own_cost_nano BIGINT NOT NULL DEFAULT 0;
ALTER TABLE daily_models ADD COLUMN own_cost_nano BIGINT NOT NULL DEFAULT 0;
ALTER TABLE daily_plans ADD COLUMN own_charged_nano BIGINT NOT NULL DEFAULT 0;
