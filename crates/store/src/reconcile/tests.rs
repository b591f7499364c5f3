mod leases;
mod repair;

use std::path::Path;

use access::{Clock, Ids, NanoUsd, RequestId};
use meter::{Attempt, Caller, Charge, Counts, Outcome, Source, UnknownCost, Usage, UsageEvent};
use spool::{Record, Spool};
use sqlx::AssertSqlSafe;

use super::*;
use crate::dialect::StoreKind;
use crate::fixture;
use crate::ingest::{IngestStats, drain};
use crate::node::Node;
use crate::retention::{Keep, RetentionStats, Rounds};
use crate::store::tests::Place as Database;

/// The current day on the clocks of test databases.
pub(crate) const TODAY: Day = Day(20_833);
const DAYS: Days = Days { first: Day(TODAY.0 - 3), last: TODAY };
const PLANS: [PlanId; 2] = [PlanId(Uuid::from_u128(1)), PlanId(Uuid::from_u128(2))];

pub(crate) fn caller(user: i64, key: i64) -> Caller {
    Caller { user: UserNo(user), key: KeyNo(key), plan: PLANS[usize::try_from(user % 2).unwrap()] }
}

/// Creates events and counts of several days, of every kind that totals distinguish.
pub(crate) struct UsageFixture {
    ids: Ids,
    clock: Clock,
}

impl UsageFixture {
    /// Starts at ten in the morning of `day`.
    pub(crate) fn on(day: Day) -> Self {
        let clock = Clock::manual(day.start().after(Duration::from_hours(10)));
        Self { ids: Ids::new(clock.clone()), clock }
    }

    pub(crate) fn event(&mut self, caller: Option<Caller>, attempts: Vec<Attempt>) -> UsageEvent {
        self.clock.advance(Duration::from_millis(1));
        let at = self.clock.now();
        let event = fixture::event(RequestId(self.ids.next_uuid()), caller, at);
        UsageEvent {
            charge: Charge { credits: 3, tokens: 700, money: 1_234_567_890 },
            duration_us: 1_000,
            attempts,
            ..event
        }
    }

    pub(super) fn counts(&mut self, caller: Option<Caller>, day: Day) -> Counts {
        let minute = u32::try_from(self.clock.now().unix_seconds() / 60).unwrap();
        Counts { caller, route: "users".into(), status_class: 2, minute, day, requests: 7, credits: 14 }
    }

    /// Returns one record of each kind, of this caller.
    pub(super) fn all(&mut self, of: Caller) -> Vec<Record> {
        let tomorrow = self.clock.now().day().next();
        let unpriced = Attempt { cost: None, usage: None, unknown: Some(UnknownCost::NoUsage), ..attempt(5) };
        let events = [
            self.event(Some(of), vec![attempt(1)]),
            self.event(Some(of), vec![attempt(10), unpriced.clone()]),
            UsageEvent { model: None, status: 500, ..self.event(Some(of), vec![unpriced]) },
            UsageEvent { model: Some("slow".into()), ..self.event(Some(of), vec![attempt(100), attempt(1_000)]) },
            // Admitted under the day after the day on which it began.
            UsageEvent { day: tomorrow, ..self.event(Some(of), vec![attempt(7)]) },
            // In order: an event of a plain route with a row; one refused before any upstream; one without a caller; an
            // interrupted one.
            UsageEvent {
                format: None,
                model: None,
                ..self.event(Some(of), vec![Attempt { usage: None, ..attempt(1) }])
            },
            UsageEvent { refusal: Some("quota_exceeded".into()), status: 429, ..self.event(Some(of), Vec::new()) },
            self.event(None, vec![attempt(3)]),
            UsageEvent { outcome: Outcome::Interrupted, status: 0, ..self.event(Some(of), Vec::new()) },
        ];
        let today = self.clock.now().day();
        let counts = vec![self.counts(Some(of), today), self.counts(Some(of), tomorrow), self.counts(None, today)];
        let counts = Record::Counts { id: self.ids.next_uuid(), counts };
        events.into_iter().map(Record::Event).chain([counts]).collect()
    }
}

pub(crate) fn attempt(tokens: u64) -> Attempt {
    let usage = Usage {
        input: Some(tokens),
        cached_input: Some(2 * tokens),
        cache_write_short: Some(3),
        cache_write_long: Some(4),
        output: Some(5 * tokens),
        reasoning: Some(6),
        audio_input: Some(7),
        image_output: Some(8),
        ..Usage::empty(Source::Reported)
    };
    Attempt {
        provider: "up".into(),
        model: Some("fast-1".into()),
        answered_model: Some("fast-1-2026".into()),
        status: Some(200),
        upstream_id: None,
        raw_usage: None,
        usage: Some(usage),
        cost: Some(NanoUsd(900_000_000)),
        unknown: None,
        price_version: None,
        first_byte_us: None,
        duration_us: 1,
    }
}

/// A node with its spool, in a separate folder.
pub(crate) struct IngestNode {
    pub(super) node: Node,
    spool: Spool,
}

impl IngestNode {
    pub(crate) async fn of(store: &Store, folder: &Path) -> Self {
        let node = store.join(folder, "1.2.3").await.unwrap();
        let options = spool::SpoolOptions { size_bytes_max: 16 << 20, segment_bytes: 256 << 10, partitions: 1 };
        let spool = Spool::open(&folder.join("spool"), options, &node.ingested().await.unwrap()).unwrap();
        Self { node, spool }
    }

    pub(crate) async fn write(&mut self, records: &[Record]) {
        for record in records {
            self.spool.writers[0].append(record).unwrap();
        }
        drain(&self.node, &mut self.spool.reader, &IngestStats::default()).await.unwrap();
    }
}

/// Creates the users and keys that [`caller`] returns.
pub(crate) async fn people(store: &Store) {
    store.ensure_plans(&[access::Plan::unlimited("starter")]).await.unwrap();
    for keys in [2, 1, 1] {
        let address = format!("{}@example.com", store.new_id());
        let new = crate::NewUser::member(crate::Email::parse(&address).unwrap(), "Ada", "starter");
        let user = store.create_user(&crate::Actor::COMMAND, new).await.unwrap();
        for _ in 0..keys {
            let secret = access::ApiKey::generate("tollgate").unwrap();
            store.create_key(&crate::Actor::COMMAND, crate::NewKey::of(user.id, "laptop", &secret)).await.unwrap();
        }
    }
    let last = "SELECT u.no * 10 + k.no FROM api_keys k JOIN users u ON u.id = k.user_id ORDER BY k.no DESC LIMIT 1";
    assert_eq!(number(store, last).await, 34);
}

/// Stores three days of four callers through two nodes.
pub(super) async fn lived(database: &Database, store: &Store) {
    people(store).await;
    let mut nodes = [
        IngestNode::of(store, &database.folder.path().join("a")).await,
        IngestNode::of(store, &database.folder.path().join("b")).await,
    ];
    for day in DAYS.first.0..TODAY.0 {
        let mut made = UsageFixture::on(Day(day));
        for (user, key) in [(1, 1), (1, 2), (2, 3), (3, 4)] {
            for node in &mut nodes {
                let records = made.all(caller(user, key));
                node.write(&records).await;
            }
        }
    }
}

pub(super) async fn differences(store: &Store) -> Vec<Difference> {
    store.reconcile(DAYS).await.unwrap().differences
}

pub(super) fn id_text(store: &Store, id: Uuid) -> String {
    match store.kind() {
        StoreKind::Sqlite => format!("x'{:032x}'", id.as_u128()),
        StoreKind::Postgres => format!("'{id}'"),
    }
}

#[tokio::test]
async fn whatever_ingest_writes_adds_up() {
    for database in Database::both().await {
        let store = database.open().await;
        assert_eq!(store.reconcile(DAYS).await.unwrap().differences, []);
        lived(&database, &store).await;
        let found = store.reconcile(DAYS).await.unwrap();
        assert_eq!((found.compared, found.differences, found.more), (Some(DAYS), vec![], false));
        // Each of the 24 lots has one interrupted request.
        let reserved = Charge { credits: 3 * 24, tokens: 700 * 24, money: 1_234_567_890 * 24 };
        assert_eq!(found.interrupted, InterruptedRequests { requests: 24, reserved });
        // Each lot also has two without a known cost; a part of one cost is known.
        let unpriced = |reason: &str, requests: u64, cost| {
            let charged = NanoUsd(1_234_567_890 * requests.cast_signed());
            UnpricedRequests { reason: reason.to_owned(), requests, charged, cost }
        };
        let half = NanoUsd(900_000_000 * 24);
        assert_eq!(found.unpriced, [unpriced("interrupted", 24, NanoUsd(0)), unpriced("no_usage", 48, half)]);
        assert_eq!((found.open.requests, found.stranded, found.unleased), (0, vec![], vec![]));
    }
}

#[tokio::test]
async fn an_event_of_a_clock_that_jumped_is_found_all_the_same() {
    for database in Database::both().await {
        let store = database.open().await;
        let mut node = IngestNode::of(&store, database.folder.path()).await;
        let mut made = UsageFixture::on(Day(TODAY.0 - 40));
        let event = made.event(Some(caller(1, 1)), vec![attempt(1)]);
        node.write(&[Record::Event(UsageEvent { day: TODAY, ..event })]).await;
        assert_eq!(differences(&store).await, []);
    }
}

#[tokio::test]
async fn amounts_that_fill_their_integers_agree() {
    for database in Database::both().await {
        let store = database.open().await;
        let mut node = IngestNode::of(&store, database.folder.path()).await;
        let mut made = UsageFixture::on(TODAY);
        let most = u64::try_from(i64::MAX).unwrap();
        let expensive = Attempt { cost: Some(NanoUsd(i64::MAX)), ..attempt(1) };
        for key in [1, 1, 2] {
            let event = made.event(Some(caller(1, key)), vec![expensive.clone()]);
            let charge = Charge { credits: most / 4, tokens: most / 4, money: most };
            node.write(&[Record::Event(UsageEvent { charge, ..event })]).await;
        }
        assert_eq!(differences(&store).await, []);
    }
}

#[tokio::test]
async fn days_whose_events_were_deleted_by_age_are_not_compared() {
    for database in Database::both().await {
        let store = database.open().await;
        lived(&database, &store).await;
        let mut rounds = Rounds::begin(&store).await.unwrap();
        // The first day ended two days before.
        let keep = Keep { events: Some(Duration::from_hours(48)), raw_usage: None };
        assert!(rounds.next(&store, keep, &RetentionStats::default()).await.unwrap() > 0);
        let found = store.reconcile(DAYS).await.unwrap();
        assert_eq!((found.compared, found.differences), (Some(Days { first: TODAY, last: TODAY }), vec![]));
        assert_eq!(store.usage_kept_from().await.unwrap(), TODAY);
        let before = Days { first: DAYS.first, last: Day(TODAY.0 - 1) };
        assert_eq!(store.reconcile(before).await.unwrap().compared, None);
        // Days without complete events are not corrected either.
        assert_eq!(store.repair_totals(&crate::Actor::COMMAND, before).await.unwrap(), RepairedTotals::default());
        // A day that is compared is compared completely.
        store.tell(&format!("UPDATE daily_usage SET requests = requests + 1 WHERE day = {}", TODAY.0)).await;
        assert_eq!(store.reconcile(DAYS).await.unwrap().differences.len(), 4);
    }
}

#[tokio::test]
async fn so_many_differences_are_told_and_no_more() {
    for database in Database::both().await {
        let store = database.open().await;
        let id = if store.kind() == StoreKind::Sqlite { "randomblob(16)" } else { "gen_random_uuid()" };
        store
            .tell(&format!(
                "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {})
                INSERT INTO daily_models (id, user_no, model_no, day, requests, refused, errors, credits, input_tokens,
                    cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens,
                    cost_nano, unpriced_requests, duration_us, created_at, updated_at)
                SELECT {id}, n, 0, {}, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1 FROM n",
                DIFFERENCES_MAX + 10,
                TODAY.0
            ))
            .await;
        let found = store.reconcile(DAYS).await.unwrap();
        assert_eq!((found.differences.len(), found.more), (DIFFERENCES_MAX, true));
        let repaired = store.repair_totals(&crate::Actor::COMMAND, DAYS).await.unwrap();
        assert_eq!(repaired, RepairedTotals { models: 1_010, ..RepairedTotals::default() });
        assert_eq!(differences(&store).await, []);
    }
}

#[tokio::test]
async fn a_server_at_work_is_no_difference() {
    for database in Database::both().await {
        let store = database.open().await;
        let mut node = IngestNode::of(&store, database.folder.path()).await;
        let mut made = UsageFixture::on(TODAY);
        let ingesting = async {
            for _ in 0..40 {
                let records = made.all(caller(1, 1));
                node.write(&records).await;
                tokio::task::yield_now().await;
            }
        };
        let looking = async {
            let mut seen = 0;
            for _ in 0..40 {
                let found = store.reconcile(DAYS).await.unwrap();
                assert_eq!(found.differences, []);
                seen = found.interrupted.requests;
            }
            seen
        };
        let ((), seen) = tokio::join!(ingesting, looking);
        assert!(seen > 1, "ingest went on meanwhile");
    }
}

#[tokio::test]
async fn what_providers_answered_is_told_by_day_and_model() {
    for database in Database::both().await {
        let store = database.open().await;
        lived(&database, &store).await;
        let recorded = store.recorded(Days { first: DAYS.first, last: DAYS.first }).await.unwrap();
        // Eight lots; the events of each have 1; 10 and one unreported; one unreported; 100 and 1,000; 7; and, without
        // a caller, 3.
        let tokens = 8 * (1 + 10 + 100 + 1_000 + 7 + 3);
        let expected = RecordedUsage {
            day: DAYS.first,
            provider: "up".to_owned(),
            model: "fast-1-2026".to_owned(),
            requests: 8 * 8,
            untold: 8 * 2,
            input: 3 * tokens + 8 * 6 * (3 + 4 + 7),
            cached_input: 2 * tokens,
            cache_write_short: 8 * 6 * 3,
            cache_write_long: 8 * 6 * 4,
            output: 5 * tokens + 8 * 6 * (6 + 8),
            cost: NanoUsd(8 * 6 * 900_000_000),
        };
        assert_eq!(recorded, [expected]);
        assert_eq!(store.recorded(Days { first: TODAY, last: TODAY }).await.unwrap(), []);
    }
}

/// Returns the number that a statement yields.
pub(super) async fn number(store: &Store, sql: &str) -> i64 {
    store.query(AssertSqlSafe(sql.to_owned())).one::<(i64,)>().await.unwrap().0
}
