//! The upgrade of a store with 10 million requests: its duration and memory, and migrations that are killed and start again.
//!
//! The earlier schema is that before the totals of hours, which later migrations make from the requests.

use std::time::Duration;

use e2e::child::Process;
use e2e::setup::Folder;
use e2e::{Call, Gateway, commands, is_long, timed};
use tokio::time::{sleep, timeout};

use super::days::{REQUESTS, filled, setup};
use super::fill::{self, DAYS_AT_ONCE};
use super::{PATIENCE, completes};
use crate::bodies::{CHAT, Format};
use crate::hostile::say;
use crate::store;

/// The first migration that the earlier schema lacks.
const FIRST: i64 = 16;
const NEWEST: &str = "SELECT max(version) FROM _sqlx_migrations";
/// The moments after the start of a command at which it is killed, unless a migration ends before.
const KILLED_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_millis(400), Duration::from_secs(2)];
const STEP: Duration = Duration::from_millis(10);

/// The requests that the store has, and those that the totals of hours and routes add up.
async fn totals(folder: &Folder) -> [i64; 3] {
    [
        store::number(folder, "SELECT count(*) FROM usage_events").await,
        store::number(folder, "SELECT sum(requests) FROM hourly_usage").await,
        store::number(folder, "SELECT sum(requests) FROM daily_routes").await,
    ]
}

/// Goes back to the earlier schema.
async fn undo(folder: &Folder) {
    let data = folder.data().display().to_string();
    while store::number(folder, NEWEST).await >= FIRST {
        completes(folder, &["migrate", "down", "--yes", "--data", &data]).await;
    }
}

/// Starts a command that migrates, and kills it at a moment, or when it has applied this migration. Returns whether it ran until
/// then.
async fn is_killed(folder: &Folder, version: i64, moment: Duration) -> bool {
    let data = folder.data().display().to_string();
    let mut command = Process::new(commands::begin(folder, &["migrate", "up", "--data", &data], &[]));
    let applied = async {
        while command.ended().is_none() && store::number(folder, NEWEST).await < version {
            sleep(STEP).await;
        }
    };
    let is_in_time = timeout(moment, applied).await.is_ok();
    assert!(is_in_time || moment < PATIENCE, "migration {version} ends");
    let ended = command.ended();
    assert!(ended.is_none_or(|code| code == Some(0)), "migration {version}: {ended:?}");
    command.kill();
    ended.is_none()
}

/// Kills commands before and within each migration, until all are applied. Returns how many were killed.
async fn are_killed_at_each(folder: &Folder, newest: i64) -> usize {
    let data = folder.data().display().to_string();
    let short = if is_long() { &KILLED_AFTER[..] } else { &KILLED_AFTER[..1] };
    let mut kills = 0;
    for version in FIRST..=newest {
        // The last command applies the migration, and is killed within the next one.
        for moment in short.iter().chain([&PATIENCE]) {
            if store::number(folder, NEWEST).await < version {
                kills += usize::from(is_killed(folder, version, *moment).await);
            }
        }
        // Short migrations may follow before the kill.
        while is_long() && store::number(folder, NEWEST).await > version {
            completes(folder, &["migrate", "down", "--yes", "--data", &data]).await;
        }
    }
    kills
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_of_ten_million_requests_is_killed_at_each_migration_and_starts_again() {
    let (doublings, times) = if is_long() { (13, 20) } else { (2, 1) };
    let (gateway, key) = filled(async |folder: &Folder| {
        fill::double(folder, doublings).await;
        fill::add_days(folder, times).await;
    })
    .await;
    let used = gateway.usage(&key).await["requests"].as_u64().unwrap();
    let folder = gateway.stop().await.folder;
    let data = folder.data().display().to_string();
    let newest = store::number(&folder, NEWEST).await;
    let before = totals(&folder).await;
    let requests = i64::from(REQUESTS << doublings) * i64::from(DAYS_AT_ONCE * times + 1);
    assert_eq!(before[..2], [requests; 2]);

    let ((), took) = timed(undo(&folder)).await;
    say(&format!("{requests} requests: migrations {newest} to {FIRST} are undone in {took:?}"));
    let ((_, peak), took) = timed(completes(&folder, &["migrate", "up", "--data", &data])).await;
    let slowest = "SELECT version FROM _sqlx_migrations WHERE version >= 16 ORDER BY execution_time DESC LIMIT 1";
    let millis = "SELECT max(execution_time) / 1000000 FROM _sqlx_migrations WHERE version >= 16";
    let slowest = store::number(&folder, slowest).await;
    let millis = store::number(&folder, millis).await;
    say(&format!(
        "{requests} requests: migrations {FIRST} to {newest} take {took:?} and {peak} bytes of memory; {slowest} takes {millis} ms"
    ));
    assert_eq!(totals(&folder).await, before);

    undo(&folder).await;
    let (kills, took) = timed(are_killed_at_each(&folder, newest)).await;
    say(&format!("{requests} requests: {kills} kills within {took:?}"));
    let migrations = usize::try_from(newest - FIRST + 1).unwrap();
    assert!(kills >= if is_long() { migrations } else { 1 }, "{kills} kills");
    assert_eq!((store::integrity(&folder).await, totals(&folder).await), ("ok".to_owned(), before));
    let (_, took) = timed(completes(&folder, &["audit", "--data", &data])).await;
    say(&format!("{requests} requests: the audit takes {took:?}"));
    let gateway = Gateway::start_in(folder, setup()).await;
    gateway.call(Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key)).await.expect(200);
    gateway.counted(&key, used + 1).await;
}
