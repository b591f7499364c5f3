//! Official clients whose provider has another format: their calls are translated, and no scenario may notice.

use e2e::clients::{self, Client};
use serde_json::Value;

use super::{Stage, run, table};

/// Whether a translation changes what a scenario expects: only Anthropic has 529, which other clients get as 503, and threads,
/// which its tool runner tries before it sends the whole conversation.
fn is_expected(line: &Value) -> bool {
    let text = |name: &str| line[name].as_str().unwrap_or_default();
    let is_logged_refusal = text("detail").contains("[\"400 refused\", ");
    let is_thread = matches!(text("call"), "beta.messages.toolRunner" | "beta.messages.tool_runner");
    text("name") == "upstream 529" || (is_thread && is_logged_refusal)
}

/// Runs clients with providers that have this format alone.
async fn check(format: &str, names: &[&str]) {
    let stage = Stage::set_with(format, |setup| setup).await;
    let chosen: Vec<Client> = clients::ALL.into_iter().filter(|client| names.contains(&client.name)).collect();
    assert_eq!(chosen.len(), names.len());
    let (lines, _) = run(&chosen, &stage).await;
    let failed = lines.iter().flatten().filter(|line| line["pass"] != true && !is_expected(line));
    let failed: Vec<String> = failed.map(table::summary).collect();
    assert!(failed.is_empty(), "{} scenarios failed:\n{}", failed.len(), failed.join("\n"));
    for (client, lines) in chosen.iter().zip(&lines) {
        for case in ["ok", "stream", "tool"] {
            assert!(lines.iter().any(|line| line["case"] == case), "{} has no scenario of {case}", client.name);
        }
    }
}

#[tokio::test]
async fn openai_s_clients_work_with_messages() {
    check("messages", &["openai-node", "openai-python"]).await;
}

#[tokio::test]
async fn anthropic_s_clients_and_responses_work_with_chat_completions() {
    check("chat", &["anthropic-node", "anthropic-python", "openai-python"]).await;
}

#[tokio::test]
async fn google_s_clients_work_with_chat_completions_and_messages() {
    check("chat", &["google-node", "google-python-earlier"]).await;
    check("messages", &["google-python"]).await;
}

#[tokio::test]
async fn anthropic_s_clients_and_chat_completions_work_with_responses() {
    check("responses", &["anthropic-python-earlier", "openai-node"]).await;
}
