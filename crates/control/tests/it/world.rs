//! A control listener over a store of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::{
    ApiKey, Clock, Credits, Directory, Ids, KeyId, NanoUsd, Plan, RequestId, Revision, Timestamp, UserId, UserNo,
    UserStatus,
};
use control::{Limits, State};
use meter::{Attempt, Caller, Meter, Outcome, Source, Usage, UsageEvent};
use serde_json::Value;
use spool::{Record, Spool};
use store::ingest::IngestStats;
use store::{Email, NewKey, NewUser, Store, UserRef};
use telemetry::{Board, Metrics};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::client::Answer;

/// 2026-11-20T12:00:00Z.
pub(crate) const NOON: Timestamp = Timestamp(1_795_176_000_000_000);

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) meter: Arc<Meter>,
    pub(crate) board: Arc<Board>,
    revision: Arc<Revision>,
    stop: Option<oneshot::Sender<()>>,
    tasks: JoinSet<()>,
    data: TempDir,
}

/// A user with a key.
#[derive(Clone)]
pub(crate) struct Holder {
    pub(crate) user: UserId,
    pub(crate) key: KeyId,
    pub(crate) caller: Caller,
    pub(crate) secret: String,
}

impl Holder {
    pub(crate) fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.secret)
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_on("127.0.0.1:0").await
    }

    pub(crate) async fn start_on(listen: &str) -> Self {
        Self::start_with(listen, Limits::default()).await
    }

    pub(crate) async fn start_with(listen: &str, limits: Limits) -> Self {
        let data = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOON);
        let options = store::Options { data: data.path(), migrate: true, clock: clock.clone() };
        let store = Store::open(options).await.unwrap();
        let plan =
            |name: &str, credits_per_day| Plan { name: name.to_owned(), credits_per_day, requests_per_minute: None };
        store.ensure_plans(&[plan("starter", Some(1_000)), plan("endless", None)]).await.unwrap();

        let (queue, lookups) = mpsc::channel(64);
        let revision = Arc::new(Revision::default());
        let hour = Duration::from_secs(3600);
        let directory = Arc::new(Directory::new(queue, revision.clone(), clock.clone(), hour));
        let board = Arc::new(Board::default());
        board.set_snapshot(true);
        board.set_directory(true);
        let meter = Arc::new(Meter::default());
        let state = State {
            store: store.clone(),
            meter: meter.clone(),
            directory,
            metrics: Metrics::new(),
            board: board.clone(),
            clock: clock.clone(),
            version: "9.8.7",
            brand: "Tollgate".to_owned(),
            limits,
        };
        let listener = TcpListener::bind(listen).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel::<()>();
        let mut tasks = JoinSet::new();
        tasks.spawn(store::directory::serve(store.clone(), lookups, std::future::pending()));
        tasks.spawn(async move {
            // A dropped sender stops it too.
            control::serve(listener, state, async move { drop(stopped.await) }).await.unwrap();
        });
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self { address, clock, store, meter, board, revision, stop: Some(stop), tasks, data }
    }

    /// Begins the shutdown.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until serving has ended.
    pub(crate) async fn ended(&mut self) {
        self.tasks.join_next().await.unwrap().unwrap();
    }

    /// Copies the store's revision, as its loop does every 250 ms.
    pub(crate) async fn refresh(&self) {
        self.revision.confirm(self.store.revision().await.unwrap(), self.clock.mono());
    }

    /// A user of `plan`, with a key.
    pub(crate) async fn holder(&self, name: &str, plan: &str) -> Holder {
        let email = Email::parse(&format!("{name}@example.com")).unwrap();
        let new = NewUser { email, name: name.to_owned(), plan: plan.to_owned(), demo: false };
        let user = self.store.create_user(new).await.unwrap();
        self.add_key((user.id, user.no), name, None).await
    }

    /// Another key of a user.
    pub(crate) async fn key(&self, owner: &Holder, label: &str) -> Holder {
        self.add_key((owner.user, owner.caller.user), label, None).await
    }

    /// The same, with an end.
    pub(crate) async fn expiring_key(&self, owner: &Holder, label: &str, expires_at: Timestamp) -> Holder {
        self.add_key((owner.user, owner.caller.user), label, Some(expires_at)).await
    }

    async fn add_key(&self, (user, no): (UserId, UserNo), label: &str, expires_at: Option<Timestamp>) -> Holder {
        let key = ApiKey::generate("tollgate").unwrap();
        let new = NewKey {
            user,
            label: label.to_owned(),
            hash: key.hash(),
            prefix: key.prefix().to_owned(),
            last4: key.last4().to_owned(),
            expires_at,
        };
        let stored = self.store.create_key(new).await.unwrap();
        self.refresh().await;
        let caller = Caller { user: no, key: stored.no };
        Holder { user, key: stored.id, caller, secret: key.expose().to_owned() }
    }

    /// Has requests recorded, the way they come: through a spool.
    pub(crate) async fn record(&self, events: Vec<UsageEvent>) {
        let folder = self.data.path().join("spool");
        let ingested = self.store.ingested().await.unwrap();
        let Spool { mut writers, mut reader, .. } =
            Spool::open(&folder, spool::Options::new(16 * 1024 * 1024, 1), &ingested).unwrap();
        for event in events {
            writers[0].append(&Record::Event(event)).unwrap();
        }
        store::ingest::drain(&self.store, &mut reader, &IngestStats::default()).await.unwrap();
    }

    pub(crate) async fn suspend(&self, holder: &Holder) {
        self.store.set_user_status(&UserRef::Id(holder.user), UserStatus::Suspended).await.unwrap();
        self.refresh().await;
    }
}

/// An LLM call of three credits at `at`; without a `cost` its price is not known.
pub(crate) fn event(caller: Caller, at: Timestamp, cost: Option<NanoUsd>) -> UsageEvent {
    let usage = Usage {
        input: Some(100),
        cached_input: Some(20),
        cache_write_short: Some(3),
        cache_write_long: Some(4),
        output: Some(50),
        reasoning: Some(10),
        ..Usage::empty(Source::Reported)
    };
    let attempt = Attempt {
        provider: "openai".into(),
        model: Some("gpt-5-mini".into()),
        answered_model: None,
        status: Some(200),
        upstream_id: None,
        usage: Some(usage),
        cost,
        price_version: None,
        first_byte_us: Some(900),
        duration_us: 1_000,
    };
    UsageEvent {
        id: RequestId(Ids::new(Clock::manual(at)).next_uuid()),
        caller: Some(caller),
        started_at: at,
        day: at.day(),
        credits: Credits(3),
        route: "ai".into(),
        format: Some("chat".into()),
        model: Some("fast".into()),
        streamed: false,
        status: 200,
        outcome: Outcome::Completed,
        request_bytes: 10,
        response_bytes: 20,
        duration_us: 2_000,
        attempts: vec![attempt],
    }
}

/// A body as a snapshot: what differs from run to run is replaced.
pub(crate) fn tidy(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut body = answer.json();
    hide(&mut body);
    serde_json::to_string_pretty(&body).unwrap()
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                match name.as_str() {
                    "id" | "key_id" => {
                        let id: uuid::Uuid = field.as_str().unwrap().parse().unwrap();
                        assert_eq!(id.get_version_num(), 7);
                        *field = "(uuid)".into();
                    }
                    "last4" => *field = "(last4)".into(),
                    _ => hide(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
