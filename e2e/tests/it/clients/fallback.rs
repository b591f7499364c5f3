//! Official clients whose model has eleven failing targets before the one that serves it: no scenario may notice.

use e2e::clients::{self, Client};

use super::{MODELS, Stage, run, table, tls};

/// Models of the mock that fail before any content, each in another way.
const FAULTS: [&str; 11] = ["429", "500", "503", "529", "quota", "404", "401", "html", "empty", "close", "reset-head"];
/// The models that scenarios expect to be served.
const SERVED: [&str; 5] = ["tool", "long", "paced", "echo", "mock"];

/// Returns the section `models` in which those that serve come after the failing targets.
fn models() -> String {
    let entry = |(name, target): (&str, &str)| {
        let of = |(provider, model): (&str, &str)| format!("{{provider: {provider}, model: \"{model}\"}}");
        let faults = if SERVED.contains(&name) { &FAULTS[..] } else { &[] };
        let failing = faults.iter().map(|fault| of(("mock", fault)));
        let targets: Vec<String> = failing.chain([of(target.split_once('/').unwrap())]).collect();
        let rules = if faults.is_empty() {
            ""
        } else {
            ", retry: {attempts: 32}, sticky: off, cooldown: {failures: 1000, time: 1s, max: 1s}"
        };
        format!("{{name: {name}, targets: [{}]{rules}}}", targets.join(", "))
    };
    format!("[{}]", MODELS.map(entry).join(", "))
}

#[tokio::test]
async fn no_client_notices_the_targets_that_fail_before_its_own() {
    let stage = Stage::set(|setup| setup.section("models", &models())).await;
    let chosen: Vec<Client> = clients::ALL.into_iter().filter(|client| tls::NAMES.contains(&client.name)).collect();
    let (lines, _) = run(&chosen, stage).await;
    let failed: Vec<String> = lines.iter().flatten().filter(|line| line["pass"] != true).map(table::summary).collect();
    assert!(failed.is_empty(), "{} scenarios failed:\n{}", failed.len(), failed.join("\n"));
    for (client, lines) in chosen.iter().zip(&lines) {
        for case in ["ok", "stream", "tool"] {
            assert!(lines.iter().any(|line| line["case"] == case), "{} has no scenario of {case}", client.name);
        }
    }
}
