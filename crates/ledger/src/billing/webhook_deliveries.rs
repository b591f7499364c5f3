//! The outbox of webhooks. A row is added in the transaction of the change that it announces.

use access::Timestamp;
use store::sql::{Transaction, micros, statements, timestamp};
use store::{DatabaseError, Store};
use uuid::Uuid;

macro_rules! delivery_columns {
    () => {
        "id, endpoint_id, event, object_id, body, state, attempts, queued_at, next_at, status, error, created_at, updated_at
        FROM webhook_deliveries"
    };
}

statements! {
    ADD = "INSERT INTO webhook_deliveries (id, endpoint_id, event, object_id, body, state, attempts, queued_at, next_at, status,
        error, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, 'waiting', 0, $6, $6, NULL, '', $6, $6)";
    FIND = concat!("SELECT ", delivery_columns!(), " WHERE id = $1");
    DUE = concat!("SELECT ", delivery_columns!(), " WHERE endpoint_id = $1 AND state = 'waiting' AND next_at <= $2
        ORDER BY next_at, id LIMIT $3");
    OF_ENDPOINT = concat!("SELECT ", delivery_columns!(), " WHERE endpoint_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
    IN_STATE = concat!("SELECT ", delivery_columns!(), " WHERE endpoint_id = $1 AND id < $2 AND state = $4
        ORDER BY id DESC LIMIT $3");
    ACCEPT = "UPDATE webhook_deliveries SET state = 'delivered', attempts = attempts + 1, status = $2, error = '',
        updated_at = $3 WHERE id = $1 AND state = 'waiting'";
    POSTPONE = "UPDATE webhook_deliveries SET attempts = attempts + 1, next_at = $2, status = $3, error = $4, updated_at = $5
        WHERE id = $1 AND state = 'waiting'";
    FAIL = "UPDATE webhook_deliveries SET state = 'failed', attempts = attempts + 1, status = $2, error = $3, updated_at = $4
        WHERE id = $1 AND state = 'waiting'";
    FAIL_ALL = "UPDATE webhook_deliveries SET state = 'failed', error = $2, updated_at = $3
        WHERE endpoint_id = $1 AND state = 'waiting'";
    REPLAY = "UPDATE webhook_deliveries SET state = 'waiting', attempts = 0, queued_at = $2, next_at = $2, error = '',
        updated_at = $2 WHERE id = $1 AND state <> 'waiting'";
    REPLAY_FAILED = "UPDATE webhook_deliveries SET state = 'waiting', attempts = 0, queued_at = $2, next_at = $2, error = '',
        updated_at = $2 WHERE endpoint_id = $1 AND state = 'failed' AND created_at >= $3";
    // Waiting deliveries have an index of their own, which begins with the endpoint.
    REPEATED = "SELECT endpoint_id, count(*), min(queued_at) FROM webhook_deliveries WHERE state = 'waiting' AND attempts > 0
        GROUP BY endpoint_id";
    AWAITED = "SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = $1 AND state = 'waiting' AND event = $2";
    DELETE_OF = "DELETE FROM webhook_deliveries WHERE endpoint_id = $1";
    OLD = "SELECT id FROM webhook_deliveries WHERE state <> 'waiting' AND updated_at < $1 ORDER BY updated_at LIMIT $2";
    DELETE = "DELETE FROM webhook_deliveries WHERE id = $1 AND state <> 'waiting'";
}

/// A delivery as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDelivery {
    /// Id of the delivery, which is the id of its message.
    pub id: Uuid,
    /// The endpoint that receives it.
    pub endpoint: Uuid,
    /// The name of the event.
    pub event: String,
    /// The invoice, the payment or the subscription that changed.
    pub object: Uuid,
    /// The message as JSON.
    pub body: String,
    /// The name of the state: `waiting`, `delivered` or `failed`.
    pub state: String,
    /// Number of attempts since it was queued.
    pub attempts: i64,
    /// The time at which it was added or replayed.
    pub queued_at: Timestamp,
    /// The earliest time of the next attempt.
    pub next_at: Timestamp,
    /// The status of the last response.
    pub status: Option<i64>,
    /// Why the last attempt failed; empty otherwise.
    pub error: String,
    /// The time of the change.
    pub created_at: Timestamp,
    /// The time of the last attempt or replay.
    pub updated_at: Timestamp,
}

/// A delivery that is added.
#[derive(Debug, Clone, Copy)]
pub struct NewDelivery<'a> {
    /// The endpoint that receives it.
    pub endpoint: Uuid,
    /// The name of the event.
    pub event: &'a str,
    /// The object that changed.
    pub object: Uuid,
    /// The message as JSON.
    pub body: &'a str,
}

/// The result of an attempt that was not accepted.
#[derive(Debug, Clone, Copy)]
pub struct FailedAttempt<'a> {
    /// The status of the response; `None` without one.
    pub status: Option<u16>,
    /// Why it was not accepted.
    pub error: &'a str,
}

/// The deliveries of an endpoint that it did not accept yet, although they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepeatedDeliveries {
    /// The endpoint that receives them.
    pub endpoint: Uuid,
    /// Number of deliveries whose next attempt is planned.
    pub count: i64,
    /// The time at which the oldest of them was added or replayed.
    pub since: Timestamp,
}

#[derive(Debug, sqlx_macros::FromRow)]
struct DeliveryRow {
    id: Uuid,
    endpoint_id: Uuid,
    event: String,
    object_id: Uuid,
    body: String,
    state: String,
    attempts: i64,
    queued_at: i64,
    next_at: i64,
    status: Option<i64>,
    error: String,
    created_at: i64,
    updated_at: i64,
}

impl From<DeliveryRow> for StoredDelivery {
    fn from(row: DeliveryRow) -> Self {
        Self {
            id: row.id,
            endpoint: row.endpoint_id,
            event: row.event,
            object: row.object_id,
            body: row.body,
            state: row.state,
            attempts: row.attempts,
            queued_at: timestamp(row.queued_at),
            next_at: timestamp(row.next_at),
            status: row.status,
            error: row.error,
            created_at: timestamp(row.created_at),
            updated_at: timestamp(row.updated_at),
        }
    }
}

/// Adds a delivery, which is due at once. Returns its id.
///
/// # Errors
/// Database errors of any kind.
pub async fn add(store: &Store, tx: &mut Transaction, new: NewDelivery<'_>) -> Result<Uuid, DatabaseError> {
    let id = store.new_id();
    let add = tx.query(ADD).bind(id).bind(new.endpoint).bind(new.event).bind(new.object);
    add.bind(new.body).bind(store.now()).run().await?;
    Ok(id)
}

/// Returns the deliveries that are repeated now, per endpoint. Endpoints without such deliveries are left out.
///
/// # Errors
/// Database errors of any kind.
pub async fn repeated(store: &Store) -> Result<Vec<RepeatedDeliveries>, DatabaseError> {
    let rows: Vec<(Uuid, i64, i64)> = store.query(REPEATED).all().await?;
    let deliveries = |(endpoint, count, since)| RepeatedDeliveries { endpoint, count, since: timestamp(since) };
    Ok(rows.into_iter().map(deliveries).collect())
}

/// Returns whether an endpoint has a waiting delivery of an event.
///
/// # Errors
/// Database errors of any kind.
pub async fn awaits(tx: &mut Transaction, endpoint: Uuid, event: &str) -> Result<bool, DatabaseError> {
    let (count,): (i64,) = tx.query(AWAITED).bind(endpoint).bind(event).one().await?;
    Ok(count > 0)
}

/// Returns a delivery.
///
/// # Errors
/// Database errors of any kind.
pub async fn find(tx: &mut Transaction, id: Uuid) -> Result<Option<StoredDelivery>, DatabaseError> {
    Ok(tx.query(FIND).bind(id).find::<DeliveryRow>().await?.map(Into::into))
}

/// Returns deliveries of an endpoint whose next attempt is due, from the earliest.
///
/// # Errors
/// Database errors of any kind.
pub async fn due(
    store: &Store,
    endpoint: Uuid,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<StoredDelivery>, DatabaseError> {
    let query = store.query(DUE).bind(endpoint).bind(micros(now)).bind(i64::from(limit));
    Ok(query.all::<DeliveryRow>().await?.into_iter().map(Into::into).collect())
}

/// Returns deliveries of an endpoint before an id, from the newest; only those in a state if one is given.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_endpoint(
    store: &Store,
    endpoint: Uuid,
    state: Option<&str>,
    before: Uuid,
    limit: u32,
) -> Result<Vec<StoredDelivery>, DatabaseError> {
    let limit = i64::from(limit);
    let rows: Vec<DeliveryRow> = match state {
        Some(state) => store.query(IN_STATE).bind(endpoint).bind(before).bind(limit).bind(state).all().await?,
        None => store.query(OF_ENDPOINT).bind(endpoint).bind(before).bind(limit).all().await?,
    };
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Records that the endpoint accepted a delivery.
///
/// # Errors
/// Database errors of any kind.
pub async fn accept(store: &Store, tx: &mut Transaction, id: Uuid, status: u16) -> Result<(), DatabaseError> {
    tx.query(ACCEPT).bind(id).bind(i64::from(status)).bind(store.now()).run().await?;
    Ok(())
}

/// Plans the next attempt.
///
/// # Errors
/// Database errors of any kind.
pub async fn postpone(
    store: &Store,
    tx: &mut Transaction,
    id: Uuid,
    next_at: Timestamp,
    of: FailedAttempt<'_>,
) -> Result<(), DatabaseError> {
    let postpone = tx.query(POSTPONE).bind(id).bind(micros(next_at)).bind(of.status.map(i64::from));
    postpone.bind(of.error).bind(store.now()).run().await?;
    Ok(())
}

/// Ends the attempts of a delivery.
///
/// # Errors
/// Database errors of any kind.
pub async fn fail(store: &Store, tx: &mut Transaction, id: Uuid, of: FailedAttempt<'_>) -> Result<(), DatabaseError> {
    tx.query(FAIL).bind(id).bind(of.status.map(i64::from)).bind(of.error).bind(store.now()).run().await?;
    Ok(())
}

/// Ends the attempts of all waiting deliveries of an endpoint.
///
/// # Errors
/// Database errors of any kind.
pub async fn fail_all(store: &Store, tx: &mut Transaction, endpoint: Uuid, error: &str) -> Result<(), DatabaseError> {
    tx.query(FAIL_ALL).bind(endpoint).bind(error).bind(store.now()).run().await?;
    Ok(())
}

/// Makes an ended delivery due again. A waiting one stays as it is.
///
/// # Errors
/// Database errors of any kind.
pub async fn replay(store: &Store, tx: &mut Transaction, id: Uuid) -> Result<(), DatabaseError> {
    tx.query(REPLAY).bind(id).bind(store.now()).run().await?;
    Ok(())
}

/// Makes the failed deliveries of an endpoint due again whose changes happened since a time. Returns their number.
///
/// # Errors
/// Database errors of any kind.
pub async fn replay_failed(
    store: &Store,
    tx: &mut Transaction,
    endpoint: Uuid,
    since: Timestamp,
) -> Result<u64, DatabaseError> {
    tx.query(REPLAY_FAILED).bind(endpoint).bind(store.now()).bind(micros(since)).run().await
}

/// Deletes all deliveries of an endpoint.
///
/// # Errors
/// Database errors of any kind.
pub async fn delete_of(tx: &mut Transaction, endpoint: Uuid) -> Result<(), DatabaseError> {
    tx.query(DELETE_OF).bind(endpoint).run().await?;
    Ok(())
}

/// Deletes deliveries that ended before a time, at most `limit`. Returns their number.
///
/// # Errors
/// Database errors of any kind.
pub async fn delete_old(store: &Store, before: Timestamp, limit: u32) -> Result<usize, DatabaseError> {
    let old: Vec<(Uuid,)> = store.query(OLD).bind(micros(before)).bind(i64::from(limit)).all().await?;
    if old.is_empty() {
        return Ok(0);
    }
    let mut tx = store.begin().await?;
    for (id,) in &old {
        tx.query(DELETE).bind(*id).run().await?;
    }
    tx.commit().await?;
    Ok(old.len())
}
