//! Quotas of plans in windows: of one server over a crash, and of two that share them.

use e2e::database::Database;
use e2e::setup::Folder;
use e2e::{Answer, Call, Gateway, Mock, Setup};
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
async fn a_named_quota_is_called_by_its_name_and_windows_of_a_subscription_begin_with_it() {
    let plan = "{name: pro, quotas: [{name: session, credits: 2, per: 5h}, {name: week, credits: 9, per: week, from: subscription}, \
        {money: \"20 USD\", per: period}]}";
    let gateway = Gateway::start(Setup::mocked().plans(plan)).await;
    let key = gateway.account("pro").await.key;
    for left in [1, 0] {
        let answer = gateway.call(call(&key)).await.expect(200);
        let states = answer.header("ratelimit").unwrap_or_default();
        assert!(states.contains(&format!("\"session\";r={left};t=")) && states.contains("\"week\";r="), "{states}");
        assert!(states.contains("\"period:money\";r="), "{states}");
    }
    let refused = gateway.call(call(&key)).await;
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    let told = "the quota `session` of 2 credits is used up (2 credits used): it resets at ";
    assert!(refused.status() == 429 && message.starts_with(told), "{message}");
    // A user without a subscription has windows from the hour of its creation on, and months from its day on.
    let windows = windows(&gateway, &key).await;
    let week = find(&windows, "week")["per"].as_str().unwrap().to_owned();
    assert!(week.starts_with("week/20") && week.ends_with(":00Z"), "{week}");
    assert!(find(&windows, "period:money")["per"].as_str().unwrap().starts_with("period"));
    // The admin's own window for the user holds beside those of the plan.
    let budgets = gateway.usage(&key).await["budgets"].clone();
    let session = budgets.as_array().unwrap().iter().find(|budget| budget["quota"] == "session").unwrap().clone();
    assert_eq!((&session["used"], &session["remaining"]), (&json!(2), &json!(0)), "{session}");
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

/// A thousand turns of one key over two servers, one of which is killed in between: no window passes its quota, and provider,
/// usage and windows have the same number.
#[tokio::test]
async fn a_thousand_turns_pass_no_window_over_two_servers_and_a_crash() {
    const TURNS: usize = 1_000;
    const SESSION: u64 = 400;
    let plan = format!(
        "{{name: pro, timezone: Asia/Jakarta, quotas: [{{name: session, credits: {SESSION}, per: 5h}}, {{credits: 3000, per: week}}, \
        {{tokens: 50000000, per: day, from: first_use}}, {{credits: 9000, per: period}}]}}"
    );
    let mock = Mock::start().await;
    let folder = Folder::on_postgres(Database::new());
    let beside = folder.beside();
    let setup = || {
        let lease = "{ttl: 20s, recall_wait: 10s}";
        Setup::provider("openai", mock.address()).plans(&plan).section("lease", lease)
    };
    let mut nodes = vec![Gateway::start_in(folder, setup()).await, Gateway::start_in(beside, setup()).await];
    let key = nodes[0].account("pro").await.key;
    let mut passed = 0;
    let mut broken = 0;
    for turn in 0..TURNS / 4 {
        if turn == TURNS / 16 {
            // The crash comes between two turns, so each response says whether it counts.
            let folder = nodes.remove(0).crash().folder;
            nodes.insert(0, Gateway::start_in(folder, setup()).await);
        }
        // The token quota needs a bound of the output.
        let body = json!({"model": "up/tokens-1", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]});
        let at = async |node: &Gateway| node.call(Call::json(CHAT, &body).key(&key)).await;
        let (a, b, c, d) = tokio::join!(at(&nodes[0]), at(&nodes[1]), at(&nodes[0]), at(&nodes[1]));
        for answer in [a, b, c, d] {
            match answer.status() {
                200 => passed += 1,
                429 => {}
                _ => broken += 1,
            }
        }
    }
    assert_eq!((passed, broken), (SESSION, 0));
    assert_eq!(mock.requests("tokens-1").await, SESSION, "the provider");
    nodes[1].counted(&key, SESSION).await;
    // What other servers hold counts as used in the responses of one, so the store is asked.
    let budgets = nodes[1].usage(&key).await["budgets"].clone();
    for per in ["5h/first_use", "week/Asia/Jakarta"] {
        let window = budgets.as_array().unwrap().iter().find(|budget| budget["per"] == per).unwrap();
        assert_eq!(window["used"], SESSION, "{window}");
    }
    crate::audit::must(nodes[1].folder(), &["audit"]).await;
}
