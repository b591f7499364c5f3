//! Every call of every official client library, as applications make it. Each scenario must pass in its script and
//! must be logged by Tollgate with the outcome of its case. `docs/clients.md` is generated from the results.

mod fallback;
mod judge;
mod table;
mod tls;
mod translated;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use e2e::clients::{self, Client};
use e2e::{Call, Gateway, Head, Mock, ReservedPort, Setup, Upstream, commands};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::bodies::{CHAT, Format};

/// Clients that run at the same time.
const AT_ONCE: usize = 3;

/// The models that clients request, and the mock's model for each.
const MODELS: [(&str, &str); 12] = [
    ("tool", "mock/tool"),
    ("held", "held/echo"),
    ("long", "mock/long"),
    ("paced", "mock/tokens-100-2000"),
    ("echo", "mock/echo"),
    ("cut", "mock/cut"),
    ("unfinished", "mock/unfinished"),
    ("failing", "mock/500"),
    ("overloaded", "mock/529"),
    ("mock", "mock/mock"),
    ("busy", "busy/echo"),
    ("away", "away/echo"),
];

/// A server with the mock, with two providers that refuse the first request of each id, and with three that serve nothing: `held`,
/// `broken` and `refused`.
struct Stage {
    gateway: Gateway,
    variables: Vec<(&'static str, String)>,
    /// Records the clients' requests and refuses them.
    probe: Upstream,
    _mock: Mock,
    _upstreams: [Upstream; 4],
    _refused: ReservedPort,
}

impl Stage {
    /// Starts the server with the sections that `more` adds.
    async fn set(more: impl FnOnce(Setup) -> Setup) -> Self {
        Self::set_with("responses, chat, messages, generate_content", more).await
    }

    /// Like [`Stage::set`], with providers that have these formats of calls for text.
    async fn set_with(formats: &str, more: impl FnOnce(Setup) -> Setup) -> Self {
        let mock = Mock::start().await;
        let busy = clients::unsteady(mock.address(), "429 Too Many Requests").await;
        let away = clients::unsteady(mock.address(), "503 Service Unavailable").await;
        let provider =
            |name: &str, at| format!("{{name: {name}, kind: mock, base_url: \"http://{at}\", formats: [{formats}]}}");
        let held = clients::held().await;
        let broken = clients::broken().await;
        let refused = ReservedPort::new();
        let providers = [
            provider("mock", mock.address()),
            provider("busy", busy.address()),
            provider("away", away.address()),
            provider("held", held.address()),
            provider("broken", broken.address()),
            provider("refused", refused.address()),
        ];
        let models = MODELS.map(|(name, target)| {
            let (provider, model) = target.split_once('/').unwrap();
            format!("{{name: {name}, targets: [{{provider: {provider}, model: \"{model}\"}}]}}")
        });
        let setup = Setup::new()
            .plans("{name: little, credits_per_day: 1}, {name: few, requests_per_minute: 1}")
            .section("sizes", "{body: 1MiB}")
            .section("providers", &format!("[{}]", providers.join(", ")))
            .section("models", &format!("[{}]", models.join(", ")));
        let gateway = Gateway::start(more(setup)).await;
        let key = gateway.key().await;
        let spent = gateway.account("little").await.key;
        gateway.call(Call::json(CHAT, &Format::Chat.body("mock", false)).key(&spent)).await.expect(200);
        let refusal = "400 Bad Request\r\ncontent-type: application/json";
        let probe = Upstream::answering(refusal, r#"{"error":{"message":"noted"}}"#).await;
        let variables = vec![
            ("GATEWAY", format!("http://{}", gateway.proxy)),
            ("PROBE", format!("http://{}", probe.address())),
            ("ARRIVALS", format!("http://{}", held.address())),
            ("KEY", key),
            ("KEY_SPENT", spent),
            ("KEY_UNKNOWN", format!("tollgate_{}", "5".repeat(32))),
        ];
        Self { gateway, variables, probe, _mock: mock, _upstreams: [busy, away, held, broken], _refused: refused }
    }
}

/// Returns the folder in which the lines of a run are stored.
fn results_folder() -> PathBuf {
    let folder = commands::binary().parent().and_then(|profile| profile.parent()).unwrap().join("clients");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs `chosen`, at most [`AT_ONCE`] at a time. Returns the lines of each client after the check against Tollgate's
/// log, and the heads that the clients sent.
async fn run(chosen: &[Client], stage: &Stage) -> (Vec<Vec<Value>>, Vec<Head>) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (at, client) in chosen.iter().copied().enumerate() {
        let turns = Arc::clone(&turns);
        let mut variables = stage.variables.clone();
        variables.push(("KEY_FEW", stage.gateway.account("few").await.key));
        running.spawn(async move {
            let _turn = turns.acquire().await.unwrap();
            (at, client.run(&variables).await)
        });
    }
    let mut all = running.join_all().await;
    all.sort_by_key(|(at, _)| *at);
    let mut lines: Vec<Vec<Value>> = all.into_iter().map(|(_, lines)| lines).collect();
    judge::confirm(&stage.gateway, &mut lines).await;
    stage.gateway.at_rest().await;
    (lines, stage.probe.seen().into_iter().map(|seen| seen.head).collect())
}

#[tokio::test]
async fn every_client_does_all_that_it_offers() {
    // The variable selects one client by name, for debugging.
    let only = std::env::var("CLIENT").ok();
    let chosen: Vec<Client> =
        clients::ALL.into_iter().filter(|client| only.as_ref().is_none_or(|only| only == client.name)).collect();
    assert!(!chosen.is_empty(), "no client has the name {only:?}");
    let (lines, sent) = run(&chosen, &Stage::set(|setup| setup).await).await;
    for (client, lines) in chosen.iter().zip(&lines) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(results_folder().join(format!("{}.json", client.name)), text).unwrap();
    }
    let failed: Vec<String> = lines.iter().flatten().filter(|line| line["pass"] != true).map(table::summary).collect();
    assert!(failed.is_empty(), "{} scenarios failed:\n{}", failed.len(), failed.join("\n"));
    if only.is_none() {
        table::compare(&lines, &sent);
    }
}
