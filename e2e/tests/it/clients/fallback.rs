//! Official clients whose model has failing targets before the one that serves it: no scenario may notice, and the details of the
//! requests list each failure.

use e2e::Call;
use e2e::clients::{self, Client};
use serde_json::{Value, json};

use super::{MODELS, Stage, run, table, tls};
use crate::bodies::{CHAT, MESSAGES, RESPONSES};

/// A target that fails before any content: the provider, the model, and the status that an attempt has. An attempt without a
/// connection is not recorded.
type FailingTarget = (&'static str, &'static str, Option<u16>);

/// The failing targets, each in another way.
const FAULTS: [FailingTarget; 15] = [
    ("mock", "429", Some(429)),
    ("mock", "500", Some(500)),
    ("mock", "503", Some(503)),
    ("mock", "529", Some(529)),
    ("mock", "quota", Some(429)),
    ("mock", "404", Some(404)),
    ("mock", "401", Some(401)),
    ("mock", "html", Some(200)),
    ("mock", "empty", Some(200)),
    ("mock", "close", None),
    ("mock", "reset", None),
    ("mock", "reset-head", None),
    ("refused", "any", None),
    ("broken", "error-first", Some(200)),
    ("broken", "silent", Some(200)),
];
/// The models that scenarios expect to be served.
const SERVED: [&str; 5] = ["tool", "long", "paced", "echo", "mock"];

/// Returns the section `models` in which those that serve come after the failing targets.
fn models() -> String {
    let entry = |(name, target): (&str, &str)| {
        let of = |(provider, model): (&str, &str)| format!("{{provider: {provider}, model: \"{model}\"}}");
        let faults = if SERVED.contains(&name) { &FAULTS[..] } else { &[] };
        let failing = faults.iter().map(|&(provider, model, _)| of((provider, model)));
        let targets: Vec<String> = failing.chain([of(target.split_once('/').unwrap())]).collect();
        let rules = if faults.is_empty() {
            ""
        } else {
            ", retry: {attempts: 32}, first_content: 500ms, sticky: off, cooldown: {failures: 1000, time: 1s, max: 1s}"
        };
        format!("{{name: {name}, targets: [{}]{rules}}}", targets.join(", "))
    };
    format!("[{}]", MODELS.map(entry).join(", "))
}

/// Checks the details of a served call in each format, streamed and not: each failing target has an attempt with its status, or
/// was skipped, and the last attempt has succeeded.
async fn have_rows(stage: &Stage) {
    let key = stage.variables.iter().find(|(name, _)| *name == "KEY").map_or("", |(_, key)| key.as_str());
    let ask = async |path: String| stage.gateway.ask(Call::get(&path).key(key)).await.expect(200).json();
    for route in [CHAT, RESPONSES, MESSAGES] {
        let list = ask(format!("/api/usage/requests?route={route}&status=200&limit=200")).await;
        for streamed in [true, false] {
            let is_one = |row: &&Value| row["streamed"] == streamed && row["attempt_count"].as_u64() > Some(1);
            let row = list["items"].as_array().into_iter().flatten().find(is_one);
            let id = row.and_then(|row| row["id"].as_str()).unwrap_or_default();
            assert!(!id.is_empty(), "{route} {streamed}: no call with several attempts in {list}");
            let request = ask(format!("/api/usage/requests/{id}")).await;
            for (provider, model, status) in FAULTS {
                let is_of = |entry: &&Value| entry["provider"] == provider && entry["model"] == model;
                let of = |part: &str| request[part].as_array().into_iter().flatten().find(is_of);
                match of("attempts") {
                    Some(attempt) => assert_eq!(attempt["status"], json!(status), "{model}: {request}"),
                    None => assert!(of("skipped").is_some(), "{provider}/{model} has no row: {request}"),
                }
            }
            let last = request["attempts"].as_array().and_then(|attempts| attempts.last());
            assert_eq!(last.map(|last| &last["status"]), Some(&json!(200)), "{request}");
        }
    }
}

#[tokio::test]
async fn no_client_notices_the_targets_that_fail_before_its_own() {
    let stage = Stage::set(|setup| setup.section("models", &models())).await;
    let chosen: Vec<Client> = clients::ALL.into_iter().filter(|client| tls::NAMES.contains(&client.name)).collect();
    let (lines, _) = run(&chosen, &stage).await;
    let failed: Vec<String> = lines.iter().flatten().filter(|line| line["pass"] != true).map(table::summary).collect();
    assert!(failed.is_empty(), "{} scenarios failed:\n{}", failed.len(), failed.join("\n"));
    for (client, lines) in chosen.iter().zip(&lines) {
        for case in ["ok", "stream", "tool"] {
            assert!(lines.iter().any(|line| line["case"] == case), "{} has no scenario of {case}", client.name);
        }
    }
    have_rows(&stage).await;
}
