//! The official client libraries, and a run of all scenarios of one library.
//!
//! A script prints one line of JSON per scenario with these fields: `client`, `version`, `call`, `case` (ok, stream,
//! tool,
//! error, cancel, retry, timeout), `name`, `id` (the request id, which Tollgate logs as `correlation_id`), `requests`
//! (the
//! number of requests that the log must contain), `pass`, `detail`, `note`.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::sync::watch;

use crate::client::Call;
use crate::tools::HOW;
use crate::upstream::{Turn, Upstream};
use crate::{python, sdk};

/// Timeout for all scenarios of one client.
const RUN_TIMEOUT: Duration = Duration::from_secs(180);

/// A client library in one set of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The name of the client in file names.
    pub name: &'static str,
    /// The runtime that executes the script.
    pub runtime: Runtime,
    /// The script and its arguments.
    pub words: &'static [&'static str],
}

/// The runtime of a client script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// Node, with the packages of `e2e/sdk`.
    Node,
    /// Python, with the environment of this requirements set.
    Python(&'static str),
}

const fn node(name: &'static str, words: &'static [&'static str]) -> Client {
    Client { name, runtime: Runtime::Node, words }
}

const fn python(name: &'static str, set: &'static str, words: &'static [&'static str]) -> Client {
    Client { name, runtime: Runtime::Python(set), words }
}

/// Every client, in the order of the table in the documentation.
pub const ALL: [Client; 16] = [
    node("openai-node", &["openai.mjs", "openai", "current"]),
    node("openai-node-earlier", &["openai.mjs", "openai", "earlier"]),
    python("openai-python", "current", &["calls_openai.py", "openai"]),
    python("openai-python-earlier", "earlier", &["calls_openai.py", "openai"]),
    node("azure-node", &["openai.mjs", "azure", "current"]),
    node("azure-node-earlier", &["openai.mjs", "azure", "earlier"]),
    python("azure-python", "current", &["calls_openai.py", "azure"]),
    python("azure-python-earlier", "earlier", &["calls_openai.py", "azure"]),
    node("anthropic-node", &["anthropic.mjs", "current"]),
    node("anthropic-node-earlier", &["anthropic.mjs", "earlier"]),
    python("anthropic-python", "current", &["calls_anthropic.py"]),
    python("anthropic-python-earlier", "earlier", &["calls_anthropic.py"]),
    node("google-node", &["google.mjs", "current"]),
    node("google-node-earlier", &["google.mjs", "earlier"]),
    python("google-python", "current", &["calls_google.py"]),
    python("google-python-earlier", "earlier", &["calls_google.py"]),
];

impl Client {
    /// Runs all scenarios with these environment variables; returns the printed lines.
    pub async fn run(&self, variables: &[(&str, String)]) -> Vec<Value> {
        let (script, arguments) = self.words.split_first().unwrap_or((&"", &[]));
        let mut command = match self.runtime {
            Runtime::Node => sdk::node(script),
            Runtime::Python(set) => python::python(set, script),
        };
        command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
        let (stdout, stderr) = finished(command).await;
        let mut lines: Vec<Value> = stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        assert!(!lines.is_empty(), "{}: no lines: {stdout}{stderr}", self.name);
        assert_eq!(lines.len(), stdout.lines().count(), "{}: lines that are not JSON: {stdout}", self.name);
        // Scenarios run concurrently and end in any order; the ids contain their numbers.
        lines.sort_by_key(|line| line["id"].as_str().and_then(|id| id.rsplit('.').next()?.parse::<u32>().ok()));
        lines
    }
}

async fn finished(mut command: Command) -> (String, String) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let output = match tokio::time::timeout(RUN_TIMEOUT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => panic!("{command:?}: {error}; {HOW}"),
        Err(_) => panic!("not within {RUN_TIMEOUT:?}: {command:?}"),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let stdout = text(&output.stdout);
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stdout}{stderr}");
    (stdout, stderr)
}

/// Starts a provider in front of the mock. It answers the first request of each request id with `status` (code and
/// reason phrase) and `retry-after-ms: 20`. Further requests with the same id are forwarded to the mock.
pub async fn unsteady(mock: SocketAddr, status: &'static str) -> Upstream {
    let known = Arc::new(Mutex::new(HashSet::new()));
    Upstream::start(move |mut turn| {
        let known = Arc::clone(&known);
        async move {
            let body = turn.read_body().await;
            let id = turn.head.header("x-request-id").unwrap_or_default().to_owned();
            let first = known.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
            if !first {
                return hand_on(turn, &body, mock).await;
            }
            let head = format!("{status}\r\ncontent-type: application/json\r\nretry-after-ms: 20");
            turn.answer(&head, br#"{"error":{"message":"try again"}}"#).await.then_some(turn)
        }
    })
    .await
}

/// Starts a provider that never answers. It reports the ids of the requests that have arrived: `GET /arrived/ID` is answered when the
/// request has arrived, and `GET /has-arrived/ID` at once, with 200 or 404.
pub async fn held() -> Upstream {
    let known = Arc::new(watch::Sender::new(HashSet::<String>::new()));
    Upstream::start(move |mut turn| {
        let known = Arc::clone(&known);
        async move {
            turn.read_body().await;
            let target = turn.head.word(1).to_owned();
            if let Some(id) = target.strip_prefix("/arrived/") {
                // The sender exists as long as this script.
                let _ = known.subscribe().wait_for(|known| known.contains(id)).await;
                return turn.answer("200 OK", b"").await.then_some(turn);
            }
            if let Some(id) = target.strip_prefix("/has-arrived/") {
                let is_known = known.borrow().contains(id);
                let status = if is_known { "200 OK" } else { "404 Not Found" };
                return turn.answer(status, b"").await.then_some(turn);
            }
            let id = turn.head.header("x-request-id").unwrap_or_default().to_owned();
            known.send_modify(|known| drop(known.replace(id)));
            turn.wire.closed().await;
            None
        }
    })
    .await
}

/// Starts a provider that fails before any content: with an error for the model `error-first`, and with silence after the head of
/// its response for the model `silent`. Calls without text in their response get the status 500.
pub async fn broken() -> Upstream {
    const ERROR: &str = r#"{"type":"error","error":{"type":"server_error","message":"broken"}}"#;
    const TEXTS: [&str; 4] = ["/chat/completions", "/responses", "/messages", "enerateContent"];
    Upstream::start(|mut turn| async move {
        let body: Value = serde_json::from_slice(&turn.read_body().await).unwrap_or_default();
        let path = turn.head.word(1).to_owned();
        if !TEXTS.iter().any(|known| path.contains(known)) {
            let head = "500 Internal Server Error\r\ncontent-type: application/json";
            return turn.answer(head, ERROR.as_bytes()).await.then_some(turn);
        }
        let is_stream = body["stream"] == true || path.contains(":streamGenerateContent");
        let kind = if is_stream { "text/event-stream" } else { "application/json" };
        let head = format!("200 OK\r\ncontent-type: {kind}");
        if body["model"] == "silent" || path.contains("/silent:") {
            if turn.stream(&head).await {
                turn.wire.closed().await;
            }
            return None;
        }
        let event = format!("event: error\ndata: {ERROR}\n\n");
        let is_sent = if is_stream {
            turn.stream(&head).await && turn.chunk(event.as_bytes()).await && turn.chunk(b"").await
        } else {
            turn.answer(&head, ERROR.as_bytes()).await
        };
        is_sent.then_some(turn)
    })
    .await
}

async fn hand_on(mut turn: Turn, body: &[u8], mock: SocketAddr) -> Option<Turn> {
    let mut call = Call::new(turn.head.word(0), turn.head.word(1)).body(body);
    if let Some(kind) = turn.head.header("content-type") {
        call = call.header("content-type", kind);
    }
    let answer = call.send(mock).await;
    let kind = answer.header("content-type").unwrap_or("application/json");
    let head = format!("{} OK\r\ncontent-type: {kind}", answer.status());
    turn.answer(&head, &answer.body).await.then_some(turn)
}
