use std::collections::BTreeMap;

use access::{Clock, Credits, Day, Ids, KeyNo, NanoUsd, RequestId, Timestamp, UserNo};
use meter::{Attempt, Caller, Counts, Outcome, Source, Usage, UsageEvent};
use spool::{Record, Spool};
use sqlx::{AssertSqlSafe, Column, Row, TypeInfo, ValueRef};
use uuid::Uuid;

use super::*;
use crate::store::tests::open;

const PLACE: Position = Position { lane: 0, segment: 1, offset: 9 };

fn id() -> RequestId {
    RequestId(Ids::new(Clock::manual(Timestamp(1_800_000_000_000_000))).next_uuid())
}

fn attempt() -> Attempt {
    let usage = Usage {
        source: Source::Reported,
        input: Some(41),
        cached_input: Some(42),
        cache_write_short: Some(43),
        cache_write_long: Some(44),
        output: Some(45),
        reasoning: None,
    };
    Attempt {
        provider: "openai".into(),
        model: Some("gpt".into()),
        answered_model: Some("gpt-2026".into()),
        status: Some(201),
        upstream_id: Some("req_1".into()),
        usage: Some(usage),
        cost: Some(NanoUsd(46)),
        price_version: Some("v1".into()),
        first_byte_us: Some(47),
        duration_us: 48,
    }
}

fn event() -> UsageEvent {
    UsageEvent {
        id: id(),
        caller: Some(Caller { user: UserNo(31), key: KeyNo(32) }),
        started_at: Timestamp(33),
        day: Day(34),
        credits: Credits(35),
        route: "ai".into(),
        format: Some("chat".into()),
        model: Some("fast".into()),
        streamed: true,
        status: 200,
        outcome: Outcome::CallerGone,
        request_bytes: 36,
        response_bytes: 37,
        duration_us: 38,
        attempts: vec![attempt()],
    }
}

async fn ingest(store: &Store, events: Vec<UsageEvent>, counts: Vec<Counts>) {
    let counts = (!counts.is_empty()).then(|| Record::Counts { id: id().0, counts });
    let records = events.into_iter().map(Record::Event).chain(counts);
    let mut rows = Rows { records: records.map(|record| (PLACE, record)).collect(), read: Vec::new() };
    rows.write(store, &mut Names::default()).await.unwrap();
}

/// Every row of a table, its values by column as text: numbers of names as the names, ids and times of rows left out.
async fn table(store: &Store, name: &str) -> Vec<BTreeMap<String, String>> {
    let names: Vec<(i64, String)> =
        sqlx::query_as("SELECT no, name FROM names").fetch_all(store.readers()).await.unwrap();
    let names: BTreeMap<i64, String> = names.into_iter().collect();
    let rows = sqlx::query(AssertSqlSafe(format!("SELECT * FROM {name}"))).fetch_all(store.readers()).await.unwrap();
    let value = |row: &<crate::dialect::Db as sqlx::Database>::Row, column: &str| -> String {
        let raw = row.try_get_raw(column).unwrap();
        if raw.is_null() {
            return "-".to_owned();
        }
        match raw.type_info().name() {
            "TEXT" => row.get(column),
            "BLOB" => row.get::<Uuid, _>(column).to_string(),
            _ => {
                let number: i64 = row.get(column);
                let named =
                    ["route_no", "model_no", "provider_no", "provider_model_no", "answered_model_no", "price_no"];
                if named.contains(&column) { names[&number].clone() } else { number.to_string() }
            }
        }
    };
    let own = ["id", "created_at", "updated_at"];
    let rows = rows.iter().map(|row| {
        let columns = row.columns().iter().map(|column| column.name()).filter(|column| !own.contains(column));
        columns.map(|column| (column.to_owned(), value(row, column))).collect()
    });
    rows.collect()
}

fn expect(row: &BTreeMap<String, String>, columns: &str) {
    let found: Vec<String> = row.iter().map(|(column, value)| format!("{column}={value}")).collect();
    let mut expected: Vec<&str> = columns.split_whitespace().collect();
    expected.sort_by_key(|pair| pair.split('=').next());
    assert_eq!(found, expected);
}

#[tokio::test]
async fn each_figure_stands_in_its_column() {
    let (_folder, store) = open().await;
    ingest(&store, vec![event()], Vec::new()).await;
    let events = table(&store, "usage_events").await;
    expect(
        &events[0],
        "user_no=31 key_no=32 started_at=33 day=34 credits=35 route_no=ai format=chat model_no=fast streamed=1 status=200
         outcome=caller_gone request_bytes=36 response_bytes=37 duration_us=38 attempts=1 provider_no=openai
         provider_model_no=gpt answered_model_no=gpt-2026 upstream_status=201 upstream_id=req_1 usage_source=reported
         input_tokens=41 cached_input_tokens=42 cache_write_short_tokens=43 cache_write_long_tokens=44 output_tokens=45
         reasoning_tokens=- cost_nano=46 price_no=v1 first_byte_us=47 upstream_us=48",
    );
    let days = table(&store, "daily_usage").await;
    expect(
        &days[0],
        "user_no=31 key_no=32 day=34 requests=1 credits=35 input_tokens=41 cached_input_tokens=42
         cache_write_short_tokens=43 cache_write_long_tokens=44 output_tokens=45 reasoning_tokens=0 cost_nano=46
         unpriced_requests=0",
    );
    assert_eq!(table(&store, "usage_attempts").await, []);
}

#[tokio::test]
async fn several_attempts_have_rows_and_the_event_their_sum() {
    let (_folder, store) = open().await;
    let failed = Attempt {
        provider: "first".into(),
        model: None,
        answered_model: None,
        status: Some(529),
        upstream_id: None,
        usage: None,
        cost: None,
        price_version: None,
        first_byte_us: None,
        duration_us: 7,
    };
    let mut bounded = attempt();
    bounded.usage = bounded.usage.map(|usage| Usage { source: Source::Bounded, reasoning: Some(1), ..usage });
    let event = UsageEvent { attempts: vec![failed, bounded, attempt()], ..event() };
    ingest(&store, vec![event.clone()], Vec::new()).await;
    let attempts = table(&store, "usage_attempts").await;
    assert_eq!(attempts.len(), 3);
    expect(
        &attempts[0],
        &format!(
            "event_id={} no=1 provider_no=first provider_model_no=- answered_model_no=- upstream_status=529 upstream_id=-
             usage_source=- input_tokens=- cached_input_tokens=- cache_write_short_tokens=- cache_write_long_tokens=-
             output_tokens=- reasoning_tokens=- cost_nano=- price_no=- first_byte_us=- upstream_us=7",
            event.id
        ),
    );
    assert_eq!((attempts[2]["no"].as_str(), attempts[1]["usage_source"].as_str()), ("3", "bounded"));
    let row = &table(&store, "usage_events").await[0];
    let figures = ["attempts", "provider_no", "usage_source", "input_tokens", "reasoning_tokens", "cost_nano"];
    assert_eq!(figures.map(|column| row[column].as_str()), ["3", "openai", "bounded", "82", "1", "92"]);
}

#[tokio::test]
async fn counts_of_a_minute_add_up_also_without_a_caller() {
    let (_folder, store) = open().await;
    let counts = Counts {
        caller: None,
        route: "users".into(),
        status_class: 2,
        minute: 30_000_000,
        day: Day(20_833),
        requests: 3,
        credits: 6,
    };
    let of_key = Counts { caller: Some(Caller { user: UserNo(1), key: KeyNo(2) }), ..counts.clone() };
    for _ in 0..2 {
        ingest(&store, Vec::new(), vec![counts.clone(), of_key.clone(), counts.clone()]).await;
    }
    let rows = table(&store, "usage_counts").await;
    assert_eq!(rows.len(), 2);
    let row = |key: &str| rows.iter().find(|row| row["key_no"] == key).unwrap();
    expect(row("0"), "user_no=0 key_no=0 route_no=users status_class=2 minute=30000000 requests=12 credits=24");
    expect(row("2"), "user_no=1 key_no=2 route_no=users status_class=2 minute=30000000 requests=6 credits=12");
}

#[tokio::test]
async fn a_batch_that_fails_leaves_nothing() {
    let (_folder, store) = open().await;
    let mut names = Names::default();
    // An offset that the trigger refuses stands for any failure after the rows.
    let mut transaction = store.begin().await.unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON ingested BEGIN SELECT raise(abort, 'refused'); END";
    sqlx::query(refuse).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    let mut rows = Rows { records: vec![(PLACE, Record::Event(event()))], read: vec![PLACE] };
    assert!(rows.write(&store, &mut names).await.is_err());
    for empty in ["usage_events", "daily_usage", "names", "ingested"] {
        assert_eq!(table(&store, empty).await, [], "{empty}");
    }
    let mut transaction = store.begin().await.unwrap();
    sqlx::query("DROP TRIGGER refuse").execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    rows.write(&store, &mut names).await.unwrap();
    assert_eq!(table(&store, "usage_events").await[0]["route_no"], "ai");
    assert_eq!(store.ingested().await.unwrap(), rows.read);
}

#[tokio::test]
async fn the_number_of_names_in_memory_is_bounded() {
    let (_folder, store) = open().await;
    let mut names = Names::default();
    for (round, count) in [10_001, 1].into_iter().enumerate() {
        let events =
            (0..count).map(|nth| UsageEvent { id: id(), model: Some(format!("{round}-{nth}").into()), ..event() });
        let records = events.map(|event| (PLACE, Record::Event(event))).collect();
        let mut rows = Rows { records, ..Rows::default() };
        rows.write(&store, &mut names).await.unwrap();
    }
    assert!(names.get(names::Kind::Model, "0-0").is_none());
    assert!(names.get(names::Kind::Model, "1-0").is_some());
}

fn counts(requests: u64) -> Record {
    let counts = Counts {
        caller: Some(Caller { user: UserNo(1), key: KeyNo(2) }),
        route: "users".into(),
        status_class: 2,
        minute: 30_000_000,
        day: Day(20_833),
        requests,
        credits: 0,
    };
    Record::Counts { id: id().0, counts: vec![counts] }
}

fn spool(folder: &std::path::Path) -> Spool {
    let options = spool::Options { size_bytes_max: 1 << 20, segment_bytes: 4096, lanes: 2 };
    Spool::open(&folder.join("spool"), options, &[]).unwrap()
}

#[tokio::test]
async fn what_was_committed_though_it_was_reported_as_failed_is_not_counted_again() {
    let (folder, store) = open().await;
    let (mut spool, mut names, stats) = (spool(folder.path()), Names::default(), IngestStats::default());
    let counted = async || -> Vec<String> {
        table(&store, "usage_counts").await.iter().map(|row| row["requests"].clone()).collect()
    };
    spool.writers[0].append(&counts(1)).unwrap();
    spool.writers[1].append(&counts(10)).unwrap();
    let before = spool.reader.next_batch(9).unwrap();
    write(&store, spool.reader.next_batch(9).unwrap(), &mut names, &stats).await.unwrap();
    // Not released: the same again, and one more behind it in a lane.
    spool.writers[0].append(&counts(100)).unwrap();
    let longer = spool.reader.next_batch(9).unwrap();
    assert_eq!(longer.records.len(), 3);
    write(&store, longer, &mut names, &stats).await.unwrap();
    assert_eq!(counted().await, ["111"]);
    let ingested = store.ingested().await.unwrap();
    write(&store, before, &mut names, &stats).await.unwrap();
    assert_eq!((counted().await, store.ingested().await.unwrap()), (vec!["111".to_owned()], ingested));
}

#[tokio::test]
async fn no_segment_is_removed_before_the_disk_has_what_was_ingested() {
    let (folder, store) = open().await;
    let mut spool = spool(folder.path());
    let stats = IngestStats::default();
    let first = folder.path().join("spool/0000-0000000001.spool");
    for _ in 0..60 {
        spool.writers[0].append(&Record::Event(event())).unwrap();
    }
    // A log that cannot be opened stands for a disk that cannot sync; the database itself has it open.
    let (log, away) = (folder.path().join("tollgate.db-wal"), folder.path().join("away"));
    std::fs::rename(&log, &away).unwrap();
    std::os::unix::fs::symlink(&log, &log).unwrap();
    let failed = drain(&store, &mut spool.reader, &stats).await;
    assert!(matches!(failed, Err(IngestError::Store(StoreError::Database(sqlx::Error::Io(_))))), "{failed:?}");
    assert!(store.ingested().await.is_err());
    assert!(first.exists());
    std::fs::remove_file(&log).unwrap();
    std::fs::rename(&away, &log).unwrap();
    drain(&store, &mut spool.reader, &stats).await.unwrap();
    assert!(!first.exists());
    assert_eq!(table(&store, "usage_events").await.len(), 60);
}

#[tokio::test]
async fn ingest_goes_on_when_a_full_disk_has_room_again() {
    let (folder, store) = open().await;
    let mut spool = spool(folder.path());
    let (mut names, stats) = (Names::default(), IngestStats::default());
    let mut transaction = store.begin().await.unwrap();
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *transaction).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"))).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    let mut stored = 0;
    let full = loop {
        spool.writers[0]
            .append(&Record::Event(UsageEvent { model: Some(id().to_string().into()), ..event() }))
            .unwrap();
        match write(&store, spool.reader.next_batch(9).unwrap(), &mut names, &stats).await {
            Ok(written) => spool.reader.release(&written.batch).unwrap(),
            Err(error) => break causes(&error),
        }
        stored += 1;
    };
    assert!(full.contains("full"), "{full}");
    // The bound is the connection's: whichever comes next has room, as a disk that was cleared.
    let cleared = async {
        let mut transaction = store.begin().await?;
        sqlx::query("PRAGMA max_page_count = 1000000").execute(&mut *transaction).await?;
        Ok::<_, StoreError>(transaction.commit().await?)
    };
    cleared.await.unwrap();
    drain(&store, &mut spool.reader, &stats).await.unwrap();
    assert_eq!(table(&store, "usage_events").await.len(), stored + 1);
}
