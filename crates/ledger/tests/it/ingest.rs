use std::sync::atomic::Ordering;
use std::time::Duration;

use ledger::IngestStats;
use ledger::ingest::drain;
use meter::UsageEvent;
use spool::Record;

use crate::ingest_fixture::run_ingest;
use crate::usage_world::{attempt, caller, requests, stats};
use crate::world::{NOW, World};

pub(crate) async fn an_event_given_twice_counts_once(world: &World) {
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    let event = Record::Event(world.event(Some(caller)));
    let other = Record::Event(world.event(Some(caller)));
    // Twice in one batch, and again in a later one with a new event.
    world.ingest(&store, &[event.clone(), event.clone()]).await;
    assert_eq!(requests(&store, caller, NOW.day()).await, 1);
    world.ingest(&store, &[event, other]).await;
    assert_eq!(requests(&store, caller, NOW.day()).await, 2);
    // The whole spool again, as after a restore of the database from a copy.
    let mut spool = world.spool_from(&[]);
    let stats = IngestStats::default();
    drain(&world.node(&store).await, &mut spool.reader, &stats).await.unwrap();
    assert_eq!(stats.events.into_inner(), 4);
    assert_eq!(requests(&store, caller, NOW.day()).await, 2);
}

pub(crate) async fn a_dropped_ingest_resumes_where_it_committed(world: &World) {
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    let node = world.node(&store).await;
    let mut spool = world.spool(&node).await;
    for nth in 0..2_500 {
        let record =
            if nth % 2 == 0 { Record::Event(world.event(Some(caller))) } else { world.counts(Some(caller), 1) };
        spool.writers[nth % 2].append(&record).unwrap();
    }
    let process = world.node(&world.store().await).await;
    // A separate runtime: dropping it stops the ingest completely.
    let dropped = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stats = stats();
        runtime.block_on(async {
            tokio::select! {
                _ = run_ingest(process, spool.reader, stats.clone(), std::future::pending::<()>()) => {}
                () = async { while stats.events.load(Ordering::Relaxed) == 0 { tokio::task::yield_now().await } } => {}
            }
        });
        stats.events.load(Ordering::Relaxed)
    });
    let before = dropped.await.unwrap();
    assert!((1..1_250).contains(&before), "{before}");
    let node = world.node(&store).await;
    let mut spool = world.spool(&node).await;
    let stats = stats();
    drain(&node, &mut spool.reader, &stats).await.unwrap();
    assert!(stats.events.load(Ordering::Relaxed) <= 1_250 - before);
    assert_eq!(requests(&store, caller, NOW.day()).await, 1_250 + 1_250 * 2);
}

pub(crate) async fn a_failing_database_leaves_events_in_the_spool(world: &World) {
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    let away = world.node(&world.store().await).await;
    let mut spool = world.spool(&away).await;
    spool.writers[0].append(&Record::Event(world.event(Some(caller)))).unwrap();
    away.store().close().await;
    let stats = stats();
    let failures = || u32::try_from(stats.failures.load(Ordering::Relaxed)).unwrap();
    let began = tokio::time::Instant::now();
    let cancel = async {
        while failures() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let mut reader = run_ingest(away, spool.reader, stats.clone(), cancel).await;
    // After 100 ms, after 200 more, and so on.
    let least = Duration::from_millis(100) * (2_u32.pow(failures() - 1) - 1);
    assert!(began.elapsed() >= least, "{stats:?} after {:?}", began.elapsed());
    assert_eq!(reader.depth().unwrap().records, 1);
    assert_eq!(requests(&store, caller, NOW.day()).await, 0);
    drain(&world.node(&store).await, &mut reader, &stats).await.unwrap();
    assert_eq!((reader.depth().unwrap().records, requests(&store, caller, NOW.day()).await), (0, 1));
}

pub(crate) async fn ingest_follows_the_writers(world: &World) {
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    let node = world.node(&store).await;
    let mut spool = world.spool(&node).await;
    let mut writer = spool.writers.remove(0);
    let (cancel, cancelled) = tokio::sync::oneshot::channel::<()>();
    let cancelled = async { cancelled.await.unwrap_or_default() };
    let ingest = run_ingest(node, spool.reader, stats(), cancelled);
    let story = async {
        for wanted in 1..=3 {
            writer.append(&Record::Event(world.event(Some(caller)))).unwrap();
            let counted = async {
                while requests(&store, caller, NOW.day()).await < wanted {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            assert!(tokio::time::timeout(Duration::from_secs(20), counted).await.is_ok(), "{wanted}");
        }
        cancel.send(()).unwrap();
    };
    let (mut reader, ()) = tokio::join!(ingest, story);
    assert_eq!(reader.depth().unwrap().records, 0);
}

pub(crate) async fn hostile_names_do_not_stop_ingest(world: &World) {
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    let names = ["", "\0", "a\0b", "Ω", "'; DROP TABLE users; --", "$1", "?"].map(str::to_owned);
    let records = names.into_iter().chain(["é".repeat(2_000)]).map(|name| {
        let attempt = meter::Attempt { upstream_id: Some(name.as_str().into()), ..attempt() };
        let event = world.event(Some(caller));
        Record::Event(UsageEvent { model: Some(name.into()), attempts: vec![attempt], ..event })
    });
    let records: Vec<Record> = records.collect();
    world.ingest(&store, &records).await;
    assert_eq!(requests(&store, caller, NOW.day()).await, 8);
}
