//! Postings, which are never changed, and the wallets of users.

use access::{Currency, Timestamp, UserId};
use store::sql::{Transaction, statements, timestamp};
use store::{DatabaseError, Store};
use uuid::Uuid;

/// The condition that an invoice was paid in full before a payment of it was taken back: nothing was owed then. The wallet may
/// also have paid a part, which was taken back.
macro_rules! is_paid_once {
    ($invoice:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM postings r WHERE r.invoice_id = ",
            $invoice,
            " AND r.account = 'receivable' AND r.reason IN ('payment.reversed', 'wallet.reversed')
            AND (SELECT sum(p.amount) FROM postings p WHERE p.invoice_id = ",
            $invoice,
            " AND p.account = 'receivable' AND p.id < r.id) <= 0)"
        )
    };
}
pub(super) use is_paid_once;

statements! {
    ADD = "INSERT INTO postings (id, transaction_id, no, account, user_id, currency, amount, invoice_id, payment_id, reason,
        created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)";
    WALLET = "SELECT balance FROM wallets WHERE user_id = $1 AND currency = $2";
    ADD_TO_WALLET = "INSERT INTO wallets (id, user_id, currency, balance, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
        ON CONFLICT (user_id, currency) DO UPDATE SET balance = wallets.balance + excluded.balance, updated_at = excluded.updated_at";
    TAKE_FROM_WALLET = "UPDATE wallets SET balance = balance - $3, updated_at = $4 WHERE user_id = $1 AND currency = $2";
    OF_WALLET = "SELECT id, transaction_id, no, account, amount, currency, invoice_id, payment_id, reason, created_at FROM postings
        WHERE user_id = $1 AND account = 'wallet' AND currency = $2 AND id < $3 ORDER BY id DESC LIMIT $4";
    OF_PAYMENT = "SELECT account, invoice_id, CAST(sum(amount) AS BIGINT) AS amount FROM postings
        WHERE user_id = $1 AND payment_id = $2 GROUP BY account, invoice_id";
    // The newest comes first: money that arrived last pays the invoice that was paid last.
    PAID_BY_WALLET = "SELECT invoice_id AS transaction_id, CAST(-sum(amount) AS BIGINT) AS amount FROM postings
        WHERE user_id = $1 AND currency = $2 AND account = 'receivable' AND invoice_id IS NOT NULL
        AND reason IN ('invoice.paid_from_wallet', 'wallet.reversed') GROUP BY invoice_id HAVING sum(amount) < 0
        ORDER BY max(created_at) DESC, invoice_id DESC LIMIT 1000";
    WAS_PAID_ONCE = concat!("SELECT ", is_paid_once!("$1"));
    // Of all invoices, as the money of a payment may have paid another one than its own through the wallet.
    UNEXPLAINED = "SELECT CAST(coalesce(sum(amount), 0) AS BIGINT) FROM postings WHERE user_id = $1 AND currency = $2
        AND account = 'write_off' AND reason IN ('payment.refunded', 'invoice.credited')";
    UNBALANCED = "SELECT transaction_id, CAST(sum(amount) AS BIGINT) AS amount FROM postings
        GROUP BY transaction_id, currency HAVING sum(amount) <> 0 LIMIT $1";
    WALLETS_OFF = "SELECT w.user_id AS transaction_id, CAST(w.balance + coalesce((SELECT sum(p.amount) FROM postings p
        WHERE p.user_id = w.user_id AND p.account = 'wallet' AND p.currency = w.currency), 0) AS BIGINT) AS amount
        FROM wallets w WHERE w.balance + coalesce((SELECT sum(p.amount) FROM postings p
        WHERE p.user_id = w.user_id AND p.account = 'wallet' AND p.currency = w.currency), 0) <> 0 LIMIT $1";
    RECEIVABLES_OFF = "SELECT i.id AS transaction_id, CAST(coalesce((SELECT sum(p.amount) FROM postings p
        WHERE p.invoice_id = i.id AND p.account = 'receivable'), 0) - CASE WHEN i.state = 'open' THEN i.remaining ELSE 0 END AS BIGINT)
        AS amount FROM invoices i WHERE i.kind <> 'credit_note' AND coalesce((SELECT sum(p.amount) FROM postings p
        WHERE p.invoice_id = i.id AND p.account = 'receivable'), 0) <> CASE WHEN i.state = 'open' THEN i.remaining ELSE 0 END LIMIT $1";
    LINES_OFF = "SELECT i.id AS transaction_id, CAST(i.subtotal - coalesce((SELECT sum(l.amount) FROM invoice_lines l
        WHERE l.invoice_id = i.id), 0) AS BIGINT) AS amount FROM invoices i WHERE i.subtotal <> coalesce((SELECT sum(l.amount)
        FROM invoice_lines l WHERE l.invoice_id = i.id), 0) OR i.total <> i.subtotal + i.tax LIMIT $1";
}

/// An entry that is to be added.
#[derive(Debug, Clone, Copy)]
pub struct NewPosting<'a> {
    /// The name of the account.
    pub account: &'a str,
    /// The amount: a debit is positive.
    pub amount: i64,
}

/// The objects to which the entries of one transaction belong.
#[derive(Debug, Clone, Copy)]
pub struct PostingSubject<'a> {
    /// The user whose money moves.
    pub user: UserId,
    /// The currency of all entries.
    pub currency: Currency,
    /// The invoice to which it belongs.
    pub invoice: Option<Uuid>,
    /// The payment to which it belongs.
    pub payment: Option<Uuid>,
    /// The change of money: `invoice.opened`.
    pub reason: &'a str,
}

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct StoredPosting {
    /// Id of the entry.
    pub id: Uuid,
    /// Id of all entries of one change.
    pub transaction_id: Uuid,
    /// The number of the entry, from 1.
    pub no: i64,
    /// The name of the account.
    pub account: String,
    /// The amount: a debit is positive.
    pub amount: i64,
    /// The code of the currency.
    pub currency: String,
    /// The invoice to which it belongs.
    pub invoice_id: Option<Uuid>,
    /// The payment to which it belongs.
    pub payment_id: Option<Uuid>,
    /// The change of money.
    pub reason: String,
    /// The time of the change, in microseconds.
    pub created_at: i64,
}

impl StoredPosting {
    /// Returns the time of the change.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        timestamp(self.created_at)
    }
}

/// A difference that the audit found.
#[derive(Debug, Clone, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct PostingSum {
    /// Id of the postings, the user or the invoice.
    pub transaction_id: Uuid,
    /// The amount of the difference.
    pub amount: i64,
}

/// Adds the entries of one change of money, and moves the wallet by those of the account `wallet`.
///
/// # Errors
/// Database errors of any kind, also if the wallet would fall below zero.
pub async fn add(
    store: &Store,
    tx: &mut Transaction,
    of: PostingSubject<'_>,
    entries: &[NewPosting<'_>],
) -> Result<(), DatabaseError> {
    let id = store.new_id();
    for (no, entry) in (1_i64..).zip(entries) {
        let add = tx
            .query(ADD)
            .bind(store.new_id())
            .bind(id)
            .bind(no)
            .bind(entry.account)
            .bind(of.user.0)
            .bind(of.currency.code())
            .bind(entry.amount)
            .bind(of.invoice)
            .bind(of.payment)
            .bind(of.reason)
            .bind(store.now());
        add.run().await?;
        if entry.account == "wallet" {
            move_wallet(store, tx, of, entry.amount).await?;
        }
    }
    Ok(())
}

/// A credit of the account adds to the wallet.
async fn move_wallet(
    store: &Store,
    tx: &mut Transaction,
    of: PostingSubject<'_>,
    debit: i64,
) -> Result<(), DatabaseError> {
    let user = of.user.0;
    let code = of.currency.code();
    if debit < 0 {
        let add = tx.query(ADD_TO_WALLET).bind(store.new_id()).bind(user).bind(code).bind(-debit).bind(store.now());
        add.run().await?;
        return Ok(());
    }
    let taken = tx.query(TAKE_FROM_WALLET).bind(user).bind(code).bind(debit).bind(store.now()).run().await?;
    if taken == 0 { Err(DatabaseError::Unreadable { table: "wallets", column: "balance" }) } else { Ok(()) }
}

/// The sum of a payment's entries on one account, about one invoice.
#[derive(Debug, Clone, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct AccountSum {
    /// The name of the account.
    pub account: String,
    /// The invoice to which the entries belong.
    pub invoice_id: Option<Uuid>,
    /// The sum: a debit is positive.
    pub amount: i64,
}

/// Returns the sums of a payment's entries.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_payment(tx: &mut Transaction, user: UserId, payment: Uuid) -> Result<Vec<AccountSum>, DatabaseError> {
    tx.query(OF_PAYMENT).bind(user.0).bind(payment).all().await
}

/// Returns the invoices that the wallet of a user has paid in whole or in part, with the amounts, from the newest.
///
/// # Errors
/// Database errors of any kind.
pub async fn paid_by_wallet(
    tx: &mut Transaction,
    user: UserId,
    currency: Currency,
) -> Result<Vec<PostingSum>, DatabaseError> {
    tx.query(PAID_BY_WALLET).bind(user.0).bind(currency.code()).all().await
}

/// Whether an invoice was paid in full before a payment of it was taken back.
///
/// # Errors
/// Database errors of any kind.
pub async fn was_paid_once(tx: &mut Transaction, invoice: Uuid) -> Result<bool, DatabaseError> {
    Ok(tx.query(WAS_PAID_ONCE).bind(invoice).one::<(bool,)>().await?.0)
}

/// Returns the money of a user that the provider returned and that no credit note explains yet.
///
/// # Errors
/// Database errors of any kind.
pub async fn unexplained(tx: &mut Transaction, user: UserId, currency: Currency) -> Result<i64, DatabaseError> {
    Ok(tx.query(UNEXPLAINED).bind(user.0).bind(currency.code()).one::<(i64,)>().await?.0)
}

/// Returns the balance of a user's wallet within a transaction.
///
/// # Errors
/// Database errors of any kind.
pub async fn wallet(tx: &mut Transaction, user: UserId, currency: Currency) -> Result<i64, DatabaseError> {
    let found: Option<(i64,)> = tx.query(WALLET).bind(user.0).bind(currency.code()).find().await?;
    Ok(found.map_or(0, |(balance,)| balance))
}

/// Returns the balance of a user's wallet.
///
/// # Errors
/// Database errors of any kind.
pub async fn balance(store: &Store, user: UserId, currency: Currency) -> Result<i64, DatabaseError> {
    let found: Option<(i64,)> = store.query(WALLET).bind(user.0).bind(currency.code()).find().await?;
    Ok(found.map_or(0, |(balance,)| balance))
}

/// Returns the entries of a user's wallet, from the newest, before `before`.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_wallet(
    store: &Store,
    user: UserId,
    currency: Currency,
    before: Uuid,
    limit: u32,
) -> Result<Vec<StoredPosting>, DatabaseError> {
    store.query(OF_WALLET).bind(user.0).bind(currency.code()).bind(before).bind(i64::from(limit)).all().await
}

/// The differences of one comparison, at most the requested number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingDifferences {
    /// The figures that were compared.
    pub compared: &'static str,
    /// The differences that were found.
    pub found: Vec<PostingSum>,
}

/// Compares entries with each other, wallets and open invoices with entries, and invoices with their lines.
///
/// # Errors
/// Database errors of any kind.
pub async fn audit(store: &Store, limit: u32) -> Result<Vec<BillingDifferences>, DatabaseError> {
    let mut snapshot = store.begin_read().await?;
    let mut all = Vec::new();
    for (compared, sql) in [
        ("entries of one change of money", UNBALANCED),
        ("a wallet and its entries", WALLETS_OFF),
        ("an open invoice and its entries", RECEIVABLES_OFF),
        ("an invoice and its lines", LINES_OFF),
    ] {
        let found = snapshot.query(sql).bind(i64::from(limit)).all().await?;
        all.push(BillingDifferences { compared, found });
    }
    snapshot.rollback().await?;
    Ok(all)
}
