//! gRPC by Python's grpcio, from clients with and without TLS to a server that speaks only HTTP/2, with and without TLS:
//! unary calls, streams in either direction, trailers, errors, deadlines and cancellation; and health checks of such servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use e2e::python::python;
use e2e::{Gateway, Setup, Upstream, eventually, sdk};
use serde_json::json;
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
    let port = server.address.port();
    let authority = certificates.authority();
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
    let mut changing = GrpcServer::start(of_servers).await;
    let steady = GrpcServer::start(of_servers).await;
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

/// A client script that sends one call per line.
struct Caller {
    _child: Child,
    stdin: ChildStdin,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Caller {
    fn start(gateway: &Gateway, key: &str) -> Self {
        let mut command = python("protocols", "refused_grpc.py");
        command.env("KEY", key).env("PLAIN", format!("localhost:{}", gateway.listeners[0].port()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { stdin: child.stdin.take().unwrap(), lines, _child: child }
    }

    /// Returns the status of a call with these lengths of messages, and its message or response.
    async fn call(&mut self, call: &serde_json::Value) -> (String, String) {
        self.stdin.write_all(format!("{call}\n").as_bytes()).await.unwrap();
        let line = self.lines.next_line().await.unwrap().unwrap_or_else(|| panic!("no result of {call}"));
        let result: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
        (text("code"), text("details"))
    }
}

#[tokio::test]
async fn refused_calls_have_a_status_of_grpc_and_our_message() {
    let server = GrpcServer::start(None).await;
    let routes = "{path: {prefix: /test.Service}, upstreams: backend, sizes: {body: 1KiB}}, \
        {path: /test.Service/Collect, upstreams: backend, sizes: {body: 1KiB}}";
    let backend = format!("[{{name: backend, backends: [{{url: \"h2c://{}\"}}]}}]", server.address);
    let setup =
        Setup::routed(server.address, routes).section("upstreams", &backend).plans("{name: four, credits_per_day: 4}");
    let gateway = Gateway::start(setup).await;
    let key = gateway.account("four").await.key;
    let mut caller = Caller::start(&gateway, &key);
    let collect = |messages: &[usize]| json!({"path": "/test.Service/Collect", "messages": messages});
    // The bound is that of each message, not of the call.
    assert_eq!(caller.call(&collect(&[1_024; 64])).await, ("OK".to_owned(), "64 65536".to_owned()));
    let (code, details) = caller.call(&collect(&[7, 1_025])).await;
    assert_eq!(code, "RESOURCE_EXHAUSTED", "{details}");
    assert!(details.contains("larger than 1024 bytes"), "{details}");
    let (code, details) = caller.call(&json!({"path": "/other.Service/X", "messages": [1]})).await;
    assert_eq!((code.as_str(), details.as_str()), ("UNIMPLEMENTED", "no route has this path"));
    let (code, _) = caller.call(&json!({"path": "/test.Service/Wait", "messages": [0], "timeout": 1})).await;
    assert_eq!(code, "DEADLINE_EXCEEDED");
    // The message that was too large was sent in part.
    gateway.uses(&key, 3).await;
    assert_eq!(caller.call(&collect(&[1])).await.0, "OK");
    let (code, details) = caller.call(&collect(&[1])).await;
    assert_eq!(code, "RESOURCE_EXHAUSTED", "{details}");
    assert!(details.contains("the day's quota of 4 credits is used up"), "{details}");
    // The log of one connection is in the order of its calls.
    caller.call(&json!({"path": "/last.Service/X", "messages": []})).await;
    gateway.logs("/last.Service/X").await;
    assert_eq!(gateway.stderr().matches("\"quota_exceeded\"").count(), 1, "the call is not retried");
}

/// Sends a call with this header and body by curl. Returns the head of its response, which has no content.
async fn refused(gateway: &Gateway, path: &str, header: &str, body: &[u8]) -> String {
    let mut curl = Command::new("curl");
    curl.args(["--http2-prior-knowledge", "--silent", "--show-error", "--max-time", "20", "--dump-header", "-"])
        .args(["--data-binary", "@-", "--header", "content-type: application/grpc", "--header", header])
        .arg(format!("http://{}{path}", gateway.proxy));
    let mut child = curl.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    child.stdin.take().unwrap().write_all(body).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A deadline of the client ends a call, and is no failure of the backend.
#[tokio::test]
async fn the_time_of_a_call_ends_it() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        turn.wire.closed().await;
        None
    })
    .await;
    let backend = format!(
        "[{{name: backend, backends: [{{url: \"http://{}\"}}], retry: {{on: [timeout], unsafe: true}}}}]",
        upstream.address()
    );
    let setup = Setup::routed(upstream.address(), "{path: {prefix: /test.Service}, upstreams: backend, auth: none}")
        .section("upstreams", &backend);
    let gateway = Gateway::start(setup).await;
    for timeout in ["300m", "1n"] {
        let head = refused(&gateway, "/test.Service/X", &format!("grpc-timeout: {timeout}"), b"").await;
        assert!(head.contains("\r\ngrpc-status: 4\r\n"), "{timeout} {head}");
        assert!(head.contains("grpc-message: the call did not end within its grpc-timeout\r\n"), "{timeout} {head}");
    }
    let metrics = gateway.metrics().await;
    let failed = metrics
        .lines()
        .find(|line| line.starts_with("tollgate_backend_failures_total{upstream=\"backend\"") && !line.ends_with(" 0"));
    assert_eq!(failed, None);
}

#[tokio::test]
async fn a_call_at_the_end_of_a_shutdown_gets_our_message() {
    let server = GrpcServer::start(None).await;
    let backend = format!("[{{name: backend, backends: [{{url: \"h2c://{}\"}}]}}]", server.address);
    let setup = Setup::routed(server.address, "{path: {prefix: /test.Service}, upstreams: backend, auth: none}")
        .section("upstreams", &backend)
        .section("drain", "{delay: 0s, timeout: 500ms}");
    let gateway = Gateway::start(setup).await;
    let mut caller = Caller::start(&gateway, "none");
    let call = json!({"path": "/test.Service/Wait", "messages": [0]});
    let terminate = async {
        eventually("the call is at the server", async || {
            (metric(&gateway, "tollgate_backend_requests_in_flight", &server, "h2c").await == 1).then_some(())
        })
        .await;
        gateway.terminate();
    };
    let ((code, details), ()) = tokio::join!(caller.call(&call), terminate);
    assert_eq!(
        (code.as_str(), details.as_str()),
        ("UNAVAILABLE", "this instance is shutting down: the response is incomplete")
    );
}

#[tokio::test]
async fn a_call_that_ends_within_a_message_is_refused() {
    let server = GrpcServer::start(None).await;
    let backend = format!("[{{name: backend, backends: [{{url: \"h2c://{}\"}}]}}]", server.address);
    let setup = Setup::routed(server.address, "{path: {prefix: /test.Service}, upstreams: backend, auth: none}")
        .section("upstreams", &backend);
    let gateway = Gateway::start(setup).await;
    for body in [&b"\0"[..], b"\0\0\0\0", b"\0\0\0\0\x05abc"] {
        let head = refused(&gateway, "/test.Service/Reverse", "te: trailers", body).await;
        assert!(head.contains("\r\ngrpc-status: 3\r\n"), "{body:?} {head}");
        assert!(head.contains("ends within a message"), "{body:?} {head}");
    }
}

#[tokio::test]
async fn grpc_js_gets_our_message_and_does_not_retry_a_used_up_quota() {
    let server = GrpcServer::start(None).await;
    let backend = format!("[{{name: backend, backends: [{{url: \"h2c://{}\"}}]}}]", server.address);
    let setup = Setup::routed(server.address, "{path: {prefix: /test.Service}, upstreams: backend}")
        .section("upstreams", &backend)
        .plans("{name: two, credits_per_day: 2}");
    let gateway = Gateway::start(setup).await;
    let key = gateway.account("two").await.key;
    let mut client = sdk::node("grpc.mjs");
    client.env("KEY", &key).env("PLAIN", format!("localhost:{}", gateway.listeners[0].port()));
    let lines: Vec<serde_json::Value> =
        printed(client).await.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let codes: Vec<_> = lines.iter().map(|line| line["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["OK", "OK", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED", "UNAUTHENTICATED"], "{lines:?}");
    assert!(lines[0]["reversed"] == true && lines[1]["reversed"] == true, "{lines:?}");
    assert!(lines[2]["details"].as_str().unwrap().contains("the day's quota of 2 credits is used up"), "{lines:?}");
    gateway.at_rest().await;
    gateway.logs("\"quota_exceeded\"").await;
    assert_eq!(gateway.stderr().matches("\"quota_exceeded\"").count(), 1, "the call is not retried");
}
