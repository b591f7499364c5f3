//! A server on the store: who it is, how far its spool is read, and that it runs.
//!
//! Each data folder has an id, in its file `node`, and a spool; the places in the spool are kept by that id. Two servers
//! with one id (a folder was copied) would mix them: each start raises the node's incarnation, and only the latest
//! writes. The folder keeps it too, in `incarnation`: a store that was restored from an old copy gives none again, under
//! which something else may be lent.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::Timestamp;
use sqlx::PgConnection;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::dialect::postgres::WRITING;
use crate::dialect::{Kind, Transaction};
use crate::error::StoreError;
use crate::ingest::Backlog;
use crate::outage::Outage;
use crate::statement::{micros, statements, unsigned};
use crate::store::Store;

const FILE: &str = "node";
/// The latest incarnation that was begun on the folder.
const INCARNATION: &str = "incarnation";
/// A UUID and a newline.
const FILE_BYTES: u64 = 37;
/// How often a server says that it runs.
const BEAT: Duration = Duration::from_secs(1);
/// How long one is listened for: two beats and what they take.
const LISTEN: Duration = Duration::from_millis(2_500);

statements! {
    JOIN = "INSERT INTO nodes (id, version, incarnation, seen_at, created_at, updated_at) VALUES ($1, $2, $4, $3, $3, $3)
        ON CONFLICT (id) DO UPDATE SET version = excluded.version, incarnation = CASE
            WHEN nodes.incarnation < excluded.incarnation THEN excluded.incarnation ELSE nodes.incarnation + 1 END, seen_at = excluded.seen_at, left_at = NULL, updated_at = excluded.updated_at RETURNING incarnation";
    SEEN = "UPDATE nodes SET seen_at = $3, ingested_until = coalesce($4, ingested_until), updated_at = $3
        WHERE id = $1 AND incarnation = $2";
    LEAVE = "UPDATE nodes SET left_at = $3, ingested_until = coalesce($4, ingested_until), updated_at = $3
        WHERE id = $1 AND incarnation = $2";
    HOLD = "UPDATE nodes SET seen_at = $3, updated_at = $3 WHERE id = $1 AND incarnation = $2";
    PRESENT = "SELECT id, seen_at FROM nodes WHERE left_at IS NULL";
}

/// This server, as the store knows it. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Node {
    store: Store,
    id: Uuid,
    incarnation: i64,
    spooled: Arc<Spooled>,
}

/// How its spool stands to the store.
#[derive(Debug, Default)]
struct Spooled {
    backlog: Backlog,
    /// In microseconds since the Unix epoch; 0 while nobody knows.
    ingested_until: AtomicU64,
}

impl Store {
    /// Makes this process the server of a data folder, which is made where it is missing; the caller holds its lock.
    /// `version` is the binary's.
    ///
    /// # Errors
    /// [`StoreError::Folder`], and what the database meets.
    pub async fn join(&self, data: &Path, version: &str) -> Result<Node, StoreError> {
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
    /// How many servers beat on a PostgreSQL; this takes as long as two beats. Of a file the folder's lock says it: 0.
    ///
    /// # Errors
    /// What the database meets.
    pub async fn servers(&self) -> Result<usize, StoreError> {
        if self.kind() == Kind::Sqlite {
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

impl Node {
    /// The store that it works on.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The data folder's id.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// How often a server was started on the data folder, this time included.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        unsigned(self.incarnation)
    }

    /// What earlier runs left in its spool, and is not in the store yet.
    #[must_use]
    pub fn backlog(&self) -> &Backlog {
        &self.spooled.backlog
    }

    /// All that was spooled until then is in the store.
    pub(crate) fn note_ingested(&self, until: Timestamp) {
        self.spooled.ingested_until.store(until.0, Ordering::Relaxed);
    }

    /// Says that it ended, so that nobody waits for its next beat; and whether its spool was empty then.
    ///
    /// # Errors
    /// As [`Store::join`].
    pub async fn leave(&self, is_ingested: bool) -> Result<(), StoreError> {
        if is_ingested {
            self.note_ingested(self.store.clock().now());
        }
        self.write(LEAVE).await.map(|_| ())
    }

    /// Keeps others of this node from writing until `transaction` ends, and waits for one that still does: a transaction
    /// whose commit was not answered may yet be kept. The beat waits too, so this is one.
    pub(crate) async fn hold(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let held = transaction.query(HOLD).bind(self.id).bind(self.incarnation).bind(self.store.now()).run().await?;
        if held == 0 { Err(StoreError::Superseded) } else { Ok(()) }
    }

    async fn write(&self, statement: &'static str) -> Result<u64, StoreError> {
        let mut transaction = self.store.begin().await?;
        let until = self.spooled.ingested_until.load(Ordering::Relaxed);
        let until = (until > 0).then(|| micros(Timestamp(until)));
        let query =
            transaction.query(statement).bind(self.id).bind(self.incarnation).bind(self.store.now()).bind(until);
        let written = query.run().await?;
        transaction.commit().await?;
        Ok(written)
    }
}

/// Tells the store every second that this server runs, until `cancel` is done. On SQLite the folder's lock says so.
pub async fn beat(node: Node, cancel: impl Future<Output = ()>) {
    let mut outage = Outage::new("node");
    let mut ticks = tokio::time::interval(BEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let beats = async {
        if node.store.kind() == Kind::Sqlite {
            return std::future::pending().await;
        }
        loop {
            ticks.tick().await;
            let seen = match node.write(SEEN).await {
                Ok(0) => Err(StoreError::Superseded),
                other => other,
            };
            outage.note(&seen);
        }
    };
    tokio::select! {
        () = beats => {}
        () = cancel => {}
    }
}

/// How many servers beat, or are writing. Clocks of nodes differ, so it looks twice.
pub(crate) async fn running(connection: &mut PgConnection) -> Result<usize, StoreError> {
    let before: Vec<(Uuid, i64)> = sqlx::query_as(PRESENT).persistent(false).fetch_all(&mut *connection).await?;
    if before.is_empty() {
        return Ok(0);
    }
    tokio::time::sleep(LISTEN).await;
    let writing: Vec<(Uuid,)> = sqlx::query_as(WRITING).persistent(false).fetch_all(&mut *connection).await?;
    let after: Vec<(Uuid, i64)> = sqlx::query_as(PRESENT).persistent(false).fetch_all(&mut *connection).await?;
    Ok(after.iter().filter(|node| !before.contains(node) || writing.contains(&(node.0,))).count())
}

async fn in_folder<T: Send + 'static>(
    data: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    let folder = data.to_owned();
    let done = tokio::task::spawn_blocking(move || work(&folder)).await.unwrap_or_else(|e| Err(io::Error::other(e)));
    done.map_err(|source| StoreError::Folder { folder: data.to_owned(), source })
}

/// The data folder's id, which is `fresh` if it has none. A half-written file is never seen: it is named when it is whole.
fn id(folder: &Path, fresh: Uuid) -> io::Result<Uuid> {
    let path = folder.join(FILE);
    match File::open(&path) {
        Ok(file) => {
            let text = read(file)?;
            let broken = |_| io::Error::new(io::ErrorKind::InvalidData, format!("{} holds no id", path.display()));
            Uuid::parse_str(text.trim_end()).map_err(broken)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            crate::store::make_folder(folder)?;
            keep(folder, FILE, &fresh.to_string())?;
            Ok(fresh)
        }
        Err(error) => Err(error),
    }
}

/// The latest incarnation that the folder knows; 0 before the first.
fn incarnation(folder: &Path) -> io::Result<i64> {
    let path = folder.join(INCARNATION);
    match File::open(&path) {
        Ok(file) => {
            let broken = |_| io::Error::new(io::ErrorKind::InvalidData, format!("{} holds no number", path.display()));
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

/// Writes a file of one line, whole or not at all.
fn keep(folder: &Path, name: &str, line: &str) -> io::Result<()> {
    let new = folder.join(name).with_extension("new");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
    writeln!(file, "{line}")?;
    file.sync_all()?;
    std::fs::rename(new, folder.join(name))?;
    File::open(folder)?.sync_all()
}
