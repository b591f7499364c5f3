//! Requests of a user, as a node stores them.

use access::{Caller, Credits, Day, KeyNo, LabelSet, NanoUsd, PlanId, RequestId, Tokens, UserId, UserNo};
use ledger::IngestStats;
use ledger::billing::subscriptions;
use ledger::ingest::{drain, positions};
use meter::{Attempt, Charge, Counts, Outcome, RateCard, Rates, RequestOrigin, Source, Usage, UsageEvent};
use rusqlite::Connection;
use spool::{Record, Spool, SpoolOptions};
use store::{Node, Store};
use tempfile::TempDir;
use uuid::Uuid;

use crate::shop::Shop;

/// A node that stores requests, and the user who sends them.
pub(crate) struct Traffic {
    node: Node,
    spool: Spool,
    caller: Caller,
    _folder: TempDir,
}

/// The usage of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used<'a> {
    pub(crate) model: Option<&'a str>,
    pub(crate) tokens: u64,
    pub(crate) cost_nano: Option<i64>,
    /// Attempts of the same usage and cost.
    pub(crate) attempts: usize,
    /// Whether the user's own credential paid them.
    pub(crate) own_credential: bool,
}

pub(crate) fn fast(tokens: u64) -> Used<'static> {
    let cost_nano = Some(i64::try_from(tokens).unwrap() * 1_000_000);
    Used { model: Some("fast"), tokens, cost_nano, attempts: 1, own_credential: false }
}

/// The rates at which [`fast`] requests have their costs.
pub(crate) fn rates() -> RateCard {
    let rates =
        Rates { input: Some(400_000_000), cached_input: Some(0), output: Some(300_000_000), ..Rates::default() };
    RateCard { rates, ..RateCard::default() }
}

impl Traffic {
    pub(crate) async fn start(shop: &Shop, user: UserId) -> Self {
        let store: &Store = shop.store();
        let folder = tempfile::tempdir().unwrap();
        let node = store.join(folder.path(), "1.2.3").await.unwrap();
        let options = SpoolOptions { size_bytes_max: 16 << 20, segment_bytes: 256 << 10, partitions: 1 };
        let spool = Spool::open(&folder.path().join("spool"), options, &positions(&node).await.unwrap()).unwrap();
        let subscription = subscriptions::present(store, user).await.unwrap().unwrap();
        let caller = Caller { user: UserNo(subscription.user_no.0), key: KeyNo(1), plan: PlanId(Uuid::from_u128(1)) };
        execute(shop, include_str!("stored_usage.sql"));
        Self { node, spool, caller, _folder: folder }
    }

    /// Stores requests of a day, one minute apart from noon on.
    pub(crate) async fn send(&mut self, shop: &Shop, day: Day, requests: &[Used<'_>]) {
        for (nth, of) in (0_u64..).zip(requests) {
            let started_at = day.start().after(std::time::Duration::from_secs(43_200 + 60 * nth));
            let event = event(self.caller, shop.store().new_id(), *of);
            self.write(&Record::Event(UsageEvent { started_at, day, ..event }));
        }
        self.drain().await;
    }

    /// Stores requests of a day as counts.
    pub(crate) async fn count(&mut self, shop: &Shop, day: Day, requests: u64) {
        let counts = Counts {
            subject: Some(self.caller).into(),
            route: "users".into(),
            status_class: 2,
            minute: u32::try_from(day.start().unix_seconds() / 60 + 700).unwrap(),
            day,
            requests,
            credits: Credits::whole(2 * requests),
            labels: LabelSet::NONE,
        };
        self.write(&Record::Counts { id: shop.store().new_id(), counts: vec![counts] });
        self.drain().await;
    }

    fn write(&mut self, record: &Record) {
        self.spool.writers[0].append(record).unwrap();
    }

    async fn drain(&mut self) {
        drain(&self.node, &mut self.spool.reader, &IngestStats::default()).await.unwrap();
    }
}

/// Runs a statement that no crate contains.
pub(crate) fn execute(shop: &Shop, sql: &str) {
    let is_sqlite =
        |path: &std::path::PathBuf| std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0"));
    let mut files = std::fs::read_dir(shop.folder()).unwrap().map(|entry| entry.unwrap().path());
    Connection::open(files.find(is_sqlite).unwrap()).unwrap().execute_batch(sql).unwrap();
}

fn event(caller: Caller, id: Uuid, of: Used<'_>) -> UsageEvent {
    let usage = Usage {
        input: Some(Tokens(of.tokens)),
        cached_input: Some(Tokens(1)),
        output: Some(Tokens(2 * of.tokens)),
        ..Usage::empty(Source::Reported)
    };
    let attempt = Attempt {
        provider: "up".into(),
        model: of.model.map(Into::into),
        answered_model: None,
        status: Some(200),
        upstream_id: None,
        raw_usage: None,
        usage: Some(usage),
        cost: of.cost_nano.map(NanoUsd),
        unknown: of.cost_nano.is_none().then_some(meter::UnknownCost::NoUsage),
        price_version: Some("p1".into()),
        own_credential: of.own_credential,
        first_byte_us: None,
        duration_us: 1,
    };
    UsageEvent {
        id: RequestId(id),
        subject: Some(caller).into(),
        started_at: access::Timestamp(0),
        day: Day(0),
        windows: Vec::new(),
        charge: Charge::credits(Credits::whole(3)),
        route: "ai".into(),
        format: of.model.map(|_| "chat".into()),
        model: of.model.map(Into::into),
        streamed: false,
        status: 200,
        outcome: Outcome::Completed,
        request_bytes: 36,
        response_bytes: 37,
        duration_us: 38,
        attempts: vec![attempt; of.attempts],
        refusal: None,
        origin: RequestOrigin::default(),
    }
}
