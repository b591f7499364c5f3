//! `api`: the latency of admin API calls at a steady rate, beside requests whose events are ingested, during key creation,
//! and during a storm of sign-ins.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use access::Secret;
use access::password::{self, Password};
use anyhow::{Context, ensure};
use store::{Email, NewUser, Store};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::client::Loader;
use crate::database::{BenchDatabase, DatabaseKind};
use crate::load::{Generators, Load, LoadKind};
use crate::people;
use crate::plan::PlaceFlags;
use crate::product::{MockProcess, PLAN, ProductStart, ServerConfig};
use crate::request::BenchRequest;
use crate::run::out_dir;
use crate::stats::Spread;
use crate::tools::ToolPaths;

/// Rate limits of the admin API that are never reached.
pub(crate) const LIMITS: &str = ", rate_limits: [{dimension: key, limit: 1000000, window: 1s}]";
/// The connections of the requests to the proxy.
const EVENT_CONNECTIONS: u32 = 10;
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
    /// Requests per second whose events are ingested during the measurements; 0 sends none
    #[arg(long, default_value_t = 5_000)]
    events: u32,
    /// Duration of each measurement in seconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Connections to the admin API
    #[arg(long, default_value_t = 64)]
    connections: u32,
    #[command(flatten)]
    places: PlaceFlags,
}

/// Starts Tollgate, and runs the measurements beside requests. Returns whether each met its target.
pub(crate) async fn run(flags: ApiFlags) -> anyhow::Result<bool> {
    let database = BenchDatabase::create(flags.store).await?;
    println!("{}, {} keys, {} events/s", database.describe(), flags.keys, flags.events);
    let tools = ToolPaths::find(&["h2load"], flags.places.profile_dir.as_deref())?;
    let (out, url) = (out_dir(&flags.places.out)?, database.url.as_ref());
    let mock = MockProcess::start(&tools.tollgate, &out, "mock").await?;
    let config = ServerConfig { control: LIMITS, ..ServerConfig::default() };
    let start = ProductStart::new(&tools.tollgate, database.folder(), &out, "api");
    let product = ProductStart { url, config, ..start }.run(mock.address).await?;
    let store = database.open().await?;
    let keys = people(&store, flags.keys).await?;
    store.close().await;
    let generators = Generators {
        wrk: Path::new(""),
        h2load: Some(tools.path("h2load")?),
        dir: &out,
        connections: EVENT_CONNECTIONS,
    };
    let kind = LoadKind::Rate { connections: EVENT_CONNECTIONS, each: flags.events / EVENT_CONNECTIONS };
    let (request, keyed) = (BenchRequest { path: "/echo/api", ..BenchRequest::KEYED }, [product.key.clone()]);
    let load = Load { kind, request: &request, keys: &keyed, once: false, seconds: flags.seconds };
    let events = async || {
        while flags.events > 0 {
            let run = generators.run(load, product.proxy).await?;
            ensure!(run.failed == 0, "{} requests to the proxy failed", run.failed);
        }
        std::future::pending().await
    };
    tokio::select! {
        good = measure(&flags, product.control, keys) => good,
        ended = events() => ended,
    }
}

/// Runs the measurements and prints a line for each. Returns whether each met its target.
async fn measure(flags: &ApiFlags, address: SocketAddr, keys: Vec<String>) -> anyhow::Result<bool> {
    let keys: Arc<[Arc<str>]> = keys.into_iter().map(Arc::from).collect();
    let (calls_per_second, duration) = (flags.calls, Duration::from_secs(flags.seconds));
    let steady = SteadyLoad { address, calls_per_second, duration, connections: flags.connections };
    // Consecutive calls use different keys, in no particular order.
    let key = move |nth: u64| -> Option<Arc<str>> {
        let many = u64::try_from(keys.len()).ok()?;
        keys.get(usize::try_from(nth.wrapping_mul(7_919).checked_rem(many)?).ok()?).cloned()
    };
    let call =
        move |method, path: &'static str, nth, body: &str| ApiCall { method, path, key: key(nth), body: body.into() };
    let (validate, read, make) = (call.clone(), call.clone(), call);
    let validate = move |nth| validate("POST", "/api/auth/validate", nth, "");
    let read = move |nth: u64| {
        let path = READS.into_iter().cycle().nth(usize::try_from(nth % 4).unwrap_or(0)).unwrap_or_default();
        read("GET", path, nth, "")
    };
    let make = move |nth| make("POST", "/api/keys", nth, r#"{"label":"made"}"#);
    let expected = ExpectedResult { status: 200, calls_per_second, p99: TARGET };
    let mut good = print_result("POST /api/auth/validate", expected, &steady.run(validate.clone()).await?)?;
    good &= print_result("reads by key", expected, &steady.run(read).await?)?;
    let making = SteadyLoad { calls_per_second: flags.created, ..steady };
    let created = ExpectedResult { status: 201, calls_per_second: flags.created, p99: KEEPS_UP };
    good &= print_result("POST /api/keys", created, &making.run(make).await?)?;
    let (stop, stopped) = watch::channel(false);
    let mut storming = JoinSet::new();
    storming.spawn(storm(address, stopped));
    let others = steady.run(validate).await?;
    stop.send_replace(true);
    let storm = storming.join_next().await.context("a storm")???;
    let expected = ExpectedResult { p99: TARGET_IN_A_STORM, ..expected };
    good &= print_result("POST /api/auth/validate in a storm of sign-ins", expected, &others)?;
    let [signed_in, postponed, refused] = storm;
    println!("  sign-ins of the storm: {signed_in} accepted, {postponed} postponed, {refused} refused");
    Ok(good)
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

/// Creates users without limits with a key each, and users with passwords for the storm.
async fn people(store: &Store, keys: u64) -> anyhow::Result<Vec<String>> {
    let created = people::callers(store, PLAN, u32::try_from(keys)?).await?;
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

/// Signs in on all connections at once until it is stopped. Returns the numbers of accepted, postponed and refused ones.
async fn storm(address: SocketAddr, stopped: watch::Receiver<bool>) -> anyhow::Result<[u64; 3]> {
    let mut tasks: JoinSet<anyhow::Result<[u64; 3]>> = JoinSet::new();
    for nth in 0..STORM {
        let stopped = stopped.clone();
        tasks.spawn(async move {
            let [mut accepted, mut postponed, mut refused, mut tries] = [0_u64; 4];
            while !*stopped.borrow() {
                // At most ten attempts per account and thirty per address, so that no limit applies.
                let from = Ipv4Addr::new(127, 1 + u8::try_from(tries / 30 % 200)?, nth, 1);
                let mut loader = Loader::connect_from(from, address).await?;
                let name = account(u8::try_from((u64::from(nth) + tries / 10) % u64::from(STORM))?);
                let body = format!(r#"{{"email":"{name}","password":"{PASSWORD}"}}"#);
                match loader.send("POST", "/api/auth/login", &body).await?.status {
                    200 => accepted += 1,
                    429 | 503 => postponed += 1,
                    _ => refused += 1,
                }
                tries += 1;
            }
            Ok([accepted, postponed, refused])
        });
    }
    let mut all = [0; 3];
    while let Some(done) = tasks.join_next().await {
        for (sum, count) in all.iter_mut().zip(done??) {
            *sum += count;
        }
    }
    Ok(all)
}

/// A response that takes longer ends the measurement.
const PATIENCE: Duration = Duration::from_secs(30);

/// One call of the API.
#[derive(Debug, Clone)]
struct ApiCall {
    method: &'static str,
    path: &'static str,
    key: Option<Arc<str>>,
    body: String,
}

/// The target of the calls, their rate, their duration, and the number of connections.
#[derive(Debug, Clone, Copy)]
struct SteadyLoad {
    address: SocketAddr,
    calls_per_second: u32,
    duration: Duration,
    connections: u32,
}

/// The latencies, and the number of responses by status.
#[derive(Debug, Default)]
struct CallResults {
    waits: Spread,
    statuses: BTreeMap<u16, u64>,
}

impl SteadyLoad {
    /// Sends each call at its due time; `call` returns the call with a given number, counted from 0.
    async fn run(self, call: impl Fn(u64) -> ApiCall + Send + Clone + 'static) -> anyhow::Result<CallResults> {
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
                    let response = timeout(PATIENCE, loader.send_as(key.as_deref(), method, path, &body));
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
