//! Runs Codex CLI and Claude Code: they print the mock's response, and an exhausted quota ends a turn at once.

use e2e::{Call, Gateway, Mock, Setup, eventually};
use serde_json::Value;

use super::{Example, SAID, first_key};
use crate::bodies::{CHAT, Format};

/// Returns the logged requests for a path: status, and the code of a refusal.
fn requests(gateway: &Gateway, path: &str) -> Vec<String> {
    let lines = gateway.stderr();
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_path = lines.filter(|line| line["message"] == "request" && line["path"] == path);
    of_path.map(|line| format!("{} {}", line["status"], line["code"].as_str().unwrap_or("-"))).collect()
}

/// Runs an example's agent with the mock and with a provider; each run must send one request and print the response.
async fn check(name: &str, path: &str) {
    let example = Example::read(name);
    let provider = Mock::start().await;
    for gateway in [example.start(&[]).await, example.start_before(&provider, &example.exports).await] {
        let key = first_key(&gateway);
        let outputs = example.run(&gateway, &key).await;
        assert_eq!(outputs.last().map(|output| output.trim_end()), Some(SAID), "{name}: {outputs:?}");
        eventually("the request is logged", async || (requests(&gateway, path) == ["200 -"]).then_some(())).await;
        assert_eq!(gateway.used(&key).await, 1, "{name}");
    }
}

/// Runs the agent with an exhausted quota: it must send one request, fail, and print the text `says`.
async fn check_spent(name: &str, path: &str, says: &str) {
    let gateway = Gateway::start(Setup::mocked().plans("{name: little, credits_per_day: 1}")).await;
    let key = gateway.account("little").await.key;
    gateway.call(Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key)).await.expect(200);
    let outputs = Example::read(name).try_to_run(&gateway, &key).await;
    let output = &outputs.last().unwrap().1;
    let reported = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success() && reported.to_lowercase().contains(says), "{name}: {reported}");
    let reported = eventually("the request is logged", async || {
        Some(requests(&gateway, path)).filter(|requests| !requests.is_empty())
    });
    assert_eq!(reported.await, ["429 quota_exceeded"], "{name}");
}

#[tokio::test]
async fn codex_cli_prints_the_answer() {
    check("codex-cli", "/v1/responses").await;
}

#[tokio::test]
async fn claude_code_prints_the_answer() {
    check("claude-code", "/v1/messages").await;
}

#[tokio::test]
async fn claude_code_prints_the_answer_of_a_provider_without_its_format() {
    check("translation", "/v1/messages").await;
}

/// Codex shows Tollgate's message between its own words.
#[tokio::test]
async fn codex_cli_sends_one_request_when_the_quota_is_used_up() {
    check_spent("codex-cli", "/v1/responses", "the day's quota of 1 credits is used up").await;
}

#[tokio::test]
async fn claude_code_sends_one_request_when_the_quota_is_used_up_and_shows_the_reason() {
    check_spent("claude-code", "/v1/messages", "credits").await;
}
