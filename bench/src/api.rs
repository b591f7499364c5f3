//! `api`: the latency of admin API calls at a steady rate, beside requests whose events are ingested, during key creation,
//! and during a storm of sign-ins.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use access::Secret;
use access::credentials::password::{self, Password};
use anyhow::{Context, ensure};
use store::{Email, NewUser, Store};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::Loader;
use crate::database::{BenchDatabase, DatabaseKind};
use crate::load::{Generators, Load, LoadKind};
use crate::open_loop::OpenLoop;
use crate::people;
use crate::plan::PlaceFlags;
use crate::product::{MockProcess, PLAN, ProductStart, ServerConfig};
use crate::request::BenchRequest;
use crate::run::out_dir;
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
const VALIDATION: &str = "POST /api/auth/validate";
const CREATION: &str = "POST /api/keys";
const VALIDATE: [&str; 1] = ["/api/auth/validate"];
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
    let out = out_dir(&flags.places.out)?;
    let url = database.url.as_ref();
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
    let request = BenchRequest { path: "/echo/api", ..BenchRequest::KEYED };
    let keyed = [product.key.clone()];
    let load = Load { kind, request: &request, keys: &keyed, once: false, seconds: flags.seconds };
    let events = async || {
        if flags.events == 0 {
            return std::future::pending().await;
        }
        loop {
            let run = generators.run(load, product.proxy).await?;
            ensure!(run.failed == 0, "{} requests to the proxy failed", run.failed);
        }
    };
    tokio::select! {
        good = measure(&flags, product.control, keys) => good,
        ended = events() => ended,
    }
}

/// Runs the measurements and prints a line for each. Returns whether each met its target.
async fn measure(flags: &ApiFlags, address: SocketAddr, keys: Vec<String>) -> anyhow::Result<bool> {
    let duration = Duration::from_secs(flags.seconds);
    let connections = flags.connections;
    let measure = async |what: &str, paths: &[&str], requests_per_second, most| {
        let method = what.split(' ').next().unwrap_or_default();
        let body = if what == CREATION { r#"{"label":"made"}"# } else { "" };
        let request = |(key, path): (&String, &&str)| {
            let head = format!("{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}");
            format!("{head}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        };
        let requests = keys.iter().zip(paths.iter().cycle()).map(request).collect();
        let load = OpenLoop { address, requests, requests_per_second, duration, connections };
        let waits = load.run().await?.succeeded().context(what.to_owned())?.waits;
        let is_met = waits.percentile(99) < most;
        let judged = if is_met { "met" } else { "MISSED" };
        println!("  {what}, {requests_per_second}/s: {waits}; p99 under {most:?}: {judged}");
        Ok::<bool, anyhow::Error>(is_met)
    };
    let mut good = measure(VALIDATION, &VALIDATE, flags.calls, TARGET).await?;
    good &= measure("GET by key", &READS, flags.calls, TARGET).await?;
    good &= measure(CREATION, &["/api/keys"], flags.created, KEEPS_UP).await?;
    let (stop, stopped) = watch::channel(false);
    let mut storming = JoinSet::new();
    storming.spawn(storm(address, stopped));
    println!("  in a storm of sign-ins:");
    good &= measure(VALIDATION, &VALIDATE, flags.calls, TARGET_IN_A_STORM).await?;
    stop.send_replace(true);
    let [signed_in, postponed, refused] = storming.join_next().await.context("a storm")???;
    println!("  sign-ins of the storm: {signed_in} accepted, {postponed} postponed, {refused} refused");
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
