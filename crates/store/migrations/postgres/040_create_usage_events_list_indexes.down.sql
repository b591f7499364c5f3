DROP INDEX usage_events_model;
DROP INDEX usage_events_unsuccessful_user;
DROP INDEX usage_events_unsuccessful;
