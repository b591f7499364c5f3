//! Payments, and the notifications of the payment provider.

use std::time::Duration;

use access::{Timestamp, UserId};
use invoicing::rules::payment::PaymentState;
use store::sql::{Transaction, micros, statements, timestamp};
use store::{DatabaseError, Store};
use uuid::Uuid;

use super::parsing::{known, read};

/// The provider repeats a notification after at least 33 s. An earlier repeat is not its own.
const REPEATED_AFTER: Duration = Duration::from_secs(10);

macro_rules! payment_columns {
    () => {
        "id, user_id, invoice_id, order_id, method, amount, state, transaction_id, instructions, expires_at, refunded,
        checked_at, error, created_at FROM payments"
    };
}

statements! {
    ADD = "INSERT INTO payments (id, user_id, invoice_id, order_id, method, amount, state, instructions, expires_at, refunded,
        error, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, 'created', '{}', $7, 0, '', $8, $8)";
    FIND = concat!("SELECT ", payment_columns!(), " WHERE id = $1");
    OF_ORDER = concat!("SELECT ", payment_columns!(), " WHERE order_id = $1");
    OF_TRANSACTION = concat!("SELECT ", payment_columns!(), " WHERE transaction_id = $1");
    OF_INVOICE = concat!("SELECT ", payment_columns!(), " WHERE invoice_id = $1 ORDER BY id LIMIT 1000");
    TOPUPS = concat!("SELECT ", payment_columns!(), " WHERE user_id = $1 AND invoice_id IS NULL AND state IN ('created', 'pending')
        AND expires_at > $2 ORDER BY id DESC LIMIT 100");
    ODD = concat!("SELECT ", payment_columns!(), " WHERE id < $1 AND state IN ('held', 'reversed', 'charged_back')
        ORDER BY id DESC LIMIT $2");
    IN_STATE = concat!("SELECT ", payment_columns!(), " WHERE state = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
    OF_USER = concat!("SELECT ", payment_columns!(), " WHERE user_id = $1 AND ($2 = '' OR state = $2) AND id < $3
        ORDER BY id DESC LIMIT $4");
    // Permata and Mandiri can take a payment back. A QR code can be paid late, and a card after a refused attempt.
    WAITING = concat!("SELECT ", payment_columns!(), " WHERE (state IN ('created', 'pending', 'held')
        OR (state IN ('paid', 'partly_refunded', 'refunded') AND method IN ('permata', 'mandiri') AND updated_at > $2)
        OR (state = 'failed' AND method IN ('qris', 'card') AND updated_at > $3))
        AND coalesce(checked_at, 0) < $1 AND created_at < $1 ORDER BY coalesce(checked_at, 0), id LIMIT $4");
    // A notification may be faster than the response to the charge: the state stays, but the customer needs the instructions.
    SET_CHARGE = "UPDATE payments SET state = CASE WHEN state = 'created' THEN $2 ELSE state END,
        transaction_id = coalesce(transaction_id, $3), instructions = $4,
        error = CASE WHEN state = 'created' THEN $5 ELSE error END, updated_at = $6
        WHERE id = $1 AND (state = 'created' OR instructions = '{}')";
    SET_STATE = "UPDATE payments SET state = $2, transaction_id = $3, refunded = $4, error = $5, checked_at = $6, updated_at = $6
        WHERE id = $1";
    // `updated_at` stays the time of the last change: it ends the look-ups of paid and failed payments.
    CHECKED = "UPDATE payments SET checked_at = $2 WHERE id = $1";
    CLAIM = "UPDATE payments SET checked_at = $2 WHERE id = $1 AND (checked_at IS NULL OR checked_at < $3)";
    // A repeated notification that changed nothing is handled again: the provider's status may have followed it.
    ADD_NOTIFICATION = "INSERT INTO payment_notifications (id, digest, order_id, transaction_id, status, body, result, attempts,
        next_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, '', 0, $7, $7, $7)
        ON CONFLICT (digest) DO UPDATE SET handled_at = NULL, attempts = 0, next_at = excluded.next_at,
        updated_at = excluded.updated_at
        WHERE payment_notifications.result = 'unchanged' AND payment_notifications.handled_at < $8";
    NOTIFICATIONS = "SELECT id, order_id, transaction_id, attempts FROM payment_notifications
        WHERE handled_at IS NULL AND next_at <= $1 ORDER BY next_at, id LIMIT $2";
    POSTPONE = "UPDATE payment_notifications SET attempts = attempts + 1, next_at = $2, updated_at = $3 WHERE id = $1";
    HANDLED = "UPDATE payment_notifications SET handled_at = $2, result = $3, updated_at = $2 WHERE id = $1";
}

/// A payment as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPayment {
    /// Id of the payment.
    pub id: Uuid,
    /// The user who pays.
    pub user: UserId,
    /// The invoice; `None` for a top-up.
    pub invoice: Option<Uuid>,
    /// The id of the order at the provider.
    pub order: String,
    /// The name of the method.
    pub method: String,
    /// The amount in whole rupiah.
    pub amount: i64,
    /// The state of the payment.
    pub state: PaymentState,
    /// The provider's id of the transaction.
    pub transaction: Option<String>,
    /// How to pay, as JSON.
    pub instructions: String,
    /// The time at which the page closes.
    pub expires_at: Timestamp,
    /// The part that was returned.
    pub refunded: i64,
    /// The time of the last request of the status.
    pub checked_at: Option<Timestamp>,
    /// Why the payment failed: the provider's status, or its message if it refused the charge. Empty without a failure.
    pub error: String,
    /// The time at which the payment was begun.
    pub created_at: Timestamp,
}

/// The payments of a list. Without values: those that finance should look at, which the fraud check holds or a bank took
/// back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PaymentFilter<'a> {
    /// Only payments of this user.
    pub user: Option<UserId>,
    /// Only payments with this name of a state.
    pub state: Option<&'a str>,
}

/// A payment that is to be stored, before the provider knows it.
#[derive(Debug, Clone, Copy)]
pub struct NewPayment<'a> {
    /// Id of the payment.
    pub id: Uuid,
    /// The user who pays.
    pub user: UserId,
    /// The invoice; `None` for a top-up.
    pub invoice: Option<Uuid>,
    /// The id of the order at the provider.
    pub order: &'a str,
    /// The name of the method.
    pub method: &'a str,
    /// The amount in whole rupiah.
    pub amount: i64,
    /// The time at which the page closes.
    pub expires_at: Timestamp,
}

/// A notification that is to be stored as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct NewNotification<'a> {
    /// SHA-256 of the body.
    pub digest: &'a str,
    /// The id of the order.
    pub order: &'a str,
    /// The id of the transaction.
    pub transaction: &'a str,
    /// The status that the body claims.
    pub status: &'a str,
    /// The body as it arrived.
    pub body: &'a str,
}

/// A notification that was not handled.
#[derive(Debug, Clone, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct WaitingNotification {
    /// Id of the notification.
    pub id: Uuid,
    /// The id of the order.
    pub order_id: String,
    /// The id of the transaction.
    pub transaction_id: String,
    /// Number of attempts to handle it that failed.
    pub attempts: i64,
}

/// The times that decide which payments are looked up at the provider.
#[derive(Debug, Clone, Copy)]
pub struct LookUpTimes {
    /// Payments that were looked up since then are not looked up again.
    pub checked_before: Timestamp,
    /// Payments that a bank may take back are looked up if they were paid after this time.
    pub paid_after: Timestamp,
    /// Payments that may still succeed are looked up if they failed after this time.
    pub failed_after: Timestamp,
}

#[derive(Debug, sqlx_macros::FromRow)]
struct PaymentRow {
    id: Uuid,
    user_id: Uuid,
    invoice_id: Option<Uuid>,
    order_id: String,
    method: String,
    amount: i64,
    state: String,
    transaction_id: Option<String>,
    instructions: String,
    expires_at: i64,
    refunded: i64,
    checked_at: Option<i64>,
    error: String,
    created_at: i64,
}

impl TryFrom<PaymentRow> for StoredPayment {
    type Error = DatabaseError;

    fn try_from(row: PaymentRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            id: row.id,
            user: UserId(row.user_id),
            invoice: row.invoice_id,
            order: row.order_id,
            method: row.method,
            amount: row.amount,
            state: known(PaymentState::of_name(&row.state), "payments", "state")?,
            transaction: row.transaction_id,
            instructions: row.instructions,
            expires_at: timestamp(row.expires_at),
            refunded: row.refunded,
            checked_at: row.checked_at.map(timestamp),
            error: row.error,
            created_at: timestamp(row.created_at),
        })
    }
}

/// Adds a payment in the state `created`.
///
/// # Errors
/// Database errors of any kind.
pub async fn add(store: &Store, tx: &mut Transaction, new: NewPayment<'_>) -> Result<(), DatabaseError> {
    let add = tx
        .query(ADD)
        .bind(new.id)
        .bind(new.user.0)
        .bind(new.invoice)
        .bind(new.order)
        .bind(new.method)
        .bind(new.amount)
        .bind(micros(new.expires_at))
        .bind(store.now());
    add.run().await?;
    Ok(())
}

/// Returns a payment by its id, outside of a transaction.
///
/// # Errors
/// Database errors of any kind.
pub async fn present(store: &Store, id: Uuid) -> Result<Option<StoredPayment>, DatabaseError> {
    store.query(FIND).bind(id).find::<PaymentRow>().await?.map(TryInto::try_into).transpose()
}

/// Returns a payment by its id.
///
/// # Errors
/// Database errors of any kind.
pub async fn find(tx: &mut Transaction, id: Uuid) -> Result<Option<StoredPayment>, DatabaseError> {
    tx.query(FIND).bind(id).find::<PaymentRow>().await?.map(TryInto::try_into).transpose()
}

/// Returns the payment of an order, or of a transaction if the provider uses another order id.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_order(store: &Store, order: &str, transaction: &str) -> Result<Option<StoredPayment>, DatabaseError> {
    let of_order = store.query(OF_ORDER).bind(order).find::<PaymentRow>().await?;
    if of_order.is_some() || transaction.is_empty() {
        return of_order.map(TryInto::try_into).transpose();
    }
    store.query(OF_TRANSACTION).bind(transaction).find::<PaymentRow>().await?.map(TryInto::try_into).transpose()
}

/// Returns the payments of an invoice, from the oldest.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_invoice(store: &Store, invoice: Uuid) -> Result<Vec<StoredPayment>, DatabaseError> {
    let rows = store.query(OF_INVOICE).bind(invoice).all::<PaymentRow>().await?;
    read(rows)
}

/// Returns the payments of an invoice within a transaction, from the oldest.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_invoice_on(tx: &mut Transaction, invoice: Uuid) -> Result<Vec<StoredPayment>, DatabaseError> {
    let rows = tx.query(OF_INVOICE).bind(invoice).all::<PaymentRow>().await?;
    read(rows)
}

/// Returns pending top-ups of a user's wallet, from the newest.
///
/// # Errors
/// Database errors of any kind.
pub async fn topups(tx: &mut Transaction, user: UserId, now: Timestamp) -> Result<Vec<StoredPayment>, DatabaseError> {
    let rows = tx.query(TOPUPS).bind(user.0).bind(micros(now)).all::<PaymentRow>().await?;
    read(rows)
}

/// Returns the payments of a list before `before`, from the newest.
///
/// # Errors
/// Database errors of any kind.
pub async fn listed(
    store: &Store,
    of: PaymentFilter<'_>,
    before: Uuid,
    limit: u32,
) -> Result<Vec<StoredPayment>, DatabaseError> {
    let query = match (of.user, of.state) {
        (Some(user), state) => store.query(OF_USER).bind(user.0).bind(state.unwrap_or_default()),
        (None, Some(state)) => store.query(IN_STATE).bind(state),
        (None, None) => store.query(ODD),
    };
    let rows = query.bind(before).bind(i64::from(limit)).all::<PaymentRow>().await?;
    read(rows)
}

/// Returns payments whose state may change at the provider, from those that were not looked up for the longest time.
///
/// # Errors
/// Database errors of any kind.
pub async fn waiting(store: &Store, times: LookUpTimes, limit: u32) -> Result<Vec<StoredPayment>, DatabaseError> {
    let query = store
        .query(WAITING)
        .bind(micros(times.checked_before))
        .bind(micros(times.paid_after))
        .bind(micros(times.failed_after))
        .bind(i64::from(limit));
    read(query.all::<PaymentRow>().await?)
}

/// Records that the status is being requested, unless it was requested since `before`. Returns whether this caller may
/// request it: of several callers, one may.
///
/// # Errors
/// Database errors of any kind.
pub async fn claim(store: &Store, id: Uuid, before: Timestamp) -> Result<bool, DatabaseError> {
    let mut transaction = store.begin().await?;
    let claimed = transaction.query(CLAIM).bind(id).bind(store.now()).bind(micros(before)).run().await?;
    transaction.commit().await?;
    Ok(claimed > 0)
}

/// The provider's response to a charge.
#[derive(Debug, Clone, Copy)]
pub struct ChargeOutcome<'a> {
    /// The state of the payment.
    pub state: PaymentState,
    /// The provider's id of the transaction.
    pub transaction: Option<&'a str>,
    /// How to pay, as JSON.
    pub instructions: &'a str,
    /// Why the payment failed: the provider's status, or its message if it refused the charge. Empty without a failure.
    pub error: &'a str,
}

/// Records the response to a charge. If a notification was faster, its state stays.
///
/// # Errors
/// Database errors of any kind.
pub async fn set_charge(
    store: &Store,
    tx: &mut Transaction,
    id: Uuid,
    outcome: ChargeOutcome<'_>,
) -> Result<(), DatabaseError> {
    let set = tx
        .query(SET_CHARGE)
        .bind(id)
        .bind(outcome.state.as_str())
        .bind(outcome.transaction)
        .bind(outcome.instructions)
        .bind(outcome.error)
        .bind(store.now());
    set.run().await?;
    Ok(())
}

/// Records a state that was requested from the provider.
///
/// # Errors
/// Database errors of any kind.
pub async fn set_state(store: &Store, tx: &mut Transaction, of: &StoredPayment) -> Result<(), DatabaseError> {
    let set = tx
        .query(SET_STATE)
        .bind(of.id)
        .bind(of.state.as_str())
        .bind(of.transaction.as_deref())
        .bind(of.refunded)
        .bind(of.error.as_str())
        .bind(store.now());
    set.run().await?;
    Ok(())
}

/// Records that the status was requested.
///
/// # Errors
/// Database errors of any kind.
pub async fn set_checked(store: &Store, id: Uuid) -> Result<(), DatabaseError> {
    let mut transaction = store.begin().await?;
    transaction.query(CHECKED).bind(id).bind(store.now()).run().await?;
    transaction.commit().await
}

/// Stores a notification. Returns whether it is to be handled: its body is new, or it changed nothing before and was
/// handled at least 10 s ago.
///
/// # Errors
/// Database errors of any kind.
pub async fn add_notification(store: &Store, new: NewNotification<'_>) -> Result<bool, DatabaseError> {
    let handled_before = store.clock().now().before(REPEATED_AFTER);
    let mut transaction = store.begin().await?;
    let add = transaction
        .query(ADD_NOTIFICATION)
        .bind(store.new_id())
        .bind(new.digest)
        .bind(new.order)
        .bind(new.transaction)
        .bind(new.status)
        .bind(new.body)
        .bind(store.now())
        .bind(micros(handled_before));
    let added = add.run().await?;
    transaction.commit().await?;
    Ok(added > 0)
}

/// Returns notifications that were not handled and whose time has come, from the oldest.
///
/// # Errors
/// Database errors of any kind.
pub async fn notifications(store: &Store, limit: u32) -> Result<Vec<WaitingNotification>, DatabaseError> {
    store.query(NOTIFICATIONS).bind(store.now()).bind(i64::from(limit)).all().await
}

/// Records that a notification could not be handled, and the time of the next attempt.
///
/// # Errors
/// Database errors of any kind.
pub async fn postpone(store: &Store, id: Uuid, next_at: Timestamp) -> Result<(), DatabaseError> {
    let mut transaction = store.begin().await?;
    transaction.query(POSTPONE).bind(id).bind(micros(next_at)).bind(store.now()).run().await?;
    transaction.commit().await
}

/// Records the result of a notification.
///
/// # Errors
/// Database errors of any kind.
pub async fn set_handled(store: &Store, id: Uuid, result: &str) -> Result<(), DatabaseError> {
    let mut transaction = store.begin().await?;
    transaction.query(HANDLED).bind(id).bind(store.now()).bind(result).run().await?;
    transaction.commit().await
}
