//! ReportingBackends that report the request they got, and whose behaviour a header of the request sets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use e2e::{Turn, Upstream};
use http::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The header with the behaviour of the backend.
pub(super) const SCRIPT: &str = "x-backend";
const NAMES: [&str; 3] = ["one", "two", "three"];

/// The backends of all tests; dropping them closes their connections.
pub(super) struct ReportingBackends {
    plain: [Upstream; 3],
    http2: SocketAddr,
    _http2_tasks: JoinSet<()>,
}

/// The behaviour of a backend for one request.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BackendScript {
    id: String,
    /// Headers of its response.
    sends: BTreeMap<String, String>,
    waits_ms: u64,
    fails: Option<BackendFailure>,
}

/// A failure of the first `times` attempts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BackendFailure {
    times: u32,
    /// The status; without it, the connection is closed.
    status: Option<u16>,
    #[serde(default)]
    after_ms: u64,
}

type BackendAttempts = Arc<Mutex<BTreeMap<String, u32>>>;

impl ReportingBackends {
    pub(super) async fn start() -> Self {
        let attempts = BackendAttempts::default();
        let start = async |name: &'static str| {
            let attempts = Arc::clone(&attempts);
            Upstream::start(move |turn| respond(name, Arc::clone(&attempts), turn)).await
        };
        let [one, two, three] = NAMES;
        let plain = [start(one).await, start(two).await, start(three).await];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http2 = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept_http2(listener));
        Self { plain, http2, _http2_tasks: tasks }
    }

    /// Returns an upstream for each backend, with its name.
    pub(super) fn upstreams(&self) -> Vec<Value> {
        let upstream = |name: &str| json!({"name": name, "backends": [{"url": format!("http://{name}")}]});
        NAMES.into_iter().map(|name| self.with_addresses(&upstream(name))).collect()
    }

    /// Replaces the names of backends in URLs by their addresses.
    pub(super) fn with_addresses(&self, upstream: &Value) -> Value {
        let named = NAMES.into_iter().zip(self.plain.iter().map(Upstream::address)).chain([("h2c", self.http2)]);
        let text = named.fold(upstream.to_string(), |text, (name, address)| {
            text.replace(&format!("//{name}\""), &format!("//{address}\""))
        });
        match serde_json::from_str(&text) {
            Ok(upstream) => upstream,
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

async fn respond(name: &'static str, attempts: BackendAttempts, mut turn: Turn) -> Option<Turn> {
    turn.read_body().await;
    let script: BackendScript = match turn.head.header(SCRIPT) {
        Some(script) => serde_json::from_str(script).unwrap(),
        None => BackendScript::default(),
    };
    let mut status = 200;
    if let Some(failure) = &script.fails
        && is_failing(&attempts, &script.id, failure.times)
    {
        sleep(Duration::from_millis(failure.after_ms)).await;
        status = failure.status?;
    }
    sleep(Duration::from_millis(script.waits_ms)).await;
    let report = json!({
        "backend": name, "method": turn.head.word(0), "target": turn.head.word(1), "headers": turn.head.headers
    });
    let fields: String = script.sends.iter().map(|(name, value)| format!("\r\n{name}: {value}")).collect();
    let body = if turn.head.word(0) == "HEAD" { String::new() } else { report.to_string() };
    turn.answer(&format!("{status} Scripted{fields}"), body.as_bytes()).await.then_some(turn)
}

/// Counts an attempt and returns whether it fails.
fn is_failing(attempts: &BackendAttempts, id: &str, times: u32) -> bool {
    let mut attempts = attempts.lock().unwrap_or_else(PoisonError::into_inner);
    let count = attempts.entry(id.to_owned()).or_default();
    *count += 1;
    *count <= times
}

async fn accept_http2(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve_http2(stream));
    }
}

/// Responds to each stream of a connection with prior knowledge of HTTP/2.
async fn serve_http2(stream: TcpStream) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let method = request.method().as_str();
        let report = json!({"backend": "h2c", "method": method, "target": request.uri().path(), "headers": []});
        if let Ok(mut body) = respond.send_response(Response::new(()), false) {
            let _ = body.send_data(Bytes::from(report.to_string()), true);
        }
    }
}
