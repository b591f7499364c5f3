//! Money of calls with the user's own credential: it is not the operator's.

use super::*;

/// The model costs 1 USD per token.
const PRICES: &str = "[{model: up/mock/tokens-1, input: \"1000000\", output: \"1000000\"}]";

/// The mock with a model of 1 USD per token, and 5 USD a month for all users together.
fn limited(mock: &Mock) -> Setup {
    before(mock)
        .section("prices", PRICES)
        .section("budgets", "{limits: [{dimension: global, money: \"5 USD\", per: month}]}")
}

/// Returns a request of at most 20 tokens of output; 1 is the model with a price.
fn chat(key: &str, number: u32) -> Call {
    let mut body = Format::Chat.body(&format!("up/mock/tokens-{number}"), false);
    body["max_completion_tokens"] = 20.into();
    Call::json(CHAT, &body).key(key)
}

/// Returns the amount that a scope has used, as the store knows it.
async fn spent(gateway: &Gateway, scope: &[&str]) -> Value {
    let words = ["budgets", "set", "--money", "9000000 USD", "--per", "month", "--data", "data"];
    let output = commands::run(gateway.folder(), &[&words[..], scope].concat()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = commands::run(gateway.folder(), &["budgets", "list", "--json", "--data", "data"]).await;
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |budget: &&Value| budget["subject"] == scope[0].trim_start_matches('-');
    listed["budgets"].as_array().unwrap().iter().find(of).unwrap()["spent"].clone()
}

#[tokio::test]
async fn own_calls_use_no_money_of_the_operator_also_after_a_restart() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(limited(&mock)).await;
    let ada = gateway.account(OPEN).await;
    let bob = gateway.account(OPEN).await;
    assert_eq!(code(&gateway.call(chat(&bob.key, 1)).await.expect(429)), "insufficient_quota");
    assert_eq!(code(&gateway.call(chat(&bob.key, 2)).await.expect(400)), "price_unknown");
    put(&gateway, &ada.key, &own("up", "mine", "sk-adas-own")).await;
    // Each worker reads the credential at another moment.
    for model in [1, 2] {
        let works = async || (gateway.call(chat(&ada.key, model)).await.status() == 200).then_some(());
        eventually("the own credential is used", works).await;
        assert_eq!(came_with(&mock, model).await, "sk-adas-own");
    }
    let usage = gateway.counted(&ada.key, 2).await;
    assert!(usage["cost"]["amount_nano"].as_i64().is_some_and(|cost| cost >= 5_000_000_000), "{usage}");

    let gateway = Gateway::start_in(gateway.stop().await.folder, limited(&mock)).await;
    gateway.call(chat(&ada.key, 1)).await.expect(200);
    gateway.counted(&ada.key, 3).await;
    assert_eq!(spent(&gateway, &["--global"]).await, 0);
    assert!(spent(&gateway, &["--user", &ada.email]).await.as_i64().unwrap() >= 10_000_000_000);
    let audited = commands::run(gateway.folder(), &["audit", "--data", "data"]).await;
    assert!(audited.status.success(), "{}", String::from_utf8_lossy(&audited.stdout));
}

/// The user's own budget protects the user's own account.
#[tokio::test]
async fn a_budget_of_the_user_applies_to_own_calls() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(limited(&mock)).await;
    let ada = gateway.account(OPEN).await;
    put(&gateway, &ada.key, &own("up", "mine", "sk-adas-own")).await;
    // Each worker reads the credential and the budget at another moment.
    let calls = async |model: u32, expected: &str| {
        let answers = async || (code(&gateway.call(chat(&ada.key, model)).await) == expected).then_some(());
        eventually(&format!("calls of {model} get {expected:?}"), answers).await;
    };
    calls(1, "").await;
    let set = ["budgets", "set", "--user", &ada.email, "--money", "3 USD", "--per", "day", "--data", "data"];
    assert!(commands::run(gateway.folder(), &set).await.status.success());
    calls(1, "insufficient_quota").await;
    calls(2, "price_unknown").await;
}
