//! Codex CLI and Claude Code themselves: they print what the mock says, and a spent quota ends a turn at once.

use e2e::{Call, Gateway, Mock, Setup, eventually};
use serde_json::Value;

use super::{Example, SAID, first_key};
use crate::bodies::{CHAT, Format};

/// The lines of requests for a path in the log: status, and code where it was refused.
fn requests(gateway: &Gateway, path: &str) -> Vec<String> {
    let lines = gateway.stderr();
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_path = lines.filter(|line| line["message"] == "request" && line["path"] == path);
    of_path.map(|line| format!("{} {}", line["status"], line["code"].as_str().unwrap_or("-"))).collect()
}

/// The agent of an example answers before the mock and before a provider, in one request each.
async fn check(name: &str, path: &str) {
    let example = Example::read(name);
    let provider = Mock::start().await;
    for gateway in [example.start(&[]).await, example.start_before(&provider, &example.exports).await] {
        let key = first_key(&gateway);
        let outputs = example.run(&gateway, &key).await;
        assert_eq!(outputs.last().map(|output| output.trim_end()), Some(SAID), "{name}: {outputs:?}");
        eventually("the log tells of it", async || (requests(&gateway, path) == ["200 -"]).then_some(())).await;
        assert_eq!(gateway.used(&key).await, 1, "{name}");
    }
}

/// With a key whose quota is spent the agent asks once, fails, and says a word of `says`.
async fn check_spent(name: &str, path: &str, says: &str) {
    let gateway = Gateway::start(Setup::mocked().plans("{name: little, credits_per_day: 1}").patient()).await;
    let key = gateway.account("little").await.key;
    gateway.call(Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key)).await.expect(200);
    let outputs = Example::read(name).try_to_run(&gateway, &key).await;
    let output = &outputs.last().unwrap().1;
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success() && told.to_lowercase().contains(says), "{name}: {told}");
    let told = eventually("the log tells of it", async || {
        Some(requests(&gateway, path)).filter(|requests| !requests.is_empty())
    });
    assert_eq!(told.await, ["429 quota_exceeded"], "{name}");
}

#[tokio::test]
async fn codex_cli_prints_the_answer() {
    check("codex-cli", "/v1/responses").await;
}

#[tokio::test]
async fn claude_code_prints_the_answer() {
    check("claude-code", "/v1/messages").await;
}

/// Codex puts a text of its own in the place of ours.
#[tokio::test]
async fn codex_cli_asks_once_when_the_quota_is_spent() {
    check_spent("codex-cli", "/v1/responses", "quota exceeded").await;
}

#[tokio::test]
async fn claude_code_asks_once_when_the_quota_is_spent_and_says_why() {
    check_spent("claude-code", "/v1/messages", "credits").await;
}
