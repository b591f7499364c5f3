DROP TABLE reviews;
DROP TABLE insight_settings;
DROP TABLE grants;
