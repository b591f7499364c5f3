-- Changes that a user made, newest first.
CREATE INDEX audit_log_actor ON audit_log (actor_user_id, created_at, id);
