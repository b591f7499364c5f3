//! gRPC by Python's grpcio, from clients with and without TLS to a server that speaks only HTTP/2, with and without TLS:
//! unary calls, streams in either direction, trailers, errors, deadlines and cancellation; and health checks of such servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use e2e::python::python;
use e2e::{Gateway, Setup, eventually};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::certificates::Certificates;
use super::printed;

/// A running gRPC server; dropped, it ends.
struct GrpcServer {
    address: SocketAddr,
    _child: Child,
    stdin: ChildStdin,
}

impl GrpcServer {
    /// Starts a server, with TLS if it has certificates.
    async fn start(certificates: Option<&Certificates>) -> Self {
        let mut command = python("protocols", "serve_grpc.py");
        if let Some(files) = certificates {
            command.env("CERTIFICATE", files.certificate()).env("KEY", files.key());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
        let port = line.trim().parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), _child: child, stdin }
    }

    /// Sets the health that the server reports from now on.
    async fn reports(&mut self, status: &str) {
        self.stdin.write_all(format!("{status}\n").as_bytes()).await.unwrap();
    }
}

/// The protocol of the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UpstreamKind {
    /// HTTP/2 by prior knowledge.
    Plain,
    /// TLS whose only protocol is HTTP/2, with a certificate of a private authority.
    Tls,
}

/// Runs all calls of the client script over one kind of connection, each of which must be counted once.
async fn check(kind: &str, upstream: UpstreamKind) {
    let certificates = Certificates::new();
    let server = GrpcServer::start((upstream == UpstreamKind::Tls).then_some(&certificates)).await;
    let (port, authority) = (server.address.port(), certificates.authority());
    let backend = match upstream {
        UpstreamKind::Plain => format!("[{{name: backend, backends: [{{url: \"h2c://127.0.0.1:{port}\"}}]}}]"),
        UpstreamKind::Tls => format!(
            "[{{name: backend, backends: [{{url: \"https://127.0.0.1:{port}\"}}], tls: {{ca: {}}}}}]",
            authority.display()
        ),
    };
    let setup = Setup::routed(server.address, "{path: {prefix: /test.Service}, upstreams: backend}")
        .section("upstreams", &backend)
        .section("listen", &certificates.listeners());
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let [plain, tls] = [0, 1].map(|listener| format!("localhost:{}", gateway.listeners[listener].port()));
    let mut client: Command = python("protocols", "calls_grpc.py");
    client.arg(kind).env("KEY", &key).env("CA", certificates.authority()).env("PLAIN", plain).env("TLS", tls);
    let calls: u64 = printed(client).await.trim().parse().unwrap();
    assert!(calls > 10, "{calls}");
    gateway.at_rest().await;
    gateway.uses(&key, calls).await;
    // The client ends the call that it cancels. At a deadline, the server may be faster.
    let early = async || {
        let log = gateway.stderr();
        let ended = log.lines().any(|line| line.contains("/Wait") && line.contains(r#""outcome":"caller_gone""#));
        ended.then_some(())
    };
    eventually("a call ended early", early).await;
}

#[tokio::test]
async fn grpc_passes_without_tls() {
    check("PLAIN", UpstreamKind::Plain).await;
}

#[tokio::test]
async fn grpc_passes_over_tls() {
    check("TLS", UpstreamKind::Plain).await;
}

#[tokio::test]
async fn grpc_passes_to_an_upstream_over_tls() {
    check("TLS", UpstreamKind::Tls).await;
}

/// Returns the value of a metric of one of the servers; 0 before the server is used.
async fn metric(gateway: &Gateway, name: &str, server: &GrpcServer, scheme: &str) -> u64 {
    let start = format!("{name}{{upstream=\"backend\",backend=\"{scheme}://127.0.0.1:{}\"}} ", server.address.port());
    let metrics = gateway.metrics().await;
    metrics.lines().find_map(|line| line.strip_prefix(&start)).map_or(0, |value| value.parse().unwrap())
}

/// Sends some unary calls, and returns how many of them each of the servers got.
async fn calls(gateway: &Gateway, key: &str, servers: [&GrpcServer; 2], scheme: &str) -> [u64; 2] {
    let picks = async || {
        let of = async |server| metric(gateway, "tollgate_backend_requests_total", server, scheme).await;
        [of(servers[0]).await, of(servers[1]).await]
    };
    let before = picks().await;
    let mut client: Command = python("protocols", "calls_grpc.py");
    let plain = format!("localhost:{}", gateway.listeners[0].port());
    client.args(["PLAIN", "unary"]).env("KEY", key).env("PLAIN", plain);
    let sent: u64 = printed(client).await.trim().parse().unwrap();
    let after = picks().await;
    let got = [after[0] - before[0], after[1] - before[1]];
    assert_eq!(got[0] + got[1], sent, "{before:?} {after:?}");
    got
}

/// Waits until the metric says whether a server is unhealthy.
async fn waits(gateway: &Gateway, server: &GrpcServer, scheme: &str, unhealthy: u64) {
    let is_known =
        async || (metric(gateway, "tollgate_backend_unhealthy", server, scheme).await == unhealthy).then_some(());
    eventually("the checks have found the health of the server", is_known).await;
}

/// A server that reports `NOT_SERVING` gets no calls until it serves again.
async fn check_health(scheme: &str) {
    let certificates = Certificates::new();
    let of_servers = (scheme == "https").then_some(&certificates);
    let (mut changing, steady) = (GrpcServer::start(of_servers).await, GrpcServer::start(of_servers).await);
    let urls =
        [&changing, &steady].map(|server| format!("{{url: \"{scheme}://127.0.0.1:{}\"}}", server.address.port()));
    let tls = of_servers.map(|files| format!(", tls: {{ca: {}}}", files.authority().display())).unwrap_or_default();
    let check =
        "health_check: {grpc: test.Service, interval: 150ms, timeout: 5s, unhealthy_threshold: 2}, slow_start: 0s";
    let backend = format!("[{{name: backend, backends: [{}]{tls}, {check}}}]", urls.join(", "));
    let setup = Setup::routed(steady.address, "{path: {prefix: /test.Service}, upstreams: backend}")
        .section("upstreams", &backend);
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    for round in 0..2 {
        waits(&gateway, &changing, scheme, 0).await;
        let got = calls(&gateway, &key, [&changing, &steady], scheme).await;
        assert!(got[0] > 0 && got[1] > 0, "round {round}: both serve: {got:?}");
        changing.reports("NOT_SERVING").await;
        waits(&gateway, &changing, scheme, 1).await;
        let got = calls(&gateway, &key, [&changing, &steady], scheme).await;
        assert_eq!(got[0], 0, "round {round}: {got:?}");
        changing.reports("SERVING").await;
    }
    gateway.logs("the gRPC service does not serve").await;
}

#[tokio::test]
async fn a_server_that_reports_not_serving_gets_no_calls_until_it_serves() {
    check_health("h2c").await;
}

#[tokio::test]
async fn the_health_of_a_server_with_tls_is_checked_over_tls() {
    check_health("https").await;
}
