//! Refunds of payments.

use access::{Timestamp, UserId};
use invoicing::rules::refund_state::RefundState;
use store::sql::{Transaction, statements, timestamp};
use store::{DatabaseError, Store};
use uuid::Uuid;

use super::parsing::{known, read};

macro_rules! refund_columns {
    () => {
        "id, user_id, invoice_id, payment_id, refund_key, amount, reason, way, reference, state, error, created_at FROM refunds"
    };
}

statements! {
    ADD = "INSERT INTO refunds (id, user_id, invoice_id, payment_id, refund_key, amount, reason, way, reference, state, error,
        created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', $11, $11)";
    FIND = concat!("SELECT ", refund_columns!(), " WHERE id = $1");
    REQUESTED = concat!("SELECT ", refund_columns!(), " WHERE state = 'requested' ORDER BY id LIMIT $1");
    // The provider does not count what finance transferred.
    BY_HAND = "SELECT CAST(coalesce(sum(amount), 0) AS BIGINT) FROM refunds
        WHERE payment_id = $1 AND way = 'hand' AND state = 'done'";
    SET = "UPDATE refunds SET state = $2, error = $3, updated_at = $4 WHERE id = $1";
}

/// A refund as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRefund {
    /// Id of the refund.
    pub id: Uuid,
    /// The user who gets the money.
    pub user: UserId,
    /// The invoice to which the payment belongs.
    pub invoice: Uuid,
    /// The payment of which a part is returned.
    pub payment: Uuid,
    /// The key of the request to the provider.
    pub key: String,
    /// The amount in whole rupiah.
    pub amount: i64,
    /// Why the money is returned.
    pub reason: String,
    /// `midtrans`, or `hand` for a transfer that finance makes.
    pub way: String,
    /// The reference of the transfer; empty for a refund by the provider.
    pub reference: String,
    /// The state of the refund.
    pub state: RefundState,
    /// The provider's message, if it refused the refund.
    pub error: String,
    /// The time of the request.
    pub created_at: Timestamp,
}

#[derive(Debug, sqlx_macros::FromRow)]
struct RefundRow {
    id: Uuid,
    user_id: Uuid,
    invoice_id: Uuid,
    payment_id: Uuid,
    refund_key: String,
    amount: i64,
    reason: String,
    way: String,
    reference: String,
    state: String,
    error: String,
    created_at: i64,
}

impl TryFrom<RefundRow> for StoredRefund {
    type Error = DatabaseError;

    fn try_from(row: RefundRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            id: row.id,
            user: UserId(row.user_id),
            invoice: row.invoice_id,
            payment: row.payment_id,
            key: row.refund_key,
            amount: row.amount,
            reason: row.reason,
            way: row.way,
            reference: row.reference,
            state: known(RefundState::of_name(&row.state), "refunds", "state")?,
            error: row.error,
            created_at: timestamp(row.created_at),
        })
    }
}

/// Adds a refund.
///
/// # Errors
/// Database errors of any kind.
pub async fn add(store: &Store, tx: &mut Transaction, new: &StoredRefund) -> Result<(), DatabaseError> {
    let add = tx
        .query(ADD)
        .bind(new.id)
        .bind(new.user.0)
        .bind(new.invoice)
        .bind(new.payment)
        .bind(new.key.as_str())
        .bind(new.amount)
        .bind(new.reason.as_str())
        .bind(new.way.as_str())
        .bind(new.reference.as_str())
        .bind(new.state.as_str())
        .bind(store.now());
    add.run().await?;
    Ok(())
}

/// Returns a refund by its id.
///
/// # Errors
/// Database errors of any kind.
pub async fn find(tx: &mut Transaction, id: Uuid) -> Result<Option<StoredRefund>, DatabaseError> {
    tx.query(FIND).bind(id).find::<RefundRow>().await?.map(TryInto::try_into).transpose()
}

/// Returns refunds whose result is not known, from the oldest.
///
/// # Errors
/// Database errors of any kind.
pub async fn requested(store: &Store, limit: u32) -> Result<Vec<StoredRefund>, DatabaseError> {
    let rows = store.query(REQUESTED).bind(i64::from(limit)).all::<RefundRow>().await?;
    read(rows)
}

/// Returns the part of a payment that finance returned by transfers.
///
/// # Errors
/// Database errors of any kind.
pub async fn by_hand(tx: &mut Transaction, payment: Uuid) -> Result<i64, DatabaseError> {
    Ok(tx.query(BY_HAND).bind(payment).one::<(i64,)>().await?.0)
}

/// Records the result of a refund.
///
/// # Errors
/// Database errors of any kind.
pub async fn set(
    store: &Store,
    tx: &mut Transaction,
    id: Uuid,
    state: RefundState,
    error: &str,
) -> Result<(), DatabaseError> {
    tx.query(SET).bind(id).bind(state.as_str()).bind(error).bind(store.now()).run().await?;
    Ok(())
}
