//! `lookup`: the latency of the first lookup of a key, in a store with many keys.

use std::sync::Arc;
use std::time::Duration;

use access::{Clock, Directory, Ids, KeyHash, MasterKey, Revision, Vault};
use anyhow::{Context, ensure};
use cluster::DecryptedCredentials;
use rustix::fs::{Advice, fadvise};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
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
const COLUMNS: &str = "INSERT INTO api_keys (id, no, user_id, label, hash, prefix, last4, created_at, updated_at)";

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
        serving.spawn(cluster::directory::serve(
            store.clone(),
            decrypted_credentials,
            Arc::default(),
            lookups,
            stopped,
        ));
        let mut waits = Vec::new();
        let mut asking: JoinSet<anyhow::Result<Vec<Duration>>> = JoinSet::new();
        let each = flags.lookups / u64::try_from(*at_once)?.max(1);
        for _ in 0..*at_once {
            // An empty directory, as a worker has at its start.
            let directory = Directory::new(queue.clone(), revision.clone(), clock.clone(), STALE_FOR);
            let first = next;
            let clock = clock.clone();
            let keys = flags.keys;
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
        println!("  {at_once:3} at once: {}", Spread::from_durations(waits));
    }
    store.close().await;
    Ok(true)
}

/// The hash of a key; the key itself does not exist.
fn hash(nth: u64) -> KeyHash {
    KeyHash(Sha256::digest(nth.to_le_bytes()).into())
}

/// Inserts keys directly into the table, because the API needs a transaction for each.
async fn fill(database: &BenchDatabase, owner: uuid::Uuid, keys: u64) -> anyhow::Result<()> {
    match &database.url {
        None => {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database.file());
            let mut connection = SqliteConnection::connect_with(&options).await?;
            for statement in inserts(owner, keys, ["x'", "x'"]) {
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
            }
            Ok(connection.close().await?)
        }
        Some(url) => {
            let mut connection = PgConnection::connect(url.expose()).await?;
            for statement in inserts(owner, keys, ["'", "'\\x"]) {
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
            }
            // Updates the statistics, as they are after an hour of service.
            sqlx::raw_sql("VACUUM ANALYZE api_keys").execute(&mut connection).await?;
            Ok(connection.close().await?)
        }
    }
}

/// The statements that insert keys of one user. The marks begin a UUID and a hash in hex.
fn inserts(owner: uuid::Uuid, keys: u64, [uuid, bytes]: [&str; 2]) -> impl Iterator<Item = String> {
    let mut ids = Ids::new(Clock::system());
    let clock = Clock::system();
    let owner = owner.simple();
    let now = clock.now().0;
    (0..keys).step_by(ROWS).map(move |first| {
        let rows = (first..keys).take(ROWS).map(|nth| {
            let id = ids.next_uuid();
            let number = nth + 1;
            let id = id.simple();
            let hash = hash(nth).0.map(|byte| format!("{byte:02x}")).concat();
            let text = format!("'bench', {bytes}{hash}', 'bench', '0000', {now}, {now}");
            format!("({uuid}{id}', {number}, {uuid}{owner}', {text})")
        });
        format!("{COLUMNS} VALUES {}", rows.collect::<Vec<_>>().join(", "))
    })
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
