DROP TABLE schema_floor;
DROP TABLE plans;
