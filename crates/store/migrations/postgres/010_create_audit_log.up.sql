-- Who changed what, when, from where; rows are added and never changed. actor: command, system, user, key; actor_id: the session or the
-- key; target_id: what was changed, and user_id whose it is; detail: JSON, what about it, never a secret.
CREATE TABLE audit_log (
    id            UUID NOT NULL PRIMARY KEY,
    actor         TEXT NOT NULL CHECK (actor IN ('command', 'system', 'user', 'key')),
    actor_user_id UUID,
    actor_id      UUID,
    address       TEXT,
    action        TEXT NOT NULL,
    target_id     UUID NOT NULL,
    user_id       UUID,
    detail        TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);
CREATE INDEX audit_log_time ON audit_log (created_at, id);
CREATE INDEX audit_log_user ON audit_log (user_id, created_at, id);
CREATE INDEX audit_log_action ON audit_log (action, created_at, id);
CREATE FUNCTION audit_log_stands() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'rows of audit_log are never changed'; END $$;
CREATE TRIGGER audit_log_stands BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_stands();
CREATE TRIGGER audit_log_is_not_emptied BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_stands();
