//! Members from an etcd cluster of three servers.

use e2e::{Call, Etcd, Gateway, eventually};
use serde_json::json;

use super::{address, admin, backends, has, served, shown, source_reports};

fn setup(etcd: &Etcd) -> e2e::Setup {
    super::sourced("discover: {etcd: /services/user/}").section("etcd", &format!("{{urls: {}}}", etcd.urls()))
}

fn url(net: u8, host: u8, port: u16) -> String {
    format!("http://{}:{port}", address(net, host))
}

async fn start(etcd: &Etcd) -> (Gateway, String) {
    let gateway = Gateway::start(setup(etcd)).await;
    let token = admin(&gateway, "root").await.token;
    (gateway, token)
}

#[tokio::test]
async fn keys_leases_compactions_and_a_killed_leader_are_followed() {
    let mut etcd = Etcd::start().await;
    let servers = backends(91, 3).await;
    let port = servers[0].address().port();
    let url = |host| url(91, host, port);
    etcd.put("/services/user/a", &url(1));
    etcd.put("/services/other/a", "http://127.91.0.9:1");
    let (gateway, token) = start(&etcd).await;
    assert_eq!(served(&gateway, 8).await, [address(91, 1)], "the first request has all members");
    etcd.put("/services/user/b", &json!({"url": url(2), "weight": 3}).to_string());
    has(&gateway, &token, &[url(1), url(2)]).await;
    assert_eq!(shown(&gateway, &token).await["backends"][1]["weight"], 3);
    etcd.compact();
    etcd.kill_leader();
    eventually("the cluster has another leader", async || etcd.try_put("/services/user/c", &url(3)).then_some(()))
        .await;
    has(&gateway, &token, &[url(1), url(2), url(3)]).await;
    let lease = etcd.ctl(&["lease", "grant", "2"]);
    let lease = lease.split(' ').nth(1).unwrap();
    etcd.ctl(&["put", "--lease", lease, "/services/user/a", &url(1)]);
    has(&gateway, &token, &[url(2), url(3)]).await;
    etcd.resume().await;
    etcd.delete("/services/user/b");
    has(&gateway, &token, &[url(3)]).await;
    served(&gateway, 8).await;
    assert_eq!(served(&gateway, 8).await, [address(91, 3)]);
}

#[tokio::test]
async fn an_erased_cluster_keeps_the_last_list_until_it_has_members_again() {
    let mut etcd = Etcd::start().await;
    let servers = backends(92, 2).await;
    let port = servers[0].address().port();
    for host in 1..=2 {
        etcd.put(&format!("/services/user/{host}"), &url(92, host, port));
    }
    let (gateway, token) = start(&etcd).await;
    etcd.kill_all();
    source_reports(&gateway, &token, "no connection").await;
    let gateway = Gateway::start_in(gateway.stop().await.folder, setup(&etcd)).await;
    assert_eq!(served(&gateway, 12).await, [address(92, 1), address(92, 2)], "a start without etcd");
    etcd.erase();
    etcd.resume().await;
    source_reports(&gateway, &token, "").await;
    assert_eq!(served(&gateway, 12).await, [address(92, 1), address(92, 2)], "an empty list must last");
    etcd.put("/services/user/new", &url(92, 2, port));
    has(&gateway, &token, &[url(92, 2, port)]).await;
}

#[tokio::test]
async fn invalid_values_are_left_out_and_reported() {
    let etcd = Etcd::start().await;
    let servers = backends(93, 1).await;
    let port = servers[0].address().port();
    etcd.put("/services/user/a", &url(93, 1, port));
    for (key, value) in [("b", "no URL"), ("c", "http://u:p@127.93.0.2"), ("d", "{\"url\": 1}")] {
        etcd.put(&format!("/services/user/{key}"), value);
    }
    let (gateway, token) = start(&etcd).await;
    source_reports(&gateway, &token, "3 values are neither a URL nor").await;
    has(&gateway, &token, &[url(93, 1, port)]).await;
    gateway.call(Call::get("/x")).await.expect(200);
}

#[tokio::test]
async fn a_cluster_with_users_requires_a_password() {
    let etcd = Etcd::start().await;
    let servers = backends(94, 1).await;
    let port = servers[0].address().port();
    etcd.put("/services/user/a", &url(94, 1, port));
    etcd.ctl(&["user", "add", "root:S3CRET"]);
    etcd.ctl(&["user", "grant-role", "root", "root"]);
    etcd.ctl(&["auth", "enable"]);
    let with = |password: &str| {
        let keys = format!("{{urls: {}, user: root, password: {password}}}", etcd.urls());
        super::sourced("discover: {etcd: /services/user/}").section("etcd", &keys)
    };
    let gateway = Gateway::start(with("S3CRET")).await;
    gateway.call(Call::get("/x")).await.expect(200);
    let gateway = Gateway::start(with("WRONG")).await;
    let token = admin(&gateway, "root").await.token;
    source_reports(&gateway, &token, "the status of the response is 4").await;
    gateway.call(Call::get("/x")).await.expect(503);
    assert!(!gateway.stderr().contains("WRONG"));
}
