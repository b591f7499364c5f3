//! Copies a whole store row by row into an empty one, and reads it back to prove that both are equal.

mod cell;

use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;
use thiserror::Error;
use uuid::Uuid;

use crate::accounts::{links, session_end};
use crate::error::DatabaseError;
use crate::open_error::NewerDatabase;
use crate::opening::handle::Store;
use crate::opening::migration;
use crate::revision;
use crate::sql::dialect::columns;
use crate::sql::{Arguments, StoreKind, Transaction, statements};
use cell::{CopiedColumn, CopiedRow, CopiedValue};

/// All tables, referenced tables first. `schema_floor` belongs to the migrations.
pub(crate) const TABLES: [&str; 59] = [
    "plans",
    "users",
    "api_keys",
    "key_requests",
    "budgets",
    "sessions",
    "refresh_tokens",
    "links",
    "provider_keys",
    "master_keys",
    "audit_log",
    "names",
    "subjects",
    "label_sets",
    "label_members",
    "usage_events",
    "usage_attempts",
    "usage_counts",
    "daily_usage",
    "daily_plans",
    "daily_subjects",
    "window_usage",
    "open_windows",
    "daily_models",
    "hourly_usage",
    "daily_routes",
    "daily_labels",
    "day_versions",
    "grants",
    "insight_settings",
    "reviews",
    "signing_keys",
    "nodes",
    "ingested",
    "open_requests",
    "usage_raw",
    // Leases stay open: the nodes that move to the copy still have them.
    "lease_books",
    "leases",
    "lease_holders",
    "jobs",
    "configurations",
    "cache_purges",
    "plan_versions",
    "subscriptions",
    "subscription_days",
    "invoices",
    "invoice_lines",
    "invoice_terms",
    "invoice_days",
    "number_series",
    "payments",
    "payment_notifications",
    "refunds",
    "wallets",
    "postings",
    "mails",
    "billing_profiles",
    "webhook_endpoints",
    "webhook_deliveries",
];
/// A table with one row, a change counter that continues from the copy's value.
const REVISION: &str = "revision";
statements! {
    NO_REVISION = "DELETE FROM revision";
    REVISION_AHEAD = "UPDATE revision SET value = value + 1";
}
/// Maximum number of rows in memory at once.
const BATCH: usize = 500;

/// The error of a copy of a store.
#[derive(Debug, Error)]
pub enum CopyError {
    /// A newer version has migrated one of the databases: this binary would leave out its additions.
    #[error(transparent)]
    Newer(#[from] NewerDatabase),
    /// The target store of a copy is not empty.
    #[error("the target store of the copy is not empty: {table} has rows")]
    NotEmpty {
        /// Name of a table that contains rows.
        table: &'static str,
    },
    /// The copy differs from its source; nothing was kept.
    #[error("the copy of {table} differs from its source: the whole copy was discarded")]
    Differs {
        /// Name of the table that differs.
        table: &'static str,
    },
    /// An error of either database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// A table that both stores contain after the copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    /// Name of the table.
    pub table: &'static str,
    /// Number of rows in the table.
    pub rows: u64,
    /// Sum of each whole-number column except times, by name.
    pub sums: Vec<(String, i128)>,
}

/// Progress of a copy, within one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Table that is being copied.
    pub table: &'static str,
    /// Number of its rows that are copied.
    pub rows: u64,
    /// Number of rows that the table has.
    pub of: u64,
}

/// Rows, sums and digest of a table, in the order of row ids, for comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tally {
    rows: u64,
    sums: Vec<i128>,
    digest: [u8; 32],
}

/// A tally while rows are added.
struct TallyBuilder {
    rows: u64,
    sums: Vec<i128>,
    digest: Sha256,
}

/// Copies a consistent snapshot of `from` into `to`, which must be empty, in one transaction: after an error `to` stays
/// empty. Every row is read back and compared before the commit.
///
/// # Errors
/// [`CopyError`].
pub async fn copy(from: &Store, to: &Store, progress: impl FnMut(Progress)) -> Result<Vec<CopiedTable>, CopyError> {
    copy_with(from, to, None, progress).await
}

/// Copies as [`copy`] does. A `no_floor` marks a restore from the past: users and keys that are created later get
/// numbers greater than it, and all sessions and links become invalid, because they may have been ended or used since.
pub(crate) async fn copy_with(
    from: &Store,
    to: &Store,
    no_floor: Option<i64>,
    mut progress: impl FnMut(Progress),
) -> Result<Vec<CopiedTable>, CopyError> {
    let mut source = from.begin_read().await?;
    let mut target = to.begin().await?;
    target.without_time_limit().await?;
    for transaction in [&mut source, &mut target] {
        if let Some(newer) = migration::newer(transaction).await? {
            return Err(newer.into());
        }
    }
    for table in TABLES {
        if count(&mut target, table).await? > 0 {
            return Err(CopyError::NotEmpty { table });
        }
    }
    let mut copied = Vec::new();
    for table in TABLES {
        let columns: Vec<CopiedColumn> =
            columns(&mut source, table).await?.into_iter().map(CopiedColumn::from).collect();
        let of = count(&mut source, table).await?;
        let mut counting = TallyBuilder::new(&columns);
        let mut pages = Pages::from_columns(table, &columns);
        while let Some(rows) = pages.next(&mut source).await? {
            insert(&mut target, table, &columns, &rows).await?;
            counting.add(&columns, &rows);
            progress(Progress { table, rows: counting.rows, of });
        }
        let written = counting.tally();
        let read = tally(&mut target, table, &columns).await?;
        // `written` was tallied from the rows as they were copied; only the count is a separate query of the source.
        if written != read || read.rows != of {
            return Err(CopyError::Differs { table });
        }
        let names = columns.iter().filter(|column| column.is_summed()).map(|column| column.name.clone());
        copied.push(CopiedTable { table, rows: read.rows, sums: names.zip(read.sums).collect() });
    }
    copy_revision(&mut source, &mut target).await?;
    if let Some(no_floor) = no_floor {
        revision::raise_no_floor(&mut target, no_floor, to.now()).await?;
        session_end::end_everybodys(&mut target, to.now()).await?;
        links::take_back_all(&mut target, to.now()).await?;
    }
    target.commit().await?;
    source.rollback().await?;
    Ok(copied)
}

/// Sets the revision one ahead of the source, so that no cached lookup of the source passes for one of the copy.
async fn copy_revision(source: &mut Transaction, target: &mut Transaction) -> Result<(), DatabaseError> {
    let columns: Vec<CopiedColumn> = columns(source, REVISION).await?.into_iter().map(CopiedColumn::from).collect();
    target.query(NO_REVISION).run().await?;
    let mut pages = Pages::from_columns(REVISION, &columns);
    while let Some(rows) = pages.next(source).await? {
        insert(target, REVISION, &columns, &rows).await?;
    }
    target.query(REVISION_AHEAD).run().await?;
    Ok(())
}

fn count_text(table: &str) -> String {
    format!("SELECT count(*) FROM {table}")
}

async fn count(tx: &mut Transaction, table: &str) -> Result<u64, DatabaseError> {
    let (rows,): (i64,) = tx.query(AssertSqlSafe(count_text(table))).once().one().await?;
    Ok(crate::sql::unsigned(rows))
}

async fn tally(tx: &mut Transaction, table: &'static str, columns: &[CopiedColumn]) -> Result<Tally, DatabaseError> {
    let mut counting = TallyBuilder::new(columns);
    let mut pages = Pages::from_columns(table, columns);
    while let Some(rows) = pages.next(tx).await? {
        counting.add(columns, &rows);
    }
    Ok(counting.tally())
}

async fn insert(
    target: &mut Transaction,
    table: &str,
    columns: &[CopiedColumn],
    rows: &[CopiedRow],
) -> Result<(), DatabaseError> {
    let kind = target.kind();
    for rows in rows.chunks((kind.parameters_max() / columns.len()).max(1)) {
        let mut arguments = Arguments::with_room(kind, rows.len() * columns.len());
        for row in rows {
            for (cell, column) in row.0.iter().zip(columns) {
                cell.put(column, &mut arguments).map_err(sqlx::Error::Encode)?;
            }
        }
        let text = insert_text(kind, table, columns, rows.len());
        target.query(AssertSqlSafe(text)).with(arguments).once().run().await?;
    }
    Ok(())
}

fn insert_text(kind: StoreKind, table: &str, columns: &[CopiedColumn], rows: usize) -> String {
    let mut text = format!("INSERT INTO {table} ({}) VALUES ", names(columns));
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for at in 0..columns.len() {
            text.push_str(if at == 0 { "" } else { ", " });
            kind.placeholder(row * columns.len() + at + 1, &mut text);
        }
        text.push(')');
    }
    text
}

fn names(columns: &[CopiedColumn]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Rows of a table in the order of their ids, in pages.
struct Pages {
    table: &'static str,
    text: String,
    id_at: usize,
    after: Option<Uuid>,
}

impl Pages {
    fn from_columns(table: &'static str, columns: &[CopiedColumn]) -> Self {
        let id_at = columns.iter().position(|column| column.name == "id").unwrap_or(0);
        let names = names(columns);
        Self {
            table,
            text: format!("SELECT {names} FROM {table} WHERE id > $1 ORDER BY id LIMIT $2"),
            id_at,
            after: Some(Uuid::nil()),
        }
    }

    async fn next(&mut self, tx: &mut Transaction) -> Result<Option<Vec<CopiedRow>>, DatabaseError> {
        let Some(after) = self.after else { return Ok(None) };
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let rows: Vec<CopiedRow> = tx.query(AssertSqlSafe(self.text.clone())).bind(after).bind(limit).all().await?;
        self.after = None;
        if rows.len() == BATCH {
            let last = rows.last().and_then(|row| row.0.get(self.id_at)).and_then(CopiedValue::uuid);
            self.after = Some(last.ok_or(DatabaseError::Unreadable { table: self.table, column: "id" })?);
        }
        Ok((!rows.is_empty()).then_some(rows))
    }
}

impl TallyBuilder {
    fn new(columns: &[CopiedColumn]) -> Self {
        let sums = columns.iter().filter(|column| column.is_summed()).count();
        Self { rows: 0, sums: vec![0; sums], digest: Sha256::new() }
    }

    fn add(&mut self, columns: &[CopiedColumn], rows: &[CopiedRow]) {
        for row in rows {
            self.rows += 1;
            let mut sums = self.sums.iter_mut();
            for (cell, column) in row.0.iter().zip(columns) {
                cell.digest(column, &mut self.digest);
                if column.is_summed()
                    && let Some(sum) = sums.next()
                {
                    *sum += i128::from(cell.number().unwrap_or(0));
                }
            }
        }
    }

    fn tally(self) -> Tally {
        Tally { rows: self.rows, sums: self.sums, digest: self.digest.finalize().into() }
    }
}

/// Returns the SQL texts for every table.
#[cfg(test)]
pub(crate) async fn texts(tx: &mut Transaction) -> Vec<String> {
    let mut texts = Vec::new();
    for table in TABLES.into_iter().chain([REVISION]) {
        let columns: Vec<CopiedColumn> =
            columns(tx, table).await.unwrap_or_default().into_iter().map(CopiedColumn::from).collect();
        let insert = insert_text(tx.kind(), table, &columns, 2);
        texts.extend([count_text(table), insert, Pages::from_columns(table, &columns).text]);
    }
    texts
}

#[cfg(test)]
pub(crate) mod tests;
