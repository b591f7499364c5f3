//! Usage of several days for tests of this crate and of `cluster`, which include this file.

use std::path::Path;
use std::time::Duration;

use access::{Clock, Credits, Day, Ids, KeyNo, NanoUsd, PlanId, RequestId, Tokens, UserNo};
use ledger::IngestStats;
use ledger::ingest::{drain, positions};
use meter::{Attempt, Caller, Charge, Counts, Outcome, Source, UnknownCost, Usage, UsageEvent};
use spool::{Record, Spool};
use sqlx::AssertSqlSafe;
use store::sql::StoreKind;
use store::{Actor, Email, NewKey, NewUser, Node, Store};
use uuid::Uuid;

use crate::fixture::event;

/// The current day on the clocks of test databases.
pub(crate) const TODAY: Day = Day(20_833);
pub(crate) const PLANS: [PlanId; 2] = [PlanId(Uuid::from_u128(1)), PlanId(Uuid::from_u128(2))];

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
    pub(crate) fn starting_on(day: Day) -> Self {
        let clock = Clock::manual(day.start().after(Duration::from_hours(10)));
        Self { ids: Ids::new(clock.clone()), clock }
    }

    pub(crate) fn event(&mut self, caller: Option<Caller>, attempts: Vec<Attempt>) -> UsageEvent {
        self.clock.advance(Duration::from_millis(1));
        let at = self.clock.now();
        let event = event(RequestId(self.ids.next_uuid()), caller, at);
        UsageEvent {
            charge: Charge { credits: Credits(3), tokens: Tokens(700), ..Charge::money(NanoUsd(1_234_567_890)) },
            duration_us: 1_000,
            attempts,
            ..event
        }
    }

    pub(crate) fn counts(&mut self, caller: Option<Caller>, day: Day) -> Counts {
        let minute = u32::try_from(self.clock.now().unix_seconds() / 60).unwrap();
        Counts {
            subject: caller.into(),
            route: "users".into(),
            status_class: 2,
            minute,
            day,
            requests: 7,
            credits: Credits(14),
            labels: access::LabelSet::NONE,
        }
    }

    /// Returns one record of each kind, of this caller.
    pub(crate) fn all(&mut self, of: Caller) -> Vec<Record> {
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
        input: Some(Tokens(tokens)),
        cached_input: Some(Tokens(2 * tokens)),
        cache_write_short: Some(Tokens(3)),
        cache_write_long: Some(Tokens(4)),
        output: Some(Tokens(5 * tokens)),
        reasoning: Some(Tokens(6)),
        audio_input: Some(Tokens(7)),
        image_output: Some(Tokens(8)),
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
        own_credential: false,
        first_byte_us: None,
        duration_us: 1,
    }
}

/// A node with its spool, in a separate folder.
pub(crate) struct IngestNode {
    pub(crate) node: Node,
    spool: Spool,
}

impl IngestNode {
    pub(crate) async fn join(store: &Store, folder: &Path) -> Self {
        let node = store.join(folder, "1.2.3").await.unwrap();
        let options = spool::SpoolOptions { size_bytes_max: 16 << 20, segment_bytes: 256 << 10, partitions: 1 };
        let spool = Spool::open(&folder.join("spool"), options, &positions(&node).await.unwrap()).unwrap();
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
        let new = NewUser::member(Email::parse(&address).unwrap(), "Ada", "starter");
        let user = store.create_user(&Actor::COMMAND, new).await.unwrap();
        for _ in 0..keys {
            let secret = access::ApiKey::generate("tollgate").unwrap();
            store.create_key(&Actor::COMMAND, NewKey::unbounded(user.id, "laptop", &secret)).await.unwrap();
        }
    }
    let last = "SELECT u.no * 10 + k.no FROM api_keys k JOIN users u ON u.id = k.user_id ORDER BY k.no DESC LIMIT 1";
    assert_eq!(number(store, last).await, 34);
}

pub(crate) fn id_text(store: &Store, id: Uuid) -> String {
    match store.kind() {
        StoreKind::Sqlite => format!("x'{:032x}'", id.as_u128()),
        StoreKind::Postgres => format!("'{id}'"),
    }
}

/// Returns the number that a statement yields.
pub(crate) async fn number(store: &Store, sql: &str) -> i64 {
    store.query(AssertSqlSafe(sql.to_owned())).one::<(i64,)>().await.unwrap().0
}
