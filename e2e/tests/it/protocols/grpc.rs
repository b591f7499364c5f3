//! gRPC by Python's grpcio, from clients with and without TLS to a server that speaks only HTTP/2, with and without TLS:
//! unary calls, streams in either direction, trailers, errors, deadlines and cancellation.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use e2e::python::python;
use e2e::{Gateway, Setup, eventually};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::certificates::Certificates;
use super::printed;

/// A running gRPC server; dropped, it ends.
struct GrpcServer {
    address: SocketAddr,
    _child: Child,
    _stdin: Option<ChildStdin>,
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
        let stdin = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
        let port = line.trim().parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), _child: child, _stdin: stdin }
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
