//! Ingest with a full or slow disk, with other nodes, and with concurrent readers and writers.

use super::*;
use crate::ingest_fixture::run_ingest;

#[tokio::test]
async fn no_segment_is_removed_before_the_disk_has_what_was_ingested() {
    let place = Place::sqlite();
    let folder = &place.folder;
    let store = place.open().await;
    let node = place.join(&store).await;
    let mut spool = spool(folder.path());
    let stats = IngestStats::default();
    let first = folder.path().join("spool/0000-0000000001.spool");
    for _ in 0..60 {
        spool.writers[0].append(&Record::Event(event())).unwrap();
    }
    // A log that cannot be opened represents a disk that cannot sync; the database itself has it open.
    let log = folder.path().join("tollgate.db-wal");
    let away = folder.path().join("away");
    std::fs::rename(&log, &away).unwrap();
    std::os::unix::fs::symlink(&log, &log).unwrap();
    let failed = drain(&node, &mut spool.reader, &stats).await;
    assert!(
        matches!(failed, Err(IngestError::Store(WriteError::Database(DatabaseError::Database(sqlx::Error::Io(_)))))),
        "{failed:?}"
    );
    assert!(positions(&node).await.is_err());
    assert!(first.exists());
    std::fs::remove_file(&log).unwrap();
    std::fs::rename(&away, &log).unwrap();
    drain(&node, &mut spool.reader, &stats).await.unwrap();
    assert!(!first.exists());
    assert_eq!(table(&store, "usage_events").await.len(), 60);
}

#[tokio::test]
async fn ingest_goes_on_when_a_full_disk_has_room_again() {
    let place = Place::sqlite();
    let folder = &place.folder;
    let store = place.open().await;
    let node = place.join(&store).await;
    let mut spool = spool(folder.path());
    let mut known = KnownRows::default();
    let stats = IngestStats::default();
    let mut transaction = store.begin_bulk().await.unwrap();
    let (pages,): (i64,) = transaction.query("PRAGMA page_count").one().await.unwrap();
    let limit = AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
    let _: (i64,) = transaction.query(limit).one().await.unwrap();
    transaction.commit().await.unwrap();
    let mut stored = 0;
    let full = loop {
        spool.writers[0]
            .append(&Record::Event(UsageEvent { model: Some(id().to_string().into()), ..event() }))
            .unwrap();
        match write(&node, ReadBatch::next(&mut spool.reader, 9).unwrap(), &mut known, &stats).await {
            Ok(written) => spool.reader.release(&written.batch).unwrap(),
            Err(error) => break causes(&error),
        }
        stored += 1;
    };
    assert!(full.contains("full"), "{full}");
    // The limit belongs to the connection: the next connection has room, as on a disk that was cleared.
    let cleared = async {
        let mut transaction = store.begin_bulk().await?;
        let _: (i64,) = transaction.query("PRAGMA max_page_count = 1000000").one().await?;
        transaction.commit().await
    };
    cleared.await.unwrap();
    drain(&node, &mut spool.reader, &stats).await.unwrap();
    assert_eq!(table(&store, "usage_events").await.len(), stored + 1);
}

#[tokio::test]
async fn a_postgres_whose_disk_is_full_keeps_nothing_of_a_batch() {
    let place = Place::postgres().await;
    let store = place.open().await;
    let node = place.join(&store).await;
    let mut spool = spool(place.folder.path());
    let stats = IngestStats::default();
    spool.writers[0].append(&Record::Event(event())).unwrap();
    spool.writers[1].append(&counts(7)).unwrap();
    // The error of PostgreSQL if a table cannot grow (SQLSTATE 53100, disk_full).
    for table_that_grows in ["usage_counts", "daily_usage", "ingested"] {
        refuse(&store, table_that_grows, "53100").await;
        let error = drain(&node, &mut spool.reader, &stats).await.unwrap_err();
        assert!(matches!(error, IngestError::Store(WriteError::Database(DatabaseError::Full(_)))), "{error:?}");
        for empty in ["usage_events", "usage_counts", "daily_usage", "names", "ingested"] {
            assert_eq!(table(&store, empty).await, [], "{empty}");
        }
        allow(&store, table_that_grows).await;
    }
    drain(&node, &mut spool.reader, &stats).await.unwrap();
    assert_eq!(table(&store, "usage_events").await.len(), 1);
    assert_eq!(table(&store, "usage_counts").await[0]["requests"], "7");
}

#[tokio::test]
async fn of_two_servers_with_one_nodes_id_the_later_one_writes() {
    for place in Place::both().await {
        let store = place.open().await;
        let earlier = place.join(&store).await;
        let mut spool = spool(place.folder.path());
        let stats = IngestStats::default();
        spool.writers[0].append(&counts(1)).unwrap();
        drain(&earlier, &mut spool.reader, &stats).await.unwrap();
        let later = place.join(&store).await;
        assert_eq!((later.id(), later.incarnation()), (earlier.id(), earlier.incarnation() + 1));
        spool.writers[0].append(&counts(10)).unwrap();
        let refused = drain(&earlier, &mut spool.reader, &stats).await.unwrap_err();
        assert!(matches!(refused, IngestError::Store(WriteError::CopiedFolder(_))), "{refused:?}");
        assert_eq!(table(&store, "usage_counts").await[0]["requests"], "1");
        drain(&later, &mut spool.reader, &stats).await.unwrap();
        assert_eq!(table(&store, "usage_counts").await[0]["requests"], "11");
    }
}

/// Ingests a spool with `events` events of 100 users, while `beside` runs.
async fn ingest_beside<T>(store: &Store, place: &Place, events: u64, beside: impl AsyncFnOnce(&IngestStats) -> T) -> T {
    let node = place.join(store).await;
    let options = spool::SpoolOptions { size_bytes_max: 64 << 20, segment_bytes: 1 << 20, partitions: 1 };
    let mut spool = Spool::open(&place.folder.path().join("spool"), options, &[]).unwrap();
    for nth in 0..events {
        let caller =
            Some(Caller { user: UserNo(i64::try_from(nth % 100).unwrap()), key: KeyNo(32), plan: PlanId::NIL });
        spool.writers[0].append(&Record::Event(UsageEvent { id: id(), subject: caller.into(), ..event() })).unwrap();
    }
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stats = Arc::new(IngestStats::default());
    let stopped = async { stopped.await.unwrap_or_default() };
    let ingesting = Box::pin(run_ingest(node, spool.reader, stats.clone(), stopped));
    let story = async {
        let told = beside(&stats).await;
        while stats.events.load(Ordering::Relaxed) < events {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.send(()).unwrap();
        told
    };
    tokio::join!(ingesting, story).1
}

#[tokio::test]
async fn a_write_of_the_api_waits_for_one_transaction_of_ingest_at_the_most() {
    const EVENTS: u64 = 40_000;
    for place in Place::both().await {
        let store = place.open().await;
        let waited = ingest_beside(&store, &place, EVENTS, async |stats| {
            let ingested = || stats.events.load(Ordering::Relaxed);
            let mut waited = Vec::new();
            while ingested() < EVENTS / 2 {
                let before = ingested();
                let change = store.begin_revision().await.unwrap();
                waited.push(ingested() - before);
                drop(change);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            waited
        })
        .await;
        // The bound covers the batch that is running and the batch that queued before this write. On a busy machine
        // ingest may run before the write queues at all.
        let bound = 2 * u64::try_from(BATCH_RECORDS_MAX).unwrap();
        let within = waited.iter().filter(|events| **events <= bound).count();
        assert!(waited.len() > 4 && 4 * within >= 3 * waited.len(), "{waited:?}");
    }
}

#[tokio::test]
async fn the_log_stays_small_while_others_read() {
    // Without checkpoints from ingest the log grew to 170 MB; with them to 35 to 60 MB on an otherwise idle machine.
    const EVENTS: u64 = 80_000;
    let place = Place::sqlite();
    let store = Store::open(Options { clock: Clock::system(), ..place.options(true) }).await.unwrap();
    let log = place.folder.path().join("tollgate.db-wal");
    let read = async || {
        // Each snapshot begins before the previous one ends, so that a reader always exists.
        let mut reading = store.begin_read().await.unwrap();
        for _ in 0..20 {
            let _: (i64,) = reading.query("SELECT count(*) FROM daily_usage").one().await.unwrap();
            let next = store.begin_read().await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
            reading.rollback().await.unwrap();
            reading = next;
        }
    };
    let largest = ingest_beside(&store, &place, EVENTS, async |stats| {
        let mut largest = 0;
        while stats.events.load(Ordering::Relaxed) < EVENTS {
            read().await;
            largest = largest.max(std::fs::metadata(&log).unwrap().len());
        }
        largest
    })
    .await;
    assert!(largest < 130 << 20, "{largest}");
}
