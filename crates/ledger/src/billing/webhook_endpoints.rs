//! The URLs of other systems that receive the events of billing.

use access::{SealedCredential, Timestamp};
use store::sealed::vault;
use store::sql::{Transaction, micros, statements, timestamp};
use store::{DatabaseError, Store};
use uuid::Uuid;

/// Maximum number of endpoints of a store.
pub const WEBHOOKS_MAX: usize = 20;

macro_rules! endpoint_columns {
    () => {
        "e.id, e.url, e.events, e.sealed, e.master, e.previous_until, e.delivered_at, e.disabled_at, e.created_at, e.updated_at
        FROM webhook_endpoints e"
    };
}

statements! {
    ADD = "INSERT INTO webhook_endpoints (id, url, events, sealed, master, previous_until, delivered_at, disabled_at, created_at,
        updated_at) VALUES ($1, $2, $3, $4, $5, NULL, NULL, NULL, $6, $6)";
    FIND = concat!("SELECT ", endpoint_columns!(), " WHERE e.id = $1");
    // No store has more than `WEBHOOKS_MAX`.
    LIST = concat!("SELECT ", endpoint_columns!(), " ORDER BY e.id LIMIT 100");
    WITH_DUE = concat!("SELECT ", endpoint_columns!(), " WHERE e.disabled_at IS NULL AND EXISTS (SELECT 1 FROM webhook_deliveries d
        WHERE d.endpoint_id = e.id AND d.state = 'waiting' AND d.next_at <= $1) ORDER BY e.id LIMIT 100");
    SET = "UPDATE webhook_endpoints SET url = $2, events = $3, disabled_at = $4, updated_at = $5 WHERE id = $1";
    SEAL = "UPDATE webhook_endpoints SET sealed = $2, master = $3, previous_until = $4, updated_at = $5 WHERE id = $1";
    DELIVERED = "UPDATE webhook_endpoints SET delivered_at = $2 WHERE id = $1";
    DELETE = "DELETE FROM webhook_endpoints WHERE id = $1";
}

/// An endpoint as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWebhook {
    /// Id of the endpoint.
    pub id: Uuid,
    /// The URL that receives the events.
    pub url: String,
    /// The names and patterns of its events, separated by spaces.
    pub events: String,
    /// The secret, and after a space the previous one.
    pub sealed: SealedCredential,
    /// The time until which the previous secret signs too.
    pub previous_until: Option<Timestamp>,
    /// The time of the last accepted delivery.
    pub delivered_at: Option<Timestamp>,
    /// The time since which no event is delivered.
    pub disabled_at: Option<Timestamp>,
    /// The time at which it was created.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
}

#[derive(Debug, sqlx_macros::FromRow)]
struct WebhookRow {
    id: Uuid,
    url: String,
    events: String,
    sealed: Vec<u8>,
    master: Vec<u8>,
    previous_until: Option<i64>,
    delivered_at: Option<i64>,
    disabled_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<WebhookRow> for StoredWebhook {
    type Error = DatabaseError;

    fn try_from(row: WebhookRow) -> Result<Self, DatabaseError> {
        let master = vault::fingerprint("webhook_endpoints", "master", &row.master)?;
        Ok(Self {
            id: row.id,
            url: row.url,
            events: row.events,
            sealed: SealedCredential { master, bytes: row.sealed },
            previous_until: row.previous_until.map(timestamp),
            delivered_at: row.delivered_at.map(timestamp),
            disabled_at: row.disabled_at.map(timestamp),
            created_at: timestamp(row.created_at),
            updated_at: timestamp(row.updated_at),
        })
    }
}

/// Adds an endpoint. Its time of creation is the present one.
///
/// # Errors
/// Database errors of any kind.
pub async fn add(store: &Store, tx: &mut Transaction, new: &StoredWebhook) -> Result<(), DatabaseError> {
    let add = tx.query(ADD).bind(new.id).bind(new.url.as_str()).bind(new.events.as_str());
    let add = add.bind(new.sealed.bytes.clone()).bind(new.sealed.master.0.as_slice()).bind(store.now());
    add.run().await?;
    Ok(())
}

/// Returns an endpoint.
///
/// # Errors
/// Database errors of any kind.
pub async fn find(tx: &mut Transaction, id: Uuid) -> Result<Option<StoredWebhook>, DatabaseError> {
    tx.query(FIND).bind(id).find::<WebhookRow>().await?.map(TryInto::try_into).transpose()
}

/// Returns an endpoint, outside of a transaction.
///
/// # Errors
/// Database errors of any kind.
pub async fn present(store: &Store, id: Uuid) -> Result<Option<StoredWebhook>, DatabaseError> {
    store.query(FIND).bind(id).find::<WebhookRow>().await?.map(TryInto::try_into).transpose()
}

/// Returns all endpoints, from the oldest.
///
/// # Errors
/// Database errors of any kind.
pub async fn all(tx: &mut Transaction) -> Result<Vec<StoredWebhook>, DatabaseError> {
    tx.query(LIST).all::<WebhookRow>().await?.into_iter().map(TryInto::try_into).collect()
}

/// Returns all endpoints, from the oldest, outside of a transaction.
///
/// # Errors
/// Database errors of any kind.
pub async fn list(store: &Store) -> Result<Vec<StoredWebhook>, DatabaseError> {
    store.query(LIST).all::<WebhookRow>().await?.into_iter().map(TryInto::try_into).collect()
}

/// Returns the endpoints that are not disabled and have a delivery whose next attempt is due.
///
/// # Errors
/// Database errors of any kind.
pub async fn with_due(store: &Store, now: Timestamp) -> Result<Vec<StoredWebhook>, DatabaseError> {
    store.query(WITH_DUE).bind(micros(now)).all::<WebhookRow>().await?.into_iter().map(TryInto::try_into).collect()
}

/// Stores the URL, the events, and whether the endpoint is disabled.
///
/// # Errors
/// Database errors of any kind.
pub async fn set(store: &Store, tx: &mut Transaction, of: &StoredWebhook) -> Result<(), DatabaseError> {
    let set = tx.query(SET).bind(of.id).bind(of.url.as_str()).bind(of.events.as_str());
    set.bind(of.disabled_at.map(micros)).bind(store.now()).run().await?;
    Ok(())
}

/// Stores another secret.
///
/// # Errors
/// Database errors of any kind.
pub async fn seal(
    store: &Store,
    tx: &mut Transaction,
    id: Uuid,
    sealed: &SealedCredential,
    previous_until: Option<Timestamp>,
) -> Result<(), DatabaseError> {
    let seal = tx.query(SEAL).bind(id).bind(sealed.bytes.clone()).bind(sealed.master.0.as_slice());
    seal.bind(previous_until.map(micros)).bind(store.now()).run().await?;
    Ok(())
}

/// Records that an endpoint accepted a delivery.
///
/// # Errors
/// Database errors of any kind.
pub async fn delivered(store: &Store, tx: &mut Transaction, id: Uuid) -> Result<(), DatabaseError> {
    tx.query(DELIVERED).bind(id).bind(store.now()).run().await?;
    Ok(())
}

/// Deletes an endpoint that has no deliveries.
///
/// # Errors
/// Database errors of any kind.
pub async fn delete(tx: &mut Transaction, id: Uuid) -> Result<(), DatabaseError> {
    tx.query(DELETE).bind(id).run().await?;
    Ok(())
}
