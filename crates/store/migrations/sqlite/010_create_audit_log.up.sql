-- Who changed what, when, from where; rows are added and never changed. actor: command, system, user, key; actor_id: the session or the
-- key; target_id: what was changed, and user_id whose it is; detail: JSON, what about it, never a secret.
CREATE TABLE audit_log (
    id            BLOB NOT NULL PRIMARY KEY,
    actor         TEXT NOT NULL CHECK (actor IN ('command', 'system', 'user', 'key')),
    actor_user_id BLOB,
    actor_id      BLOB,
    address       TEXT,
    action        TEXT NOT NULL,
    target_id     BLOB NOT NULL,
    user_id       BLOB,
    detail        TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);
CREATE INDEX audit_log_time ON audit_log (created_at, id);
CREATE INDEX audit_log_user ON audit_log (user_id, created_at, id);
CREATE INDEX audit_log_action ON audit_log (action, created_at, id);
CREATE TRIGGER audit_log_is_not_updated BEFORE UPDATE ON audit_log
    BEGIN SELECT RAISE(ABORT, 'rows of audit_log are never changed'); END;
-- What is replaced is deleted without its trigger.
CREATE TRIGGER audit_log_is_not_replaced BEFORE INSERT ON audit_log WHEN EXISTS (SELECT 1 FROM audit_log WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'rows of audit_log are never changed'); END;
CREATE TRIGGER audit_log_is_not_deleted BEFORE DELETE ON audit_log
    BEGIN SELECT RAISE(ABORT, 'rows of audit_log are never changed'); END;
