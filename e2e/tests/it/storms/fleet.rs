//! 1,000 concurrent streams over three servers on one PostgreSQL share one budget of money. Meanwhile one server is
//! killed and PostgreSQL restarts. The budget is not exceeded, no usage is lost or counted twice, and no lease
//! remains.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as Lock};
use std::time::Duration;

use e2e::database::{Database, on_postgres};
use e2e::postgres::{PostgresServer, Stop};
use e2e::setup::Folder;
use e2e::{Answer, Call, Gateway, Mock, Setup, eventually};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::dice::Dice;
use super::tally::{assert_audited, assert_counts_agree, each_once, rests};
use crate::audit::must;
use crate::bodies::{CHAT, Format};
use crate::store;

const CALLERS: usize = 1_000;
/// Streams per client, one after the other. More would only prolong the end, when few clients run.
const STREAMS: usize = 2;
const NODES: usize = 3;
/// The budget in nano-USD.
const BUDGET: i64 = 68_000_000_000;
/// A stream sends six tokens of 0.005 USD each within 2 s, and may send 13.
const STREAM: &str = "tokens-6-350";
const TOKENS_MAX: u64 = 13;
/// Maximum cost of a stream, in nano-USD: 13 tokens and its request body.
const RESERVED: u64 = 66_000_000;
/// Output tokens of requests that cost their maximum, except for a few input tokens.
const EXACT: [u64; 2] = [60, 6];
/// Maximum rest of the budget when no amount is reserved and not even the smaller request passes, in nano-USD.
const LEFT_MAX: i64 = 30_000_000 + 1_000_000;
/// A refusal waits for a dead server's lease until the lease expires.
const LEASE: &str = "{ttl: 3s, recall_wait: 10s}";
/// Delay between the first streams of two clients: all of them run concurrently for a second.
const BETWEEN: Duration = Duration::from_millis(2);
const PAUSE: Duration = Duration::from_millis(50);
/// Timeout for all clients of one seed.
const DONE: Duration = Duration::from_secs(90);
/// The variables with the number of seeds to run and with the first seed.
const SEEDS: &str = "TOLLGATE_FLEET_SEEDS";
const FIRST: &str = "TOLLGATE_FLEET_FIRST";

fn setup(mock: &Mock) -> Setup {
    let price = |model: &str| format!("{{model: up/{model}, input: \"1\", output: \"5000\"}}");
    Setup::provider("mock", mock.address())
        .section(
            "prices",
            &format!("[{}, {}]", price(STREAM), EXACT.map(|tokens| price(&format!("tokens-{tokens}-0"))).join(", ")),
        )
        .section("budgets", "{limits: [{dimension: global, money: \"68 USD\", per: day}]}")
        .section("lease", LEASE)
        // A busy machine connects slowly.
        .section("timeouts", "{connect: 15s}")
        .section("connections", "{max: 5000, per_address: 5000}")
}

/// State that clients and fault injection share.
struct FleetState {
    key: String,
    /// The current or last address of each server.
    at: [Lock<SocketAddr>; NODES],
    names: AtomicU64,
    /// Clients whose request was refused because the budget was exhausted.
    refused: AtomicUsize,
    /// The refused clients, and those that completed all streams.
    done: AtomicUsize,
    /// Streams that have begun.
    begun: AtomicUsize,
    broken: AtomicUsize,
    withheld: AtomicUsize,
    unavailable: AtomicUsize,
    answered: Lock<BTreeSet<String>>,
}

impl FleetState {
    /// Returns a request for a unique model name. A date at the end of a model's name does not change its price.
    fn call(&self, model: &str, tokens_max: u64, streamed: bool) -> (String, Call) {
        let name = format!("{model}-{:08}", self.names.fetch_add(1, Ordering::Relaxed));
        let mut body = Format::Chat.body(&format!("up/{name}"), streamed);
        body["max_completion_tokens"] = tokens_max.into();
        (name, Call::json(CHAT, &body).key(&self.key))
    }

    fn address(&self, node: usize) -> SocketAddr {
        *self.at[node % NODES].lock().unwrap()
    }

    /// Runs the streams of one client, on any server that answers, until the budget is exhausted.
    async fn spend(self: Arc<Self>, first: usize) {
        let mut node = first;
        let mut streams = 0;
        tokio::time::sleep(BETWEEN * u32::try_from(first).unwrap()).await;
        while streams < STREAMS {
            let (name, call) = self.call(STREAM, TOKENS_MAX, true);
            let Ok(exchange) = call.attempt(self.address(node)).await else {
                // The server was killed or has not restarted yet.
                node += 1;
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            if exchange.status() == 200 {
                streams += 1;
                self.begun.fetch_add(1, Ordering::Relaxed);
            }
            let answer = exchange.rest().await;
            if !answer.whole {
                self.broken.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            match (answer.status(), code(&answer).as_str()) {
                (200, _) => drop(self.answered.lock().unwrap().insert(name)),
                (429, "insufficient_quota") => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                (503, "quota_withheld") => drop(self.withheld.fetch_add(1, Ordering::Relaxed)),
                (503, "unavailable") => drop(self.unavailable.fetch_add(1, Ordering::Relaxed)),
                _ => panic!("{} {}", answer.head.first, answer.text()),
            }
            if answer.status() == 503 {
                tokio::time::sleep(PAUSE).await;
            }
        }
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until `count` streams have begun, or all clients have ended.
    async fn begun(&self, count: usize) {
        let is_over = || self.done.load(Ordering::Relaxed) == CALLERS;
        while self.begun.load(Ordering::Relaxed) < count && !is_over() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn code(answer: &Answer) -> String {
    if answer.status() == 200 {
        return String::new();
    }
    answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
}

/// The measurements of one seed.
#[derive(Debug, Default)]
#[expect(dead_code, reason = "the values are only printed")]
struct SeedReport {
    seed: u64,
    took: Duration,
    /// The time until all clients ended, and from then until all usage was stored.
    under_load: Duration,
    drained: Duration,
    events: usize,
    interrupted: usize,
    unsent: usize,
    broken: usize,
    refused: usize,
    withheld: usize,
    unavailable: usize,
    /// Requests that used the rest of the budget.
    exact: usize,
    /// The unused rest of the budget in nano-USD.
    left: i64,
    restarts: usize,
    unusable: u64,
}

/// Kills one server at a random time and restarts it in its folder. Returns the amount that was unusable in
/// between.
async fn kill_a_node(
    story: &FleetState,
    nodes: &[Lock<Option<Gateway>>; NODES],
    postgres: &Mutex<PostgresServer>,
    mock: &Mock,
    mut dice: Dice,
) -> u64 {
    let dies = dice.below(NODES);
    story.begun(100 + dice.below(1_400)).await;
    let Some(gateway) = nodes[dies].lock().unwrap().take() else { panic!("the server must be running") };
    let folder = gateway.crash().folder;
    tokio::time::sleep(Duration::from_millis(dice.below(4_000) as u64)).await;
    // A server does not start without its store.
    let up = postgres.lock().await;
    let listed: Value = serde_json::from_str(&must(&folder, &["leases", "list", "--json"]).await).unwrap();
    let unusable = held_by(&listed, folder.read("data/node").trim());
    // A quarter of the rest divided by the number of servers, and the requests in flight on that server.
    let printed = BUDGET.unsigned_abs() / 4 / NODES as u64 + CALLERS.div_ceil(NODES) as u64 * RESERVED;
    assert!(unusable <= printed, "{unusable} is unusable, at most {printed} is allowed: {listed}");
    let back = Gateway::start_in(folder, setup(mock)).await;
    drop(up);
    *story.at[dies].lock().unwrap() = back.proxy;
    *nodes[dies].lock().unwrap() = Some(back);
    unusable
}

/// Returns the unspent amount of a node's leases.
fn held_by(listed: &Value, node: &str) -> u64 {
    let leases = listed.as_array().unwrap();
    let its = leases.iter().filter(|lease| lease["node"] == node);
    its.map(|lease| lease["granted"].as_u64().unwrap() - lease["spent"].as_u64().unwrap()).sum()
}

/// Stops and restarts PostgreSQL at random times; returns how often.
async fn restart_postgres(story: &FleetState, postgres: &Mutex<PostgresServer>, mut dice: Dice) -> usize {
    let times = 1 + dice.below(2);
    for _ in 0..times {
        story.begun(story.begun.load(Ordering::Relaxed) + 50 + dice.below(700)).await;
        let mut postgres = postgres.lock().await;
        postgres.stop([Stop::Kill, Stop::Fast, Stop::Immediate][dice.below(3)]).await;
        tokio::time::sleep(Duration::from_millis(dice.below(1_500) as u64)).await;
        postgres.resume().await;
    }
    times
}

/// Sends requests that cost their maximum, one after the other, until the budget is exhausted; returns how many
/// passed.
async fn use_up(story: &FleetState) -> usize {
    let mut passed = 0;
    for tokens in EXACT {
        loop {
            let (name, call) = story.call(&format!("tokens-{tokens}-0"), tokens, false);
            let answer = call.send(story.address(passed)).await;
            match (answer.status(), code(&answer).as_str()) {
                (200, _) => drop(story.answered.lock().unwrap().insert(name)),
                (429, "insufficient_quota") => break,
                _ => panic!("{} {}", answer.head.first, answer.text()),
            }
            passed += 1;
            assert!(passed < CALLERS, "the budget is never exhausted");
        }
    }
    passed
}

async fn run(seed: u64, postgres: &Mutex<PostgresServer>) -> SeedReport {
    let begun = Instant::now();
    let mut dice = Dice::new(seed);
    let mock = Mock::start().await;
    let first = Folder::on_postgres(Database::create_on(postgres.lock().await.url()));
    let folders = [first.beside(), first.beside()];
    let first = Gateway::start_in(first, setup(&mock)).await;
    let key = first.key().await;
    let mut nodes = vec![first];
    for folder in folders {
        nodes.push(Gateway::start_in(folder, setup(&mock)).await);
    }
    let nodes: [Gateway; NODES] = nodes.try_into().unwrap();
    let story = Arc::new(FleetState {
        key,
        at: [0, 1, 2].map(|node: usize| Lock::new(nodes[node].proxy)),
        names: AtomicU64::new(0),
        refused: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        begun: AtomicUsize::new(0),
        broken: AtomicUsize::new(0),
        withheld: AtomicUsize::new(0),
        unavailable: AtomicUsize::new(0),
        answered: Lock::default(),
    });
    let nodes = nodes.map(|node| Lock::new(Some(node)));
    let loaded = Instant::now();
    let mut callers: JoinSet<()> = (0..CALLERS).map(|caller| Arc::clone(&story).spend(caller)).collect();
    let (unusable, restarts, ()) = tokio::join!(
        kill_a_node(&story, &nodes, postgres, &mock, dice.fork()),
        restart_postgres(&story, postgres, dice.fork()),
        async {
            let done =
                tokio::time::timeout(DONE, async { while let Some(Ok(())) = callers.join_next().await {} }).await;
            assert!(done.is_ok() && callers.is_empty(), "{} callers are not done", callers.len());
        }
    );
    let under_load = loaded.elapsed();
    let loaded = Instant::now();
    let nodes = nodes.map(|node| node.into_inner().unwrap().unwrap());
    let mut seen = judge(&story, &mock, &nodes).await;
    let drained = loaded.elapsed();
    seen.left = at_rest(&story, nodes).await;
    SeedReport { seed, under_load, drained, took: begun.elapsed(), restarts, unusable, ..seen }
}

/// Checks the results, and uses the rest of the budget.
async fn judge(story: &FleetState, mock: &Mock, nodes: &[Gateway; NODES]) -> SeedReport {
    for node in nodes {
        rests(node).await;
    }
    assert_within_budget(nodes[0].folder()).await;
    let exact = use_up(story).await;
    for node in nodes {
        rests(node).await;
    }
    assert_within_budget(nodes[0].folder()).await;
    assert_counts_agree(nodes[0].folder()).await;
    assert_audited(nodes[0].folder()).await;
    let answered = std::mem::take(&mut *story.answered.lock().unwrap());
    let tally = each_once(mock, nodes[0].folder(), &answered, false).await;
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    SeedReport {
        events: tally.count(),
        interrupted: tally.interrupted,
        unsent: tally.unsent,
        broken: count(&story.broken),
        refused: count(&story.refused),
        withheld: count(&story.withheld),
        unavailable: count(&story.unavailable),
        exact,
        ..SeedReport::default()
    }
}

/// Asserts that all events together, interrupted ones with their reserved amount, stay within the budget.
async fn assert_within_budget(folder: &Folder) {
    let charged = store::number(folder, "SELECT coalesce(sum(charged_nano), 0) FROM usage_events").await;
    let cost = store::number(folder, "SELECT coalesce(sum(cost_nano), 0) FROM usage_events").await;
    assert!(cost <= charged && charged <= BUDGET, "{charged} charged and {cost} spent of {BUDGET}");
}

/// Ends the servers and asserts that they hold no lease and that only spent amounts count. Returns the rest of the
/// budget.
async fn at_rest(story: &FleetState, nodes: [Gateway; NODES]) -> i64 {
    let charged = store::number(nodes[0].folder(), "SELECT sum(charged_nano) FROM usage_events").await;
    let left = BUDGET - charged;
    assert!(
        left < LEFT_MAX,
        "{left} is left although an exact request does not pass: {} streams",
        story.begun.load(Ordering::Relaxed)
    );
    let mut folders = Vec::new();
    for node in nodes {
        folders.push(node.stop().await.folder);
    }
    assert_eq!(store::number(&folders[0], "SELECT count(*) FROM leases WHERE NOT closed").await, 0);
    assert_eq!(
        store::number(&folders[0], "SELECT coalesce(sum(spent), 0) FROM leases").await,
        charged,
        "leases and events differ"
    );
    left
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Prints the measurements of one seed.
#[expect(clippy::print_stderr, reason = "a long test prints its measurements")]
fn tell(seen: &SeedReport) {
    eprintln!("{seen:?}");
}

/// Prints the seed if the test panics.
struct SeedGuard(u64);

impl Drop for SeedGuard {
    #[expect(clippy::print_stderr, reason = "the seed reproduces the failure")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{FIRST}={} {SEEDS}=1", self.0);
        }
    }
}

#[tokio::test]
async fn a_budget_of_money_holds_1000_streams_over_three_nodes_while_one_is_killed_and_postgresql_starts_again() {
    if !on_postgres() {
        return;
    }
    let postgres = Mutex::new(PostgresServer::start().await);
    let first = number(FIRST, 1);
    for seed in first..first + number(SEEDS, 2) {
        let named = SeedGuard(seed);
        tell(&run(seed, &postgres).await);
        drop(named);
    }
}

#[tokio::test]
async fn the_lease_of_a_node_is_unusable_only_while_the_node_is_down() {
    if !on_postgres() {
        return;
    }
    let mock = Mock::start().await;
    let setup = || setup(&mock).section("lease", "{ttl: 1s, recall_wait: 10s}");
    let folder = Folder::on_postgres(Database::new());
    let beside = folder.beside();
    let stays = Gateway::start_in(folder, setup()).await;
    let dies = Gateway::start_in(beside, setup()).await;
    let key = stays.key().await;
    let mut body = Format::Chat.body("up/tokens-6-0", false);
    body["max_completion_tokens"] = TOKENS_MAX.into();
    for _ in 0..10 {
        dies.call(Call::json(CHAT, &body).key(&key)).await.expect(200);
    }
    rests(&dies).await;
    assert_eq!(stays.gauge("tollgate_lease_unusable").await, 0);
    let folder = dies.crash().folder;
    let node = folder.read("data/node").trim().to_owned();
    eventually("the unusable lease is reported", async || {
        (stays.gauge("tollgate_lease_unusable").await == 1).then_some(())
    })
    .await;
    let listed: Value = serde_json::from_str(&must(stays.folder(), &["leases", "list", "--json"]).await).unwrap();
    let unusable = held_by(&listed, &node);
    assert!(unusable > 0 && unusable <= BUDGET.unsigned_abs() / 4 / 2 + RESERVED, "{listed}");
    let _back = Gateway::start_in(folder, setup()).await;
    eventually("the lease is no longer reported", async || {
        (stays.gauge("tollgate_lease_unusable").await == 0).then_some(())
    })
    .await;
    let listed: Value = serde_json::from_str(&must(stays.folder(), &["leases", "list", "--json"]).await).unwrap();
    assert_eq!(held_by(&listed, &node), 0, "{listed}");
}
