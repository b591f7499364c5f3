-- Versions of a plan's price. A subscription keeps its version until it is moved. charges: JSON.
CREATE TABLE plan_versions (
    id           UUID   NOT NULL PRIMARY KEY,
    plan_id      UUID   NOT NULL REFERENCES plans (id),
    version      BIGINT NOT NULL,
    currency     TEXT   NOT NULL CHECK (currency IN ('IDR', 'USD')),
    price        BIGINT NOT NULL CHECK (price >= 0),
    term         TEXT   NOT NULL CHECK (term IN ('month', 'year')),
    trial_days   BIGINT NOT NULL,
    charges      TEXT   NOT NULL,
    retired_at   BIGINT,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    UNIQUE (plan_id, version)
);

-- One subscription of a user that is not cancelled. Days are UTC days since 1970-01-01.
CREATE TABLE subscriptions (
    id                   UUID    NOT NULL PRIMARY KEY,
    user_id              UUID    NOT NULL REFERENCES users (id),
    plan_version_id      UUID    NOT NULL REFERENCES plan_versions (id),
    state                TEXT    NOT NULL CHECK (state IN ('pending', 'trialing', 'active', 'past_due', 'limited', 'closed', 'cancelled')),
    anchor_day           BIGINT  NOT NULL CHECK (anchor_day BETWEEN 1 AND 31),
    first_day            BIGINT  NOT NULL,
    last_day             BIGINT  NOT NULL,
    trial_last_day       BIGINT,
    past_due_since       BIGINT,
    cancel_at_end        BOOLEAN NOT NULL,
    next_plan_version_id UUID    REFERENCES plan_versions (id),
    ended_at             BIGINT,
    created_at           BIGINT  NOT NULL,
    updated_at           BIGINT  NOT NULL
);
CREATE UNIQUE INDEX subscriptions_of_user ON subscriptions (user_id) WHERE state <> 'cancelled';
CREATE INDEX subscriptions_history ON subscriptions (user_id, id);
CREATE INDEX subscriptions_period ON subscriptions (last_day) WHERE state <> 'cancelled';

-- The days that a subscription had each plan version: usage is charged by them.
CREATE TABLE subscription_days (
    id              UUID   NOT NULL PRIMARY KEY,
    subscription_id UUID   NOT NULL REFERENCES subscriptions (id),
    plan_version_id UUID   NOT NULL REFERENCES plan_versions (id),
    first_day       BIGINT NOT NULL,
    period_first    BIGINT NOT NULL,
    period_last     BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    UNIQUE (subscription_id, first_day)
);

-- An invoice without a number is a draft. digest: SHA-256 of its lines and totals. target_version_id: the plan version to which the
-- payment of a change moves the subscription.
-- seller, customer: the parties as JSON, as they were named when the invoice got its number.
CREATE TABLE invoices (
    id                 UUID   NOT NULL PRIMARY KEY,
    user_id            UUID   NOT NULL REFERENCES users (id),
    subscription_id    UUID   REFERENCES subscriptions (id),
    kind               TEXT   NOT NULL CHECK (kind IN ('period', 'change', 'topup', 'manual', 'credit_note')),
    of_invoice_id      UUID   REFERENCES invoices (id),
    target_version_id  UUID   REFERENCES plan_versions (id),
    first_day          BIGINT NOT NULL,
    last_day           BIGINT NOT NULL,
    state              TEXT   NOT NULL CHECK (state IN ('draft', 'review', 'open', 'paid', 'void', 'uncollectible')),
    series             TEXT,
    number             BIGINT,
    number_text        TEXT,
    currency           TEXT   NOT NULL CHECK (currency IN ('IDR', 'USD')),
    subtotal           BIGINT NOT NULL,
    tax_name           TEXT   NOT NULL,
    tax_rate           TEXT   NOT NULL,
    tax_base           BIGINT NOT NULL,
    tax                BIGINT NOT NULL,
    total              BIGINT NOT NULL,
    remaining          BIGINT NOT NULL CHECK (remaining >= 0),
    rules_version      BIGINT NOT NULL,
    issued_at          BIGINT,
    due_at             BIGINT,
    digest             TEXT   NOT NULL,
    tax_invoice_number TEXT   NOT NULL,
    seller             TEXT   NOT NULL DEFAULT '',
    customer           TEXT   NOT NULL DEFAULT '',
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT NOT NULL,
    UNIQUE (series, number)
);
CREATE UNIQUE INDEX invoices_of_period ON invoices (subscription_id, first_day) WHERE kind = 'period';
CREATE INDEX invoices_user ON invoices (user_id, id);
CREATE INDEX invoices_state ON invoices (state, due_at);
CREATE INDEX invoices_subscription ON invoices (subscription_id, id);

-- unit_price_pico: absent if the units have several prices.
CREATE TABLE invoice_lines (
    id              UUID   NOT NULL PRIMARY KEY,
    invoice_id      UUID   NOT NULL REFERENCES invoices (id),
    no              BIGINT NOT NULL,
    kind            TEXT   NOT NULL CHECK (kind IN ('plan', 'usage', 'proration', 'late', 'credit', 'unpriced')),
    text            TEXT   NOT NULL,
    quantity        BIGINT NOT NULL,
    unit            TEXT   NOT NULL,
    unit_price_pico BIGINT,
    amount          BIGINT NOT NULL,
    plan_version_id UUID   REFERENCES plan_versions (id),
    first_day       BIGINT NOT NULL,
    last_day        BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    UNIQUE (invoice_id, no)
);

-- The last number of each series of invoices. It changes in the transaction that opens an invoice, so no number is lost.
CREATE TABLE number_series (
    id         UUID   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    last       BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- A payment without an invoice is a top-up. instructions: JSON for the page. checked_at: the last request of the status.
CREATE TABLE payments (
    id             UUID   NOT NULL PRIMARY KEY,
    user_id        UUID   NOT NULL REFERENCES users (id),
    invoice_id     UUID   REFERENCES invoices (id),
    order_id       TEXT   NOT NULL UNIQUE,
    method         TEXT   NOT NULL,
    amount         BIGINT NOT NULL CHECK (amount > 0),
    state          TEXT   NOT NULL CHECK (state IN ('created', 'pending', 'held', 'paid', 'failed', 'reversed', 'partly_refunded', 'refunded', 'charged_back')),
    transaction_id TEXT,
    instructions   TEXT   NOT NULL,
    expires_at     BIGINT NOT NULL,
    refunded       BIGINT NOT NULL CHECK (refunded >= 0),
    checked_at     BIGINT,
    error          TEXT   NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL
);
CREATE INDEX payments_invoice ON payments (invoice_id, id);
CREATE INDEX payments_state ON payments (state, checked_at);
CREATE INDEX payments_user ON payments (user_id, id);

-- Notifications as they arrived, each body once. next_at: the earliest time of the next attempt to handle it.
CREATE TABLE payment_notifications (
    id             UUID    NOT NULL PRIMARY KEY,
    digest         TEXT    NOT NULL UNIQUE,
    order_id       TEXT    NOT NULL,
    transaction_id TEXT    NOT NULL,
    status         TEXT    NOT NULL,
    body           TEXT    NOT NULL,
    handled_at     BIGINT,
    result         TEXT    NOT NULL,
    attempts       BIGINT  NOT NULL,
    next_at        BIGINT  NOT NULL,
    created_at     BIGINT  NOT NULL,
    updated_at     BIGINT  NOT NULL
);
CREATE INDEX payment_notifications_order ON payment_notifications (order_id, id);
CREATE INDEX payment_notifications_waiting ON payment_notifications (next_at, id) WHERE handled_at IS NULL;

-- Money of customers for their next invoices. The constraint refuses any way to spend more.
CREATE TABLE wallets (
    id         UUID   NOT NULL PRIMARY KEY,
    user_id    UUID   NOT NULL REFERENCES users (id),
    currency   TEXT   NOT NULL CHECK (currency IN ('IDR', 'USD')),
    balance    BIGINT NOT NULL CHECK (balance >= 0),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (user_id, currency)
);

-- Double entry: the amounts of one transaction_id sum to zero. Debits are positive. Rows are added and never changed.
CREATE TABLE postings (
    id             UUID   NOT NULL PRIMARY KEY,
    transaction_id UUID   NOT NULL,
    no             BIGINT NOT NULL,
    account        TEXT   NOT NULL CHECK (account IN ('receivable', 'revenue', 'tax', 'clearing', 'wallet', 'write_off')),
    user_id        UUID   NOT NULL REFERENCES users (id),
    currency       TEXT   NOT NULL CHECK (currency IN ('IDR', 'USD')),
    amount         BIGINT NOT NULL,
    invoice_id     UUID   REFERENCES invoices (id),
    payment_id     UUID   REFERENCES payments (id),
    reason         TEXT   NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    UNIQUE (transaction_id, no)
);
CREATE INDEX postings_user ON postings (user_id, id);
CREATE INDEX postings_invoice ON postings (invoice_id, id);
CREATE FUNCTION postings_stands() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'rows of postings are never changed'; END $$;
CREATE TRIGGER postings_stands BEFORE UPDATE OR DELETE ON postings
    FOR EACH ROW EXECUTE FUNCTION postings_stands();
CREATE TRIGGER postings_is_not_emptied BEFORE TRUNCATE ON postings
    FOR EACH STATEMENT EXECUTE FUNCTION postings_stands();
