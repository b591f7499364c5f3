//! Invoices and postings of a month, for exports.

use access::Timestamp;
use store::sql::{micros, statements, timestamp};
use store::{DatabaseError, Store};
use uuid::Uuid;

use crate::row_ids::first_id;

statements! {
    ISSUED = "SELECT i.id, u.name FROM invoices i JOIN users u ON u.id = i.user_id WHERE i.issued_at >= $1 AND i.issued_at < $2
        AND i.state <> 'void' AND i.id > $3
        AND NOT EXISTS (SELECT 1 FROM invoices o WHERE o.id = i.of_invoice_id AND o.state = 'void')
        ORDER BY i.id LIMIT $4";
    // The id of a transaction contains its time, so that all its entries are in one month.
    POSTED = "SELECT p.transaction_id, p.no, p.account, p.user_id, p.currency, p.amount, i.number_text, p.payment_id, p.reason,
        p.created_at FROM postings p LEFT JOIN invoices i ON i.id = p.invoice_id
        WHERE (p.transaction_id, p.no) > ($1, $2) AND p.transaction_id < $3 ORDER BY p.transaction_id, p.no LIMIT $4";
}

/// An entry of an export.
#[derive(Debug, Clone, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct PostedEntry {
    /// Id of all entries of one change.
    pub transaction_id: Uuid,
    /// The number of the entry, from 1.
    pub no: i64,
    /// The name of the account.
    pub account: String,
    /// The user as the customer.
    pub user_id: Uuid,
    /// The code of the currency.
    pub currency: String,
    /// The amount: a debit is positive.
    pub amount: i64,
    /// The number of the invoice to which it belongs.
    pub number_text: Option<String>,
    /// The payment to which it belongs.
    pub payment_id: Option<Uuid>,
    /// The change of money.
    pub reason: String,
    /// The time of the change, in microseconds.
    pub created_at: i64,
}

impl PostedEntry {
    /// Returns the time of the change.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        timestamp(self.created_at)
    }
}

/// Returns the entries of the changes from one time to another, in their order, after the given entry.
///
/// # Errors
/// Database errors of any kind.
pub async fn posted(
    store: &Store,
    between: (Timestamp, Timestamp),
    after: Option<(Uuid, i64)>,
    limit: u32,
) -> Result<Vec<PostedEntry>, DatabaseError> {
    let (transaction, no) = after.unwrap_or((first_id(between.0), 0));
    let query = store.query(POSTED).bind(transaction).bind(no).bind(first_id(between.1));
    query.bind(i64::from(limit)).all().await
}

/// Returns the invoices that were opened between two times and are not void, with the name of the user, in the order of
/// their ids. Credit notes of void invoices are missing too.
///
/// # Errors
/// Database errors of any kind.
pub async fn issued(
    store: &Store,
    between: (Timestamp, Timestamp),
    after: Uuid,
    limit: u32,
) -> Result<Vec<(Uuid, String)>, DatabaseError> {
    let query = store.query(ISSUED).bind(micros(between.0)).bind(micros(between.1));
    query.bind(after).bind(i64::from(limit)).all().await
}
