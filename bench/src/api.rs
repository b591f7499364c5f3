//! `api`: the latency of admin API calls at a steady rate, during ingest, during key creation, and during a storm of
//! sign-ins.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use access::password::{self, Password};
use access::{ApiKey, Plan, Secret};
use anyhow::{Context, ensure};
use store::{Email, NewKey, NewUser, Store};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::client::Loader;
use crate::database::{BenchDatabase, DatabaseKind};
use crate::server::ApiServer;
use crate::stats::Spread;

const PLAN: &str = "bench";
const KEYS_A_USER: usize = 10;
const PASSWORD: &str = "correct horse battery staple";
/// The maximum of the 99th percentile: of reads and validations, and of validations during a storm of sign-ins.
const TARGET: Duration = Duration::from_millis(10);
const TARGET_IN_A_STORM: Duration = Duration::from_millis(20);
/// The machine keeps up with key creation if the 99th percentile is below this; otherwise the latency grows without
/// end.
const KEEPS_UP: Duration = Duration::from_secs(1);
const READS: [&str; 4] = ["/api/me", "/api/keys?limit=20", "/api/usage/today", "/api/usage/history?days=30"];
/// The number of clients in the storm. Each uses other addresses and accounts, so that no limit stops it.
const STORM: u8 = 64;

#[derive(clap::Args, Clone)]
pub(crate) struct ApiFlags {
    /// The database of the store
    #[arg(long, value_enum)]
    store: DatabaseKind,
    /// Calls of the API per second
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    calls: u32,
    /// Keys that authenticate the calls
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(10..=100_000))]
    keys: u64,
    /// Keys created per second in the third measurement
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    created: u32,
    /// Events ingested per second during the measurements
    #[arg(long, default_value_t = 10_000)]
    events: u32,
    /// Duration of each measurement in seconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Connections to the admin API
    #[arg(long, default_value_t = 64)]
    connections: u32,
}

/// Runs the measurements and prints a line for each. Returns whether each met its target.
pub(crate) async fn run(flags: ApiFlags) -> anyhow::Result<bool> {
    let database = BenchDatabase::create(flags.store).await?;
    println!("{}, {} keys, {} events/s", database.describe(), flags.keys, flags.events);
    let server = ApiServer::start(&database, flags.events).await?;
    let keys: Arc<[Arc<str>]> = people(&server.store, flags.keys).await?.into();
    let steady = SteadyLoad {
        address: server.address,
        calls_per_second: flags.calls,
        duration: Duration::from_secs(flags.seconds),
        connections: flags.connections,
    };
    let key = move |keys: &Arc<[Arc<str>]>, nth: u64| -> Option<Arc<str>> {
        // Consecutive calls use different keys, in no particular order.
        let many = u64::try_from(keys.len()).ok()?;
        keys.get(usize::try_from(nth.wrapping_mul(7_919).checked_rem(many)?).ok()?).cloned()
    };
    let validate = {
        let keys = keys.clone();
        move |nth| call("POST", "/api/auth/validate", key(&keys, nth), String::new())
    };
    let expected = ExpectedResult { status: 200, calls_per_second: flags.calls, p99: TARGET };
    let mut good = print_result("POST /api/auth/validate", expected, &steady.run(validate.clone()).await?)?;
    let read = {
        let keys = keys.clone();
        move |nth: u64| {
            let [me, listed, today, history] = READS;
            let path = match nth % 4 {
                0 => me,
                1 => listed,
                2 => today,
                _ => history,
            };
            call("GET", path, key(&keys, nth), String::new())
        }
    };
    good &= print_result("reads by key", expected, &steady.run(read).await?)?;
    let make = {
        let keys = keys.clone();
        move |nth| call("POST", "/api/keys", key(&keys, nth), r#"{"label":"made"}"#.to_owned())
    };
    let making = SteadyLoad { calls_per_second: flags.created, ..steady };
    let created = ExpectedResult { status: 201, calls_per_second: flags.created, p99: KEEPS_UP };
    good &= print_result("POST /api/keys", created, &making.run(make).await?)?;
    let (stop, stopped) = watch::channel(false);
    let mut storming = JoinSet::new();
    storming.spawn(storm(server.address, stopped));
    let others = steady.run(validate).await?;
    stop.send_replace(true);
    let storm = storming.join_next().await.context("a storm")???;
    let expected = ExpectedResult { p99: TARGET_IN_A_STORM, ..expected };
    good &= print_result("POST /api/auth/validate in a storm of sign-ins", expected, &others)?;
    println!(
        "  sign-ins of the storm: {} accepted, {} postponed, {} refused",
        storm.signed_in, storm.postponed, storm.refused
    );
    let (written, stored) = server.stop().await?;
    println!("  events: {written} written, {stored} stored at the last response");
    Ok(good)
}

fn call(method: &'static str, path: &str, key: Option<Arc<str>>, body: String) -> ApiCall {
    ApiCall { method, path: path.to_owned(), key, body }
}

/// The expected result of a measurement.
#[derive(Clone, Copy)]
struct ExpectedResult {
    status: u16,
    calls_per_second: u32,
    p99: Duration,
}

/// Returns whether the latencies meet the target. Another status is an error.
fn print_result(what: &str, expected: ExpectedResult, results: &CallResults) -> anyhow::Result<bool> {
    let ExpectedResult { status, calls_per_second, p99 } = expected;
    let good = results.waits.percentile(99) < p99;
    let judged = if good { "met" } else { "MISSED" };
    println!(
        "  {what}, {calls_per_second}/s: {}; p99 under {p99:?}: {judged}; statuses {:?}",
        results.waits, results.statuses
    );
    ensure!(results.statuses.keys().all(|seen| *seen == status), "responses other than {status}");
    Ok(good)
}

/// Creates users without limits with `keys` keys together, and users with passwords for the storm.
async fn people(store: &Store, keys: u64) -> anyhow::Result<Vec<Arc<str>>> {
    store.ensure_plans(&[Plan::unlimited(PLAN)]).await?;
    let mut created = Vec::new();
    for nth in 0..keys.div_ceil(u64::try_from(KEYS_A_USER)?) {
        let new = NewUser::member(Email::parse(&format!("user-{nth}@example.com"))?, "bench", PLAN);
        let user = store.create_user(&store::Actor::COMMAND, new).await?.id;
        for _ in 0..KEYS_A_USER {
            let secret = ApiKey::generate(PLAN)?;
            store.create_key(&store::Actor::COMMAND, NewKey::of(user, "bench", &secret)).await?;
            created.push(Arc::from(secret.expose()));
        }
    }
    let password = password::hash(&Password::parse(Secret::new(PASSWORD.to_owned()), &[])?)?;
    for nth in 0..STORM {
        let new = NewUser::member(Email::parse(&account(nth))?, "storm", PLAN);
        store.create_user(&store::Actor::COMMAND, NewUser { password: Some(password.clone()), ..new }).await?;
    }
    Ok(created)
}

fn account(nth: u8) -> String {
    format!("storm-{nth}@example.com")
}

/// The number of sign-ins by response.
#[derive(Debug, Clone, Copy, Default)]
struct SignInCounts {
    signed_in: u64,
    postponed: u64,
    refused: u64,
}

/// Signs in on all connections at once until it is stopped.
async fn storm(address: SocketAddr, stopped: watch::Receiver<bool>) -> anyhow::Result<SignInCounts> {
    let mut tasks: JoinSet<anyhow::Result<SignInCounts>> = JoinSet::new();
    for nth in 0..STORM {
        let stopped = stopped.clone();
        tasks.spawn(async move {
            let mut counts = SignInCounts::default();
            let mut tries: u64 = 0;
            while !*stopped.borrow() {
                // At most ten attempts per account and thirty per address, so that no limit applies.
                let from = Ipv4Addr::new(127, 1 + u8::try_from(tries / 30 % 200)?, nth, 1);
                let mut loader = Loader::connect_from(from, address).await?;
                let name = account(u8::try_from((u64::from(nth) + tries / 10) % u64::from(STORM))?);
                let body = format!(r#"{{"email":"{name}","password":"{PASSWORD}"}}"#);
                match loader.send("POST", "/api/auth/login", &body).await?.status {
                    200 => counts.signed_in += 1,
                    429 | 503 => counts.postponed += 1,
                    _ => counts.refused += 1,
                }
                tries += 1;
            }
            Ok(counts)
        });
    }
    let mut all = SignInCounts::default();
    while let Some(done) = tasks.join_next().await {
        let counts = done??;
        all.signed_in += counts.signed_in;
        all.postponed += counts.postponed;
        all.refused += counts.refused;
    }
    Ok(all)
}

/// A response that takes longer ends the measurement.
const PATIENCE: Duration = Duration::from_secs(30);

/// One call of the API.
#[derive(Debug, Clone)]
pub(crate) struct ApiCall {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) key: Option<Arc<str>>,
    pub(crate) body: String,
}

/// The target of the calls, their rate, their duration, and the number of connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SteadyLoad {
    pub(crate) address: SocketAddr,
    pub(crate) calls_per_second: u32,
    pub(crate) duration: Duration,
    pub(crate) connections: u32,
}

/// The latencies, and the number of responses by status.
#[derive(Debug, Default)]
pub(crate) struct CallResults {
    pub(crate) waits: Spread,
    pub(crate) statuses: BTreeMap<u16, u64>,
}

impl SteadyLoad {
    /// Sends each call at its due time; `call` returns the call with a given number, counted from 0.
    pub(crate) async fn run(
        self,
        call: impl Fn(u64) -> ApiCall + Send + Clone + 'static,
    ) -> anyhow::Result<CallResults> {
        let calls = u64::from(self.calls_per_second) * self.duration.as_secs();
        let begins = Instant::now() + Duration::from_millis(100);
        let mut tasks: JoinSet<anyhow::Result<Vec<(u16, Duration)>>> = JoinSet::new();
        for connection in 0..u64::from(self.connections) {
            let call = call.clone();
            tasks.spawn(async move {
                let mut loader = Loader::connect(self.address, None).await?;
                let mut results = Vec::new();
                for nth in (connection..calls).step_by(usize::try_from(self.connections)?) {
                    let after = f64::from(u32::try_from(nth)?) / f64::from(self.calls_per_second);
                    let due = begins + Duration::from_secs_f64(after);
                    sleep_until(due).await;
                    let ApiCall { method, path, key, body } = call(nth);
                    let response = timeout(PATIENCE, loader.send_as(key.as_deref(), method, &path, &body));
                    let response = response.await.context("no response in time")??;
                    results.push((response.status, due.elapsed()));
                }
                Ok(results)
            });
        }
        let (mut waits, mut statuses) = (Vec::new(), BTreeMap::new());
        while let Some(done) = tasks.join_next().await {
            for (status, wait) in done?? {
                waits.push(wait);
                *statuses.entry(status).or_default() += 1;
            }
        }
        Ok(CallResults { waits: Spread::of(waits), statuses })
    }
}
