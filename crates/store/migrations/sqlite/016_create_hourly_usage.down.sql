DROP TABLE daily_routes;
DROP TABLE hourly_usage;
