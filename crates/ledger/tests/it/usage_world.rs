//! Usage for a behaviour: events, the spool, and ingest.

use std::sync::Arc;

use access::{Credits, Day, NanoUsd, PlanId, Tokens};
use ledger::{IngestStats, Ledger};
use meter::{Attempt, Caller, Charge, Counts, Outcome, Source, Usage, UsageEvent};
use spool::{Record, Spool};
use store::{Node, Store};

use crate::world::{NOW, World, key, user};

impl World {
    /// Opens the spool at the positions that the store returns.
    pub(crate) async fn spool(&self, node: &Node) -> Spool {
        self.spool_from(&ledger::ingest::positions(node).await.unwrap())
    }

    pub(crate) fn spool_from(&self, positions: &[spool::Position]) -> Spool {
        let options = spool::SpoolOptions { size_bytes_max: 64 << 20, segment_bytes: 256 << 10, partitions: 2 };
        Spool::open(&self.folder.path().join("spool"), options, positions).unwrap()
    }

    /// Writes the records into the spool and drains it.
    pub(crate) async fn ingest(&self, store: &Store, records: &[Record]) -> IngestStats {
        let node = self.node(store).await;
        let mut spool = self.spool(&node).await;
        for (record, lane) in records.iter().zip([0, 1].into_iter().cycle()) {
            spool.writers[lane].append(record).unwrap();
        }
        let stats = IngestStats::default();
        ledger::ingest::drain(&node, &mut spool.reader, &stats).await.unwrap();
        stats
    }

    /// An LLM call that cost 1 credit and 1,000 nano-USD, and used 1, 2, 3, 4, 5 and 6 tokens.
    pub(crate) fn event(&self, caller: Option<Caller>) -> UsageEvent {
        UsageEvent {
            id: self.id(),
            subject: caller.into(),
            started_at: NOW,
            day: NOW.day(),
            windows: Vec::new(),
            charge: Charge::credits(Credits::whole(1)),
            route: "ai".into(),
            format: Some("chat".into()),
            model: Some("mock".into()),
            streamed: false,
            status: 200,
            outcome: Outcome::Completed,
            request_bytes: 1_024,
            response_bytes: 2_048,
            duration_us: 1_000,
            attempts: vec![attempt()],
            refusal: None,
            origin: meter::RequestOrigin::default(),
        }
    }

    pub(crate) fn counts(&self, caller: Option<Caller>, requests: u64) -> Record {
        let counts = Counts {
            subject: caller.into(),
            route: "users".into(),
            status_class: 2,
            minute: u32::try_from(NOW.unix_seconds() / 60).unwrap(),
            day: NOW.day(),
            requests,
            credits: Credits::whole(requests * 2),
            labels: access::LabelSet::NONE,
        };
        Record::Counts { id: self.id().0, counts: vec![counts.clone(), Counts { status_class: 5, ..counts }] }
    }
}

pub(crate) fn attempt() -> Attempt {
    let usage = Usage {
        input: Some(Tokens(1)),
        cached_input: Some(Tokens(2)),
        cache_write_short: Some(Tokens(3)),
        cache_write_long: Some(Tokens(4)),
        output: Some(Tokens(5)),
        reasoning: Some(Tokens(6)),
        ..Usage::empty(Source::Reported)
    };
    Attempt {
        provider: "mock".into(),
        model: Some("mock-1".into()),
        answered_model: Some("mock-1-2026".into()),
        status: Some(200),
        upstream_id: Some("req_1".into()),
        raw_usage: None,
        usage: Some(usage),
        cost: Some(NanoUsd(1_000)),
        unknown: None,
        price_version: Some("2026-11".into()),
        own_credential: false,
        first_byte_us: Some(500),
        duration_us: 900,
    }
}

/// Creates a user with one key, as the caller of requests.
pub(crate) async fn caller(store: &Store, address: &str) -> Caller {
    let user = user(store, address).await;
    let (_, key) = key(store, user.id).await;
    Caller { user: user.no, key: key.no, plan: PlanId::NIL }
}

pub(crate) async fn requests(store: &Store, caller: Caller, day: Day) -> u64 {
    Ledger::new(store.clone()).usage_of_day(caller.user, day).await.unwrap().total.requests
}

pub(crate) fn stats() -> Arc<IngestStats> {
    Arc::default()
}
