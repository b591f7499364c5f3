//! Quotas of clients without a user: a restart does not grant them again, and two nodes admit them once.

use e2e::database::Database;
use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, Upstream};
use tokio::task::JoinSet;

use crate::reconcile::agrees;

mod kinds;

const QUOTA: usize = 40;
const ACME: &str = "0123456789abcdef";
const BOLT: &str = "fedcba9876543210";
/// No request waits in vain for a lease of the other node.
const PATIENT: &str = "{ttl: 20s, recall_wait: 10s}";

fn setup(upstream: &Upstream) -> Setup {
    let of = "auth: {type: key, use: partners}, upstreams: backend";
    let routes = format!("{{path: /plain, {of}}}, {{path: /rows, events: rows, credits: 2, {of}}}");
    let keys = format!("[{{name: acme, value: {ACME}}}, {{name: bolt, value: {BOLT}}}]");
    Setup::routed(upstream.address(), &routes)
        .plans(&format!("{{name: forty, credits_per_day: {QUOTA}, budgets: [{{credits: 60, per: month}}]}}"))
        .section("auth", &format!("[{{name: partners, type: key, plan: forty, keys: {keys}}}]"))
        .section("connections", "{max: 5000, per_address: 5000}")
        .section("lease", PATIENT)
}

async fn call(gateway: &Gateway, path: &str, key: &str) -> u16 {
    gateway.call(Call::get(path).header("x-api-key", key)).await.status()
}

/// Sends requests until every node has refused two in turn; returns how many passed. A busy machine may answer a node's question
/// for a lease too late, and the node refuses one request for it.
async fn spend(nodes: &[&Gateway], key: &str) -> usize {
    let mut passed = 0;
    let mut refused = 0;
    for node in nodes.iter().cycle() {
        match call(node, "/plain", key).await {
            200 => (passed, refused) = (passed + 1, 0),
            429 if refused + 1 == 2 * nodes.len() => return passed,
            429 => refused += 1,
            status => panic!("{status}"),
        }
    }
    unreachable!("the nodes are cycled")
}

#[tokio::test]
async fn a_quota_is_not_granted_again_by_a_restart_or_a_crash() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let gateway = Gateway::start(setup(&upstream)).await;
    for _ in 0..5 {
        assert_eq!(call(&gateway, "/plain", ACME).await, 200);
        assert_eq!(call(&gateway, "/rows", ACME).await, 200);
    }
    let gateway = Gateway::start_in(gateway.stop().await.folder, setup(&upstream)).await;
    for _ in 0..5 {
        assert_eq!(call(&gateway, "/rows", ACME).await, 200);
    }
    let gateway = Gateway::start_in(gateway.crash().folder, setup(&upstream)).await;
    // Of a small quota, no credits are pre-logged that no request uses, so a crash loses none.
    assert_eq!(spend(&[&gateway], ACME).await, QUOTA - 25);
    assert_eq!(call(&gateway, "/rows", BOLT).await, 200, "another subject has its own quota");
    let gateway = Gateway::start_in(gateway.crash().folder, setup(&upstream)).await;
    assert_eq!(call(&gateway, "/rows", ACME).await, 429);
    let folder = gateway.stop().await.folder;
    agrees(&folder).await;
}

#[tokio::test]
async fn of_200_at_once_over_two_nodes_exactly_the_quota_passes() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let folder = Folder::on_postgres(Database::new());
    let beside = folder.beside();
    let one = Gateway::start_in(folder, setup(&upstream)).await;
    let other = Gateway::start_in(beside, setup(&upstream)).await;
    let mut calls = JoinSet::new();
    for nth in 0..200 {
        let to = if nth % 2 == 0 { one.proxy } else { other.proxy };
        let call = Call::get("/plain").header("x-api-key", ACME);
        calls.spawn(async move { call.send(to).await.status() });
    }
    let statuses = calls.join_all().await;
    let of = |status: u16| statuses.iter().filter(|of| **of == status).count();
    assert_eq!((of(200), of(429)), (QUOTA, 200 - QUOTA), "{statuses:?}");
    assert_eq!(spend(&[&one, &other], BOLT).await, QUOTA, "in turn, too");
    for node in [&one, &other] {
        assert_eq!(call(node, "/plain", ACME).await, 429);
    }
    // After a restart of both, the leases of the earlier runs are returned and the totals remain.
    let folders = [one.stop().await.folder, other.stop().await.folder];
    let [folder, beside] = folders;
    let one = Gateway::start_in(folder, setup(&upstream)).await;
    let other = Gateway::start_in(beside, setup(&upstream)).await;
    for node in [&one, &other] {
        assert_eq!(call(node, "/plain", ACME).await, 429);
    }
    let folder = one.stop().await.folder;
    drop(other);
    agrees(&folder).await;
}
