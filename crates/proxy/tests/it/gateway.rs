//! One worker with a caller before it, whose every key lookup is answered here.

mod lookups;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use access::credentials::basic::PasswordChecks;
use access::credentials::issuer::IssuerKeys;
use access::exchange::limits::SharedLimits;
use access::exchange::redis_key::RedisKeys;
use access::exchange::subject_budgets::{BeginRequest, SubjectBudgets};
use access::{ApiKey, Clock, Credits, Directory, Ids, KeyBounds, KeyId, KeyNo, Plan, Principal, Revision, Timestamp};
use access::{UserId, UserNo};
use bytes::Bytes;
use config::snapshot::{Backend, MemberList};
use config::{Flags, Live, Snapshot, Sources};
use http::{Method, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use meter::limiter::sharing::LimitSharing;
use meter::{BudgetId, BudgetScope, Meter};
use proxy::{
    Backends, Capacity, ListenerOptions, Shared, Shutdown, ShutdownPhase, UnauthenticatedClients, WorkerResources,
    Workers,
};
use rustls::ClientConfig;
use spool::{Reader, Record, Spool};
use tempfile::TempDir;
use tls::{ListenerTls, TlsSettings};
use tokio::net::TcpStream;
use tokio::sync::{OwnedMutexGuard, mpsc};
use tokio::task::JoinSet;

use lookups::{InRedis, RedisValues, Terms, answer, look_up, verify};

/// The time of the tests: 2026-11-20T12:00:00Z.
pub(crate) const NOON: Timestamp = Timestamp(1_795_176_000_000_000);
pub(crate) const USER: UserNo = UserNo(1);
const KEY: KeyNo = KeyNo(1);

/// The credits that a request costs.
pub(crate) const CREDITS: u32 = 3;

pub(crate) struct Gateway {
    address: SocketAddr,
    key: ApiKey,
    terms: Terms,
    revision: Arc<Revision>,
    shared: Arc<Shared>,
    tls: Option<Arc<ListenerTls>>,
    workers: Option<Workers>,
    reader: Reader,
    /// The number of verified passwords.
    verified: Arc<AtomicUsize>,
    redis: InRedis,
    _tasks: JoinSet<()>,
    data: TempDir,
}

/// A client with a key.
#[derive(Clone)]
pub(crate) struct Caller {
    address: SocketAddr,
    key: ApiKey,
}

/// The numbers of reservations by the way in which they ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReservationCounts {
    pub(crate) released: u64,
    pub(crate) settled: u64,
    pub(crate) interrupted: u64,
}

/// The counters that other nodes share.
#[derive(Default)]
struct SharedCounters {
    limits: Option<SharedLimits>,
    sharing: Option<LimitSharing>,
    subject_budgets: Option<SubjectBudgets>,
}

impl Gateway {
    /// Starts a gateway with an upstream at `url`, whose certificate `tls` verifies. It needs a runtime.
    pub(crate) fn start(url: &str, tls: Arc<ClientConfig>) -> Self {
        Self::hurried(url, tls, "connect: 1s")
    }

    /// The same with other `timeouts`.
    pub(crate) fn hurried(url: &str, tls: Arc<ClientConfig>, timeouts: &str) -> Self {
        let yaml = format!(
            "ai: {{enabled: false}}\n\
             timeouts: {{{timeouts}}}\n\
             upstreams: [{{name: backend, backends: [{{url: \"{url}\"}}]}}]\n\
             routes: [{{name: all, path: {{prefix: /api}}, credits: {CREDITS}, upstreams: backend}}]\n"
        );
        Self::configured(&yaml, tls)
    }

    /// Starts a gateway with an LLM provider at `url` that serves chat completions.
    pub(crate) fn before_llm(url: &str) -> Self {
        let yaml = format!(
            "timeouts: {{connect: 1s}}\n\
             providers: [{{name: far, kind: openai, base_url: \"{url}/v1\", credential: sk-far}}]\n"
        );
        Self::configured(&yaml, proxy::tls_config())
    }

    /// Starts a gateway with this configuration. Its principal can be changed.
    pub(crate) fn plain(yaml: &str) -> Self {
        Self::configured(yaml, proxy::tls_config())
    }

    /// Starts a gateway with this configuration. Its key has bounds.
    pub(crate) fn bound(yaml: &str, bounds: KeyBounds) -> Self {
        Self::with_bounds(yaml, proxy::tls_config(), bounds)
    }

    /// Starts a gateway with this configuration. `limits` counts the requests of unauthenticated clients.
    pub(crate) fn sharing(yaml: &str, limits: Option<SharedLimits>) -> Self {
        let counters = SharedCounters { limits, ..SharedCounters::default() };
        Self::with(yaml, proxy::tls_config(), KeyBounds::default(), counters)
    }

    /// Starts a gateway that shares its limits through `sharing`.
    pub(crate) fn leasing(yaml: &str, sharing: LimitSharing) -> Self {
        let counters = SharedCounters { sharing: Some(sharing), ..SharedCounters::default() };
        Self::with(yaml, proxy::tls_config(), KeyBounds::default(), counters)
    }

    /// Starts a gateway that shares its limits through `sharing`, and that of unauthenticated clients through `limits`.
    pub(crate) fn with_redis(yaml: &str, sharing: LimitSharing, limits: SharedLimits) -> Self {
        let counters = SharedCounters { limits: Some(limits), sharing: Some(sharing), ..SharedCounters::default() };
        Self::with(yaml, proxy::tls_config(), KeyBounds::default(), counters)
    }

    /// Starts a gateway whose subjects begin their budgets over the returned queue.
    pub(crate) fn with_subject_budgets(yaml: &str) -> (Self, mpsc::Receiver<BeginRequest>) {
        let (sender, queue) = mpsc::channel(4);
        let counters =
            SharedCounters { subject_budgets: Some(SubjectBudgets::new(sender)), ..SharedCounters::default() };
        (Self::with(yaml, proxy::tls_config(), KeyBounds::default(), counters), queue)
    }

    /// Returns the keys of the first issuer of the configuration.
    pub(crate) fn issuer_keys(&self) -> Arc<IssuerKeys> {
        self.shared.issuers.keys_of(&self.shared.live.load().traffic.issuers[0].source)
    }

    fn configured(yaml: &str, tls: Arc<ClientConfig>) -> Self {
        Self::with_bounds(yaml, tls, KeyBounds::default())
    }

    fn with_bounds(yaml: &str, tls: Arc<ClientConfig>, bounds: KeyBounds) -> Self {
        Self::with(yaml, tls, bounds, SharedCounters::default())
    }

    fn with(yaml: &str, tls: Arc<ClientConfig>, bounds: KeyBounds, counters: SharedCounters) -> Self {
        let SharedCounters { limits, sharing, subject_budgets } = counters;
        let unauthenticated = UnauthenticatedClients::new(Arc::default(), limits);
        let data = tempfile::tempdir().unwrap();
        let snapshot = snapshot(data.path(), yaml);
        let clock = Clock::manual(NOON);
        let Spool { mut writers, reader, .. } = open_spool(data.path());
        let (queue, lookups) = mpsc::channel(16);
        let revision = Arc::new(Revision::default());
        let directory = Directory::new(queue, revision.clone(), clock.clone(), Duration::from_secs(3600));
        let key = ApiKey::generate("tollgate").unwrap();
        let mut tasks = JoinSet::new();
        let terms = Arc::new(Mutex::new(principal(&clock, bounds)));
        tasks.spawn(answer(lookups, key.clone(), terms.clone()));

        let listener = &snapshot.process.listen[0];
        let load = |settings: &TlsSettings| ListenerTls::load(settings.clone(), &proxy::ALPN, Clock::system().now());
        let serves = listener.tls.as_ref().map(|settings| Arc::new(load(settings).unwrap()));
        let options = ListenerOptions {
            address: listener.address.clone(),
            socket_mode: listener.socket_mode,
            tls: serves.clone(),
            proxy_protocol: listener.proxy_protocol,
            keep_alive: snapshot.process.connections.keep_alive,
            inherited: Vec::new(),
        };
        let listeners = proxy::bind(vec![options], 1).unwrap();
        let address = listeners.addresses()[0].tcp().unwrap();
        let metrics = telemetry::Metrics::new();
        let verified = Arc::<AtomicUsize>::default();
        let redis = InRedis::default();
        let (keys, key_lookups) = mpsc::channel(4);
        tasks.spawn(look_up(key_lookups, redis.clone()));
        let (passwords, checks) = mpsc::channel(4);
        tasks.spawn(verify(checks, verified.clone()));
        let shared = Arc::new(Shared {
            capacity: Capacity::new(
                snapshot.process.connections,
                snapshot.process.in_flight_max,
                snapshot.traffic.sizes.buffered_bytes_max,
            ),
            live: Arc::new(Live::new(Arc::new(snapshot))),
            meter: Arc::new(Meter::default()),
            backends: Arc::new(Backends::new(metrics.clone())),
            metrics,
            clock,
            issuers: Arc::default(),
            upstream_credentials: Arc::default(),
            redis_keys: Some(RedisKeys::new(keys)),
            subject_budgets,
            password_checks: Some(PasswordChecks::new(passwords)),
            tls,
            shutdown: Shutdown::default(),
            unauthenticated,
            sharing,
            leases: None,
            responses: proxy::ResponseMemories::default(),
            access_tokens: proxy::AccessTokens::default(),
            conversations: proxy::Conversations::default(),
            provider_lists: proxy::ProviderLists::default(),
            object_keys: Arc::new(access::ObjectKeys::of_bytes([7; 32])),
        });
        let lane = WorkerResources { directory, spool: writers.remove(0) };
        Self {
            workers: Some(proxy::start(&shared, listeners, vec![lane]).unwrap()),
            address,
            key,
            terms,
            revision,
            shared,
            tls: serves,
            reader,
            verified,
            redis,
            _tasks: tasks,
            data,
        }
    }

    /// Returns the TLS of the listener.
    pub(crate) fn tls(&self) -> &ListenerTls {
        self.tls.as_deref().unwrap()
    }

    /// Sets the values of keys in Redis; without values, Redis is unavailable.
    pub(crate) fn set_redis(&self, values: Option<&[(&str, &str)]>) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.redis.try_lock().unwrap().values = values.map(|values| values.iter().map(owned).collect());
    }

    /// Stops the responses of Redis until the guard is dropped.
    pub(crate) fn stop_redis(&self) -> OwnedMutexGuard<RedisValues> {
        self.redis.clone().try_lock_owned().unwrap()
    }

    /// Returns the number of keys that were looked up in Redis, not cached.
    pub(crate) fn redis_lookups(&self) -> usize {
        self.redis.try_lock().unwrap().lookups
    }

    /// Returns the number of passwords that were verified, not cached.
    pub(crate) fn verified(&self) -> usize {
        self.verified.load(Ordering::SeqCst)
    }

    /// Returns the clock, which the test moves.
    pub(crate) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.shared.meter
    }

    /// The name of the first provider has these addresses from now on.
    pub(crate) fn found(&self, addresses: &[SocketAddr]) {
        let snapshot = self.shared.live.load();
        let provider = &snapshot.traffic.providers[0];
        let backend = |at: &SocketAddr| Backend {
            origin: provider.origin.with_address(at.ip().to_string(), at.port()),
            weight: 1,
        };
        let backends = addresses.iter().map(backend).collect();
        provider.discovery.as_ref().unwrap().replace(MemberList { backends, sources: Arc::default() });
    }

    /// Another configuration is in force from now on.
    pub(crate) fn reload(&self, yaml: &str) {
        self.shared.live.store(Arc::new(snapshot(self.data.path(), yaml)));
    }

    /// Returns the snapshot that is in force, which the test does not keep.
    pub(crate) fn snapshot(&self) -> Weak<Snapshot> {
        Arc::downgrade(&self.shared.live.load_full())
    }

    /// Changes the principal of the key, and increments the revision.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Principal)) {
        let mut terms = self.terms.lock().unwrap();
        change(Arc::make_mut(&mut terms));
        self.revision.confirm(self.revision.get() + 1, self.shared.clock.mono());
    }

    /// Posts `body` to `path` with the key on a new connection. Returns when the head of the response has arrived.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Response<Incoming> {
        self.caller().send(Method::POST, path, body).await
    }

    /// Returns the number of requests in flight.
    pub(crate) fn connections(&self) -> u32 {
        self.shared.capacity.connections()
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.shared.capacity.in_flight()
    }

    /// Lets the health checks of all configured backends fail. No checker runs in this gateway.
    pub(crate) fn fail_health_checks(&self) {
        let snapshot = self.shared.live.load_full();
        for upstream in &snapshot.traffic.upstreams {
            let origins = upstream.configured.iter().map(|backend| &backend.origin);
            for state in self.shared.backends.states_of(&upstream.name, origins) {
                state.checked(Some("refused"), false);
            }
        }
    }

    /// Begins a scrape that ends with the returned sender. Returns after it has begun.
    pub(crate) fn begin_scrape(&self) -> (std::sync::mpsc::SyncSender<()>, std::thread::JoinHandle<String>) {
        let (begun, begins) = std::sync::mpsc::sync_channel(1);
        let (end, ends) = std::sync::mpsc::sync_channel::<()>(1);
        let ends = Mutex::new(ends);
        self.shared.metrics.backends.set(move || {
            begun.send(()).unwrap();
            // The test drops the sender.
            let _ = ends.lock().unwrap().recv();
            Vec::new()
        });
        let metrics = self.shared.metrics.clone();
        let scrape = std::thread::spawn(move || metrics.encode());
        begins.recv().unwrap();
        (end, scrape)
    }

    /// Returns the metrics as text.
    pub(crate) fn metrics(&self) -> String {
        let shared = Arc::downgrade(&self.shared);
        let backends = move || shared.upgrade().map(|shared| shared.backend_statuses()).unwrap_or_default();
        self.shared.metrics.backends.set(backends);
        let shared = Arc::downgrade(&self.shared);
        let targets = move || shared.upgrade().map(|shared| shared.target_statuses()).unwrap_or_default();
        self.shared.metrics.backends.set_targets(targets);
        self.shared.metrics.encode()
    }

    /// Returns a client with the gateway's key.
    pub(crate) fn caller(&self) -> Caller {
        Caller { address: self.address, key: self.key.clone() }
    }

    /// Credits that the caller has used today: user and key, which must agree.
    pub(crate) fn used(&self) -> u64 {
        let meter = &self.shared.meter;
        let day = self.shared.clock.now().day();
        let used = meter.used(BudgetId::credits_a_day(BudgetScope::User(USER)), day);
        assert_eq!(used, meter.used(BudgetId::credits_a_day(BudgetScope::Key(KEY)), day));
        used.credits().rounded_down()
    }

    /// Returns the numbers of ended reservations so far.
    pub(crate) fn ended(&self) -> ReservationCounts {
        let totals = self.shared.meter.stats().totals();
        ReservationCounts {
            released: totals.released_count,
            settled: totals.settled_count,
            interrupted: totals.dropped_count,
        }
    }

    /// Announces the shutdown: connections are still accepted.
    pub(crate) fn announce_shutdown(&self) {
        self.shared.shutdown.enter(ShutdownPhase::Announced);
    }

    /// Another process has the listeners: each connection ends with its next response.
    pub(crate) fn leave(&self) {
        self.shared.shutdown.enter(ShutdownPhase::Leaving);
    }

    /// Begins the shutdown: requests in flight continue.
    pub(crate) fn drain(&self) {
        self.shared.shutdown.enter(ShutdownPhase::Closing);
    }

    /// Ends the worker. Returns the records of its spool.
    pub(crate) async fn stop(&mut self) -> Vec<Record> {
        self.shared.shutdown.enter(ShutdownPhase::Ending);
        if let Some(workers) = self.workers.take() {
            // Not on this thread: callers' connections must be able to end.
            let panicked = tokio::task::spawn_blocking(|| workers.join()).await.unwrap();
            assert_eq!(panicked, 0, "a worker panicked");
        }
        self.reader.next_batch(1_000).unwrap().records
    }
}

impl Caller {
    /// Sends a request on a new connection. Returns when the head of the response has arrived.
    pub(crate) async fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Response<Incoming> {
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        self.send_request(request, Full::new(body.into())).await
    }

    /// Sends a request that the caller has begun, with key and host added.
    pub(crate) async fn send_request<B>(&self, request: http::request::Builder, body: B) -> Response<Incoming>
    where
        B: http_body::Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
    {
        let stream = self.connect().await;
        let (mut sender, connection) =
            http1::Builder::new().max_headers(300).handshake(TokioIo::new(stream)).await.unwrap();
        #[expect(clippy::disallowed_methods, reason = "it ends with the answer, or with the test's runtime")]
        tokio::spawn(async move { connection.await.unwrap_or_default() });
        let request = request
            .header(header::HOST, "gateway.test")
            .header(header::AUTHORIZATION, self.authorization())
            .body(body)
            .unwrap();
        sender.send_request(request).await.unwrap()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.key.expose())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The worker ends by itself. A test that waits for the end calls `stop`.
        self.shared.shutdown.enter(ShutdownPhase::Ending);
    }
}

fn principal(clock: &Clock, bounds: KeyBounds) -> Arc<Principal> {
    let mut ids = Ids::new(clock.clone());
    let plan = Plan { credits_per_day: Some(Credits::whole(100_000)), ..Plan::unlimited("starter") };
    let user = UserId(ids.next_uuid());
    let key = KeyId(ids.next_uuid());
    let principal = Principal::unbounded((user, USER), (key, KEY), Arc::new(plan));
    Arc::new(Principal { bounds: Arc::new(bounds), ..principal })
}

fn snapshot(data: &Path, yaml: &str) -> Snapshot {
    let file = data.join("tollgate.yaml");
    std::fs::write(&file, yaml).unwrap();
    let listen = (!yaml.contains("listen:")).then(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let flags = Flags { listen: listen.map(Into::into), ..Flags::default() };
    let environment = &config::Environment::default();
    config::load(Sources { file: Some(&file), environment, flags }).unwrap().snapshot
}

fn open_spool(data: &Path) -> Spool {
    Spool::open(&data.join("spool"), spool::SpoolOptions::new(16 * 1024 * 1024, 1), &[]).unwrap()
}
