mod duplicates;
mod neighbours;
mod open_requests;
mod own_credentials;
mod refused;
mod subjects;

use std::collections::{BTreeMap, BTreeSet};

use access::{
    Amount, Clock, Credits, Day, Ids, KeyNo, NanoUsd, PlanId, RequestId, Subject, SubjectKind, SubjectName, Timestamp,
    Tokens, UserNo,
};
use cluster::Cluster;
use meter::Period;
use meter::budgets::budget::{BudgetId, BudgetScope, LimitPeriod};
use meter::lease::{CounterId, LeaseRequest, Tick};
use meter::{
    Attempt, BilledQuantity, Caller, Charge, Counts, Outcome, RequestOrigin, SkipReason, SkippedTarget, Source,
    ToolCalls, TraceId, Unit, UnknownCost, Usage, UsageEvent,
};
use spool::{Record, Spool, SpoolOpener};
use sqlx::AssertSqlSafe;
use store::Options;
use store::nodes::backlog::GatheredCharges;
use store::sql::StoreKind;

use super::*;
use crate::fixture;
use crate::fixture::{Place, catalogue, tell};
use crate::stored_text::refused_limits;

const PLACE: Position = Position { partition: 0, segment: 1, offset: 9 };

fn id() -> RequestId {
    RequestId(Ids::new(Clock::manual(Timestamp(1_800_000_000_000_000))).next_uuid())
}

fn attempt() -> Attempt {
    let usage = Usage {
        input: Some(Tokens(41)),
        cached_input: Some(Tokens(42)),
        cache_write_short: Some(Tokens(43)),
        cache_write_long: Some(Tokens(44)),
        output: Some(Tokens(45)),
        image_input: Some(Tokens(2)),
        audio_output: Some(Tokens(5)),
        billed: Some(BilledQuantity { unit: Unit::Image, quantity: 3 }),
        tools: ToolCalls {
            searches: Some(51),
            maps_prompts: Some(52),
            maps_queries: Some(53),
            containers: Some(54),
            file_searches: Some(55),
        },
        ..Usage::empty(Source::Reported)
    };
    Attempt {
        provider: "openai".into(),
        model: Some("gpt".into()),
        answered_model: Some("gpt-2026".into()),
        status: Some(201),
        upstream_id: Some("req_1".into()),
        raw_usage: Some("{}".into()),
        usage: Some(usage),
        cost: Some(NanoUsd(46)),
        unknown: None,
        price_version: Some("v1".into()),
        own_credential: false,
        first_byte_us: Some(47),
        duration_us: 48,
    }
}

fn skipped() -> SkippedTarget {
    SkippedTarget { provider: "openai".into(), model: "gpt".into(), reason: SkipReason::Cooldown, attempts_before: 0 }
}

fn event() -> UsageEvent {
    let caller = Caller { user: UserNo(31), key: KeyNo(32), plan: PlanId::NIL };
    UsageEvent {
        day: Day(34),
        charge: Charge { credits: Credits(35), tokens: Tokens(36), ..Charge::money(NanoUsd(37)) },
        outcome: Outcome::CallerGone,
        attempts: vec![attempt()],
        origin: RequestOrigin {
            trace: Some(TraceId([8; 16])),
            skipped: vec![skipped()],
            refused_limit: refused_limits::of_stored(Some("[2,3,null,86400,35,36,1,99]")).map(Box::new),
            ..RequestOrigin::default()
        },
        windows: crate::stored_text::windows::of_stored("5h/first_use@7-307").collect(),
        ..fixture::event(id(), Some(caller), Timestamp(33))
    }
}

/// Returns records that all end at the same position.
fn rows_of(records: impl IntoIterator<Item = Record>) -> Rows {
    let records: Vec<Record> = records.into_iter().collect();
    Rows { places: vec![PLACE; records.len()], records, ..Rows::default() }
}

async fn ingest(node: &Node, events: Vec<UsageEvent>, counts: Vec<Counts>) {
    let counts = (!counts.is_empty()).then(|| Record::Counts { id: id().0, counts });
    let mut rows = rows_of(events.into_iter().map(Record::Event).chain(counts));
    rows.write(node, &mut KnownRows::default(), None).await.unwrap();
}

/// Makes a table refuse every new row, with the SQLSTATE `state` on PostgreSQL.
async fn refuse(store: &Store, table: &str, state: &str) {
    match store.kind() {
        StoreKind::Sqlite => {
            let fail = format!("BEFORE INSERT ON {table} BEGIN SELECT raise(abort, 'refused'); END");
            tell(store, &format!("CREATE TRIGGER refuse {fail}")).await;
        }
        StoreKind::Postgres => {
            let fail = format!("BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{state}'; END");
            tell(store, &format!("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {fail} $$")).await;
            tell(store, &format!("CREATE TRIGGER refuse BEFORE INSERT ON {table} EXECUTE FUNCTION refuse()")).await;
        }
    }
}

/// Removes the effect of [`refuse`].
async fn allow(store: &Store, table: &str) {
    match store.kind() {
        StoreKind::Sqlite => tell(store, "DROP TRIGGER refuse").await,
        StoreKind::Postgres => {
            tell(store, &format!("DROP TRIGGER refuse ON {table}")).await;
            tell(store, "DROP FUNCTION refuse").await;
        }
    }
}

/// Returns every row of a table, as text by column. Names replace their numbers; ids and times of rows are omitted.
async fn table(store: &Store, name: &str) -> Vec<BTreeMap<String, String>> {
    let names: Vec<(i64, String)> = store.query("SELECT no, name FROM names").all().await.unwrap();
    let names: BTreeMap<String, String> = names.into_iter().map(|(no, name)| (no.to_string(), name)).collect();
    let columns: Vec<(String, String, String, bool)> = store.query(catalogue(store.kind())).all().await.unwrap();
    let own = ["id", "created_at", "updated_at"];
    let mut columns: Vec<(String, String)> = columns
        .into_iter()
        .filter(|(table, column, ..)| table == name && !own.contains(&column.as_str()))
        .map(|(_, column, kind, _)| (column, kind))
        .collect();
    columns.sort();
    let text = |(column, kind): &(String, String)| match kind.as_str() {
        "BLOB" => format!("CASE WHEN {column} IS NULL THEN '-' ELSE lower(hex({column})) END"),
        "UUID" => format!("coalesce(replace(CAST({column} AS TEXT), '-', ''), '-')"),
        "BOOLEAN" => format!("CASE WHEN {column} THEN '1' ELSE '0' END"),
        _ => format!("coalesce(CAST({column} AS TEXT), '-')"),
    };
    let row = columns.iter().map(text).collect::<Vec<_>>().join(" || '|' || ");
    let rows: Vec<(String,)> =
        store.query(AssertSqlSafe(format!("SELECT {row} FROM {name} ORDER BY created_at, id"))).all().await.unwrap();
    let named = ["route_no", "model_no", "provider_no", "provider_model_no", "answered_model_no", "price_no"];
    let value = |column: &str, text: &str| match names.get(text) {
        Some(name) if named.contains(&column) => name.clone(),
        Some(_) | None => text.to_owned(),
    };
    let rows = rows.iter().map(|(row,)| {
        let values = columns.iter().zip(row.split('|'));
        values.map(|((column, _), text)| (column.clone(), value(column, text))).collect()
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
    for place in Place::both().await {
        let store = place.open().await;
        let node = place.join(&store).await;
        let event = event();
        let id = event.id.0.simple().to_string();
        ingest(&node, vec![event], Vec::new()).await;
        let events = table(&store, "usage_events").await;
        expect(
        &events[0],
        "user_no=31 key_no=32 subject_no=- plan_id=00000000000000000000000000000000 started_at=33 day=34 credits=35 charged_tokens=36
         charged_nano=37 route_no=ai format=chat model_no=fast streamed=1 status=200
         outcome=caller_gone refusal=- request_bytes=36 response_bytes=37 duration_us=38 attempts=1 provider_no=openai
         provider_model_no=gpt answered_model_no=gpt-2026 upstream_status=201 upstream_id=req_1 usage_source=reported
         input_tokens=41 cached_input_tokens=42 cache_write_short_tokens=43 cache_write_long_tokens=44 output_tokens=45
         audio_input_tokens=- image_input_tokens=2 audio_output_tokens=5 image_output_tokens=- billed_unit=image
         billed_quantity=3 reasoning_tokens=- searches=51 maps_prompts=52 maps_queries=53 containers=54 file_searches=55
         cost_nano=46 cost_unknown=- price_no=v1 first_byte_us=47 upstream_us=48 label_set_no=0 client=0 tools=0 session_id=- cache=0 trace_id=08080808080808080808080808080808
         skipped=[[\"openai\",\"gpt\",\"cooldown\",0]] own_cost_nano=- own_charged_nano=-
         refused_limit=[2,3,null,86400,35,36,1,99] windows=5h/first_use@7-307",
    );
        let days = table(&store, "daily_usage").await;
        expect(
            &days[0],
            &format!(
                "user_no=31 key_no=32 node_id={} day=34 requests=1 credits=35 charged_tokens=36 charged_nano=37
         input_tokens=43 cached_input_tokens=42 cache_write_short_tokens=43 cache_write_long_tokens=44 output_tokens=50
         reasoning_tokens=0 cost_nano=46 unpriced_requests=0 own_cost_nano=0",
                node.id().simple()
            ),
        );
        let plans = table(&store, "daily_plans").await;
        let plan = PlanId::NIL.0.simple();
        let charged = "day=34 credits=35 charged_tokens=36 charged_nano=37 own_charged_nano=0";
        expect(&plans[0], &format!("{charged} plan_id={plan} node_id={}", node.id().simple()));
        let raw = table(&store, "usage_raw").await;
        let event = uuid::Uuid::parse_str(&id).unwrap();
        expect(&raw[0], &format!(r#"raw=[{{"event":"{event}","attempt":1,"usage":{{}}}}]"#));
        let models = table(&store, "daily_models").await;
        expect(
            &models[0],
            "user_no=31 model_no=fast day=34 requests=1 succeeded=1 refused=0 errors=0 credits=35 input_tokens=43 cached_input_tokens=42
         cache_write_short_tokens=43 cache_write_long_tokens=44 output_tokens=50 reasoning_tokens=0 cost_nano=46
         unpriced_requests=0 duration_us=38 own_cost_nano=0",
        );
        assert_eq!(table(&store, "usage_attempts").await, []);
    }
}

#[tokio::test]
async fn several_attempts_have_rows_and_the_event_their_sum() {
    for place in Place::both().await {
        let store = place.open().await;
        let failed = Attempt {
            provider: "first".into(),
            model: None,
            answered_model: None,
            status: Some(529),
            upstream_id: None,
            raw_usage: None,
            usage: None,
            cost: None,
            unknown: Some(UnknownCost::NoUsage),
            price_version: None,
            own_credential: false,
            first_byte_us: None,
            duration_us: 7,
        };
        let mut bounded = attempt();
        bounded.usage =
            bounded.usage.map(|usage| Usage { source: Source::Bounded, reasoning: Some(Tokens(1)), ..usage });
        let event = UsageEvent { attempts: vec![failed, bounded, attempt()], ..event() };
        ingest(&place.join(&store).await, vec![event.clone()], Vec::new()).await;
        let mut attempts = table(&store, "usage_attempts").await;
        attempts.sort_by_key(|row| row["no"].clone());
        assert_eq!(attempts.len(), 3);
        expect(
        &attempts[0],
        &format!(
            "event_id={} no=1 provider_no=first provider_model_no=- answered_model_no=- upstream_status=529 upstream_id=-
             usage_source=- input_tokens=- cached_input_tokens=- cache_write_short_tokens=- cache_write_long_tokens=-
             output_tokens=- reasoning_tokens=- audio_input_tokens=- image_input_tokens=- audio_output_tokens=-
             image_output_tokens=- billed_unit=- billed_quantity=- searches=- maps_prompts=- maps_queries=- containers=- file_searches=-
             cost_nano=- cost_unknown=no_usage price_no=- first_byte_us=- upstream_us=7 own_cost_nano=-",
            event.id.0.simple()
        ),
    );
        assert_eq!((attempts[2]["no"].as_str(), attempts[1]["usage_source"].as_str()), ("3", "bounded"));
        let row = &table(&store, "usage_events").await[0];
        let figures = ["attempts", "provider_no", "usage_source", "input_tokens", "reasoning_tokens", "cost_nano"];
        assert_eq!(figures.map(|column| row[column].as_str()), ["3", "openai", "bounded", "82", "1", "92"]);
    }
}

#[tokio::test]
async fn counts_of_a_minute_add_up_also_without_a_caller() {
    for place in Place::both().await {
        let store = place.open().await;
        let node = place.join(&store).await;
        let counts = Counts {
            subject: Subject::ANONYMOUS,
            route: "users".into(),
            status_class: 2,
            minute: 30_000_000,
            day: Day(20_833),
            requests: 3,
            credits: Credits(6),
            labels: access::LabelSet::NONE,
        };
        let of_key = Counts {
            subject: Subject::Key(Caller { user: UserNo(1), key: KeyNo(2), plan: PlanId::NIL }),
            ..counts.clone()
        };
        for _ in 0..2 {
            ingest(&node, Vec::new(), vec![counts.clone(), of_key.clone(), counts.clone()]).await;
        }
        let rows = table(&store, "usage_counts").await;
        assert_eq!(rows.len(), 2);
        let row = |key: &str| rows.iter().find(|row| row["key_no"] == key).unwrap();
        expect(
            row("0"),
            "user_no=0 key_no=0 subject_no=0 route_no=users status_class=2 minute=30000000 day=20833 label_set_no=0 requests=12 credits=24",
        );
        expect(
            row("2"),
            "user_no=1 key_no=2 subject_no=0 route_no=users status_class=2 minute=30000000 day=20833 label_set_no=0 requests=6 credits=12",
        );
    }
}

#[tokio::test]
async fn subjects_without_a_key_are_stored_once_and_keys_not_at_all() {
    for place in Place::both().await {
        let store = place.open().await;
        let node = place.join(&store).await;
        let named = |kind, issuer, name| SubjectName { kind, issuer, name }.subject().unwrap();
        let subjects = [
            named(SubjectKind::Token, "https://a", "ada"),
            named(SubjectKind::Token, "https://b", "ada"),
            named(SubjectKind::Basic, "ops", "ada"),
            named(SubjectKind::Certificate, "", "ada"),
        ];
        let others = [event().subject, Subject::Anonymous { address: Some([203, 0, 113, 9].into()) }];
        for _ in 0..2 {
            let of = |subject: &Subject| UsageEvent { id: id(), subject: subject.clone(), ..event() };
            let events = subjects.iter().chain(&others).map(of).collect();
            let counted = |subject: &Subject| {
                let Record::Counts { counts, .. } = counts(1) else { unreachable!() };
                Counts { subject: subject.clone(), ..counts[0].clone() }
            };
            ingest(&node, events, subjects.iter().chain(&others).map(counted).collect()).await;
        }
        let stored = table(&store, "subjects").await;
        let stored: BTreeSet<_> =
            stored.iter().map(|row| ["no", "kind", "issuer", "name"].map(|column| row[column].clone())).collect();
        let expected = [
            ["1", "token", "https://a", "ada"],
            ["2", "token", "https://b", "ada"],
            ["3", "basic", "ops", "ada"],
            ["4", "certificate", "", "ada"],
        ];
        assert_eq!(stored, expected.map(|row| row.map(str::to_owned)).into());
        for (table_name, none) in [("usage_events", "-"), ("usage_counts", "0")] {
            let rows = table(&store, table_name).await;
            for no in ["1", "2", "3", "4", none] {
                let of: Vec<_> = rows.iter().filter(|row| row["subject_no"] == no).collect();
                assert!(no == none || of.iter().all(|row| row["key_no"] == none), "{table_name} {no}");
                let expected = if table_name == "usage_counts" { 1 } else { 2 } * if no == none { 2 } else { 1 };
                assert_eq!(of.len(), expected, "{table_name} {no}");
            }
        }
    }
}

#[tokio::test]
async fn a_batch_that_fails_leaves_nothing() {
    for place in Place::both().await {
        let store = place.open().await;
        let node = place.join(&store).await;
        let mut known = KnownRows::default();
        // The refused position represents any failure after the rows.
        refuse(&store, "ingested", "P0001").await;
        let mut rows = Rows { read: vec![PLACE], ..rows_of([Record::Event(event())]) };
        assert!(rows.write(&node, &mut known, None).await.is_err());
        for empty in ["usage_events", "daily_usage", "names", "ingested"] {
            assert_eq!(table(&store, empty).await, [], "{empty}");
        }
        allow(&store, "ingested").await;
        rows.write(&node, &mut known, None).await.unwrap();
        assert_eq!(table(&store, "usage_events").await[0]["route_no"], "ai");
        assert_eq!(positions(&node).await.unwrap(), rows.read);
    }
}

#[tokio::test]
async fn the_number_of_names_in_memory_is_bounded() {
    let place = Place::sqlite();
    let node = place.join(&place.open().await).await;
    let mut known = KnownRows::default();
    for (round, count) in [10_001, 1].into_iter().enumerate() {
        let events =
            (0..count).map(|nth| UsageEvent { id: id(), model: Some(format!("{round}-{nth}").into()), ..event() });
        let mut rows = rows_of(events.map(Record::Event));
        rows.write(&node, &mut known, None).await.unwrap();
    }
    assert!(known.names.get(names::NameKind::Model, "0-0").is_none());
    assert!(known.names.get(names::NameKind::Model, "1-0").is_some());
}

fn counts(requests: u64) -> Record {
    let counts = Counts {
        subject: Subject::Key(Caller { user: UserNo(1), key: KeyNo(2), plan: PlanId::NIL }),
        route: "users".into(),
        status_class: 2,
        minute: 30_000_000,
        day: Day(20_833),
        requests,
        credits: Credits::ZERO,
        labels: access::LabelSet::NONE,
    };
    Record::Counts { id: id().0, counts: vec![counts] }
}

const SMALL: spool::SpoolOptions = spool::SpoolOptions { size_bytes_max: 1 << 20, segment_bytes: 4096, partitions: 2 };

fn spool(folder: &std::path::Path) -> Spool {
    Spool::open(&folder.join("spool"), SMALL, &[]).unwrap()
}

/// Starts the node again on the spool that earlier runs left, which is its backlog.
async fn next_life(place: &Place, store: &Store) -> (Node, Spool) {
    let node = place.join(store).await;
    let folder = place.folder.path().join("spool");
    let gathered = GatheredCharges::default();
    let ingested = positions(&node).await.unwrap();
    let visit = |record: &Record| gathered.note(record);
    let spool = SpoolOpener { visit: Some(&visit), ..SpoolOpener::new(&folder, SMALL, &ingested) }.open().unwrap();
    node.backlog().begin(gathered, spool.reader.end_positions()).await;
    (node, spool)
}

/// A tick that begins a lease for today.
fn tick(node: &Node) -> Tick {
    let budget = BudgetId::credits_a_day(BudgetScope::User(UserNo(1)));
    let counter = CounterId { budget, period: Period::containing(LimitPeriod::Day, node.store().clock().now().day()) };
    let request = LeaseRequest {
        counter,
        term: 0,
        seq: 1,
        ceiling: Amount::ZERO,
        used: Amount::ZERO,
        spent: Amount::ZERO,
        want: Amount(5),
        need: Amount(5),
        need_fitting: Amount::ZERO,
        queued: Amount(5),
        answered_recall: 0,
        limit: Amount(100),
    };
    Tick { node: node.lessee(), incarnation: node.incarnation(), requests: vec![request], closes: Vec::new() }
}

#[tokio::test]
async fn what_is_left_of_a_backlog_at_a_second_death_counts_with_what_was_stored_of_it() {
    const TTL: Duration = Duration::from_secs(2);
    for place in Place::both().await {
        let store = place.open().await;
        let cluster = Cluster::new(store.clone());
        let credits = |credits| {
            let Record::Counts { counts, .. } = counts(credits) else { panic!("counts") };
            let today = store.clock().now().day();
            let counts =
                counts.into_iter().map(|counts| Counts { day: today, credits: Credits(credits), ..counts }).collect();
            Record::Counts { id: id().0, counts }
        };
        let spent = async |node: &Node| -> Vec<(u64, u64)> {
            cluster
                .unreported_leases(node)
                .await
                .unwrap()
                .iter()
                .map(|lease| (lease.incarnation, lease.spent.0))
                .collect()
        };
        let (first, mut spool) = next_life(&place, &store).await;
        cluster.lend(&first, &tick(&first), TTL).await.unwrap();
        [7, 4].into_iter().for_each(|charged| spool.writers[0].append(&credits(charged)).unwrap());
        drop(spool);

        let (next, mut spool) = next_life(&place, &store).await;
        assert_eq!(spent(&next).await, [(1, 11)]);
        cluster.lend(&next, &tick(&next), TTL).await.unwrap();
        let one = ReadBatch::next(&mut spool.reader, 1).unwrap();
        let stats = IngestStats::default();
        write(&next, one, &mut KnownRows::default(), &stats).await.unwrap();
        assert_eq!(spent(&next).await, [(1, 11)]);
        spool.writers[1].append(&credits(2)).unwrap();
        drop(spool);

        let (last, mut spool) = next_life(&place, &store).await;
        assert_eq!(spent(&last).await, [(1, 11), (2, 2)]);
        drain(&last, &mut spool.reader, &stats).await.unwrap();
        assert_eq!(spent(&last).await, [(1, 11), (2, 2)]);
    }
}
