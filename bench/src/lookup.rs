//! `lookup`: the latency of the first lookup of a key, in a store with many keys.

use std::sync::Arc;
use std::time::Duration;

use access::{Amount, Clock, Directory, Ids, KeyHash, MasterKey, Revision, Vault};
use anyhow::{Context, ensure};
use cluster::{Counting, DecryptedCredentials};
use meter::{BudgetId, BudgetScope, Caller, Measure, Per};
use rustix::fs::{Advice, fadvise};
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection, SqliteConnection};
use store::Store;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::database::{BenchDatabase, DatabaseKind};
use crate::people;
use crate::stats::Spread;

/// The maximum of lookups that wait for the store, as in Tollgate.
const QUEUE: usize = 1_024;
const STALE_FOR: Duration = Duration::from_secs(3_600);
/// The number of rows per statement.
const ROWS: usize = 1_000;

#[derive(clap::Args, Clone)]
pub(crate) struct LookupFlags {
    /// The database of the store
    #[arg(long, value_enum)]
    store: DatabaseKind,
    /// Keys in the store
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=50_000_000))]
    keys: u64,
    /// Lookups, each of a different key
    #[arg(long, default_value_t = 20_000)]
    lookups: u64,
    /// Give each key a token budget per day, whose usage the first lookup reads
    #[arg(long)]
    budgets: bool,
    /// Concurrent lookups; each number is one measurement
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    at_once: Vec<usize>,
}

/// Runs the measurements and prints a line for each number of concurrent lookups.
pub(crate) async fn run(flags: LookupFlags) -> anyhow::Result<bool> {
    let database = BenchDatabase::create(flags.store).await?;
    println!("{}, {} keys", database.describe(), flags.keys);
    let store = database.open().await?;
    let owner = people::user(&store).await?;
    fill(&database, owner.0, flags.keys).await.context("filling the store")?;
    let clock = Clock::system();
    let mut next = 0;
    for at_once in &flags.at_once {
        forget(&database)?;
        let revision = Arc::new(Revision::default());
        revision.confirm(store.revision().await?, clock.mono());
        let (queue, lookups) = mpsc::channel(QUEUE);
        let (stop, stopped) = oneshot::channel::<()>();
        let mut serving = JoinSet::new();
        let vault = Arc::new(Vault::new(&MasterKey::parse(&"A".repeat(43))?, None));
        let decrypted_credentials = Arc::new(DecryptedCredentials::new(vault, revision.clone()));
        let stopped = async { stopped.await.unwrap_or_default() };
        let counting = counting(&database, &store, flags.budgets).await?;
        serving.spawn(cluster::directory::serve(store.clone(), decrypted_credentials, counting, lookups, stopped));
        let mut waits = Vec::new();
        let mut asking: JoinSet<anyhow::Result<Vec<Duration>>> = JoinSet::new();
        let each = flags.lookups / u64::try_from(*at_once)?.max(1);
        for _ in 0..*at_once {
            // An empty directory, as a worker has at its start.
            let directory = Directory::new(queue.clone(), revision.clone(), clock.clone(), STALE_FOR);
            let (first, clock, keys) = (next, clock.clone(), flags.keys);
            next += each;
            asking.spawn(async move {
                let mut waits = Vec::new();
                for nth in first..first + each {
                    // The lookups are spread over all keys. They differ as long as there are enough keys.
                    let requested = clock.mono();
                    let found = directory.find(hash(nth.wrapping_mul(7_919) % keys)).await;
                    waits.push(clock.mono().since(requested));
                    ensure!(found.is_ok(), "key {nth}: {found:?}");
                }
                Ok(waits)
            });
        }
        while let Some(requested) = asking.join_next().await {
            waits.extend(requested??);
        }
        stop.send(()).ok().context("lookups ended")?;
        println!("  {at_once:3} at once: {}", Spread::of(waits));
    }
    store.close().await;
    Ok(true)
}

/// An empty meter, and the budgets of keys.
async fn counting(database: &BenchDatabase, store: &Store, budgets: bool) -> anyhow::Result<Arc<Counting>> {
    if !budgets {
        return Ok(Arc::default());
    }
    let node = store.join(database.folder(), env!("CARGO_PKG_VERSION")).await?;
    let own = |caller: Caller| {
        let budget = BudgetId { scope: BudgetScope::Key(caller.key), measure: Measure::Tokens, per: Per::Day };
        vec![(budget, Amount::MAX)]
    };
    Ok(Arc::new(Counting::new(Some((Arc::default(), node)), own)))
}

/// The hash of a key; the key itself does not exist.
fn hash(nth: u64) -> KeyHash {
    KeyHash(Sha256::digest(nth.to_le_bytes()).into())
}

/// Inserts keys directly into the table, because the API needs a transaction for each.
async fn fill(database: &BenchDatabase, owner: uuid::Uuid, keys: u64) -> anyhow::Result<()> {
    let columns = "INSERT INTO api_keys (id, no, user_id, label, hash, prefix, last4, created_at, updated_at) ";
    let (mut ids, clock) = (Ids::new(Clock::system()), Clock::system());
    let owner = KeyOwner { user: owner, now: i64::try_from(clock.now().0)? };
    let mut inserter = match &database.url {
        Some(url) => KeyInserter::Postgres(PgConnection::connect(url.expose()).await?),
        None => {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database.file());
            KeyInserter::Sqlite(SqliteConnection::connect_with(&options).await?)
        }
    };
    let numbers: Vec<u64> = (0..keys).collect();
    for chunk in numbers.chunks(ROWS) {
        let rows = chunk.iter().map(|nth| (ids.next_uuid(), *nth));
        inserter.insert(columns, rows.collect(), &owner).await?;
    }
    inserter.end().await
}

/// The user of all inserted keys, and the time of their creation in microseconds.
struct KeyOwner {
    user: uuid::Uuid,
    now: i64,
}

enum KeyInserter {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Inserts rows on either connection. Both take the same calls with different types.
macro_rules! insert {
    ($database:ty, $connection:expr, $columns:expr, $rows:expr, $owner:expr, $now:expr) => {{
        let mut query = sqlx::QueryBuilder::<$database>::new($columns);
        query.push_values($rows, |mut row, (id, nth)| {
            row.push_bind(id)
                .push_bind(i64::try_from(nth).unwrap_or(i64::MAX) + 1)
                .push_bind($owner)
                .push_bind("bench")
                .push_bind(hash(nth).0.to_vec())
                .push_bind("bench")
                .push_bind("0000")
                .push_bind($now)
                .push_bind($now);
        });
        query.build().persistent(true).execute($connection).await?;
    }};
}

impl KeyInserter {
    async fn insert(&mut self, columns: &str, rows: Vec<(uuid::Uuid, u64)>, owner: &KeyOwner) -> anyhow::Result<()> {
        let KeyOwner { user, now } = *owner;
        match self {
            Self::Sqlite(connection) => {
                insert!(sqlx::Sqlite, connection, columns, rows, user, now);
            }
            Self::Postgres(connection) => {
                insert!(sqlx::Postgres, connection, columns, rows, user, now);
            }
        }
        Ok(())
    }

    /// Updates the statistics, as they are after an hour of service.
    async fn end(self) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(connection) => connection.close().await?,
            Self::Postgres(mut connection) => {
                sqlx::raw_sql("VACUUM ANALYZE api_keys").execute(&mut connection).await?;
                connection.close().await?;
            }
        }
        Ok(())
    }
}

/// Removes SQLite's file from the page cache, so that the first lookups read the disk.
fn forget(database: &BenchDatabase) -> anyhow::Result<()> {
    if database.url.is_none() {
        let file = std::fs::File::open(database.file())?;
        file.sync_all()?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}
