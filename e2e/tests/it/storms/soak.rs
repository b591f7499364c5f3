//! Random load on the data plane: clients and backends that are slow, cancel, reset and send nonsense in every state.
//! Afterwards no connection, request, byte, reservation, descriptor or thread is left, and each request is counted once. During a
//! load of minutes, memory, descriptors and latency do not grow.
//!
//! `TOLLGATE_SOAK_SECONDS`, `TOLLGATE_SOAK_CONNECTIONS` and `TOLLGATE_SOAK_SEED` change the load, and `TOLLGATE_SOAK_TABLE` is a
//! file for the table of its figures. A seed repeats the
//! choices, but not their interleaving.

mod backend;
mod client;
mod incoming;
mod model;
mod paced;
mod receivers;
mod request;
mod slopes;
mod table;
mod trace_receiver;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use e2e::setup::{OPEN, provider};
use e2e::vitals::raise_descriptors;
use e2e::{Call, Gateway, Mock, Setup};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::dice::Dice;
use super::rounds::tell;
use super::tally::{assert_audited, assert_counts_agree};
use crate::bodies::{CHAT, Format};
use crate::store;
use backend::Backend;
use client::Client;
use model::Model;
use request::Target;
use table::Table;

/// What two cores bear with a debug build; `make soak` sets its MINUTES and 1,000 connections.
const SECONDS: u64 = 10;
const CONNECTIONS: u64 = 300;
/// Both ends of each connection, and those of the backend and the mock.
const DESCRIPTORS: u64 = 8_000;
/// Credits of a request to the keyed route.
const CREDITS: u64 = 3;
/// The time within which clients end by themselves after the load; then they are dropped in any state.
const GRACE: Duration = Duration::from_secs(2);
/// The time within which all resources return: the longest timeout of the configuration, and a busy machine.
const REST_MAX: Duration = Duration::from_secs(40);
/// Memory that a later phase may need beyond the first one, which has the same load.
const GROWTH_MAX: u64 = 24 << 20;
/// Files and threads that the server opens when it first needs them: connections to the database have a thread each.
const FILES_MAX: usize = 32;
const THREADS_MAX: usize = 12;
/// The drain's timeout and a busy machine.
const SHUTDOWN_MAX: Duration = Duration::from_secs(15);
/// Metrics that are zero without requests.
const ZERO_AT_REST: [&str; 9] = [
    "tollgate_connections",
    "tollgate_requests_in_flight",
    "tollgate_buffered_bytes",
    "tollgate_meter_in_flight{measure=\"credits\"}",
    "tollgate_meter_in_flight{measure=\"tokens\"}",
    "tollgate_meter_in_flight{measure=\"nano_usd\"}",
    "tollgate_spool_bytes",
    "tollgate_meter_dropped_total",
    "tollgate_panics_total",
];

/// The server under load, with all peers.
struct Soak {
    gateway: Gateway,
    model: Arc<Model>,
    target: Arc<Target>,
    dice: Dice,
    connections: u64,
}

#[tokio::test]
async fn random_load_leaves_nothing_behind_and_is_counted_once() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let random = RandomState::new().build_hasher().finish() >> 40;
    let seed = number("TOLLGATE_SOAK_SEED", random);
    let seconds = number("TOLLGATE_SOAK_SECONDS", SECONDS);
    let connections = number("TOLLGATE_SOAK_CONNECTIONS", CONNECTIONS);
    tell(&format!("TOLLGATE_SOAK_SEED={seed}, {seconds} seconds, {connections} connections"));
    raise_descriptors(DESCRIPTORS);

    let model = Arc::new(Model::default());
    let mut dice = Dice::new(seed);
    let backend = Backend::start(Arc::clone(&model), dice.fork()).await;
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&backend, &mock, seed)).await;
    let plain = gateway.account(OPEN).await;
    let chat = gateway.account(OPEN).await;
    let probe = Call::json(CHAT, &Format::Chat.body("up/instant", false)).key(&gateway.key().await);
    let target = Arc::new(Target { proxy: gateway.proxy, plain_key: plain.key.clone(), chat_key: chat.key.clone() });
    let descriptors = gateway.vitals().descriptor_targets();
    let threads = gateway.vitals().threads();
    let mut soak = Soak { gateway, model, target, dice, connections };

    // The first phase fills caches and pools; the second one shows what grows.
    soak.load(Duration::from_secs(seconds / 4)).await;
    let first = soak.rest().await;
    let vitals = soak.gateway.vitals();
    let proxy = soak.gateway.proxy;
    let during = Duration::from_secs(seconds - seconds / 4);
    let title = format!("{seconds} seconds, {connections} connections, seed {seed}");
    let table = Table::begin(&title, during, Arc::clone(&soak.model));
    let ((), samples) = tokio::join!(soak.load(during), slopes::sampled(vitals, &probe, proxy, during, table));
    let peak = soak.gateway.vitals().peak_bytes();
    let second = soak.rest().await;
    tell(&format!("the server used {:?} of CPU time", soak.gateway.vitals().cpu()));
    tell(&format!(
        "{} KiB after the first phase, {} after the second, {} at most",
        first >> 10,
        second >> 10,
        peak >> 10
    ));
    tell(&soak.model.report());
    samples.assert_flat();
    assert!(second < first + GROWTH_MAX, "memory grows from {} to {} KiB", first >> 10, second >> 10);

    soak.assert_counted(&mock).await;
    let fresh = Call::json(CHAT, &Format::Chat.body("up/instant", false)).key(&chat.key);
    soak.gateway.call(fresh).await.expect(200);
    // With their servers, idle connections to backends end.
    drop((backend, mock));
    soak.assert_released(&descriptors, threads).await;
    let started = Instant::now();
    let Soak { gateway, model, .. } = soak;
    gateway.terminate();
    let ended = gateway.end_within(SHUTDOWN_MAX).await;
    tell(&format!("the shutdown took {:?}", started.elapsed()));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let errors: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("\"level\":\"ERROR\"")).collect();
    assert_eq!(errors, Vec::<&str>::new(), "TOLLGATE_SOAK_SEED={seed}");
    assert_eq!(model.contradictions(), Vec::<String>::new(), "TOLLGATE_SOAK_SEED={seed}");
}

fn setup(backend: &Backend, mock: &Mock, seed: u64) -> Setup {
    let routes = format!(
        "{{path: {{prefix: /open}}, upstreams: backend, auth: {{type: none}}}}, \
         {{path: {{prefix: /keyed}}, upstreams: backend, credits: {CREDITS}}}"
    );
    let providers = [provider("up", "openai", mock.address()), provider("rough", "openai", backend.address)];
    let hangup = if seed.is_multiple_of(2) { "cancel" } else { "{drain: {bytes: 64KiB, for: 2s}}" };
    let timeouts = "connect: 2s, first_byte: 3s, idle: 4s, total: 15s";
    Setup::routed(backend.address, &routes)
        .section("providers", &format!("[{}]", providers.join(", ")))
        .section(
            "connections",
            "{max: 10000, per_address: 10000, in_flight_per_key: 10000, in_flight_per_address: 10000}",
        )
        .section("timeouts", &format!("{{{timeouts}}}"))
        .section("ai", &format!("{{timeouts: {{{timeouts}}}}}"))
        .section("sizes", "{buffered: 64MiB}")
        .section("on_hangup", hangup)
        .section("log", "{modules: {proxy: warn}}")
}

impl Soak {
    /// Runs the clients; then drops those that have not ended.
    async fn load(&mut self, duration: Duration) {
        self.model.set_over(false);
        let mut clients = JoinSet::new();
        for _ in 0..self.connections {
            let client = Client::new(Arc::clone(&self.target), Arc::clone(&self.model), self.dice.fork());
            clients.spawn(client.run());
        }
        sleep(duration).await;
        self.model.set_over(true);
        let ended = async {
            while let Some(ended) = clients.join_next().await {
                ended.unwrap();
            }
        };
        let _ = timeout(GRACE, ended).await;
        clients.shutdown().await;
    }

    /// Waits until no request holds resources; returns the memory.
    async fn rest(&self) -> u64 {
        for name in ZERO_AT_REST {
            let mut last = String::new();
            let zero = async {
                loop {
                    last = self.gateway.metrics().await;
                    if metric(&last, name) == 0 {
                        break;
                    }
                    sleep(Duration::from_millis(100)).await;
                }
            };
            if timeout(REST_MAX, zero).await.is_err() {
                let lines = last
                    .lines()
                    .filter(|line| line.starts_with("tollgate_meter") || line.starts_with("tollgate_spool"));
                panic!("not within {REST_MAX:?}: {name} is 0: {:#?}", lines.collect::<Vec<_>>());
            }
        }
        let metrics = self.gateway.metrics().await;
        let [reserved, released, settled] =
            ["reserved", "released", "settled"].map(|name| metric(&metrics, &format!("tollgate_meter_{name}_total")));
        assert_eq!(reserved, released + settled, "reservations are left");
        self.gateway.vitals().memory_bytes()
    }

    /// Compares the usage of both users with the observations of clients and backends.
    async fn assert_counted(&self, mock: &Mock) {
        let keyed = self.model.keyed();
        let [requests, credits] = self.used(&self.target.plain_key).await;
        tell(&format!("keyed: {requests} counted, {} received, {} unsure", keyed.seen, keyed.unsure));
        assert!((keyed.seen..=keyed.seen + keyed.unsure).contains(&requests), "{requests} of {keyed:?} are counted");
        assert_eq!(credits, requests * CREDITS);

        let [chat, _] = self.used(&self.target.chat_key).await;
        let sent = self.model.counted("chat sent");
        let answered = self.model.counted("chat answered");
        let received = mock.models().await.values().sum::<u64>() + self.model.counted("chat received");
        let attempts =
            store::number(self.gateway.folder(), "SELECT coalesce(sum(attempts), 0) FROM usage_events").await;
        let attempts = u64::try_from(attempts).unwrap();
        tell(&format!(
            "chat: {chat} counted in {attempts} attempts, {sent} sent, {received} received, {answered} answered"
        ));
        assert!((answered..=sent).contains(&chat), "{chat} calls are counted");
        // A cancelled attempt may not arrive whole.
        assert!((received..=received + sent / 10).contains(&attempts), "{attempts} attempts, {received} received");
        assert_counts_agree(self.gateway.folder()).await;
        assert_audited(self.gateway.folder()).await;
    }

    /// Returns the requests and credits of the key's user on all days: the load may begin before midnight.
    async fn used(&self, key: &str) -> [u64; 2] {
        let call = Call::get("/api/usage/history?days=366").key(key);
        let history = self.gateway.ask(call).await.expect(200).json();
        let days = history["days"].as_array().unwrap();
        ["requests", "credits"].map(|name| days.iter().map(|day| day[name].as_u64().unwrap()).sum())
    }

    /// Waits until sockets are as before the load, and threads are few. The database may keep a few more files open.
    async fn assert_released(&self, before: &[String], threads: usize) {
        let sockets = |targets: &[String]| targets.iter().filter(|target| target.starts_with("socket:")).count();
        let vitals = self.gateway.vitals();
        let released = async {
            while sockets(&vitals.descriptor_targets()) > sockets(before) || vitals.threads() > threads + THREADS_MAX {
                sleep(Duration::from_millis(100)).await;
            }
        };
        let is_released = timeout(REST_MAX, released).await.is_ok();
        let after = vitals.descriptor_targets();
        let numbers = format!(
            "{} descriptors, {} sockets and {threads} threads before the load; {}, {} and {} after it",
            before.len(),
            sockets(before),
            after.len(),
            sockets(&after),
            vitals.threads()
        );
        tell(&numbers);
        assert!(is_released && after.len() <= before.len() + FILES_MAX, "{numbers}: {after:#?}");
    }
}

/// Returns the value of a metric, which is 0 if it has never been set.
fn metric(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}
