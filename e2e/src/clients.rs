//! The official clients: which there are, and a run of all that one can do.
//!
//! A script prints a line of JSON for each scenario: `client`, `version`, `call`, `case` (ok, stream, tool, error, cancel,
//! retry, timeout), `name`, `id` (the request's own, which the gateway's log repeats as `correlation_id`), `requests`
//! (how many the log must have), `pass`, `detail`, `note`.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::client::Call;
use crate::commands;
use crate::upstream::{Turn, Upstream};
use crate::{python, sdk};

/// How a machine gets what these tests need.
pub const HOW: &str = "`make test` (or scripts/setup.sh test) installs what the clients need";
/// All scenarios of one client.
const RUN_TIMEOUT: Duration = Duration::from_secs(180);

/// A client and an edition of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// What it is called in file names.
    pub name: &'static str,
    /// What runs it.
    pub runtime: Runtime,
    /// The script, and its arguments.
    pub words: &'static [&'static str],
}

/// What runs a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// Node, with `e2e/sdk`.
    Node,
    /// Python, with the environment of this set.
    Python(&'static str),
}

const fn node(name: &'static str, words: &'static [&'static str]) -> Client {
    Client { name, runtime: Runtime::Node, words }
}

const fn python(name: &'static str, set: &'static str, words: &'static [&'static str]) -> Client {
    Client { name, runtime: Runtime::Python(set), words }
}

/// Every client, in the order of the table.
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
    /// Runs all its scenarios with these variables; answers their lines.
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
        assert_eq!(lines.len(), stdout.lines().count(), "{}: lines that are no JSON: {stdout}", self.name);
        // Scenarios run beside each other, and end in any order; their ids count them.
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
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {stdout}{stderr}");
    (stdout, stderr)
}

/// The tools of the build folder, which `scripts/setup.sh` installs.
#[must_use]
pub fn tools() -> PathBuf {
    let target = commands::binary().parent().and_then(|profile| profile.parent().map(PathBuf::from));
    target.unwrap_or_default().join("tools")
}

/// A provider before the mock that answers the first request of each id with `status` (a code and its words), and asks
/// for little patience. What it is asked again it hands on.
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
