//! Postings of all users, for finance.

use access::{Currency, Timestamp, UserId};
use store::sql::{statements, timestamp};
use store::{DatabaseError, Store};
use uuid::Uuid;

use super::parties::BilledUser;

macro_rules! posting_columns {
    () => {
        "p.id, p.transaction_id, p.no, p.account, p.user_id, u.name, u.email, p.currency, p.amount, p.invoice_id,
        p.payment_id, p.reason, p.created_at FROM postings p JOIN users u ON u.id = p.user_id"
    };
}

statements! {
    ALL = concat!("SELECT ", posting_columns!(), " WHERE p.id < $1 ORDER BY p.id DESC LIMIT $2");
    OF_USER = concat!("SELECT ", posting_columns!(), " WHERE p.user_id = $1 AND p.id < $2 ORDER BY p.id DESC LIMIT $3");
    OF_INVOICE = concat!("SELECT ", posting_columns!(), " WHERE p.invoice_id = $1 AND p.id < $2 ORDER BY p.id DESC LIMIT $3");
    OF_BOTH = concat!("SELECT ", posting_columns!(), " WHERE p.invoice_id = $1 AND p.user_id = $2 AND p.id < $3
        ORDER BY p.id DESC LIMIT $4");
}

/// The postings of a list; without values, all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PostingFilter {
    /// Only postings about the money of this user.
    pub user: Option<UserId>,
    /// Only postings of this invoice.
    pub invoice: Option<Uuid>,
}

/// An entry with the user whose money moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPosting {
    /// Id of the entry.
    pub id: Uuid,
    /// Id of all entries of one change.
    pub transaction_id: Uuid,
    /// The number of the entry, from 1.
    pub no: i64,
    /// The name of the account.
    pub account: String,
    /// The user whose money moved.
    pub user: BilledUser,
    /// The currency of the amount.
    pub currency: Currency,
    /// The amount: a debit is positive.
    pub amount: i64,
    /// The invoice to which it belongs.
    pub invoice: Option<Uuid>,
    /// The payment to which it belongs.
    pub payment: Option<Uuid>,
    /// The change of money.
    pub reason: String,
    /// The time of the change.
    pub at: Timestamp,
}

#[derive(Debug, sqlx_macros::FromRow)]
struct PostingRow {
    id: Uuid,
    transaction_id: Uuid,
    no: i64,
    account: String,
    user_id: Uuid,
    name: String,
    email: Option<String>,
    currency: String,
    amount: i64,
    invoice_id: Option<Uuid>,
    payment_id: Option<Uuid>,
    reason: String,
    created_at: i64,
}

impl TryFrom<PostingRow> for ListedPosting {
    type Error = DatabaseError;

    fn try_from(row: PostingRow) -> Result<Self, DatabaseError> {
        let unreadable = DatabaseError::Unreadable { table: "postings", column: "currency" };
        Ok(Self {
            id: row.id,
            transaction_id: row.transaction_id,
            no: row.no,
            account: row.account,
            user: BilledUser::new(row.user_id, row.name, row.email),
            currency: Currency::of_code(&row.currency).ok_or(unreadable)?,
            amount: row.amount,
            invoice: row.invoice_id,
            payment: row.payment_id,
            reason: row.reason,
            at: timestamp(row.created_at),
        })
    }
}

/// Returns the entries of a list before `before`, from the newest.
///
/// # Errors
/// Database errors of any kind.
pub async fn page(
    store: &Store,
    of: PostingFilter,
    before: Uuid,
    limit: u32,
) -> Result<Vec<ListedPosting>, DatabaseError> {
    let query = match (of.invoice, of.user) {
        (None, None) => store.query(ALL),
        (None, Some(user)) => store.query(OF_USER).bind(user.0),
        (Some(invoice), None) => store.query(OF_INVOICE).bind(invoice),
        (Some(invoice), Some(user)) => store.query(OF_BOTH).bind(invoice).bind(user.0),
    };
    let rows: Vec<PostingRow> = query.bind(before).bind(i64::from(limit)).all().await?;
    rows.into_iter().map(ListedPosting::try_from).collect()
}
