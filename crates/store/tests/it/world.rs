//! A database of its own for each behaviour, and what to put into it.

use std::num::NonZeroU32;
use std::sync::Arc;

use access::{ApiKey, Clock, Day, Ids, MasterKey, NanoUsd, Plan, PlanId, RequestId, Secret, Timestamp, UserId, Vault};
use meter::{Attempt, Caller, Charge, Counts, Outcome, Source, Usage, UsageEvent};
use spool::{Record, Spool};
use store::{Email, IngestStats, Key, NewKey, NewUser, Node, Options, Store, StoreError, User};
use tempfile::TempDir;

use crate::postgres;

pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

pub(crate) struct World {
    folder: TempDir,
    url: Option<Secret>,
    pub(crate) clock: Clock,
}

impl World {
    pub(crate) fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), url: None, clock: Clock::manual(NOW) }
    }

    pub(crate) async fn postgres() -> Self {
        Self::at(postgres::database("").await)
    }

    /// On the PostgreSQL that is there, with a data folder of its own.
    pub(crate) fn at(url: Secret) -> Self {
        Self { url: Some(url), ..Self::sqlite() }
    }

    pub(crate) fn url(&self) -> &str {
        self.url.as_ref().unwrap().expose()
    }

    /// A handle to the database: each call is one more process.
    pub(crate) async fn store(&self) -> Store {
        self.try_store().await.unwrap()
    }

    pub(crate) async fn try_store(&self) -> Result<Store, StoreError> {
        let (url, data) = (self.url.as_ref(), self.folder.path());
        Store::open(Options { url, data, migrate: true, clock: self.clock.clone() }).await
    }

    /// The server of the data folder, started once more.
    pub(crate) async fn node(&self, store: &Store) -> Node {
        store.join(self.folder.path(), "1.2.3").await.unwrap()
    }

    /// The spool, read from where the store says.
    pub(crate) async fn spool(&self, node: &Node) -> Spool {
        self.spool_from(&node.ingested().await.unwrap())
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
        store::ingest::drain(&node, &mut spool.reader, &stats).await.unwrap();
        stats
    }

    pub(crate) fn id(&self) -> RequestId {
        RequestId(Ids::new(self.clock.clone()).next_uuid())
    }

    /// An LLM call that cost 1 credit and 1,000 nano-USD, and used 1, 2, 3, 4, 5 and 6 tokens.
    pub(crate) fn event(&self, caller: Option<Caller>) -> UsageEvent {
        UsageEvent {
            id: self.id(),
            caller,
            started_at: NOW,
            day: NOW.day(),
            charge: Charge::credits(1),
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
        }
    }

    pub(crate) fn counts(&self, caller: Option<Caller>, requests: u64) -> Record {
        let counts = Counts {
            caller,
            route: "users".into(),
            status_class: 2,
            minute: u32::try_from(NOW.unix_seconds() / 60).unwrap(),
            day: NOW.day(),
            requests,
            credits: requests * 2,
        };
        Record::Counts { id: self.id().0, counts: vec![counts.clone(), Counts { status_class: 5, ..counts }] }
    }
}

pub(crate) fn attempt() -> Attempt {
    let usage = Usage {
        input: Some(1),
        cached_input: Some(2),
        cache_write_short: Some(3),
        cache_write_long: Some(4),
        output: Some(5),
        reasoning: Some(6),
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
        first_byte_us: Some(500),
        duration_us: 900,
    }
}

pub(crate) fn plan(name: &str, credits_per_day: u64) -> Plan {
    Plan { credits_per_day: Some(credits_per_day), requests_per_minute: NonZeroU32::new(60), ..Plan::unlimited(name) }
}

/// A vault with a master key of its own for each number up to 25.
pub(crate) fn vault(number: u8) -> Vault {
    Vault::new(&master_key(number), None)
}

pub(crate) fn master_key(number: u8) -> MasterKey {
    let digit = char::from(b'A' + number);
    MasterKey::parse(&format!("{}A", digit.to_string().repeat(42))).unwrap()
}

pub(crate) fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

/// A user with the plan `starter`.
pub(crate) async fn user(store: &Store, address: &str) -> User {
    store.ensure_plans(&[plan("starter", 1_000)]).await.unwrap();
    let new = NewUser::member(email(address), "Ada", "starter");
    store.create_user(&store::Actor::COMMAND, new).await.unwrap()
}

pub(crate) fn new_key(user: UserId, secret: &ApiKey) -> NewKey {
    NewKey::of(user, "laptop", secret)
}

pub(crate) async fn key(store: &Store, user: UserId) -> (ApiKey, Key) {
    let secret = ApiKey::generate("tollgate").unwrap();
    let key = store.create_key(&store::Actor::COMMAND, new_key(user, &secret)).await.unwrap();
    (secret, key)
}

/// A user with one key, as the caller of requests.
pub(crate) async fn caller(store: &Store, address: &str) -> Caller {
    let user = user(store, address).await;
    let (_, key) = key(store, user.id).await;
    Caller { user: user.no, key: key.no, plan: PlanId::NIL }
}

pub(crate) async fn requests(store: &Store, caller: Caller, day: Day) -> u64 {
    store.usage_of_day(caller.user, day).await.unwrap().total.requests
}

pub(crate) fn stats() -> Arc<IngestStats> {
    Arc::default()
}
