//! A whole store, copied row by row into an empty one, and read back to prove that both say the same.

mod cell;

use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::dialect::{Arguments, Kind, Transaction, columns};
use crate::error::StoreError;
use crate::statement::statements;
use crate::store::Store;
use crate::{links, migration, revision, sessions};
use cell::{Cell, Column, Row};

/// Every table, those that others point at first. `schema_floor` is the migrations' own.
pub(crate) const TABLES: [&str; 24] = [
    "plans",
    "users",
    "api_keys",
    "budgets",
    "sessions",
    "refresh_tokens",
    "links",
    "provider_keys",
    "master_keys",
    "audit_log",
    "names",
    "usage_events",
    "usage_attempts",
    "usage_counts",
    "daily_usage",
    "daily_plans",
    "daily_models",
    "nodes",
    "ingested",
    "open_requests",
    "usage_raw",
    // What is lent stays lent: the nodes that move along hold it.
    "lease_books",
    "leases",
    "lease_holders",
];
/// One row, whose number only says how often something changed; it goes on from the copy's.
const REVISION: &str = "revision";
statements! {
    NO_REVISION = "DELETE FROM revision";
    REVISION_AHEAD = "UPDATE revision SET value = value + 1";
}
/// Rows that are in memory at once.
const BATCH: usize = 500;

/// A table that both stores have now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Its name.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// The sum of each of its whole-number columns but times, by name.
    pub sums: Vec<(String, i128)>,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The table that is being copied.
    pub table: &'static str,
    /// Rows of it that are copied.
    pub rows: u64,
    /// Rows that it has.
    pub of: u64,
}

/// What a table says, to be compared: all of its rows, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tally {
    rows: u64,
    sums: Vec<i128>,
    digest: [u8; 32],
}

/// A tally that goes on.
struct Counting {
    rows: u64,
    sums: Vec<i128>,
    digest: Sha256,
}

/// Copies `from`, as it stands at one moment, into `to`, which must be empty, in one transaction: on an error `to` stays
/// empty. Every row is read back and compared before that is committed.
///
/// # Errors
/// [`StoreError::NotEmpty`], [`StoreError::Differs`], [`StoreError::Newer`] (this binary would leave out what a newer one
/// has added), and what either database meets.
pub async fn copy(from: &Store, to: &Store, progress: impl FnMut(Progress)) -> Result<Vec<Copied>, StoreError> {
    copy_with(from, to, None, progress).await
}

/// As [`copy`]; with a `no_floor` it goes back in time: users and keys that are made later get numbers greater than that, and
/// no session and no link of then opens anything, as it may have been ended or used since.
pub(crate) async fn copy_with(
    from: &Store,
    to: &Store,
    no_floor: Option<i64>,
    mut progress: impl FnMut(Progress),
) -> Result<Vec<Copied>, StoreError> {
    let mut source = from.snapshot().await?;
    let mut target = to.begin().await?;
    target.without_time_limit().await?;
    migration::refuse_newer(&mut source).await?;
    migration::refuse_newer(&mut target).await?;
    for table in TABLES {
        if count(&mut target, table).await? > 0 {
            return Err(StoreError::NotEmpty { table });
        }
    }
    let mut copied = Vec::new();
    for table in TABLES {
        let columns: Vec<Column> = columns(&mut source, table).await?.into_iter().map(Column::from).collect();
        let of = count(&mut source, table).await?;
        let mut counting = Counting::new(&columns);
        let mut pages = Pages::of(table, &columns);
        while let Some(rows) = pages.next(&mut source).await? {
            insert(&mut target, table, &columns, &rows).await?;
            counting.add(&columns, &rows);
            progress(Progress { table, rows: counting.rows, of });
        }
        let (written, read) = (counting.tally(), tally(&mut target, table, &columns).await?);
        // What was written is what was read: only the count is the source's own.
        if written != read || read.rows != of {
            return Err(StoreError::Differs { table });
        }
        let names = columns.iter().filter(|column| column.is_summed()).map(|column| column.name.clone());
        copied.push(Copied { table, rows: read.rows, sums: names.zip(read.sums).collect() });
    }
    copy_revision(&mut source, &mut target).await?;
    if let Some(no_floor) = no_floor {
        revision::raise_no_floor(&mut target, no_floor, to.now()).await?;
        sessions::end_everybodys(&mut target, to.now()).await?;
        links::take_back_all(&mut target, to.now()).await?;
    }
    target.commit().await?;
    source.rollback().await?;
    Ok(copied)
}

/// The revision of a copy is one ahead, so that nobody takes what it knew of the other for this.
async fn copy_revision(source: &mut Transaction, target: &mut Transaction) -> Result<(), StoreError> {
    let columns: Vec<Column> = columns(source, REVISION).await?.into_iter().map(Column::from).collect();
    target.query(NO_REVISION).run().await?;
    let mut pages = Pages::of(REVISION, &columns);
    while let Some(rows) = pages.next(source).await? {
        insert(target, REVISION, &columns, &rows).await?;
    }
    target.query(REVISION_AHEAD).run().await?;
    Ok(())
}

fn count_text(table: &str) -> String {
    format!("SELECT count(*) FROM {table}")
}

async fn count(on: &mut Transaction, table: &str) -> Result<u64, StoreError> {
    let (rows,): (i64,) = on.query(AssertSqlSafe(count_text(table))).once().one().await?;
    Ok(crate::statement::unsigned(rows))
}

async fn tally(on: &mut Transaction, table: &'static str, columns: &[Column]) -> Result<Tally, StoreError> {
    let mut counting = Counting::new(columns);
    let mut pages = Pages::of(table, columns);
    while let Some(rows) = pages.next(on).await? {
        counting.add(columns, &rows);
    }
    Ok(counting.tally())
}

async fn insert(target: &mut Transaction, table: &str, columns: &[Column], rows: &[Row]) -> Result<(), StoreError> {
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

fn insert_text(kind: Kind, table: &str, columns: &[Column], rows: usize) -> String {
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

fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// A table's rows in the order of their ids, some at a time.
struct Pages {
    table: &'static str,
    text: String,
    id_at: usize,
    after: Option<Uuid>,
}

impl Pages {
    fn of(table: &'static str, columns: &[Column]) -> Self {
        let id_at = columns.iter().position(|column| column.name == "id").unwrap_or(0);
        let names = names(columns);
        Self {
            table,
            text: format!("SELECT {names} FROM {table} WHERE id > $1 ORDER BY id LIMIT $2"),
            id_at,
            after: Some(Uuid::nil()),
        }
    }

    async fn next(&mut self, on: &mut Transaction) -> Result<Option<Vec<Row>>, StoreError> {
        let Some(after) = self.after else { return Ok(None) };
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let rows: Vec<Row> = on.query(AssertSqlSafe(self.text.clone())).bind(after).bind(limit).all().await?;
        self.after = None;
        if rows.len() == BATCH {
            let last = rows.last().and_then(|row| row.0.get(self.id_at)).and_then(Cell::uuid);
            self.after = Some(last.ok_or(StoreError::Unreadable { table: self.table, column: "id" })?);
        }
        Ok((!rows.is_empty()).then_some(rows))
    }
}

impl Counting {
    fn new(columns: &[Column]) -> Self {
        let sums = columns.iter().filter(|column| column.is_summed()).count();
        Self { rows: 0, sums: vec![0; sums], digest: Sha256::new() }
    }

    fn add(&mut self, columns: &[Column], rows: &[Row]) {
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

/// Texts of every table.
#[cfg(test)]
pub(crate) async fn texts(on: &mut Transaction) -> Vec<String> {
    let mut texts = Vec::new();
    for table in TABLES.into_iter().chain([REVISION]) {
        let columns: Vec<Column> = columns(on, table).await.unwrap_or_default().into_iter().map(Column::from).collect();
        let insert = insert_text(on.kind(), table, &columns, 2);
        texts.extend([count_text(table), insert, Pages::of(table, &columns).text]);
    }
    texts
}

#[cfg(test)]
pub(crate) mod tests;
