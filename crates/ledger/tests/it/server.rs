//! Behaviour that requires a server: lost commits, outages, several nodes on one store, and poolers.

use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::time::Duration;

use access::{Day, KeyHash, KeyNo, Secret};
use ledger::ingest::drain;
use ledger::{IngestError, IngestStats, Ledger, WriteError};
use meter::{Caller, UsageEvent};
use spool::Record;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use store::{DatabaseError, Email, Node, OpenError, Store, UserRef};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::ingest_fixture::run_ingest;
use crate::lossy_network::{Loss, LossyNetwork};
use crate::postgres;
use crate::usage_world::{caller, requests, stats};
use crate::world::{NOW, World};

/// A store behind a network, and a caller.
async fn apart() -> (World, LossyNetwork, Store, Caller) {
    let direct = postgres::database("").await;
    let (network, through) = LossyNetwork::to(&direct).await;
    let world = World::from_url(through);
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    (world, network, store, caller)
}

/// Appends usage that counts as 2 requests the first time, and as more each time that it is counted again.
fn append(world: &World, caller: Caller, writer: &mut spool::Writer) {
    writer.append(&world.counts(Some(caller), 1)).unwrap();
}

#[tokio::test]
async fn a_commit_that_is_lost_on_its_way_or_whose_answer_is_counts_once() {
    for loss in [Loss::Commit, Loss::Answer] {
        let (world, network, store, caller) = apart().await;
        let node = world.node(&store).await;
        let mut spool = world.spool(&node).await;
        append(&world, caller, &mut spool.writers[0]);
        append(&world, caller, &mut spool.writers[1]);
        network.lose(loss);
        let stats = IngestStats::default();
        let lost = drain(&node, &mut spool.reader, &stats).await.unwrap_err();
        assert!(
            matches!(lost, IngestError::Store(WriteError::Database(DatabaseError::Unavailable(_)))),
            "{loss:?} {lost:?}"
        );
        assert!(network.has_lost());
        let counted = if loss == Loss::Answer { 4 } else { 0 };
        assert_eq!(requests(&store, caller, NOW.day()).await, counted, "{loss:?}");
        // One more record after it, so that the batch differs.
        append(&world, caller, &mut spool.writers[0]);
        drain(&node, &mut spool.reader, &stats).await.unwrap();
        assert_eq!(requests(&store, caller, NOW.day()).await, 6, "{loss:?}");
    }
}

#[tokio::test]
async fn what_a_dead_connection_still_commits_is_waited_for() {
    let world = World::postgres().await;
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    let node = world.node(&store).await;
    let mut spool = world.spool(&node).await;
    append(&world, caller, &mut spool.writers[0]);
    let end = spool.reader.next_batch(9).unwrap().positions().next().unwrap();
    // Another connection of this node, which has written everything and is about to commit.
    let mut dead = PgConnection::connect(world.url()).await.unwrap();
    sqlx::raw_sql("BEGIN").execute(&mut dead).await.unwrap();
    sqlx::query("UPDATE nodes SET updated_at = 1 WHERE id = $1").bind(node.id()).execute(&mut dead).await.unwrap();
    let place = "INSERT INTO ingested (id, node_id, lane, segment, byte_offset, created_at, updated_at)
        VALUES ($1, $1, 0, $2, $3, 0, 0)";
    let place = sqlx::query(place).bind(node.id()).bind(i64::from(end.segment)).bind(i64::from(end.offset));
    place.execute(&mut dead).await.unwrap();
    let stats = IngestStats::default();
    let drained = drain(&node, &mut spool.reader, &stats);
    let committed = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        sqlx::raw_sql("COMMIT").execute(&mut dead).await.unwrap();
    };
    let (drained, ()) = tokio::join!(drained, committed);
    drained.unwrap();
    assert_eq!(requests(&store, caller, NOW.day()).await, 0, "the other one has counted it");
}

#[tokio::test]
async fn a_server_that_goes_away_is_unavailable_and_usable_when_it_is_back() {
    let (world, network, store, caller) = apart().await;
    let node = world.node(&store).await;
    let mut spool = world.spool(&node).await;
    let stats = stats();
    let (cancel, cancelled) = tokio::sync::oneshot::channel::<()>();
    let ingest = run_ingest(node, spool.reader, stats, async { cancelled.await.unwrap_or_default() });
    let story = async {
        network.set_up(false);
        for _ in 0..3 {
            append(&world, caller, &mut spool.writers[0]);
            let asked = tokio::time::Instant::now();
            let error = store.users().await.unwrap_err();
            assert!(matches!(error, DatabaseError::Unavailable(_)), "{error:?}");
            assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
        }
        let start = World::from_url(Secret::new(world.url().to_owned()));
        assert!(matches!(start.try_store().await, Err(OpenError::Database(DatabaseError::Unavailable(_)))));
        network.set_up(true);
        let back = async {
            while store.users().await.is_err() || requests(&store, caller, NOW.day()).await < 6 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(30), back).await.is_ok());
        cancel.send(()).unwrap();
    };
    let (mut reader, ()) = tokio::join!(ingest, story);
    assert_eq!(reader.depth().unwrap().records, 0);
    assert_eq!(requests(&store, caller, NOW.day()).await, 6);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_and_its_connections_too() {
    let (_world, network, store, _) = apart().await;
    network.set_heard(false);
    // More queries than connections, and twice.
    for _ in 0..2 {
        let asked = tokio::time::Instant::now();
        let mut asking = JoinSet::new();
        for _ in 0..20 {
            let store = store.clone();
            asking.spawn(async move { store.users().await });
        }
        let users = asking.join_all().await;
        assert!(users.iter().all(|users| matches!(users, Err(DatabaseError::Unavailable(_)))), "{users:?}");
        assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    }
    let find = store.find_principal(KeyHash([1; 32]));
    assert!(matches!(find.await, Err(DatabaseError::Unavailable(_))));
    network.set_heard(true);
    let back = async {
        while store.users().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), back).await.is_ok());
}

/// Starts a separate node on the database of `world`.
async fn another(world: &World) -> (World, Node) {
    let other = World::from_url(Secret::new(world.url().to_owned()));
    let node = other.node(&other.store().await).await;
    (other, node)
}

#[tokio::test]
async fn nodes_that_count_the_same_callers_and_meet_the_same_names_do_not_fail() {
    const KEYS: i64 = 50;
    const ROUNDS: i64 = 10;
    let one = World::postgres().await;
    let store = one.store().await;
    let owner = caller(&store, "ada@example.com").await;
    let other = World::from_url(Secret::new(one.url().to_owned()));
    let feed = async |world: &World, step: i64| {
        let node = world.node(&world.store().await).await;
        let mut spool = world.spool(&node).await;
        for round in 0..ROUNDS {
            for nth in 0..KEYS {
                let caller = Caller { key: KeyNo(1 + (nth * step + round) % KEYS), ..owner };
                let model = Some(format!("model-{}", (nth * step) % KEYS + round).into());
                let event = UsageEvent { model, ..world.event(Some(caller)) };
                spool.writers[0].append(&Record::Event(event)).unwrap();
                append(world, caller, &mut spool.writers[1]);
            }
            drain(&node, &mut spool.reader, &IngestStats::default()).await.unwrap();
        }
    };
    tokio::join!(feed(&one, 7), feed(&other, 43));
    let counted = u64::try_from(2 * ROUNDS * KEYS * 3).unwrap();
    assert_eq!(requests(&store, owner, NOW.day()).await, counted);
}

#[tokio::test]
async fn totals_are_locked_in_the_order_of_keys_so_that_no_two_wait_in_a_ring() {
    const KEYS: i64 = 60;
    const MIDDLE: i64 = 30;
    let world = World::postgres().await;
    let store = world.store().await;
    let owner = caller(&store, "ada@example.com").await;
    let backwards: Vec<Record> =
        (1..=KEYS).rev().map(|key| world.counts(Some(Caller { key: KeyNo(key), ..owner }), 1)).collect();
    world.ingest(&store, &backwards).await;
    let mut other = PgConnection::connect(world.url()).await.unwrap();
    // Within a transaction, the set of locks that others wait for stays as it was first seen.
    let mut watcher = PgConnection::connect(world.url()).await.unwrap();
    for (table, condition) in [("daily_usage", ""), ("usage_counts", "status_class = 2 AND ")] {
        let lock = async |other: &mut PgConnection, which: &str| -> Result<usize, sqlx::Error> {
            let lock = AssertSqlSafe(format!("SELECT id FROM {table} WHERE {condition}key_no {which}"));
            Ok(sqlx::raw_sql(lock).fetch_all(other).await?.len())
        };
        sqlx::raw_sql("BEGIN").execute(&mut other).await.unwrap();
        assert_eq!(lock(&mut other, &format!("= {MIDDLE} FOR UPDATE")).await.unwrap(), 1);
        let story = async {
            let waits =
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while sqlx::raw_sql(waits).fetch_all(&mut watcher).await.unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let behind = lock(&mut other, &format!("> {MIDDLE} FOR UPDATE NOWAIT")).await;
            assert_eq!(behind.unwrap(), usize::try_from(KEYS - MIDDLE).unwrap(), "{table}");
            assert_eq!(lock(&mut other, &format!("< {MIDDLE} FOR UPDATE SKIP LOCKED")).await.unwrap(), 0, "{table}");
            sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
        };
        tokio::join!(world.ingest(&store, &backwards), story);
    }
    assert_eq!(requests(&store, owner, NOW.day()).await, u64::try_from(3 * KEYS * 2).unwrap());
}

#[tokio::test]
async fn places_are_kept_by_node() {
    let world = World::postgres().await;
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    world.ingest(&store, &[world.counts(Some(caller), 1)]).await;
    let (other, theirs) = another(&world).await;
    assert_eq!(ledger::ingest::positions(&theirs).await.unwrap(), []);
    other.ingest(&store, &[other.counts(Some(caller), 1)]).await;
    assert_eq!(requests(&store, caller, NOW.day()).await, 4);
    let ours = world.node(&store).await;
    let theirs = other.node(&store).await;
    assert_ne!(ours.id(), theirs.id());
    assert_eq!((ours.incarnation(), theirs.incarnation()), (2, 3));
}

/// PgBouncer in front of a database, in a selectable mode.
struct Pooler {
    process: Child,
    _folder: tempfile::TempDir,
    url: Secret,
}

impl Pooler {
    async fn before(url: &Secret, mode: &str) -> Self {
        let program = "/usr/sbin/pgbouncer";
        assert!(std::path::Path::new(program).exists(), "this test needs PgBouncer: apt-get install -y pgbouncer");
        let (_, rest) = url.expose().split_once("@127.0.0.1:").unwrap();
        let (server, name) = rest.split_once('/').unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let settings = format!(
            "[databases]\n{name} = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_type = any\npool_mode = {mode}\nunix_socket_dir =\n"
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let mut command = Command::new(program);
        command.arg("-q").stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        if std::fs::metadata(folder.path()).unwrap().uid() == 0 {
            // PgBouncer refuses to run as root; `nobody` reads its settings.
            std::os::unix::fs::chown(folder.path(), Some(65_534), Some(65_534)).unwrap();
            std::os::unix::fs::chown(&file, Some(65_534), Some(65_534)).unwrap();
            command.uid(65_534).gid(65_534);
        }
        let process = command.arg(&file).spawn().unwrap();
        let answers = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(10), answers).await.is_ok());
        Self { process, _folder: folder, url: Secret::new(format!("postgres://postgres@127.0.0.1:{port}/{name}")) }
    }
}

#[tokio::test]
async fn a_pooler_is_refused_in_transaction_mode_and_works_in_session_mode() {
    let url = postgres::database("").await;
    let mut pooler = Pooler::before(&url, "transaction").await;
    let error = World::from_url(pooler.url.clone()).try_store().await.unwrap_err();
    assert!(matches!(error, OpenError::Database(DatabaseError::Pooled)), "{error:?}");
    assert!(error.to_string().contains("pool_mode = session"), "{error}");
    pooler.process.kill().await.unwrap();
    let mut pooler = Pooler::before(&url, "session").await;
    let world = World::from_url(pooler.url.clone());
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    world.ingest(&store, &[Record::Event(world.event(Some(caller)))]).await;
    assert_eq!(requests(&store, caller, NOW.day()).await, 1);
    pooler.process.kill().await.unwrap();
}

#[tokio::test]
async fn an_overview_takes_five_statements() {
    let (_world, network, store, _) = apart().await;
    let ada = store.find_user(&UserRef::Email(Email::parse("ada@example.com").unwrap())).await.unwrap().unwrap();
    let before = network.statements();
    let (found, _) = Ledger::new(store).overview(ada.id, [Day(20_000), Day(20_001)]).await.unwrap().unwrap();
    assert_eq!((network.statements() - before, found), (5, ada));
}
