//! Quotas of plans in windows: of one server over a crash, and of two that share them.

use e2e::database::Database;
use e2e::setup::Folder;
use e2e::{Answer, Call, Gateway, Setup};
use serde_json::{Value, json};

use crate::bodies::{CHAT, Format};

const PLAN: &str = "{name: pro, timezone: Asia/Jakarta, \
    quotas: [{credits: 4, per: 5h}, {credits: 6, per: week}, {tokens: 1000000, per: day}, {money: \"20 USD\", per: 30d}]}";

fn call(key: &str) -> Call {
    Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(key)
}

/// Spends the session's quota, then checks the refusal.
async fn spend_session(gateway: &Gateway, key: &str) {
    for left in [3, 2, 1, 0] {
        let answer = gateway.call(call(key)).await.expect(200);
        let states = answer.header("ratelimit").unwrap_or_default().to_owned();
        assert!(states.contains(&format!("\"5h\";r={left};t=")), "{states}");
        for name in ["\"week\";r=", "\"day:tokens\";r=", "\"30d:money\";r="] {
            assert!(states.contains(name), "{states}");
        }
    }
    check_refused(&gateway.call(call(key)).await);
}

fn check_refused(answer: &Answer) {
    assert_eq!(answer.status(), 429, "{}", answer.text());
    let error = &answer.json()["error"];
    assert_eq!(error["code"], "insufficient_quota", "{error}");
    let message = error["message"].as_str().unwrap();
    let told = "the 5h window's quota of 4 credits is used up (4 credits used): it resets at ";
    assert!(message.starts_with(told) && message.contains(" UTC on 20"), "{message}");
    let states = answer.header("ratelimit").unwrap();
    let (_, rest) = states.split_once("\"5h\";r=0;t=").unwrap_or_else(|| panic!("{states}"));
    let seconds: u64 = rest.split([',', ';']).next().unwrap().parse().unwrap();
    assert!((17_000..=18_000).contains(&seconds), "{states}");
}

/// Returns the windows of a key by name.
async fn windows(gateway: &Gateway, key: &str) -> Vec<Value> {
    let usage = gateway.call(Call::get("/v1/usage").key(key)).await.expect(200).json();
    usage["windows"].as_array().unwrap().clone()
}

fn find<'a>(windows: &'a [Value], name: &str) -> &'a Value {
    windows.iter().find(|window| window["name"] == name).unwrap_or_else(|| panic!("{name} is not in {windows:?}"))
}

#[tokio::test]
async fn windows_hold_together_and_stay_open_over_a_crash() {
    let gateway = Gateway::start(Setup::mocked().plans(PLAN)).await;
    let account = gateway.account("pro").await;
    let key = account.key.clone();
    spend_session(&gateway, &key).await;
    let before = windows(&gateway, &key).await;
    let session = find(&before, "5h");
    assert_eq!((&session["used"], &session["left"], &session["per"]), (&json!(4), &json!(0), &json!("5h/first_use")));
    assert_eq!(find(&before, "week")["per"], "week/Asia/Jakarta");
    let day = find(&before, "day:tokens")["resets_at"].as_str().unwrap();
    assert!(day.contains("T17:00:00"), "midnight in Jakarta: {day}");

    let again = Gateway::start_in(gateway.crash().folder, Setup::mocked().plans(PLAN)).await;
    check_refused(&again.call(call(&key)).await);
    let after = windows(&again, &key).await;
    for name in ["5h", "week", "30d:money"] {
        let state = |windows: &[Value]| {
            let window = find(windows, name);
            ["used", "left", "resets_at"].map(|field| window[field].clone())
        };
        assert_eq!(state(&after), state(&before), "{name}");
    }
    // What the admin's view and the store say.
    let today = again.usage(&key).await;
    let budgets = today["budgets"].as_array().unwrap();
    let session = budgets.iter().find(|budget| budget["per"] == "5h/first_use").unwrap();
    assert_eq!((&session["used"], &session["remaining"]), (&json!(4), &json!(0)), "{session}");
}

#[tokio::test]
async fn a_window_that_changes_its_amount_keeps_its_use() {
    let gateway = Gateway::start(Setup::mocked().plans(PLAN)).await;
    let account = gateway.account("pro").await;
    spend_session(&gateway, &account.key).await;
    gateway.counted(&account.key, 4).await;
    let larger = PLAN.replace("{credits: 4, per: 5h}", "{credits: 5, per: 5h}");
    let folder = gateway.stop().await.folder;
    let again = Gateway::start_in(folder, Setup::mocked().plans(&larger)).await;
    let applied =
        e2e::commands::run(again.folder(), &["plans", "apply", "--config", "tollgate.yaml", "--data", "data"]).await;
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    e2e::eventually("the larger quota applies", async || {
        (again.call(call(&account.key)).await.status() == 200).then_some(())
    })
    .await;
    assert_eq!(find(&windows(&again, &account.key).await, "5h")["used"], 5);
}

#[tokio::test]
async fn two_servers_share_a_window_that_either_opens() {
    let folder = Folder::on_postgres(Database::new());
    let beside = folder.beside();
    let setup = || Setup::mocked().plans(PLAN).section("lease", "{ttl: 20s, recall_wait: 10s}");
    let nodes = [Gateway::start_in(folder, setup()).await, Gateway::start_in(beside, setup()).await];
    let key = nodes[0].account("pro").await.key;
    let mut passed = 0;
    for nth in 0..8 {
        let answer = nodes[nth % 2].call(call(&key)).await;
        if answer.status() == 200 {
            passed += 1;
        } else {
            assert_eq!(answer.status(), 429, "{}", answer.text());
        }
    }
    assert_eq!(passed, 4, "one window of 4 credits for both");
    let resets = [
        find(&windows(&nodes[0], &key).await, "5h")["resets_at"].clone(),
        find(&windows(&nodes[1], &key).await, "5h")["resets_at"].clone(),
    ];
    assert_eq!(resets[0], resets[1]);
}
