//! The cache of two nodes on one PostgreSQL: purges of both, and responses that they share through Redis.

use e2e::database::Database;
use e2e::setup::Folder;
use e2e::{Answer, Call, Gateway, Redis, Setup, Upstream, eventually};

use super::{check, numbered};
use crate::people::admin;

const LASTING: &str = "200 OK\r\ncache-control: max-age=600\r\ncache-tag: all";
const HOST: &str = "api.example.com";

/// Two nodes with the same configuration.
struct CachingNodes {
    one: Gateway,
    other: Gateway,
    /// The token of an admin.
    token: String,
}

impl CachingNodes {
    async fn start(upstream: &Upstream, store: &str, redis: Option<&Redis>) -> Self {
        let routes = format!(
            "{{path: {{prefix: /o}}, upstreams: backend, auth: {{type: none}}, cache: {{tags: cache-tag, store: {store}}}}}, \
             {{path: {{prefix: /o}}, methods: [PUT], upstreams: backend, auth: {{type: none}}}}, \
             {{path: {{prefix: /k}}, upstreams: backend, cache: {{store: {store}}}}}"
        );
        let mut setup = Setup::routed(upstream.address(), &routes)
            .section("providers", "[{name: up, kind: openai, base_url: \"http://127.0.0.1:9/v1\", credential: vault}]")
            .section("signup", "open")
            .section("signup_plan", "open")
            .variable("MASTER_ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
            .variable("JWT_SECRET", "the-same-secret-on-every-node-0123456789");
        if let Some(redis) = redis {
            setup = setup.section("redis", &format!("\"{}\"", redis.url()));
        }
        let folder = Folder::on_postgres(Database::new());
        let beside = folder.beside();
        let one = Gateway::start_in(folder, setup.clone()).await;
        let other = Gateway::start_in(beside, setup).await;
        let token = admin(&one, "root").await.token;
        Self { one, other, token }
    }

    async fn purge(&self, query: &str) {
        self.one.ask(Call::new("DELETE", &format!("/api/cache?{query}")).key(&self.token)).await.expect(200);
    }
}

async fn get(node: &Gateway, target: &str) -> Answer {
    node.call(Call::get(target).header("host", HOST)).await.expect(200)
}

/// Returns how often a node has counted a result of Redis.
async fn counted(node: &Gateway, result: &str) -> u64 {
    let series = format!("tollgate_cache_store_total{{result=\"{result}\"}} ");
    let metrics = node.metrics().await;
    metrics.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap()
}

/// Sends a request that fills its key, and waits until its response is in Redis; `None` if Redis was too late on a busy
/// machine.
async fn filled(node: &Gateway, call: Call) -> Option<Answer> {
    let written = counted(node, "written").await;
    let late = counted(node, "unavailable").await;
    let lost = counted(node, "unwritten").await;
    let answer = node.call(call).await.expect(200);
    check(&answer, &answer.text(), "fwd=miss");
    let is_written = eventually("Redis has the response, or was late", async || {
        let is_late = counted(node, "unavailable").await > late || counted(node, "unwritten").await > lost;
        is_late.then_some(false).or((counted(node, "written").await > written).then_some(true))
    });
    is_written.await.then_some(answer)
}

/// Waits until one node gets the response of the other from Redis, and returns its target and its text.
async fn shared(nodes: &CachingNodes, path: &str) -> (String, String) {
    let mut number = 0;
    eventually("a node gets the response of the other", async || {
        number += 1;
        let target = format!("{path}?{number}");
        let own = filled(&nodes.one, Call::get(&target).header("host", HOST)).await?;
        let other = get(&nodes.other, &target).await;
        let is_hit = other.header("cache-status")?.contains("; hit; ttl=");
        (is_hit && other.text() == own.text()).then_some((target, own.text()))
    })
    .await
}

/// Waits until the look-ups of a node end in this way.
async fn looks_up(node: &Gateway, result: &str) {
    let mut number = 0;
    eventually(&format!("look-ups are {result}"), async || {
        let before = counted(node, result).await;
        number += 1;
        get(node, &format!("/o/until-{result}?{number}&{before}")).await;
        (counted(node, result).await > before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_purge_on_one_node_reaches_the_other() {
    let upstream = numbered(LASTING).await;
    let nodes = CachingNodes::start(&upstream, "memory", None).await;
    check(&get(&nodes.one, "/o/a").await, "response 0", "fwd=miss");
    check(&get(&nodes.other, "/o/a").await, "response 1", "fwd=miss");
    check(&get(&nodes.other, "/o/b").await, "response 2", "fwd=miss");
    for (query, target, last) in [
        (format!("url=http://{HOST}/o/a"), "/o/a", "response 1"),
        (format!("prefix=http://{HOST}/o/b"), "/o/b", "response 2"),
    ] {
        check(&get(&nodes.other, target).await, last, "hit");
        nodes.purge(&query).await;
        let is_purged = async || (get(&nodes.other, target).await.text() != last).then_some(());
        eventually("the other node has applied the purge", is_purged).await;
    }
    let last = get(&nodes.other, "/o/a").await.text();
    nodes.purge("tag=all&soft=true").await;
    let is_purged = async || (get(&nodes.other, "/o/a").await.text() != last).then_some(());
    eventually("the other node has applied the soft purge", is_purged).await;
}

#[tokio::test]
async fn nodes_share_responses_and_purges_through_redis() {
    let upstream = numbered(LASTING).await;
    let redis = Redis::start().await;
    let nodes = CachingNodes::start(&upstream, "redis", Some(&redis)).await;
    let (target, text) = shared(&nodes, "/o/a").await;
    // The node has it in memory now.
    check(&get(&nodes.other, &target).await, &text, "; hit; ttl=");
    let names = redis.names().await;
    assert!(names.contains("tollgate:{tollgate:") && !names.contains("/o/a") && !names.contains(HOST), "{names}");
    nodes.purge("tag=all").await;
    let own = get(&nodes.one, &target).await;
    assert_ne!(own.text(), text);
    check(&own, &own.text(), "fwd=miss");
    let is_purged = async || (get(&nodes.other, &target).await.text() != text).then_some(());
    eventually("the other node has applied the purge", is_purged).await;
    let (target, text) = shared(&nodes, "/o/b").await;
    // A request that may change the resource ends the use of its responses.
    nodes.one.call(Call::new("POST", &target).header("host", HOST)).await.expect(200);
    let own = get(&nodes.one, &target).await;
    assert_ne!(own.text(), text);
    check(&own, &own.text(), "fwd=miss");
}

/// A node that has served no request of the cached route.
#[tokio::test]
async fn a_change_on_a_fresh_node_ends_the_responses_in_redis() {
    let upstream = numbered(LASTING).await;
    let redis = Redis::start().await;
    let nodes = CachingNodes::start(&upstream, "redis", Some(&redis)).await;
    let mut number = 0;
    let (target, text) = eventually("a response is in Redis", async || {
        number += 1;
        let target = format!("/o/c?{number}");
        let own = filled(&nodes.one, Call::get(&target).header("host", HOST)).await?;
        Some((target, own.text()))
    })
    .await;
    nodes.other.call(Call::new("PUT", &target).header("host", HOST)).await.expect(200);
    let answer = get(&nodes.other, &target).await;
    assert_ne!(answer.text(), text);
    check(&answer, &answer.text(), "fwd=miss");
}

#[tokio::test]
async fn no_response_in_redis_reaches_another_client() {
    let upstream = numbered(LASTING).await;
    let redis = Redis::start().await;
    let nodes = CachingNodes::start(&upstream, "redis", Some(&redis)).await;
    let ada = nodes.one.key().await;
    let bob = nodes.one.key().await;
    let call = |number: u32, key: &str| Call::get(&format!("/k/a?{number}")).header("host", HOST).key(key);
    let mut number = 0;
    eventually("the other node has the response of its client", async || {
        number += 1;
        let own = filled(&nodes.one, call(number, &ada)).await?.text();
        let of_bob = nodes.other.call(call(number, &bob)).await.expect(200);
        assert_ne!(of_bob.text(), own);
        check(&of_bob, &of_bob.text(), "fwd=miss");
        let of_ada = nodes.other.call(call(number, &ada)).await.expect(200);
        (of_ada.text() == own).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_redis_each_node_has_its_own_responses() {
    let upstream = numbered(LASTING).await;
    let mut redis = Redis::start().await;
    let nodes = CachingNodes::start(&upstream, "redis", Some(&redis)).await;
    let (known, text) = shared(&nodes, "/o/a").await;
    for is_killed in [false, true] {
        if is_killed {
            redis.kill();
        } else {
            redis.freeze(true);
        }
        looks_up(&nodes.one, "unavailable").await;
        check(&get(&nodes.one, &known).await, &text, "hit");
        let target = format!("/o/while-{is_killed}");
        let own = get(&nodes.one, &target).await;
        check(&own, &own.text(), "fwd=miss");
        check(&get(&nodes.one, &target).await, &own.text(), "hit");
        if is_killed {
            redis.resume().await;
        } else {
            redis.freeze(false);
        }
        looks_up(&nodes.other, "miss").await;
        shared(&nodes, &format!("/o/after-{is_killed}")).await;
    }
    let outages = nodes.one.stderr().lines().filter(|line| line.contains("response_store")).count();
    assert!((1..=8).contains(&outages), "{}", nodes.one.stderr());
}
