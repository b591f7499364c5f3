-- The last configurations that were applied, one row each; the greatest number is the newest. source: file, or api. node_id:
-- the node that applied it first; file_digest: the digest of its file at that time; text: absent if it contains secrets; actor and actor_user_id: as in audit_log.
CREATE TABLE configurations (
    id            UUID   NOT NULL PRIMARY KEY,
    number        BIGINT NOT NULL UNIQUE,
    source        TEXT   NOT NULL CHECK (source IN ('file', 'api')),
    node_id       UUID   NOT NULL,
    file_digest   TEXT   NOT NULL,
    digest        TEXT   NOT NULL,
    text          TEXT,
    actor         TEXT   NOT NULL,
    actor_user_id UUID,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);
