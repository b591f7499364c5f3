//! Members from DNS, with BIND.

use e2e::bind::ZONE;
use e2e::{Bind, Call, Gateway, Setup, Turn, Upstream};

use super::{address, admin, backends, has, served, setup, shown, source_reports};

fn upstream(name: &str, port: u16) -> String {
    format!("discover: {{dns: \"{name}.{ZONE}:{port}\"}}")
}

fn dns(bind: &Bind) -> String {
    format!("{{servers: [\"{}\"]}}", bind.address())
}

fn urls(net: u8, hosts: &[u8], port: u16) -> Vec<String> {
    hosts.iter().map(|host| format!("http://{}:{port}", address(net, *host))).collect()
}

fn addresses(net: u8, hosts: &[u8]) -> Vec<String> {
    hosts.iter().map(|host| address(net, *host)).collect()
}

async fn start(bind: &Bind, port: u16) -> (Gateway, String) {
    let gateway = Gateway::start(setup(&upstream("users", port), &dns(bind))).await;
    let token = admin(&gateway, "root").await.token;
    (gateway, token)
}

#[tokio::test]
async fn addresses_that_are_added_and_removed_are_followed_without_a_failed_request() {
    let bind = Bind::start().await;
    let servers = backends(81, 3).await;
    let port = servers[0].address().port();
    bind.set("users", 1, &addresses(81, &[1, 2]));
    let (gateway, token) = start(&bind, port).await;
    assert_eq!(served(&gateway, 12).await, addresses(81, &[1, 2]), "the first request has all members");
    for hosts in [&[1, 2, 3][..], &[3], &[1, 3], &[2]] {
        // TTL 0 is at least a second.
        bind.set("users", 0, &addresses(81, hosts));
        has(&gateway, &token, &urls(81, hosts, port)).await;
        // Each worker reads the list with its next request.
        served(&gateway, 12).await;
        assert_eq!(served(&gateway, 24).await, addresses(81, hosts));
    }
    let request = servers[1].seen().pop().unwrap();
    assert_eq!(request.head.header("host"), Some(gateway.proxy.to_string().as_str()));
    let metrics = gateway.metrics().await;
    assert!(
        metrics.contains(&format!("tollgate_discovery_members{{source=\"dns users.{ZONE}:{port}\"}} 1")),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_long_ttl_is_bounded_by_the_configured_maximum() {
    let bind = Bind::start().await;
    let servers = backends(103, 2).await;
    let port = servers[0].address().port();
    bind.set("users", 3_600, &addresses(103, &[1]));
    let dns = format!("{{servers: [\"{}\"], refresh_max: 1s}}", bind.address());
    let gateway = Gateway::start(setup(&upstream("users", port), &dns)).await;
    let token = admin(&gateway, "root").await.token;
    has(&gateway, &token, &urls(103, &[1], port)).await;
    bind.set("users", 3_600, &addresses(103, &[2]));
    has(&gateway, &token, &urls(103, &[2], port)).await;
}

#[tokio::test]
async fn addresses_of_both_families_are_members() {
    let bind = Bind::start().await;
    let servers = backends(104, 1).await;
    let port = servers[0].address().port();
    let at = |port| std::net::SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
    let sixth = Upstream::start_at(at(port), |mut turn: Turn| async move {
        turn.answer("200 OK", b"::1").await;
        Some(turn)
    })
    .await;
    bind.set("users", 1, &[address(104, 1), "::1".to_owned()]);
    let (gateway, token) = start(&bind, port).await;
    has(&gateway, &token, &[format!("http://{}:{port}", address(104, 1)), format!("http://[::1]:{port}")]).await;
    assert_eq!(served(&gateway, 12).await, [address(104, 1), "::1".to_owned()]);
    assert!(!sixth.seen().is_empty());
    // Without a record of IPv4, the others remain.
    bind.set("users", 1, &["::1".to_owned()]);
    has(&gateway, &token, &[format!("http://[::1]:{port}")]).await;
}

#[tokio::test]
async fn idle_connections_to_an_address_that_is_gone_are_closed() {
    let bind = Bind::start().await;
    let servers = backends(82, 2).await;
    let port = servers[0].address().port();
    bind.set("users", 1, &addresses(82, &[1, 2]));
    let (gateway, token) = start(&bind, port).await;
    served(&gateway, 12).await;
    assert!(servers[0].opened() > servers[0].closed());
    bind.set("users", 1, &addresses(82, &[2]));
    has(&gateway, &token, &urls(82, &[2], port)).await;
    e2e::eventually("all connections to the removed server are closed", async || {
        served(&gateway, 4).await;
        (servers[0].opened() == servers[0].closed()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_source_that_fails_or_is_silent_keeps_its_last_list() {
    let mut bind = Bind::start().await;
    let servers = backends(83, 2).await;
    let port = servers[0].address().port();
    bind.set("users", 1, &addresses(83, &[1, 2]));
    let (gateway, token) = start(&bind, port).await;
    bind.pause();
    source_reports(&gateway, &token, "look-up failed").await;
    assert_eq!(served(&gateway, 12).await, addresses(83, &[1, 2]), "silence");
    bind.unpause();
    source_reports(&gateway, &token, "").await;
    bind.break_zone();
    bind.resume().await;
    source_reports(&gateway, &token, "look-up failed").await;
    assert_eq!(served(&gateway, 12).await, addresses(83, &[1, 2]), "SERVFAIL");
    // The list of the last run is in force although the source fails at the start.
    let gateway = Gateway::start_in(gateway.stop().await.folder, setup(&upstream("users", port), &dns(&bind))).await;
    assert_eq!(served(&gateway, 12).await, addresses(83, &[1, 2]), "after a restart");
    bind.restore_zone();
    bind.resume().await;
    source_reports(&gateway, &token, "").await;
    assert_eq!(served(&gateway, 12).await, addresses(83, &[1, 2]), "NXDOMAIN must last");
    bind.set("users", 1, &addresses(83, &[2]));
    has(&gateway, &token, &urls(83, &[2], port)).await;
    gateway.logs("a source of members fails; its last list remains").await;
    gateway.logs("a source of members responds again").await;
}

#[tokio::test]
async fn a_thousand_addresses_are_members_and_a_surplus_is_left_out() {
    let bind = Bind::start().await;
    let many: Vec<String> = (0..1_010).map(|nth: u32| format!("127.84.{}.{}", nth / 250, nth % 250 + 1)).collect();
    bind.set("users", 1, &many[..1_000]);
    let (gateway, token) = start(&bind, 1).await;
    assert_eq!(shown(&gateway, &token).await["backends"].as_array().unwrap().len(), 1_000);
    bind.set("users", 1, &many);
    source_reports(&gateway, &token, "10 members beyond the maximum of 1000 are left out").await;
    assert_eq!(shown(&gateway, &token).await["backends"].as_array().unwrap().len(), 1_000);
}

#[tokio::test]
async fn srv_records_have_ports_weights_and_priorities() {
    let bind = Bind::start().await;
    let servers = backends(85, 3).await;
    let port = servers[0].address().port();
    for host in 1..=3 {
        bind.set(&format!("h{host}"), 1, &addresses(85, &[host]));
    }
    let record = |priority: u8, weight: u8, host: u8| {
        format!("update add _http._tcp.{ZONE}. 1 SRV {priority} {weight} {port} h{host}.{ZONE}.")
    };
    bind.update(&[record(1, 3, 1), record(1, 1, 2), record(2, 9, 3)]);
    let discover = format!("discover: {{dns: _http._tcp.{ZONE}}}");
    let gateway = Gateway::start(setup(&discover, &dns(&bind))).await;
    let token = admin(&gateway, "root").await.token;
    let backends = shown(&gateway, &token).await["backends"].clone();
    let weights: Vec<_> = backends.as_array().unwrap().iter().map(|backend| backend["weight"].as_u64()).collect();
    assert_eq!(weights, [Some(3), Some(1)], "{backends}");
    assert_eq!(served(&gateway, 24).await, addresses(85, &[1, 2]));
}

#[tokio::test]
async fn each_address_of_a_name_in_a_url_is_a_backend() {
    let bind = Bind::start().await;
    let servers = backends(86, 3).await;
    let port = servers[0].address().port();
    bind.set("users", 1, &addresses(86, &[1, 2]));
    let name = format!("http://users.{ZONE}:{port}");
    let listed = format!("backends: [{{url: \"{name}\", weight: 2}}, {{url: \"http://{}:{port}\"}}]", address(86, 3));
    let gateway = Gateway::start(setup(&listed, &dns(&bind))).await;
    let token = admin(&gateway, "root").await.token;
    has(&gateway, &token, &urls(86, &[1, 2, 3], port)).await;
    assert_eq!(served(&gateway, 30).await, addresses(86, &[1, 2, 3]));
    let explained = gateway.ask(Call::json("/api/explain", &serde_json::json!({"url": "/x"})).key(&token)).await;
    let explained = explained.expect(200).json();
    assert_eq!(explained["sources"][0]["source"], format!("dns users.{ZONE}:{port}"));
    assert_eq!(explained["action"]["upstreams"][0]["backends"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn an_upstream_without_members_refuses_requests_and_recovers() {
    let bind = Bind::start().await;
    let servers = backends(87, 1).await;
    let port = servers[0].address().port();
    let (gateway, token) = start(&bind, port).await;
    gateway.call(Call::get("/x")).await.expect(503);
    assert_eq!(shown(&gateway, &token).await["sources"][0]["members"], 0);
    bind.set("users", 1, &addresses(87, &[1]));
    has(&gateway, &token, &urls(87, &[1], port)).await;
    assert_eq!(served(&gateway, 4).await, addresses(87, &[1]));
}

#[tokio::test]
async fn link_local_addresses_are_members_only_if_they_are_allowed() {
    let bind = Bind::start().await;
    let servers = backends(88, 1).await;
    let port = servers[0].address().port();
    let addresses = [address(88, 1), "169.254.169.254".to_owned()];
    bind.set("users", 1, &addresses);
    let gateway = Gateway::start(setup(&upstream("users", port), &dns(&bind))).await;
    let token = admin(&gateway, "root").await.token;
    has(&gateway, &token, &urls(88, &[1], port)).await;
    source_reports(&gateway, &token, "allow_link_local: true").await;
    let allowed = format!("allow_link_local: true, {}", upstream("users", port));
    let gateway = Gateway::start(setup(&allowed, &dns(&bind))).await;
    let token = admin(&gateway, "root").await.token;
    let both = [format!("http://{}:{port}", addresses[0]), format!("http://{}:{port}", addresses[1])];
    has(&gateway, &token, &both).await;
}

#[tokio::test]
async fn a_reload_keeps_the_members_until_new_sources_have_responded() {
    let bind = Bind::start().await;
    let servers = backends(89, 2).await;
    let port = servers[0].address().port();
    bind.set("users", 1, &addresses(89, &[1]));
    bind.set("others", 1, &addresses(89, &[2]));
    let (gateway, token) = start(&bind, port).await;
    let other: Setup = setup(&upstream("others", port), &dns(&bind));
    let call = serde_json::json!({"yaml": other.yaml().unwrap()});
    gateway.ask(Call::json("/api/config", &call).key(&token).header("if-match", "*")).await.expect(200);
    has(&gateway, &token, &urls(89, &[2], port)).await;
    served(&gateway, 12).await;
}
