//! HTTP clients that are not built on the libraries of Tollgate: curl, h2load, Python's httpx, Node and Go, each over
//! HTTP/1.1 and HTTP/2, with and without TLS. The certificate is signed by a private authority that each client trusts.

pub(crate) mod certificates;
mod grpc;
mod websocket;

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use e2e::python::python;
use e2e::{Gateway, Setup, Upstream, sdk, sha256, tools};
use serde_json::Value;
use tokio::process::Command;

use self::certificates::Certificates;

/// Timeout of one client.
const RUN_TIMEOUT: Duration = Duration::from_secs(60);
/// More than the windows of HTTP/2 and a TLS record contain.
const BODY_BYTES: usize = 300_000;

/// A gateway with a listener of HTTP and one of HTTPS, before an upstream that returns the body of each request.
struct Stage {
    gateway: Gateway,
    certificates: Certificates,
    key: String,
    body: Vec<u8>,
    _upstream: Upstream,
}

impl Stage {
    async fn set() -> Self {
        let upstream = Upstream::start(|mut turn| async move {
            let body = turn.read_body().await;
            turn.answer("200 OK\r\ncontent-type: application/octet-stream", &body).await.then_some(turn)
        })
        .await;
        let certificates = Certificates::new();
        let setup = Setup::routed(upstream.address(), "{path: /echo, upstreams: backend}")
            .section("listen", &certificates.listeners());
        let gateway = Gateway::start(setup).await;
        let key = gateway.key().await;
        let body = (0..BODY_BYTES).map(|at| u8::try_from(at % 251).unwrap()).collect();
        Self { gateway, certificates, key, body, _upstream: upstream }
    }

    fn plain(&self) -> String {
        format!("http://localhost:{}", self.gateway.listeners[0].port())
    }

    fn tls(&self) -> String {
        format!("https://localhost:{}", self.gateway.listeners[1].port())
    }

    /// Writes the body into a file and returns its path.
    fn body_file(&self) -> PathBuf {
        let path = self.gateway.folder().path().join("body");
        fs::write(&path, &self.body).unwrap();
        path
    }

    /// Returns the variables of the client scripts.
    fn variables(&self) -> [(&'static str, String); 5] {
        let path = |path: PathBuf| path.display().to_string();
        [
            ("PLAIN", format!("{}/echo", self.plain())),
            ("TLS", format!("{}/echo", self.tls())),
            ("KEY", self.key.clone()),
            ("CA", path(self.certificates.authority())),
            ("BODY", path(self.body_file())),
        ]
    }

    /// Runs a client script, whose lines must be these: a name, the protocol, the number of requests with it. Each
    /// response must be 200 with the body of the request, and each request must be counted.
    async fn check(&self, mut command: Command, expected: &[(&str, &str, u64)]) {
        command.envs(self.variables());
        let printed = printed(command).await;
        let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let seen: Vec<_> = lines.iter().map(|line| [&line["name"], &line["protocol"]].map(Value::as_str)).collect();
        let all: Vec<_> = expected
            .iter()
            .flat_map(|(name, protocol, count)| (0..*count).map(|_| [Some(*name), Some(*protocol)]))
            .collect();
        assert_eq!(seen, all, "{printed}");
        for line in &lines {
            assert_eq!(line["status"], 200, "{line}");
            assert_eq!(line["sha256"], sha256(&self.body), "{line}");
        }
        self.counted(u64::try_from(lines.len()).unwrap()).await;
    }

    /// Waits until the key has used one credit per request.
    async fn counted(&self, requests: u64) {
        self.gateway.uses(&self.key, requests).await;
        self.gateway.at_rest().await;
    }
}

/// Runs a command that must succeed, and returns its output.
async fn printed(mut command: Command) -> String {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let run = tokio::time::timeout(RUN_TIMEOUT, command.output());
    let output = match run.await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => panic!("{command:?}: {error}; {}", tools::HOW),
        Err(_) => panic!("not within {RUN_TIMEOUT:?}: {command:?}"),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[tokio::test]
async fn curl_speaks_each_protocol() {
    let stage = Stage::set().await;
    let body = stage.body_file();
    let received = stage.gateway.folder().path().join("received");
    let cases = [
        (stage.tls(), "--http2", "2"),
        (stage.tls(), "--http1.1", "1.1"),
        (stage.plain(), "--http2-prior-knowledge", "2"),
        (stage.plain(), "--http1.1", "1.1"),
        // Tollgate ignores the request to upgrade to h2c, which RFC 9113 has removed.
        (stage.plain(), "--http2", "1.1"),
    ];
    for (origin, option, version) in &cases {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "30", option, "--cacert"]);
        curl.arg(stage.certificates.authority()).arg("--data-binary").arg(format!("@{}", body.display()));
        curl.args(["--header", &format!("authorization: Bearer {}", stage.key), "--output"]).arg(&received);
        curl.args(["--write-out", "%{http_version} %{http_code}", &format!("{origin}/echo")]);
        assert_eq!(printed(curl).await, format!("{version} 200"), "{origin} {option}");
        assert!(fs::read(&received).unwrap() == stage.body, "{origin} {option}");
    }
    stage.counted(u64::try_from(cases.len()).unwrap()).await;
}

#[tokio::test]
async fn h2load_runs_64_streams_over_tls_and_prior_knowledge() {
    const REQUESTS: u64 = 400;
    let stage = Stage::set().await;
    let small = stage.gateway.folder().path().join("small");
    fs::write(&small, &stage.body[..1_000]).unwrap();
    for (number, origin, protocol) in [(1, stage.tls(), "h2"), (2, stage.plain(), "h2c")] {
        let mut h2load = Command::new("h2load");
        h2load.args(["--requests", &REQUESTS.to_string(), "--clients", "2", "--max-concurrent-streams", "64"]);
        h2load.arg("--data").arg(&small).args(["--header", &format!("authorization: Bearer {}", stage.key)]);
        let report = printed({
            h2load.arg(format!("{origin}/echo"));
            h2load
        })
        .await;
        for expected in [
            format!("Application protocol: {protocol}\n"),
            format!("requests: {REQUESTS} total, {REQUESTS} started, {REQUESTS} done, {REQUESTS} succeeded, 0 failed"),
            format!("status codes: {REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx\n"),
            format!("({}) data\n", REQUESTS * 1_000),
        ] {
            assert!(report.contains(&expected), "{expected}\n{report}");
        }
        stage.counted(number * REQUESTS).await;
    }
}

#[tokio::test]
async fn python_httpx_speaks_http1_and_http2() {
    let stage = Stage::set().await;
    let expected = [
        ("TLS", "HTTP/2", 2),
        ("TLS", "HTTP/1.1", 2),
        // At the same time, on one connection.
        ("TLS", "HTTP/2", 20),
        ("PLAIN", "HTTP/2", 2),
        ("PLAIN", "HTTP/1.1", 2),
    ];
    stage.check(python("protocols", "calls_httpx.py"), &expected).await;
}

#[tokio::test]
async fn node_speaks_http1_by_fetch_and_http2_by_its_module() {
    let stage = Stage::set().await;
    let mut node = sdk::node("protocols.mjs");
    node.env("NODE_EXTRA_CA_CERTS", stage.certificates.authority());
    let expected = [("TLS fetch", "http/1.1", 2), ("TLS http2", "h2", 20), ("PLAIN http2", "h2c", 20)];
    stage.check(node, &expected).await;
}

#[tokio::test]
async fn go_speaks_http1_and_http2() {
    let stage = Stage::set().await;
    let mut go = Command::new(tools::tools().join("go-client"));
    go.env_clear();
    let expected = [("TLS", "HTTP/1.1", 2), ("TLS", "HTTP/2.0", 2), ("PLAIN", "HTTP/1.1", 2), ("PLAIN", "HTTP/2.0", 2)];
    stage.check(go, &expected).await;
}
