//! Budgets that commands set while a server runs.

use e2e::{Call, Gateway, Setup, commands, eventually};
use serde_json::{Value, json};

use crate::bodies::{CHAT, Format};

/// Runs `tollgate budgets` with these arguments, which must succeed; returns its stdout.
async fn budgets(gateway: &Gateway, words: &[&str]) -> String {
    let words = [&["budgets"], words, &["--data", "data"]].concat();
    let output = commands::run(gateway.folder(), &words).await;
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `tollgate budgets` with these arguments, which must fail; returns its stderr.
async fn refused(gateway: &Gateway, words: &[&str]) -> String {
    let words = [&["budgets"], words, &["--data", "data"]].concat();
    let output = commands::run(gateway.folder(), &words).await;
    assert!(!output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

async fn listed(gateway: &Gateway) -> Vec<Value> {
    let listed: Value = serde_json::from_str(&budgets(gateway, &["list", "--json"]).await).unwrap();
    listed["budgets"].as_array().unwrap().clone()
}

fn chat(key: &str) -> Call {
    Call::json(CHAT, &Format::Chat.body("mock", false)).key(key)
}

#[tokio::test]
async fn a_budget_applies_to_its_scope_until_it_is_removed() {
    let gateway = Gateway::start(Setup::mocked().plans("{name: open}")).await;
    let held = gateway.account("open").await;
    let free = gateway.account("open").await;
    let set = ["set", "--user", &held.email, "--per", "day"];
    let reported = budgets(&gateway, &[&set[..], &["--credits", "0"]].concat()).await;
    assert_eq!(reported, "0 credits a day; running servers apply it within a second\n");
    eventually("the budget applies", async || (gateway.call(chat(&held.key)).await.status() == 429).then_some(()))
        .await;
    gateway.call(chat(&free.key)).await.expect(200);
    let again = budgets(&gateway, &[&set[..], &["--credits", "0"]].concat()).await;
    assert_eq!(again, "the budget has this amount already: nothing was changed\n");
    budgets(&gateway, &[&set[..], &["--none", "credits"]].concat()).await;
    eventually("the budget no longer applies", async || {
        (gateway.call(chat(&held.key)).await.status() == 200).then_some(())
    })
    .await;
    let none = budgets(&gateway, &[&set[..], &["--none", "credits"]].concat()).await;
    assert_eq!(none, "this budget does not exist: nothing was changed\n");
}

#[tokio::test]
async fn budgets_are_listed_with_usage_from_before_they_were_set() {
    let gateway = Gateway::start(Setup::mocked().plans("{name: open}")).await;
    let account = gateway.account("open").await;
    for _ in 0..3 {
        gateway.call(chat(&account.key)).await.expect(200);
    }
    gateway.counted(&account.key, 3).await;
    assert!(budgets(&gateway, &["list"]).await.starts_with("no budget is set"));
    budgets(&gateway, &["set", "--user", &account.email, "--credits", "5", "--per", "month"]).await;
    budgets(&gateway, &["set", "--plan", "open", "--credits", "2", "--per", "day"]).await;
    budgets(&gateway, &["set", "--global", "--money", "0.50 USD", "--per", "month"]).await;
    let listed = listed(&gateway).await;
    let shown = |budget: &Value| {
        ["subject", "name", "measure", "per", "amount", "spent", "left"].map(|key| budget[key].clone())
    };
    let row = |values: [Value; 7]| values;
    assert_eq!(
        listed.iter().map(shown).collect::<Vec<_>>(),
        [
            row([json!("user"), json!(account.email), json!("credits"), json!("month"), json!(5), json!(3), json!(2)]),
            row([json!("plan"), json!("open"), json!("credits"), json!("day"), json!(2), json!(3), json!(0)]),
            row([
                json!("global"),
                json!(""),
                json!("money"),
                json!("month"),
                json!(500_000_000),
                json!(listed[2]["spent"]),
                json!(listed[2]["left"])
            ]),
        ]
    );
    let text = budgets(&gateway, &["list"]).await;
    assert!(text.contains("5 credits a month; 3 credits spent, 2 credits left until "), "{text}");
    assert!(text.contains("all users ") && text.contains("0.5 USD a month"), "{text}");
}

#[tokio::test]
async fn an_invalid_budget_is_refused_with_a_remedy() {
    let gateway = Gateway::start(Setup::mocked().plans("{name: open}")).await;
    let day = ["--per", "day"];
    for (words, reported) in [
        (&["--global", "--money", "5"][..], "expected an amount of USD, such as \"12.50 USD\""),
        (&["--global", "--money", "5 EUR"], "expected an amount of USD"),
        (&["--global", "--money", "9999999999 USD"], "expected an amount of at most 9223372036.854775807 USD"),
        (&["--global", "--credits", "-1"], "unexpected argument"),
        (&["--global", "--none", "everything"], "expected `money`, `credits` or `tokens`"),
        (&["--global", "--credits", "1", "--tokens", "1"], "cannot be used with"),
        (&["--global", "--plan", "open", "--credits", "1"], "cannot be used with"),
        (&["--global"], "required"),
        (&["--credits", "1"], "required"),
        (&["--user", "nobody@example.com", "--credits", "1"], "`tollgate users list` lists all users"),
        (&["--key", "laptop", "--credits", "1"], "`tollgate keys list` lists all keys"),
        (&["--plan", "gone", "--credits", "1"], "there is no plan gone"),
    ] {
        let text = refused(&gateway, &[&["set"], words, &day].concat()).await;
        assert!(text.contains(reported), "{words:?}: {text}");
    }
    let text = refused(&gateway, &["set", "--global", "--credits", "1", "--per", "year"]).await;
    assert!(text.contains("expected --per day, week or month"), "{text}");
    assert_eq!(listed(&gateway).await, Vec::<Value>::new());
}
