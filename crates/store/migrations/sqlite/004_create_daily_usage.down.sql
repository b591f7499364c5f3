DROP TABLE daily_models;
DROP TABLE daily_subjects;
DROP TABLE daily_plans;
DROP TABLE daily_usage;
