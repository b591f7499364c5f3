//! Members from Consul: registrations, checks, and an index that begins again.

use std::net::SocketAddr;
use std::process::Stdio;

use e2e::python::python;
use e2e::{Call, Consul, Gateway, Setup};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::{address, admin, backends, has, served, shown, source_reports};

fn setup(consul: &Consul, more: &str) -> Setup {
    let consul = format!("{{url: \"http://{}\"{more}}}", consul.address());
    super::sourced("discover: {consul: user-service}").section("consul", &consul)
}

fn url(net: u8, host: u8, port: u16) -> String {
    format!("http://{}:{port}", address(net, host))
}

#[tokio::test]
async fn passing_instances_are_members_also_after_the_index_has_fallen() {
    let consul = Consul::start(1_000).await;
    let servers = backends(95, 3).await;
    let port = servers[0].address().port();
    let url = |host| url(95, host, port);
    consul.register("a", "user-service", (&address(95, 1), port));
    consul.register("x", "other", (&address(95, 9), port));
    let gateway = Gateway::start(setup(&consul, "")).await;
    let token = admin(&gateway, "root").await.token;
    assert_eq!(served(&gateway, 8).await, [address(95, 1)], "the first request has all members");
    consul.register("b", "user-service", (&address(95, 2), port));
    has(&gateway, &token, &[url(1), url(2)]).await;
    consul.set_passing("a", false);
    has(&gateway, &token, &[url(2)]).await;
    consul.reset_index();
    consul.register("c", "user-service", (&address(95, 3), port));
    has(&gateway, &token, &[url(2), url(3)]).await;
    consul.set_passing("a", true);
    has(&gateway, &token, &[url(1), url(2), url(3)]).await;
    consul.deregister("b");
    has(&gateway, &token, &[url(1), url(3)]).await;
    served(&gateway, 8).await;
    assert_eq!(served(&gateway, 12).await, [address(95, 1), address(95, 3)]);
}

#[tokio::test]
async fn a_refused_token_is_reported_and_the_right_one_is_sent() {
    let consul = Consul::start(1).await;
    let servers = backends(96, 1).await;
    let port = servers[0].address().port();
    consul.require("S3CRET");
    consul.register("a", "user-service", (&address(96, 1), port));
    let gateway = Gateway::start(setup(&consul, ", token: WRONG")).await;
    let token = admin(&gateway, "root").await.token;
    source_reports(&gateway, &token, "the status of the response is 403").await;
    gateway.call(Call::get("/x")).await.expect(503);
    let gateway = Gateway::start(setup(&consul, ", token: S3CRET")).await;
    gateway.call(Call::get("/x")).await.expect(200);
}

#[tokio::test]
async fn queries_name_the_datacenter() {
    let consul = Consul::start(1).await;
    let servers = backends(102, 1).await;
    consul.register("a", "user-service", (&address(102, 1), servers[0].address().port()));
    let gateway = Gateway::start(setup(&consul, ", datacenter: jakarta-2")).await;
    gateway.call(Call::get("/x")).await.expect(200);
    let requests = consul.requests();
    let queries = requests.iter().filter(|line| line.contains("/v1/health/service/user-service?passing=true"));
    assert!(queries.clone().count() > 0 && queries.clone().all(|line| line.contains("&dc=jakarta-2 ")), "{requests:?}");
}

#[tokio::test]
async fn the_gateway_is_not_a_member_of_its_own_upstream() {
    let consul = Consul::start(1).await;
    let servers = backends(98, 1).await;
    let port = servers[0].address().port();
    consul.register("a", "user-service", (&address(98, 1), port));
    let gateway = Gateway::start(setup(&consul, "")).await;
    let token = admin(&gateway, "root").await.token;
    has(&gateway, &token, &[url(98, 1, port)]).await;
    consul.register("b", "user-service", (&gateway.proxy.ip().to_string(), gateway.proxy.port()));
    source_reports(&gateway, &token, "is this gateway's own address, so it is left out").await;
    has(&gateway, &token, &[url(98, 1, port)]).await;
    assert_eq!(shown(&gateway, &token).await["sources"][0]["members"], 1);
    assert_eq!(served(&gateway, 12).await, [address(98, 1)]);
    consul.deregister("b");
    source_reports(&gateway, &token, "").await;
}

/// A service that registers with py-consul.
struct RegisteringService {
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl RegisteringService {
    fn start(url: &str, service: &str) -> Self {
        let mut command = python("consul", "register_consul.py");
        command.env("CONSUL_URL", url).env("SERVICE", service).kill_on_drop(true);
        if let Ok(token) = std::env::var("CONSUL_TOKEN") {
            command.env("CONSUL_TOKEN", token);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = child.stdout.take().unwrap();
        Self { _child: child, stdin, lines: BufReader::new(stdout).lines() }
    }

    async fn asks(&mut self, command: &str) {
        self.stdin.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        assert_eq!(self.lines.next_line().await.unwrap().as_deref(), Some("done"), "{command}");
    }

    async fn registers(&mut self, id: &str, at: SocketAddr, weight: u32) {
        self.asks(&format!("register {id} {} {} {weight}", at.ip(), at.port())).await;
    }
}

/// With `TOLLGATE_TEST_CONSUL`, the Consul is the one at this URL (`make consul`).
#[tokio::test]
async fn registrations_of_a_client_of_consul_are_followed() {
    let small = Consul::start(7).await;
    let servers = backends(97, 2).await;
    let url = std::env::var("TOLLGATE_TEST_CONSUL").unwrap_or_else(|_| format!("http://{}", small.address()));
    let name = format!("tollgate-test-{}", std::process::id());
    let mut service = RegisteringService::start(&url, &name);
    let token = std::env::var("CONSUL_TOKEN").map(|token| format!(", token: \"{token}\"")).unwrap_or_default();
    let setup = super::sourced(&format!("discover: {{consul: {name}}}"));
    let setup = setup.section("consul", &format!("{{url: \"{url}\"{token}}}"));
    let ids = ["a", "b"].map(|id| format!("{name}-{id}"));
    let urls = [0, 1].map(|nth: usize| format!("http://{}", servers[nth].address()));
    service.registers(&ids[0], servers[0].address(), 1).await;
    service.asks(&format!("pass {}", ids[0])).await;
    let gateway = Gateway::start(setup).await;
    let admin_token = admin(&gateway, "root").await.token;
    has(&gateway, &admin_token, &urls[..1]).await;
    // A check that has not passed yet keeps an instance from being a member.
    service.registers(&ids[1], servers[1].address(), 3).await;
    has(&gateway, &admin_token, &urls[..1]).await;
    service.asks(&format!("pass {}", ids[1])).await;
    has(&gateway, &admin_token, &urls).await;
    let upstream = shown(&gateway, &admin_token).await;
    let weights: Vec<_> = upstream["backends"].as_array().unwrap().iter().map(|backend| &backend["weight"]).collect();
    assert_eq!(weights, [1, 3], "{upstream}");
    service.asks(&format!("fail {}", ids[0])).await;
    has(&gateway, &admin_token, &urls[1..]).await;
    served(&gateway, 4).await;
    assert_eq!(served(&gateway, 4).await, [address(97, 2)]);
    service.asks(&format!("pass {}", ids[0])).await;
    has(&gateway, &admin_token, &urls).await;
    service.asks(&format!("deregister {}", ids[1])).await;
    has(&gateway, &admin_token, &urls[..1]).await;
    service.asks(&format!("deregister {}", ids[0])).await;
}
