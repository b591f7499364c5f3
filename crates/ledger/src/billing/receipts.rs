//! What the amounts of an invoice were computed from, and the digests of the requests of its days.

use access::{Day, Timestamp};
use store::sql::{Transaction, signed, statements, timestamp, unsigned};
use store::{DatabaseError, Store};
use uuid::Uuid;

use super::parsing::day;

statements! {
    ADD = "INSERT INTO invoice_terms (id, invoice_id, terms, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)";
    FIND = "SELECT terms, listed_at, created_at FROM invoice_terms WHERE invoice_id = $1";
    UNLISTED = "SELECT t.invoice_id FROM invoice_terms t JOIN invoices i ON i.id = t.invoice_id WHERE t.listed_at IS NULL
        AND i.state <> 'draft' AND t.invoice_id > $1 ORDER BY t.invoice_id LIMIT $2";
    SET_LISTED = "UPDATE invoice_terms SET listed_at = $2, terms = $3, updated_at = $2 WHERE invoice_id = $1 AND listed_at IS NULL
        RETURNING id";
    ADD_DAY = "INSERT INTO invoice_days (id, invoice_id, day, row_count, digest, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $6)";
    OF_USAGE = "SELECT t.terms FROM invoice_terms t WHERE t.invoice_id IN (SELECT l.invoice_id FROM invoice_lines l
        JOIN invoices i ON i.id = l.invoice_id WHERE i.subscription_id = $1 AND l.kind = 'usage' AND l.plan_version_id = $2
        AND l.first_day = $3 AND l.last_day = $4) ORDER BY t.invoice_id LIMIT 1";
    STORED_FROM = "SELECT coalesce(max(usage_from), 0) FROM revision";
    DAYS = "SELECT day, row_count, digest FROM invoice_days WHERE invoice_id = $1 ORDER BY day";
}

/// What the amounts of an invoice were computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTerms {
    /// The document, as JSON.
    pub terms: String,
    /// Whether the requests of the invoice's days were listed.
    pub is_listed: bool,
    /// The time at which the amounts were computed, in microseconds: usage that was stored later is not part of them.
    pub computed_at: i64,
}

/// The requests of one day of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInvoiceDay {
    /// The UTC day of admission.
    pub day: Day,
    /// Number of rows of the day's file.
    pub rows: u64,
    /// SHA-256 of the day's file, in hex digits; empty if the requests did not add up to the usage of the invoice.
    pub digest: String,
}

/// Days with one version of a plan, whose usage an invoice charged.
#[derive(Debug, Clone, Copy)]
pub struct ChargedDays {
    /// Id of the subscription.
    pub subscription: Uuid,
    /// The version of the plan.
    pub plan_version: Uuid,
    /// The first of the days.
    pub first_day: Day,
    /// The last of the days.
    pub last_day: Day,
}

/// Stores what the amounts of a new invoice were computed from.
///
/// # Errors
/// Database errors of any kind.
pub async fn add(store: &Store, tx: &mut Transaction, invoice: Uuid, terms: &str) -> Result<(), DatabaseError> {
    tx.query(ADD).bind(store.new_id()).bind(invoice).bind(terms).bind(store.now()).run().await?;
    Ok(())
}

/// Returns what the amounts of an invoice were computed from; `None` for an invoice of an older release.
///
/// # Errors
/// Database errors of any kind.
pub async fn find(store: &Store, invoice: Uuid) -> Result<Option<StoredTerms>, DatabaseError> {
    let row: Option<(String, Option<i64>, i64)> = store.query(FIND).bind(invoice).find().await?;
    let terms = |(terms, listed_at, computed_at): (String, Option<i64>, i64)| StoredTerms {
        terms,
        is_listed: listed_at.is_some(),
        computed_at,
    };
    Ok(row.map(terms))
}

/// Returns what the amounts of the first invoice were computed from that charged the usage of these days; `None` without such
/// an invoice, and for one of an older release.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_usage(tx: &mut Transaction, of: ChargedDays) -> Result<Option<String>, DatabaseError> {
    let ChargedDays { subscription, plan_version, first_day, last_day } = of;
    let query = tx.query(OF_USAGE).bind(subscription).bind(plan_version);
    let found: Option<(String,)> = query.bind(i64::from(first_day.0)).bind(i64::from(last_day.0)).find().await?;
    Ok(found.map(|(terms,)| terms))
}

/// Returns opened invoices whose requests were not listed yet, in the order of their ids.
///
/// # Errors
/// Database errors of any kind.
pub async fn unlisted(store: &Store, after: Uuid, limit: u32) -> Result<Vec<Uuid>, DatabaseError> {
    let rows: Vec<(Uuid,)> = store.query(UNLISTED).bind(after).bind(i64::from(limit)).all().await?;
    Ok(rows.into_iter().map(|(invoice,)| invoice).collect())
}

/// Stores the listed days of an invoice, and its terms with the rates of its requests. If another process was faster, its
/// days and its terms remain.
///
/// # Errors
/// Database errors of any kind.
pub async fn set_listed(
    store: &Store,
    invoice: Uuid,
    terms: &str,
    days: &[StoredInvoiceDay],
) -> Result<(), DatabaseError> {
    let mut tx = store.begin().await?;
    let first: Option<(Uuid,)> = tx.query(SET_LISTED).bind(invoice).bind(store.now()).bind(terms).find().await?;
    if first.is_some() {
        for of in days {
            let add = tx
                .query(ADD_DAY)
                .bind(store.new_id())
                .bind(invoice)
                .bind(i64::from(of.day.0))
                .bind(signed(of.rows))
                .bind(of.digest.as_str())
                .bind(store.now());
            add.run().await?;
        }
    }
    tx.commit().await
}

/// Returns the time before which usage may be deleted.
///
/// # Errors
/// Database errors of any kind.
pub async fn stored_from(store: &Store) -> Result<Timestamp, DatabaseError> {
    let (from,): (i64,) = store.query(STORED_FROM).one().await?;
    Ok(timestamp(from))
}

/// Returns the listed days of an invoice in their order.
///
/// # Errors
/// Database errors of any kind.
pub async fn days(store: &Store, invoice: Uuid) -> Result<Vec<StoredInvoiceDay>, DatabaseError> {
    let rows: Vec<(i64, i64, String)> = store.query(DAYS).bind(invoice).all().await?;
    let stored = |(stored, rows, digest)| {
        let day = day(stored, "invoice_days", "day")?;
        Ok(StoredInvoiceDay { day, rows: unsigned(rows), digest })
    };
    rows.into_iter().map(stored).collect()
}
