-- URLs of other systems that receive the events of billing. events: names and patterns, separated by spaces. sealed: the secret that
-- signs, and after a space the previous one, which signs too until previous_until. delivered_at: the time of the last accepted delivery.
CREATE TABLE webhook_endpoints (
    id             BLOB   NOT NULL PRIMARY KEY,
    url            TEXT   NOT NULL,
    events         TEXT   NOT NULL,
    sealed         BLOB   NOT NULL,
    master         BLOB   NOT NULL,
    previous_until BIGINT,
    delivered_at   BIGINT,
    disabled_at    BIGINT,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL
);

-- Events for one endpoint each. queued_at: the time from which a delivery is attempted for a day. status: that of the last response.
CREATE TABLE webhook_deliveries (
    id          BLOB   NOT NULL PRIMARY KEY,
    endpoint_id BLOB   NOT NULL REFERENCES webhook_endpoints (id),
    event       TEXT   NOT NULL,
    object_id   BLOB   NOT NULL,
    body        TEXT   NOT NULL,
    state       TEXT   NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed')),
    attempts    BIGINT NOT NULL,
    queued_at   BIGINT NOT NULL,
    next_at     BIGINT NOT NULL,
    status      BIGINT,
    error       TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (endpoint_id, next_at, id) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (updated_at) WHERE state <> 'waiting';
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, id);
