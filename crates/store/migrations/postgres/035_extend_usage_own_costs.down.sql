ALTER TABLE daily_plans DROP COLUMN own_charged_nano;
ALTER TABLE daily_models DROP COLUMN own_cost_nano;
ALTER TABLE daily_usage DROP COLUMN own_cost_nano;
ALTER TABLE usage_attempts DROP COLUMN own_cost_nano;
ALTER TABLE usage_events DROP COLUMN own_charged_nano;
ALTER TABLE usage_events DROP COLUMN own_cost_nano;
