//! PostgreSQL is down under load: clients whose keys are cached are served without interruption. Usage is neither lost
//! nor counted twice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::database::Database;
use e2e::postgres::{PostgresServer, Stop};
use e2e::setup::{Folder, OPEN};
use e2e::{Account, Call, Canary, Gateway, Mock, Setup, eventually, eventually_within, timed};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::bodies::{CHAT, Format};
use crate::store;

const CALLERS: usize = 8;
/// Pause between two requests of a client.
const PAUSE: Duration = Duration::from_millis(10);
/// Maximum wait of a client, whatever the state of the store; a wait for a connection ends after 2 s.
const SLOWEST: Duration = Duration::from_secs(4);
/// Timeout until the spool is stored: usage of one minute, in a debug build.
const CAUGHT_UP: Duration = Duration::from_secs(60);
/// Timeout until requests with an unknown key are answered again.
const ANSWERED: Duration = Duration::from_secs(30);
/// Maximum number of log lines that belong to no request: some at the start, and a few per task that cannot reach the
/// store.
const LINES_MAX: usize = 60;

fn chat(key: &str) -> Call {
    Call::json(CHAT, &Format::Chat.body("up/tokens-1", false)).key(key)
}

/// Returns how long PostgreSQL is down.
fn length() -> Duration {
    Duration::from_secs(if e2e::is_long() { 60 } else { 5 })
}

/// A server on PostgreSQL with a mock and two users: one key is cached, the other was never used.
struct ServerUnderLoad {
    gateway: Gateway,
    mock: Mock,
    known: Account,
    fresh: Account,
    stop: Arc<AtomicBool>,
    callers: JoinSet<Vec<(String, Duration)>>,
    /// Requests in addition to those of the load.
    others: Vec<(String, Duration)>,
    canary: Canary,
}

/// Measurements of one outage.
struct OutageReport {
    calls: usize,
    slowest: Duration,
    /// Log lines that belong to no request.
    lines: usize,
}

impl ServerUnderLoad {
    async fn start_on(database: Database) -> Self {
        let mock = Mock::start().await;
        let setup = Setup::provider("mock", mock.address());
        let gateway = Gateway::start_in(Folder::on_postgres(database), setup).await;
        let known = gateway.account(OPEN).await;
        let fresh = gateway.account(OPEN).await;
        gateway.usage(&known.key).await;
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let call = chat(&known.key);
            let to = gateway.proxy;
            let stop = Arc::clone(&stop);
            callers.spawn(async move {
                let mut answered = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let (answer, took) = timed(call.send(to)).await;
                    answered.push((store::id(&answer.expect(200).head), took));
                    tokio::time::sleep(PAUSE).await;
                }
                answered
            });
        }
        eventually("the load is counted", async || {
            (gateway.usage(&known.key).await["requests"].as_u64() > Some(100)).then_some(())
        })
        .await;
        Self { gateway, mock, known, fresh, stop, callers, others: Vec::new(), canary: Canary::new() }
    }

    /// Ends the load after PostgreSQL is up again, and checks responses, rows and log.
    async fn judge(mut self) -> OutageReport {
        let fresh = chat(&self.fresh.key);
        eventually_within(ANSWERED, "requests with unknown keys are answered again", async || {
            (self.gateway.call(fresh.clone()).await.status() == 200).then_some(())
        })
        .await;
        self.stop.store(true, Ordering::Relaxed);
        let mut answered = std::mem::take(&mut self.others);
        while let Some(caller) = self.callers.join_next().await {
            answered.extend(caller.unwrap());
        }
        let slowest = answered.iter().map(|(_, took)| *took).max().unwrap_or_default();
        let allowed = self.canary.allows(SLOWEST);
        assert!(slowest < allowed, "a client with a cached key waited for {slowest:?}, at most {allowed:?}");
        let ids: BTreeSet<String> = answered.iter().map(|(id, _)| id.clone()).collect();
        assert_eq!(ids.len(), answered.len());
        assert_eq!(self.mock.requests("tokens-1").await, answered.len() as u64 + 1);
        self.check_rows(&ids).await;
        OutageReport { calls: answered.len(), slowest, lines: check_log(&self.gateway.stderr()) }
    }

    /// Asserts that every answered request is stored once and that the totals agree.
    async fn check_rows(&self, ids: &BTreeSet<String>) {
        let folder = self.gateway.folder();
        let all = i64::try_from(ids.len()).unwrap() + 1;
        eventually_within(CAUGHT_UP, "all usage is stored", async || {
            (store::number(folder, "SELECT count(*) FROM usage_events").await >= all).then_some(())
        })
        .await;
        let rows = store::all_events(folder).await;
        let stored: BTreeSet<String> = rows.iter().map(|row| row.id.clone()).collect();
        assert_eq!((rows.len(), stored.len()), (ids.len() + 1, ids.len() + 1));
        assert!(ids.is_subset(&stored), "{} requests have no row", ids.difference(&stored).count());
        let totals = "SELECT sum(requests) FROM daily_usage";
        assert_eq!(store::number(folder, totals).await, all);
        let usage = self.gateway.usage(&self.known.key).await;
        assert_eq!((&usage["requests"], &usage["credits"]), (&ids.len().into(), &ids.len().into()), "{usage}");
        assert_eq!(self.gateway.used(&self.known.key).await, ids.len() as u64);
    }
}

/// Asserts that each request has one log line, and that the outage has few, for any number of requests.
fn check_log(log: &str) -> usize {
    // The last line may be incomplete.
    let log = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let mut others: Vec<&str> = Vec::new();
    let mut requests: BTreeMap<String, usize> = BTreeMap::new();
    for text in log.lines() {
        let line: Value = serde_json::from_str(text).unwrap();
        match line["request_id"].as_str() {
            Some(id) => *requests.entry(id.to_owned()).or_default() += 1,
            None => others.push(text),
        }
    }
    let twice = requests.values().filter(|lines| **lines > 1).count();
    assert_eq!(twice, 0, "requests with more than one line");
    assert!(others.len() <= LINES_MAX, "{} lines: {}", others.len(), others.join("\n"));
    others.len()
}

/// Checks requests during the outage; those that wait for PostgreSQL run at the same time.
async fn check_away(loaded: &mut ServerUnderLoad) {
    let gateway = &loaded.gateway;
    let known = &loaded.known.key;
    let refused = async |call: Call, to: SocketAddr| {
        let since = Canary::new();
        assert_eq!(call.send(to).await.expect(503).json()["error"]["code"], "unavailable");
        since.assert_within(SLOWEST, "the refusal");
    };
    let made_up = format!("tollgate_{}", "0123456789abcdef".repeat(2));
    // Control answers these requests from the store.
    let validate = Call::json("/api/auth/validate", &json!({"token": known}));
    tokio::join!(
        refused(chat(&loaded.fresh.key), gateway.proxy),
        refused(chat(&made_up), gateway.proxy),
        refused(Call::get("/api/usage/today").key(known), gateway.control),
        refused(validate, gateway.control),
    );
    let (answer, took) = timed(gateway.call(chat(known))).await;
    loaded.others.push((store::id(&answer.expect(200).head), took));
    // Readiness stays true for an hour, while cached keys are valid.
    for path in ["/livez", "/health", "/readyz"] {
        gateway.ask(Call::get(path)).await.expect(200);
    }
}

/// Prints the measurements of a long run.
#[expect(clippy::print_stderr, reason = "a long test prints its measurements")]
fn tell(what: &str) {
    eprintln!("{what}");
}

#[tokio::test]
async fn an_outage_of_postgres_stops_no_cached_key_and_loses_nothing() {
    let mut server = PostgresServer::start().await;
    let mut loaded = ServerUnderLoad::start_on(Database::create_on(server.url())).await;
    server.stop(Stop::Immediate).await;
    let begun = Instant::now();
    check_away(&mut loaded).await;
    tokio::time::sleep(length().saturating_sub(begun.elapsed())).await;
    check_away(&mut loaded).await;
    let waiting = loaded.gateway.gauge("tollgate_spool_bytes").await;
    let records = loaded.gateway.gauge("tollgate_spool_records").await;
    assert!(waiting > 0 && records > 0, "usage waits in the spool: {waiting} bytes of {records} records");
    server.resume().await;
    let away = begun.elapsed();
    let (OutageReport { calls, slowest, lines }, took) = timed(loaded.judge()).await;
    tell(&format!(
        "away for {away:.1?} with {waiting} bytes in the spool; {calls} calls, all answered, the slowest in {slowest:.1?}; \
         all of it stored once {took:.1?} later; {lines} lines in the log besides the requests' own"
    ));
}

#[tokio::test]
async fn postgres_that_is_started_again_is_not_noticed() {
    let mut server = PostgresServer::start().await;
    let loaded = ServerUnderLoad::start_on(Database::create_on(server.url())).await;
    for how in [Stop::Fast, Stop::Immediate, Stop::Kill] {
        server.stop(how).await;
        server.resume().await;
        let key = loaded.gateway.key().await;
        eventually_within(ANSWERED, "a new key is answered", async || {
            (loaded.gateway.call(Call::get("/v1/models").key(&key)).await.status() == 200).then_some(())
        })
        .await;
    }
    loaded.judge().await;
}

#[tokio::test]
async fn connections_that_are_cut_under_load_are_made_again() {
    let loaded = ServerUnderLoad::start_on(Database::new()).await;
    for _ in 0..10 {
        loaded.gateway.folder().database().unwrap().cut();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    loaded.judge().await;
}

#[tokio::test]
async fn keys_that_are_known_open_for_stale_for_and_no_longer() {
    let mut server = PostgresServer::start().await;
    let mock = Mock::start().await;
    let setup = Setup::provider("mock", mock.address()).section("store", "{stale_for: 10s}");
    let gateway = Gateway::start_in(Folder::on_postgres(Database::create_on(server.url())), setup).await;
    let key = gateway.key().await;
    gateway.call(chat(&key)).await.expect(200);
    server.stop(Stop::Immediate).await;
    gateway.call(chat(&key)).await.expect(200);
    gateway.ask(Call::get("/readyz")).await.expect(200);
    eventually_within(ANSWERED, "cached keys are too old", async || {
        (gateway.ask(Call::get("/readyz")).await.status() == 503).then_some(())
    })
    .await;
    assert_eq!(gateway.call(chat(&key)).await.expect(503).json()["error"]["code"], "unavailable");
    gateway.ask(Call::get("/livez")).await.expect(200);
    server.resume().await;
    eventually_within(ANSWERED, "the key is valid again, and the probe succeeds", async || {
        let opens = gateway.call(chat(&key)).await.status() == 200;
        let ready = gateway.ask(Call::get("/readyz")).await.status() == 200;
        (opens && ready).then_some(())
    })
    .await;
}

/// A failover: the lifetime of leases, and the time without PostgreSQL, which is up to nine tenths of that.
struct Failover {
    lease: &'static str,
    outage: Duration,
}

impl Failover {
    /// Returns the production value with the time that a managed PostgreSQL needs, or a shorter one.
    fn chosen() -> Self {
        let [long, short] = [("{ttl: 60s, recall_wait: 1s}", 50), ("{ttl: 15s, recall_wait: 1s}", 10)];
        let (lease, seconds) = if e2e::is_long() { long } else { short };
        Self { lease, outage: Duration::from_secs(seconds) }
    }
}

/// Interval between two requests with a key in a failover: a lease contains the use at the rate before it.
const EVERY: Duration = Duration::from_millis(50);

/// Sends requests with a key to the servers in turn at a constant rate, until it is stopped; returns the key, and the code of each refusal.
async fn busy(nodes: [SocketAddr; 2], key: String, stop: Arc<AtomicBool>) -> (String, Vec<String>) {
    let call = chat(&key);
    let mut outcomes = Vec::new();
    let mut due = tokio::time::interval(EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for node in nodes.into_iter().cycle() {
        due.tick().await;
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let answer = call.send(node).await;
        let is_served = answer.status() == 200;
        outcomes.push(if is_served { "served".to_owned() } else { answer.json()["error"]["code"].to_string() });
    }
    (key, outcomes)
}

#[tokio::test]
async fn a_failover_refuses_no_busy_key_that_has_quota_left_and_overspends_none() {
    const SMALL: u64 = 500;
    let Failover { lease, outage } = Failover::chosen();
    let mut server = PostgresServer::start().await;
    let mock = Mock::start().await;
    let setup = || {
        Setup::provider("mock", mock.address())
            .plans(&format!("{{name: large, credits_per_day: 1000000}}, {{name: small, credits_per_day: {SMALL}}}"))
            .section("lease", lease)
    };
    let folder = Folder::on_postgres(Database::create_on(server.url()));
    let other = folder.beside();
    let nodes = [Gateway::start_in(folder, setup()).await, Gateway::start_in(other, setup()).await];
    let addresses = [nodes[0].proxy, nodes[1].proxy];
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    let mut keys = Vec::new();
    for _ in 0..4 {
        keys.push(nodes[0].account("large").await.key);
    }
    let small_key = nodes[0].account("small").await.key;
    for key in keys.iter().chain([&small_key]) {
        callers.spawn(busy(addresses, key.clone(), Arc::clone(&stop)));
    }
    // The rate of a key is that of its last five seconds.
    tokio::time::sleep(Duration::from_secs(6)).await;
    server.stop(Stop::Kill).await;
    let begun = Instant::now();
    tokio::time::sleep(outage).await;
    server.resume().await;
    let away = begun.elapsed();
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.store(true, Ordering::Relaxed);
    let mut outcomes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while let Some(ended) = callers.join_next().await {
        outcomes.extend([ended.unwrap()]);
    }
    let mut served = 0;
    for key in &keys {
        let outcomes = &outcomes[key];
        let refused: Vec<&String> = outcomes.iter().filter(|outcome| *outcome != "served").collect();
        assert!(
            refused.is_empty(),
            "{} of {} refused in {away:?}: {:?}",
            refused.len(),
            outcomes.len(),
            refused.first()
        );
        check_stored(&nodes[1], key, outcomes.len() as u64).await;
        served += outcomes.len() as u64;
    }
    let mut of_small = outcomes[&small_key].iter().filter(|outcome| *outcome == "served").count() as u64;
    // Refusals of a small quota are true: the quota is used up exactly.
    eventually_within(ANSWERED, "the small quota is used up", async || {
        let answer = nodes[0].call(chat(&small_key)).await;
        of_small += u64::from(answer.status() == 200);
        (answer.status() == 429).then_some(())
    })
    .await;
    assert_eq!(of_small, SMALL);
    check_stored(&nodes[0], &small_key, SMALL).await;
    assert_eq!(mock.requests("tokens-1").await, served + SMALL);
    tell(&format!("away for {away:.1?}: {served} requests of busy keys, all served"));
}

/// Waits until all usage of a key is stored once.
async fn check_stored(node: &Gateway, key: &str, requests: u64) {
    eventually_within(CAUGHT_UP, "all usage is stored", async || {
        (node.usage(key).await["requests"].as_u64() >= Some(requests)).then_some(())
    })
    .await;
    let usage = node.usage(key).await;
    assert_eq!((&usage["requests"], &usage["credits"]), (&requests.into(), &requests.into()), "{usage}");
}
