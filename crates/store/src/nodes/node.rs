//! A node of the store: its identity, and the state of its spool relative to the store.
//!
//! Each data folder has an id, in its file `node`, and a spool; the store keeps the spool's positions under that id.
//! Two nodes with one id (after a folder was copied) would mix them up. Therefore each start raises the node's
//! incarnation, and only the latest incarnation writes. The folder also keeps the incarnation, in the file
//! `incarnation`: a store restored from an old copy then never assigns an incarnation again that may have leases.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use access::Timestamp;
use meter::lease::NodeId;
use thiserror::Error;
use uuid::Uuid;

use crate::error::DatabaseError;
use crate::nodes::backlog::Backlog;
use crate::open_error::FolderError;
use crate::opening::data_folder::make_folder;
use crate::opening::handle::Store;
use crate::opening::running_servers::LISTEN;
use crate::sql::dialect::postgres::PRESENT;
use crate::sql::{BulkTransaction, StoreKind, micros, signed, statements, timestamp, unsigned};

const FILE: &str = "node";
/// File with the latest incarnation that was begun on the folder.
const INCARNATION: &str = "incarnation";
/// Length of a UUID and a newline.
const FILE_BYTES: u64 = 37;
/// Interval at which a node reports that it runs.
pub const BEAT: Duration = Duration::from_secs(1);
/// Maximum difference between the end of a node and the time up to which it then had stored its usage.
const LEAVE_SLACK: Duration = Duration::from_secs(1);
statements! {
    JOIN = "INSERT INTO nodes (id, version, incarnation, seen_at, created_at, updated_at) VALUES ($1, $2, $4, $3, $3, $3)
        ON CONFLICT (id) DO UPDATE SET version = excluded.version, incarnation = CASE
            WHEN nodes.incarnation < excluded.incarnation THEN excluded.incarnation ELSE nodes.incarnation + 1 END, seen_at = excluded.seen_at, left_at = NULL, updated_at = excluded.updated_at RETURNING incarnation";
    // A node that was forgotten while it could not reach the store counts again.
    SEEN = "UPDATE nodes SET seen_at = $3, left_at = NULL, ingested_until = coalesce($4, ingested_until), spooled = $5, oldest_unsent_at = $6,
        ingest_lag_us = $7, updated_at = $3 WHERE id = $1 AND incarnation = $2";
    LEAVE = "UPDATE nodes SET left_at = $3, ingested_until = coalesce($4, ingested_until), spooled = $5, oldest_unsent_at = $6,
        ingest_lag_us = $7, updated_at = $3 WHERE id = $1 AND incarnation = $2";
    // Nodes that may have unstored usage, then the newest. The second is LEAVE_SLACK.
    PROGRESS = "SELECT id, version, seen_at, left_at, ingested_until, spooled, oldest_unsent_at, ingest_lag_us FROM nodes
        ORDER BY CASE WHEN left_at IS NOT NULL AND spooled = 0 AND ingested_until >= left_at - 1000000 THEN 1 ELSE 0 END,
        id DESC LIMIT $1";
    HOLD = "UPDATE nodes SET seen_at = $3, updated_at = $3 WHERE id = $1 AND incarnation = $2";
}

/// The error of registering a node.
#[derive(Debug, Error)]
pub enum JoinError {
    /// The data folder cannot be created or written to.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Another node uses the node id of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "another Tollgate was started with a copy of this data folder: each needs its own folder. Usage of this one \
     remains in its spool; stop the other one and start this one again"
)]
pub struct CopiedFolder;

/// The error of a node that writes under its id.
#[derive(Debug, Error)]
pub enum NodeError {
    /// Another node uses the id.
    #[error(transparent)]
    CopiedFolder(#[from] CopiedFolder),
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// This node in the store. Clones refer to the same node.
#[derive(Debug, Clone)]
pub struct Node {
    store: Store,
    id: Uuid,
    incarnation: i64,
    spooled: Arc<SpoolState>,
}

/// State of the node's spool relative to the store.
#[derive(Debug, Default)]
struct SpoolState {
    backlog: Backlog,
    /// In microseconds since the Unix epoch; 0 while it is unknown.
    ingested_until: AtomicU64,
    /// Number of records that are not in the store.
    spooled: AtomicU64,
    /// Time of the oldest of them, in microseconds since the Unix epoch; 0 without such a record.
    oldest_unsent: AtomicU64,
    /// Delay between the end of a request and its storage, in microseconds.
    ingest_lag: AtomicU64,
    /// Whether the node has no spool, so that it never has usage to store.
    is_missing: AtomicBool,
}

/// The records in the spool of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpooledUsage {
    /// Number of records that are not in the store.
    pub records: u64,
    /// Time of the oldest of them.
    pub oldest: Option<Timestamp>,
    /// Delay between the end of a request and its storage, of the last batch.
    pub ingest_lag: Duration,
}

/// The progress of a node's usage into the store, as of its last report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeProgress {
    /// Id of the data folder.
    pub id: Uuid,
    /// Version of the node's binary.
    pub version: String,
    /// Time of the last report.
    pub seen_at: Timestamp,
    /// Time at which the node ended; `None` while it runs, and after a crash.
    pub left_at: Option<Timestamp>,
    /// All usage before this time is stored; `None` before the first report.
    pub ingested_until: Option<Timestamp>,
    /// The records in its spool.
    pub depth: SpooledUsage,
}

impl NodeProgress {
    /// Whether the node ended after all its usage was stored, so that nothing waits for it.
    #[must_use]
    pub fn has_left_nothing(&self) -> bool {
        let Some(left) = self.left_at else { return false };
        self.depth.records == 0 && self.ingested_until.is_some_and(|until| until.after(LEAVE_SLACK) >= left)
    }
}

#[derive(sqlx_macros::FromRow)]
struct ProgressRow {
    id: Uuid,
    version: String,
    seen_at: i64,
    left_at: Option<i64>,
    ingested_until: Option<i64>,
    spooled: i64,
    oldest_unsent_at: Option<i64>,
    ingest_lag_us: i64,
}

/// Maximum number of nodes whose progress is read.
const PROGRESS_MAX: i64 = 10_000;

impl Store {
    /// Registers this process as the node of a data folder, which is created if it is missing; the caller has locked
    /// it. `version` is the binary's version.
    ///
    /// # Errors
    /// [`JoinError::Folder`], and database errors.
    pub async fn join(&self, data: &Path, version: &str) -> Result<Node, JoinError> {
        let fresh = self.new_id();
        let (id, earlier) = in_folder(data, move |folder| Ok((id(folder, fresh)?, incarnation(folder)?))).await?;
        let mut transaction = self.begin().await?;
        let query = transaction.query(JOIN).bind(id).bind(version).bind(self.now());
        let (incarnation,) = query.bind(earlier.saturating_add(1)).one::<(i64,)>().await?;
        transaction.commit().await?;
        in_folder(data, move |folder| keep(folder, INCARNATION, &incarnation.to_string())).await?;
        Ok(Node { store: self.clone(), id, incarnation, spooled: Arc::default() })
    }
}

impl Store {
    /// Returns the number of nodes that beat on PostgreSQL, which takes two beats. Returns 0 for SQLite, where the
    /// folder's lock shows a running node.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn servers(&self) -> Result<usize, DatabaseError> {
        if self.kind() == StoreKind::Sqlite {
            return Ok(0);
        }
        let before: Vec<(Uuid, i64)> = self.query(PRESENT).all().await?;
        if before.is_empty() {
            return Ok(0);
        }
        tokio::time::sleep(LISTEN).await;
        let after: Vec<(Uuid, i64)> = self.query(PRESENT).all().await?;
        Ok(after.iter().filter(|node| !before.contains(node)).count())
    }
}

impl Store {
    /// Returns the progress of the nodes that ever used the store, in the order of their ids. Beyond 10,000 nodes, the
    /// oldest of those that have left nothing are absent.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn node_progress(&self) -> Result<Vec<NodeProgress>, DatabaseError> {
        let mut rows: Vec<ProgressRow> = self.query(PROGRESS).bind(PROGRESS_MAX).all().await?;
        rows.sort_unstable_by_key(|row| row.id);
        let progress = rows.into_iter().map(|row| NodeProgress {
            id: row.id,
            version: row.version,
            seen_at: timestamp(row.seen_at),
            left_at: row.left_at.map(timestamp),
            ingested_until: row.ingested_until.map(timestamp),
            depth: SpooledUsage {
                records: unsigned(row.spooled),
                oldest: row.oldest_unsent_at.map(timestamp),
                ingest_lag: Duration::from_micros(unsigned(row.ingest_lag_us)),
            },
        });
        Ok(progress.collect())
    }
}

impl Node {
    /// Returns the id of a data folder without registering a node; `None` if no node has used the folder. The function
    /// blocks.
    #[must_use]
    pub fn id_in(data: &Path) -> Option<Uuid> {
        std::fs::read_to_string(data.join(FILE)).ok()?.trim().parse().ok()
    }

    /// Returns the store that the node works on.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the id of the data folder.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Returns the id of this node in leases.
    #[must_use]
    pub const fn lessee(&self) -> NodeId {
        NodeId(self.id.as_u128())
    }

    /// Returns how often a node was started on the data folder, including this time.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        unsigned(self.incarnation)
    }

    /// Returns the charges that earlier runs left in the spool and that are not in the store yet.
    #[must_use]
    pub fn backlog(&self) -> &Backlog {
        &self.spooled.backlog
    }

    /// Records that everything spooled before `until` is in the store.
    pub fn note_ingested(&self, until: Timestamp) {
        self.spooled.ingested_until.store(until.0, Ordering::Relaxed);
    }

    /// Records that the node has no spool, so that each report says that everything is stored.
    pub fn note_no_spool(&self) {
        self.spooled.is_missing.store(true, Ordering::Relaxed);
    }

    /// Records the records in the node's spool.
    pub fn note_depth(&self, depth: SpooledUsage) {
        let SpooledUsage { records, oldest, ingest_lag } = depth;
        self.spooled.spooled.store(records, Ordering::Relaxed);
        self.spooled.oldest_unsent.store(oldest.map_or(0, |oldest| oldest.0), Ordering::Relaxed);
        let lag = u64::try_from(ingest_lag.as_micros()).unwrap_or(u64::MAX);
        self.spooled.ingest_lag.store(lag, Ordering::Relaxed);
    }

    /// Records that the node runs, and how far its spool is in the store.
    ///
    /// # Errors
    /// [`NodeError::CopiedFolder`], and database errors.
    pub async fn report(&self) -> Result<(), NodeError> {
        if self.write(SEEN).await? == 0 { Err(CopiedFolder.into()) } else { Ok(()) }
    }

    /// Records that the node has ended, so that no operator waits for its next beat, and whether its spool was empty.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn leave(&self, is_ingested: bool) -> Result<(), DatabaseError> {
        if is_ingested {
            self.note_ingested(self.store.clock().now());
        }
        self.write(LEAVE).await.map(|_| ())
    }

    /// Prevents other incarnations of this node from writing until `transaction` ends, and waits for one that still
    /// writes: a transaction whose commit got no response may still be committed. The node's beat waits too, so this
    /// transaction counts as one.
    ///
    /// # Errors
    /// [`NodeError::CopiedFolder`], and database errors.
    pub async fn hold(&self, transaction: &mut BulkTransaction) -> Result<(), NodeError> {
        let held = transaction.query(HOLD).bind(self.id).bind(self.incarnation).bind(self.store.now()).run().await?;
        if held == 0 { Err(CopiedFolder.into()) } else { Ok(()) }
    }

    async fn write(&self, statement: &'static str) -> Result<u64, DatabaseError> {
        if self.spooled.is_missing.load(Ordering::Relaxed) {
            self.note_ingested(self.store.clock().now());
        }
        let mut transaction = self.store.begin().await?;
        let until = self.spooled.ingested_until.load(Ordering::Relaxed);
        let until = (until > 0).then(|| micros(Timestamp(until)));
        let query =
            transaction.query(statement).bind(self.id).bind(self.incarnation).bind(self.store.now()).bind(until);
        let number = |of: &AtomicU64| signed(of.load(Ordering::Relaxed));
        let oldest = number(&self.spooled.oldest_unsent);
        let query = query.bind(number(&self.spooled.spooled)).bind((oldest > 0).then_some(oldest));
        let query = query.bind(number(&self.spooled.ingest_lag));
        let written = query.run().await?;
        transaction.commit().await?;
        Ok(written)
    }
}

async fn in_folder<T: Send + 'static>(
    data: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, FolderError> {
    let folder = data.to_owned();
    let done = tokio::task::spawn_blocking(move || work(&folder)).await.unwrap_or_else(|e| Err(io::Error::other(e)));
    done.map_err(|source| FolderError { folder: data.to_owned(), source })
}

/// Returns the data folder's id, which is `fresh` if the folder has none. The file gets its name when it is complete,
/// so a partial file is never read.
fn id(folder: &Path, fresh: Uuid) -> io::Result<Uuid> {
    let path = folder.join(FILE);
    match File::open(&path) {
        Ok(file) => {
            let text = read(file)?;
            let broken = |_| io::Error::new(io::ErrorKind::InvalidData, format!("{} has no id", path.display()));
            Uuid::parse_str(text.trim_end()).map_err(broken)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(folder)?;
            keep(folder, FILE, &fresh.to_string())?;
            Ok(fresh)
        }
        Err(error) => Err(error),
    }
}

/// Returns the latest incarnation in the folder; 0 before the first.
fn incarnation(folder: &Path) -> io::Result<i64> {
    let path = folder.join(INCARNATION);
    match File::open(&path) {
        Ok(file) => {
            let broken = |_| io::Error::new(io::ErrorKind::InvalidData, format!("{} has no number", path.display()));
            read(file)?.trim_end().parse().map_err(broken)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

fn read(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Writes a file of one line atomically.
fn keep(folder: &Path, name: &str, line: &str) -> io::Result<()> {
    let new = folder.join(name).with_extension("new");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
    writeln!(file, "{line}")?;
    file.sync_all()?;
    std::fs::rename(new, folder.join(name))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
