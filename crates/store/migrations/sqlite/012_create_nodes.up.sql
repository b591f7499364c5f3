-- Servers, each with a spool of its own. id: as in the file `node` of its data folder; incarnation: how often one was started
-- there; seen_at: it ran then; left_at: it ended then; ingested_until: all that it had spooled until then is in the tables above.
CREATE TABLE nodes (
    id          BLOB   NOT NULL PRIMARY KEY,
    version     TEXT   NOT NULL,
    incarnation BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL,
    left_at     BIGINT,
    ingested_until BIGINT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

-- How far each lane of a node's spool is in the tables above.
CREATE TABLE ingested (
    id          BLOB   NOT NULL PRIMARY KEY,
    node_id     BLOB   NOT NULL REFERENCES nodes (id),
    lane        BIGINT NOT NULL,
    segment     BIGINT NOT NULL,
    byte_offset BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    UNIQUE (node_id, lane)
);

-- Requests that were open when their segments of a node's spool went, until their ends are stored. id: the request's; opened: JSON.
CREATE TABLE open_requests (
    id         BLOB NOT NULL PRIMARY KEY,
    node_id    BLOB NOT NULL REFERENCES nodes (id),
    opened     BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX open_requests_node ON open_requests (node_id);
