//! A control listener with a separate store.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::credentials::token::Signer;
use access::{
    ApiKey, Clock, Credits, Day, Directory, Ids, KeyBounds, KeyId, MasterKey, Mono, NanoUsd, Plan, PlanId, RequestId,
    Revision, Secret, SubjectId, Timestamp, Tokens, UserId, UserNo, UserStatus, Vault,
};
use cluster::DecryptedCredentials;
use config::Live;
use control::configuration::Configurator;
use control::{CachePurges, ServedApi, ServerLimits, State};
use ledger::ingest::IngestStats;
use meter::{
    AdmissionRequest, Attempt, Caller, Charge, Meter, Outcome, RateSource, Source, SubjectTerms, Terms, Usage,
    UsageEvent,
};
use serde_json::Value;
use spool::{Record, Spool};
use store::{Email, NewKey, NewUser, Store, UserRef};
use telemetry::{BackendBoard, LiveState, Metrics};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::client::Answer;
use crate::postgres;

/// The test time, 2026-11-20T12:00:00Z.
pub(crate) const NOON: Timestamp = Timestamp(1_795_176_000_000_000);

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) meter: Arc<Meter>,
    pub(crate) live_state: Arc<LiveState>,
    pub(crate) live: Arc<Live>,
    pub(crate) vault: Arc<Vault>,
    revision: Arc<Revision>,
    stop: Option<oneshot::Sender<()>>,
    tasks: JoinSet<()>,
    data: TempDir,
}

/// A user with one key.
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

/// The default configuration without rate limits, because most tests send many requests.
fn snapshot() -> config::Snapshot {
    let mut snapshot = defaults();
    snapshot.process.control.rate_limits.clear();
    snapshot
}

/// The default configuration, including rate limits.
pub(crate) fn defaults() -> config::Snapshot {
    let environment = config::Environment::default();
    let sources = config::Sources { file: None, environment: &environment, flags: config::Flags::default() };
    config::load(sources).unwrap().snapshot
}

impl World {
    /// Makes the live meter count credits for a key and its user.
    pub(crate) fn has_spent(&self, caller: Caller, day: Day, credits: u64) {
        let plan = Plan::unlimited("any");
        let bounds = KeyBounds::default();
        let limits = self.meter.limits(&Terms { caller, plan: &plan, bounds: &bounds, budgets: &[] });
        let ask = AdmissionRequest {
            limits: &limits,
            charge: Some(Charge::credits(Credits::whole(credits))),
            at: day.start(),
            now: Mono(1),
            rate: RateSource::Here,
        };
        self.meter.admit(&ask).unwrap().commit(ask.at).settle_as_reserved();
    }

    /// Makes the live meter count credits for a client without a user.
    pub(crate) fn subject_has_spent(&self, subject: SubjectId, plan: &Plan, credits: u64) {
        let terms = SubjectTerms { subject, plan, counts: access::limits::plan::LongPeriods::default() };
        let limits = self.meter.limits_of_subject(&terms).unwrap();
        let charge = Some(Charge::credits(Credits::whole(credits)));
        let at = self.clock.now();
        let ask = AdmissionRequest { limits: &limits, charge, at, now: Mono(1), rate: RateSource::Here };
        self.meter.admit(&ask).unwrap().commit(at).settle_as_reserved();
    }

    pub(crate) async fn start() -> Self {
        Self::start_on("127.0.0.1:0").await
    }

    pub(crate) async fn start_on(listen: &str) -> Self {
        Self::start_with(listen, ServerLimits::default()).await
    }

    pub(crate) async fn start_with(listen: &str, limits: ServerLimits) -> Self {
        Self::launch(listen, limits, |state| state).await
    }

    /// Starts control with these pages.
    pub(crate) async fn start_with_dashboard(dashboard: dashboard::Files) -> Self {
        Self::launch("127.0.0.1:0", ServerLimits::default(), |state| State { dashboard, ..state }).await
    }

    /// Starts control beside the backends of `board`.
    pub(crate) async fn start_with_board(board: Arc<BackendBoard>) -> Self {
        Self::launch("127.0.0.1:0", ServerLimits::default(), |state| State {
            purges: Arc::new(CachePurges::new(state.store.clone(), board.clone())),
            board,
            ..state
        })
        .await
    }

    /// Starts control with books of its store.
    pub(crate) async fn start_with_books(books: impl FnOnce(Store) -> billing::Books) -> Self {
        let with_books = |state: State| State { billing: books(state.store.clone()).into(), ..state };
        Self::launch("127.0.0.1:0", ServerLimits::default(), with_books).await
    }

    /// Starts control with books that follow its configuration.
    pub(crate) async fn start_selling(books: impl FnOnce(Arc<Live>, Store) -> billing::LiveBooks) -> Self {
        let with_books = |state: State| State { billing: books(state.live.clone(), state.store.clone()), ..state };
        Self::launch("127.0.0.1:0", ServerLimits::default(), with_books).await
    }

    /// Starts control in a process without the proxy.
    pub(crate) async fn start_apart() -> Self {
        Self::launch("127.0.0.1:0", ServerLimits::default(), |state| State { meter: None, ..state }).await
    }

    /// Starts the listener for probes, beside a proxy whose admin API is another process.
    pub(crate) async fn start_beside_proxy() -> Self {
        let probes = |state| State { serves: ServedApi::Probes, ..state };
        Self::launch("127.0.0.1:0", ServerLimits::default(), probes).await
    }

    async fn launch(listen: &str, limits: ServerLimits, change: impl FnOnce(State) -> State) -> Self {
        let data = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOON);
        let url = if postgres::is_chosen() { Some(postgres::database().await) } else { None };
        if url.is_none() {
            crate::migrated::copy_into(data.path()).await;
        }
        let options = store::Options { url: url.as_ref(), data: data.path(), migrate: true, clock: clock.clone() };
        // A busy machine is slow to open connections.
        let store = Store::open_waiting(options, Duration::from_secs(20)).await.unwrap();
        let plan = |name: &str, credits_per_day| Plan { credits_per_day, ..Plan::unlimited(name) };
        store.ensure_plans(&[plan("starter", Some(Credits::whole(1_000))), plan("endless", None)]).await.unwrap();

        let (queue, lookups) = mpsc::channel(64);
        let revision = Arc::new(Revision::default());
        let hour = Duration::from_secs(3600);
        let directory = Arc::new(Directory::new(queue, revision.clone(), clock.clone(), hour));
        store.last_use().follow(directory.clients());
        let live_state = Arc::new(LiveState::default());
        live_state.set_snapshot(true);
        live_state.set_directory(true);
        let meter = Arc::new(Meter::default());
        let vault = Arc::new(Vault::new(&MasterKey::parse(&"A".repeat(43)).unwrap(), None));
        store.admit_master_key(&store::Actor::SYSTEM, &vault).await.unwrap();
        let live = Arc::new(Live::new(Arc::new(snapshot())));
        let metrics = Metrics::new();
        let configurator = Configurator::of_defaults(live.clone(), store.clone(), metrics.clone()).unwrap();
        let configurator = Arc::new(configurator);
        let state = State {
            store: store.clone(),
            billing: billing::LiveBooks::default(),
            configurator,
            ledger: ledger::Ledger::new(store.clone()),
            meter: Some(meter.clone()),
            serves: ServedApi::Api,
            directory,
            passwords: control::Passwords::new(metrics.clone()),
            metrics,
            live_state: live_state.clone(),
            board: Arc::default(),
            purges: Arc::new(CachePurges::new(store.clone(), Arc::default())),
            clock: clock.clone(),
            dashboard: dashboard::Files::new(&[]),
            version: "9.8.7",
            live,
            windows: cluster::windows::Windows::here(clock.clone()),
            vault: vault.clone(),
            examples: None,
            signer: Some(Signer::new(&Secret::new("s".repeat(32)), "tollgate").unwrap()),
            limits,
            tls: None,
        };
        let state = change(state);
        let live = state.live.clone();
        let vault = state.vault.clone();
        let listener = TcpListener::bind(listen).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel::<()>();
        let mut tasks = JoinSet::new();
        let decrypted_credentials = Arc::new(DecryptedCredentials::new(vault.clone(), revision.clone()));
        tasks.spawn(cluster::directory::serve(
            store.clone(),
            decrypted_credentials,
            std::sync::Arc::default(),
            lookups,
            std::future::pending(),
        ));
        tasks.spawn(async move {
            // Dropping the sender stops the server as well.
            control::serve(tls::AsyncListener::Tcp(listener), state, async move { drop(stopped.await) }).await.unwrap();
        });
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self { address, clock, store, meter, live_state, live, vault, revision, stop: Some(stop), tasks, data }
    }

    /// The path of the data folder.
    pub(crate) fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    /// Replaces the current configuration.
    pub(crate) fn configure(&self, change: impl FnOnce(&mut config::Snapshot)) {
        let mut snapshot = (*self.live.load_full()).clone();
        change(&mut snapshot);
        self.live.store(Arc::new(snapshot));
    }

    /// Begins the shutdown of the server.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until the server has stopped.
    pub(crate) async fn ended(&mut self) {
        self.tasks.join_next().await.unwrap().unwrap();
    }

    /// Copies the store's revision, as the process does every 250 ms.
    pub(crate) async fn refresh(&self) {
        self.revision.confirm(self.store.revision().await.unwrap(), self.clock.mono());
    }

    /// Creates a user of `plan` with a key.
    pub(crate) async fn holder(&self, name: &str, plan: &str) -> Holder {
        let email = Email::parse(&format!("{name}@example.com")).unwrap();
        let new = NewUser::member(email, name, plan);
        let user = self.store.create_user(&store::Actor::COMMAND, new).await.unwrap();
        self.add_key(user.id, user.no, name, None).await
    }

    /// Creates another key of a user.
    pub(crate) async fn key(&self, owner: &Holder, label: &str) -> Holder {
        self.add_key(owner.user, owner.caller.user, label, None).await
    }

    /// Creates another key of a user, with an expiry.
    pub(crate) async fn expiring_key(&self, owner: &Holder, label: &str, expires_at: Timestamp) -> Holder {
        self.add_key(owner.user, owner.caller.user, label, Some(expires_at)).await
    }

    async fn add_key(&self, user: UserId, no: UserNo, label: &str, expires_at: Option<Timestamp>) -> Holder {
        let key = ApiKey::generate("tollgate").unwrap();
        let new = NewKey { expires_at, ..NewKey::unbounded(user, label, &key) };
        let stored = self.store.create_key(&store::Actor::COMMAND, new).await.unwrap();
        self.refresh().await;
        let caller = Caller { user: no, key: stored.no, plan: PlanId::NIL };
        Holder { user, key: stored.id, caller, secret: key.expose().to_owned() }
    }

    /// Records requests through a spool, as the proxy does.
    pub(crate) async fn record(&self, events: Vec<UsageEvent>) {
        self.record_all(events.into_iter().map(Record::Event).collect()).await;
    }

    /// Records requests and counts of requests through a spool.
    pub(crate) async fn record_all(&self, records: Vec<Record>) {
        let folder = self.data.path().join("spool");
        let node = self.store.join(self.data.path(), "9.8.7").await.unwrap();
        let ingested = ledger::ingest::positions(&node).await.unwrap();
        let Spool { mut writers, mut reader, .. } =
            Spool::open(&folder, spool::SpoolOptions::new(16 * 1024 * 1024, 1), &ingested).unwrap();
        for record in records {
            writers[0].append(&record).unwrap();
        }
        ledger::ingest::drain(&node, &mut reader, &IngestStats::default()).await.unwrap();
    }

    /// Refuses the keys of a user, as billing does while invoices are not paid.
    pub(crate) async fn hold(&self, holder: &Holder, plan: &str) {
        let mut tx = self.store.begin_quiet().await.unwrap();
        let access = store::UserAccess { plan, is_held: true };
        self.store.move_user(&mut tx, &store::Actor::COMMAND, holder.user, access).await.unwrap();
        tx.commit().await.unwrap();
        self.refresh().await;
    }

    pub(crate) async fn suspend(&self, holder: &Holder) {
        self.store
            .change_user(
                &store::Actor::COMMAND,
                &UserRef::Id(holder.user),
                store::UserChange { status: Some(UserStatus::Suspended), ..store::UserChange::default() },
            )
            .await
            .unwrap();
        self.refresh().await;
    }
}

/// An LLM request with three credits at `at`; without `cost`, its price is unknown.
pub(crate) fn event(caller: Caller, at: Timestamp, cost: Option<NanoUsd>) -> UsageEvent {
    let usage = Usage {
        input: Some(Tokens(100)),
        cached_input: Some(Tokens(20)),
        cache_write_short: Some(Tokens(3)),
        cache_write_long: Some(Tokens(4)),
        output: Some(Tokens(50)),
        reasoning: Some(Tokens(10)),
        ..Usage::empty(Source::Reported)
    };
    let attempt = Attempt {
        provider: "openai".into(),
        model: Some("gpt-5-mini".into()),
        answered_model: None,
        status: Some(200),
        upstream_id: None,
        raw_usage: None,
        usage: Some(usage),
        cost,
        unknown: None,
        price_version: None,
        own_credential: false,
        first_byte_us: Some(900),
        duration_us: 1_000,
    };
    UsageEvent {
        id: RequestId(Ids::new(Clock::manual(at)).next_uuid()),
        subject: access::Subject::Key(caller),
        started_at: at,
        day: at.day(),
        windows: Vec::new(),
        charge: Charge::credits(Credits::whole(3)),
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
        refusal: None,
        origin: meter::RequestOrigin::default(),
    }
}

/// Formats a response as a snapshot; values that differ from run to run are replaced.
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
