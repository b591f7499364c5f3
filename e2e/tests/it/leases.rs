//! A quota that three servers share through PostgreSQL: it is exact while they run; a crash can only strand credits.

use e2e::database::{Database, Rows};
use e2e::postgres::{PostgresServer, Stop};
use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, eventually};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::audit::must;
use crate::bodies::{CHAT, Format};

const QUOTA: usize = 100;
/// Lease settings for a slow machine: no request fails for lack of a lease, and no lease expires.
const PATIENT: &str = "{ttl: 20s, recall_wait: 10s}";
/// Lease settings with which a waiting request soon learns that a dead node's lease has expired.
const MORTAL: &str = "{ttl: 5s, recall_wait: 10s}";

fn setup(lease: &str) -> Setup {
    Setup::mocked()
        .plans("{name: hundred, credits_per_day: 100}")
        .section("lease", lease)
        .section("connections", "{max: 5000, per_address: 5000}")
}

/// Starts three servers; returns them and a key with a quota of 100 credits.
async fn three(lease: &str) -> ([Gateway; 3], String) {
    let folder = Folder::on_postgres(Database::new());
    let second = folder.beside();
    let third = folder.beside();
    let first = Gateway::start_in(folder, setup(lease)).await;
    let nodes = [first, Gateway::start_in(second, setup(lease)).await, Gateway::start_in(third, setup(lease)).await];
    let key = nodes[0].account("hundred").await.key;
    (nodes, key)
}

fn call(key: &str) -> Call {
    Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(key)
}

/// Sends requests to all nodes in turn until one refuses; returns how many passed.
async fn spend<'a>(nodes: impl IntoIterator<Item = &'a Gateway> + Clone, key: &str) -> usize {
    let mut passed = 0;
    for node in nodes.into_iter().collect::<Vec<_>>().into_iter().cycle() {
        let answer = node.call(call(key)).await;
        match answer.status() {
            200 => passed += 1,
            429 => return passed,
            _ => panic!("{} {}", answer.head.first, answer.text()),
        }
    }
    passed
}

/// Sends requests to all nodes in turn until one refuses for what a dead node holds; returns how many passed.
async fn spend_until_lost(nodes: &[Gateway], key: &str) -> usize {
    let mut passed = 0;
    loop {
        let answer = nodes[passed % nodes.len()].call(call(key)).await;
        if answer.status() == 200 {
            passed += 1;
            continue;
        }
        let reported = answer.expect(503).json();
        let error = &reported["error"];
        assert_eq!(error["code"], "quota_withheld", "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.starts_with("a server that does not respond has ") && message.contains("100 credits"),
            "{error}"
        );
        return passed;
    }
}

async fn refused_everywhere(nodes: &[Gateway], key: &str) {
    for node in nodes {
        let answer = node.call(call(key)).await.expect(429);
        assert_eq!(answer.json()["error"]["code"], "insufficient_quota", "{}", answer.text());
    }
}

#[tokio::test]
async fn of_a_quota_of_100_the_first_100_calls_pass_whichever_of_three_nodes_they_reach() {
    let (nodes, key) = three(PATIENT).await;
    assert_eq!(spend(&nodes, &key).await, QUOTA);
    refused_everywhere(&nodes, &key).await;
    let usage = nodes[1].counted(&key, 100).await;
    assert_eq!((&usage["limit"], &usage["remaining"]), (&json!(100), &json!(0)));
}

#[tokio::test]
async fn of_600_at_once_over_three_nodes_exactly_100_pass() {
    let (nodes, key) = three(PATIENT).await;
    let mut calls = JoinSet::new();
    for nth in 0..600 {
        let call = call(&key);
        let to = nodes[nth % 3].proxy;
        calls.spawn(async move { call.send(to).await });
    }
    let statuses: Vec<u16> = calls.join_all().await.iter().map(e2e::Answer::status).collect();
    let passed = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!((passed, statuses.iter().filter(|status| **status == 429).count()), (QUOTA, 500), "{statuses:?}");
    refused_everywhere(&nodes, &key).await;
}

#[tokio::test]
async fn a_killed_nodes_leases_are_unusable_until_it_returns_and_nothing_is_spent_twice() {
    let ([one, other, dies], key) = three(MORTAL).await;
    // A node that has served requests has leased more than they needed.
    for _ in 0..10 {
        dies.call(call(&key)).await.expect(200);
    }
    dies.counted(&key, 10).await;
    let folder = dies.crash().folder;
    // The dead node's lease is not granted to others, but may be unused: a refusal waits until the lease expires.
    let alive = [one, other];
    let passed = spend_until_lost(&alive, &key).await;
    assert!(passed < QUOTA - 10, "{passed}");
    let refused = alive[0].call(call(&key)).await.expect(503);
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() <= 86_400);
    let back = Gateway::start_in(folder, setup(MORTAL)).await;
    let returned = spend([&back], &key).await;
    assert_eq!(10 + passed + returned, QUOTA);
    refused_everywhere(&alive, &key).await;
}

#[tokio::test]
async fn a_node_that_ends_hands_everything_back() {
    let ([one, other, ends], key) = three(PATIENT).await;
    for _ in 0..10 {
        ends.call(call(&key)).await.expect(200);
    }
    let ended = ends.stop().await;
    assert!(!ended.stderr.contains("stays lent"), "{}", ended.stderr);
    let rows = Rows { data: &ended.folder.data(), database: ended.folder.database() };
    // The other nodes have not requested leases yet.
    assert_eq!(rows.number("SELECT count(*) FROM leases WHERE NOT closed").await, 0);
    assert_eq!(spend([&one, &other], &key).await, QUOTA - 10);
}

#[tokio::test]
async fn during_an_outage_of_postgresql_only_leases_are_spent_and_nothing_twice() {
    let mut server = PostgresServer::start().await;
    let folder = Folder::on_postgres(Database::create_on(server.url()));
    let beside = folder.beside();
    let lease = "{ttl: 20s, recall_wait: 250ms}";
    let nodes = [Gateway::start_in(folder, setup(lease)).await, Gateway::start_in(beside, setup(lease)).await];
    let key = nodes[0].account("hundred").await.key;
    let mut passed = 0;
    for node in nodes.iter().cycle().take(10) {
        passed += usize::from(ask(node, &key).await == 200);
    }
    server.stop(Stop::Fast).await;
    let before = passed;
    for node in &nodes {
        while ask(node, &key).await == 200 {
            passed += 1;
        }
        let reported = node.call(call(&key)).await.expect(503).json();
        assert_eq!(reported["error"]["code"], "quota_withheld", "{reported}");
    }
    // A lease is at most a quarter of the credits that are left.
    assert!(passed - before <= 50, "{before} and {passed}");
    server.resume().await;
    for node in &nodes {
        eventually("the quota is exhausted", async || match ask(node, &key).await {
            429 => Some(()),
            status => {
                passed += usize::from(status == 200);
                None
            }
        })
        .await;
    }
    assert_eq!(passed, QUOTA);
}

/// Returns the status: 200 (served), 429 (quota exhausted) or 503 (unknown, because the store is unavailable).
async fn ask(node: &Gateway, key: &str) -> u16 {
    let answer = node.call(call(key)).await;
    assert!([200, 429, 503].contains(&answer.status()), "{answer:?}");
    answer.status()
}

#[tokio::test]
async fn leases_of_a_dead_node_are_listed_and_reclaimed() {
    let ([one, other, dies], key) = three(MORTAL).await;
    for _ in 0..10 {
        dies.call(call(&key)).await.expect(200);
    }
    dies.counted(&key, 10).await;
    let folder = dies.crash().folder;
    let nothing = must(one.folder(), &["leases", "reclaim"]).await;
    assert!(nothing.contains("no lease is unusable"), "{nothing}");
    // The node has been silent for long and holds unused credits.
    let data = folder.data();
    let rows = Rows { data: &data, database: folder.database() };
    let long_ago =
        "UPDATE leases SET heard_at = heard_at - 100000000, granted = 30000000, spent = 10000000, used = 10000000";
    rows.execute(long_ago, long_ago).await;
    let listed: Value = serde_json::from_str(&must(one.folder(), &["leases", "list", "--json"]).await).unwrap();
    assert_eq!((&listed[0]["granted"], &listed[0]["unusable"]), (&json!(30), &json!(true)), "{listed}");
    let users = must(one.folder(), &["users", "list"]).await;
    let id = users.split_whitespace().next().unwrap();
    assert_eq!((&listed[0]["subject"], &listed[0]["subject_id"]), (&json!("user"), &json!(id)), "{listed}");
    let unusable = "tollgate_lease_unusable_amount{measure=\"credits\"} 20";
    eventually("unusable credits are reported", async || one.metrics().await.contains(unusable).then_some(())).await;
    let reported = must(one.folder(), &["leases", "reclaim"]).await;
    assert!(reported.contains(&format!("reclaimed 20 of credits of user {id} in the day of ")), "{reported}");
    assert_eq!(rows.number("SELECT count(*) FROM audit_log WHERE action = 'lease.reclaim'").await, 1);
    assert_eq!(spend([&one, &other], &key).await, QUOTA - 10);
}
