//! Limits of the proxy that two nodes share: through one Redis, through a Redis Cluster, and while Redis is away.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::database::Database;
use e2e::setup::Folder;
use e2e::{Call, Canary, Gateway, Redis, Setup, eventually};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{fallbacks, is_shared, number, shared, sharing};

/// Maximum time for which a request waits for Redis.
const WAIT_MAX: Duration = Duration::from_millis(20);
/// Maximum time that a request takes besides, on an idle machine.
const SERVED: Duration = Duration::from_millis(10);
/// Number of requests while a server of a cluster is dead, and while Redis is away. If they waited for it, most would be late; some
/// are, because other programs use this machine.
const DEAD: u32 = 50;
const AWAY: u32 = 100;
/// Number of clients of each node that send at once.
const CLIENTS: u32 = 8;
/// Number of attempts in which they do. A busy machine may need others.
const AT_ONCE_ATTEMPTS: u32 = 2;
/// The number of free requests of the plan: they have ten times its rate, and refill in a minute.
const FREE: u32 = 80;

/// A route with a limit of each value of a header.
struct LimitedRoute {
    path: &'static str,
    limit: u32,
    options: &'static str,
    /// The number of requests that nodes admit at least.
    least: u32,
}

const ROUTES: [LimitedRoute; 5] = [
    LimitedRoute { path: "/small", limit: 40, options: "", least: 40 },
    LimitedRoute { path: "/exact", limit: 400, options: ", consistency: exact", least: 400 },
    LimitedRoute { path: "/exact-bucket", limit: 80, options: ", algorithm: token_bucket", least: 80 },
    LimitedRoute { path: "/leased", limit: 1_000, options: "", least: 950 },
    LimitedRoute { path: "/leased-bucket", limit: 800, options: ", algorithm: token_bucket", least: 760 },
];

fn limited_routes(redis: &Redis) -> Setup {
    let route = |LimitedRoute { path, limit, options, .. }: &LimitedRoute| {
        let limit = format!("{{dimension: {{header: X-Try}}, limit: {limit}, window: 24h{options}}}");
        format!("{{path: {path}, auth: {{type: none}}, respond: {{body: fine}}, rate_limits: [{limit}]}}")
    };
    let routes = ROUTES.iter().map(route).collect::<Vec<_>>().join(", ");
    sharing(redis).section("routes", &format!("[{routes}, {{path: /key, respond: {{body: fine}}}}]"))
}

/// Starts two nodes, and waits until each has noticed the other.
async fn start(setup: Setup, redis: &Redis) -> [Gateway; 2] {
    let folder = Folder::on_postgres(Database::new());
    let beside = folder.beside();
    let nodes = [Gateway::start_in(folder, setup.clone()).await, Gateway::start_in(beside, setup).await];
    for node in &nodes {
        shared(node, 1).await;
    }
    let both = async || Some(redis.beats().await).filter(|beats| beats.len() == 2)?.into_iter().max();
    let counted = eventually("both nodes are counted", both).await;
    let again = async || redis.beats().await.into_iter().all(|beat| beat > counted).then_some(());
    eventually("each node has counted both", again).await;
    nodes
}

/// Sends as many requests as the limit to each node. Returns the number of admitted requests.
///
/// In the first attempts, several clients of each node send at once. In later ones, each request waits until its node uses Redis.
async fn admitted(nodes: &[Gateway; 2], nth: u32, call: &Call, limit: u32) -> u32 {
    if nth >= AT_ONCE_ATTEMPTS {
        let mut admitted = 0;
        for _ in 0..limit {
            for node in nodes {
                shared(node, 1).await;
                admitted += u32::from(is_admitted(node.proxy, call, limit).await);
            }
        }
        return admitted;
    }
    let mut clients = JoinSet::new();
    for client in 0..2 * CLIENTS {
        let address = nodes[client as usize % 2].proxy;
        let call = call.clone();
        clients.spawn(async move {
            let mut admitted = 0;
            for _ in 0..limit / CLIENTS {
                admitted += u32::from(is_admitted(address, &call, limit).await);
            }
            admitted
        });
    }
    clients.join_all().await.into_iter().sum()
}

async fn is_admitted(address: SocketAddr, call: &Call, limit: u32) -> bool {
    let answer = call.send(address).await;
    assert!([200, 429].contains(&answer.status()), "{answer:?}");
    assert_eq!(number(&answer, "x-ratelimit-limit"), u64::from(limit));
    if answer.status() == 429 {
        assert!(number(&answer, "retry-after") > 0);
    }
    answer.status() == 200
}

async fn limits_are_shared(redis: &Redis) -> [Gateway; 2] {
    let nodes = start(limited_routes(redis), redis).await;
    for LimitedRoute { path, limit, least, .. } in &ROUTES {
        // A bucket of a day refills by a request in 86 seconds or more.
        let most = limit + u32::from(path.ends_with("bucket"));
        is_shared(&nodes, *least, async |nth| {
            let call = Call::get(path).header("x-try", &nth.to_string());
            (admitted(&nodes, nth, &call, *limit).await, most)
        })
        .await;
    }
    nodes
}

#[tokio::test]
async fn two_nodes_admit_each_limit_once() {
    limits_are_shared(&Redis::start().await).await;
}

#[tokio::test]
async fn two_nodes_admit_each_limit_once_through_a_redis_cluster() {
    let servers = Redis::cluster().await;
    let [node, _] = limits_are_shared(&servers[0]).await;
    for nth in 0..50 {
        node.call(Call::get("/leased").header("x-try", &format!("key {nth}"))).await.expect(200);
    }
    for server in &servers {
        let names = server.names().await;
        assert!(names.lines().any(|name| name.ends_with("}:log")), "each server has a part of the keys: {names}");
    }
}

#[tokio::test]
async fn two_nodes_share_the_rates_of_plans_over_all_keys() {
    let redis = Redis::start().await;
    let setup = limited_routes(&redis).plans("{name: slow, requests_per_minute: 8}");
    let nodes = start(setup, &redis).await;
    is_shared(&nodes, FREE, async |nth| {
        let key = nodes[0].account("slow").await.key;
        let created = nodes[0].ask(Call::json("/api/keys", &json!({"label": "ci"})).key(&key)).await.expect(201);
        let other = created.json()["key"].as_str().unwrap().to_owned();
        let began = Instant::now();
        let mut sum = admitted(&nodes, nth, &Call::get("/key").key(&key), FREE).await;
        sum += admitted(&nodes, nth, &Call::get("/key").key(&other), FREE).await;
        let refilled = began.elapsed().as_millis() * u128::from(FREE) / 60_000;
        (sum, FREE + 1 + u32::try_from(refilled).unwrap())
    })
    .await;
}

/// Sends a request to one of the nodes. Returns its duration and status.
async fn timed(nodes: &[Gateway; 2], nth: u32, call: Call) -> (Canary, u16) {
    let since = Canary::new();
    let answer = nodes[nth as usize % 2].call(call).await;
    (since, answer.status())
}

/// Whether a request waited longer than it may, besides the delay of this machine.
fn is_late(since: &Canary, usual: Duration) -> bool {
    since.elapsed() >= since.allows(WAIT_MAX + usual)
}

/// Returns the longest time of a request while Redis is available, which is the overhead of this machine.
async fn usual_duration(nodes: &[Gateway; 2]) -> Duration {
    let mut usual = SERVED;
    for nth in 0..50 {
        usual = usual.max(timed(nodes, nth, Call::get("/leased").header("x-try", "warm")).await.0.elapsed());
    }
    usual
}

#[tokio::test]
async fn a_dead_server_of_a_cluster_delays_no_request_and_its_keys_count_in_shares() {
    let mut servers = Redis::cluster().await;
    let nodes = start(limited_routes(&servers[0]), &servers[0]).await;
    let usual = usual_duration(&nodes).await;
    let reported = |node: &Gateway| {
        node.stderr().lines().filter(|line| line.contains("\"redis\"") && line.contains("ERROR")).count()
    };
    let before = (fallbacks(&nodes).await, [reported(&nodes[0]), reported(&nodes[1])]);
    servers[2].kill();
    // The keys are divided among the servers.
    for attempt in 0..12 {
        let mut passed = 0;
        let mut late = 0;
        for nth in 0..DEAD {
            let call = Call::get("/small").header("x-try", &format!("dead {attempt}"));
            let (since, status) = timed(&nodes, nth, call).await;
            late += u32::from(is_late(&since, usual));
            assert!([200, 429].contains(&status), "{status}");
            passed += u32::from(status == 200);
        }
        assert!((40..=50).contains(&passed), "each node admits at least its half: {passed}");
        assert!(late < DEAD / 2, "{late} requests were late");
    }
    assert!(fallbacks(&nodes).await > before.0);
    for (node, before) in nodes.iter().zip(before.1) {
        eventually("the failure is logged", async || (reported(node) > before).then_some(())).await;
        shared(node, 0).await;
    }
}

#[tokio::test]
async fn without_redis_each_node_admits_its_share_and_no_request_waits_longer_than_20_ms() {
    let mut redis = Redis::start().await;
    let nodes = start(limited_routes(&redis), &redis).await;
    let call = |path: &str, attempt: &str| Call::get(path).header("x-try", attempt);
    let usual = usual_duration(&nodes).await;
    for (attempt, stops) in [("frozen", true), ("killed", false)] {
        for node in &nodes {
            shared(node, 1).await;
        }
        if stops {
            redis.freeze(true);
        } else {
            redis.kill();
        }
        let mut passed = 0;
        let mut late = 0;
        for nth in 0..AWAY {
            let (since, status) = timed(&nodes, nth, call("/small", attempt)).await;
            late += u32::from(is_late(&since, usual));
            passed += u32::from(status == 200);
        }
        assert!(late < AWAY / 2, "{attempt}: {late} requests were late");
        assert_eq!(passed, 40, "each node admits its half");
        for node in &nodes {
            shared(node, 0).await;
        }
        if stops {
            redis.freeze(false);
        }
    }
    redis.resume().await;
    for node in &nodes {
        shared(node, 1).await;
    }
}
