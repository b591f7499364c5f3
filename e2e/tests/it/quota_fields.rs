//! The quotas in the fields of responses, at the paths where clients read them, and in the refusals that agents show.

use e2e::{Answer, Call, Gateway, Setup};
use serde_json::{Value, json};

use crate::bodies::{CHAT, Format};

const PLANS: &str = "{name: four, credits_per_day: 4, requests_per_minute: 600, \
    budgets: [{tokens: 1000000, per: week}, {money: \"20 USD\", per: month}]}";
const CODEX: &str = "codex_cli_rs/0.171.0 (Debian 13.0.0; x86_64)";
const CLAUDE: &str = "claude-cli/2.1.332 (external, cli)";

fn call(format: Format, key: &str, stream: bool) -> Call {
    Call::json(format.path(), &format.body("mock/tokens-1", stream)).key(key)
}

fn field(answer: &Answer, name: &str) -> String {
    answer.header(name).unwrap_or_default().to_owned()
}

/// Whether a response has fields of the vendor with this prefix.
fn has_vendor(answer: &Answer, prefix: &str) -> bool {
    let status = field(answer, &format!("{prefix}status"));
    !status.is_empty() || !field(answer, &format!("{prefix}primary-used-percent")).is_empty()
}

#[tokio::test]
async fn every_response_names_each_window_with_the_least_left_first() {
    let gateway = Gateway::start(Setup::mocked().plans(PLANS)).await;
    let key = gateway.account("four").await.key;
    for (stream, left) in [(false, 3), (true, 2)] {
        let answer = gateway.call(call(Format::Chat, &key, stream)).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let policies: Vec<String> = field(&answer, "ratelimit-policy").split(", ").map(str::to_owned).collect();
        assert_eq!(policies[0], "\"day\";q=4;w=86400", "{policies:?}");
        assert!(policies.contains(&"\"requests_per_minute\";q=600;w=60".to_owned()), "{policies:?}");
        assert!(policies.iter().any(|policy| policy.starts_with("\"month:money\";q=20000000;qu=\"microusd\";w=")));
        let states = field(&answer, "ratelimit");
        assert!(states.starts_with(&format!("\"day\";r={left};t=")), "{states}");
        assert!(states.contains("\"week:tokens\";r=") && states.split(", ").count() == 4, "{states}");
        assert_eq!(
            (field(&answer, "x-ratelimit-limit"), field(&answer, "x-ratelimit-remaining")),
            ("4".into(), left.to_string())
        );
        assert!(!has_vendor(&answer, "x-codex-") && !has_vendor(&answer, "anthropic-ratelimit-unified-"));
    }
    // A refusal that has nothing to do with limits has the fields too.
    let answer = gateway.call(Call::post(CHAT, "{").key(&key)).await;
    assert_eq!(answer.status(), 400, "{}", answer.text());
    assert!(field(&answer, "ratelimit").starts_with("\"day\";r=2;"), "{}", field(&answer, "ratelimit"));
}

#[tokio::test]
async fn agents_get_the_fields_of_their_vendor() {
    let gateway = Gateway::start(Setup::mocked().plans(PLANS)).await;
    let key = gateway.account("four").await.key;
    for _ in 0..3 {
        gateway.call(call(Format::Chat, &key, false)).await.expect(200);
    }
    let answer = gateway.call(call(Format::Responses, &key, true).header("user-agent", CODEX)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let primary = ["used-percent", "window-minutes"].map(|name| field(&answer, &format!("x-codex-primary-{name}")));
    // The call itself is not settled yet.
    assert_eq!(primary, ["75.0", "1440"]);
    assert!(field(&answer, "x-codex-primary-reset-at").parse::<u64>().unwrap() > 1_700_000_000);
    assert_eq!(field(&answer, "x-codex-secondary-window-minutes"), "43200");
    assert!(!has_vendor(&answer, "anthropic-ratelimit-unified-"));

    let refused = gateway.call(call(Format::Responses, &key, true).header("user-agent", CODEX)).await;
    assert_eq!(refused.status(), 429);
    let error = refused.json()["error"].clone();
    assert_eq!((&error["type"], error.get("plan_type")), (&json!("usage_limit_reached"), None));
    assert_eq!(error["resets_at"].to_string(), field(&refused, "x-codex-primary-reset-at"));
    let advice = field(&refused, "x-codex-promo-message");
    assert!(advice.starts_with("The day's quota of 4 credits is used up (4 credits used)"), "{advice}");

    let refused = gateway.call(call(Format::Messages, &key, false).header("user-agent", CLAUDE)).await;
    assert_eq!((refused.status(), &refused.json()["error"]["type"]), (429, &json!("billing_error")));
    let of = |name: &str| field(&refused, &format!("anthropic-ratelimit-unified-{name}"));
    assert_eq!([of("status"), of("overage-utilization"), of("overage-period")], ["rejected", "1", "daily"]);
    assert_eq!([of("representative-claim"), of("overage-status")], ["", ""], "the message of the gateway is shown");
    assert!(!field(&refused, "retry-after").is_empty());
    assert_eq!(field(&refused, "x-should-retry"), "false");
}

#[tokio::test]
async fn a_key_reads_its_quotas_also_after_they_are_used_up() {
    let gateway = Gateway::start(Setup::mocked().plans(PLANS)).await;
    let key = gateway.account("four").await.key;
    for format in [Format::Chat, Format::Responses, Format::Messages, Format::Chat] {
        gateway.call(call(format, &key, false)).await.expect(200);
    }
    assert_eq!(gateway.call(call(Format::Chat, &key, false)).await.status(), 429);
    let read = async |path: &str| -> Value {
        let answer = gateway.call(Call::get(path).key(&key)).await;
        assert_eq!((answer.status(), answer.header("cache-control")), (200, Some("no-store")), "{}", answer.text());
        answer.json()
    };
    let usage = read("/v1/usage").await;
    assert_eq!(usage["plan"], "four");
    let day = &usage["windows"][0];
    let figures = ["limit", "used", "reserved", "left"].map(|name| day[name].clone());
    assert_eq!((&day["name"], figures), (&json!("day"), [4, 4, 0, 0].map(|figure| json!(figure))));
    assert_eq!(
        (&usage["windows"][1]["name"], &usage["windows"][1]["limit"]),
        (&json!("week:tokens"), &json!(1_000_000))
    );
    assert_eq!(usage["windows"][2]["limit"], "20 USD");
    assert_eq!(usage["windows"][3]["measure"], "requests");
    assert_eq!(read("/api/v1/key").await["data"]["limit"], 20);
    assert_eq!(read("/key/info").await["info"]["max_budget"], 20);
    let claude = read("/api/oauth/usage").await;
    assert_eq!(claude["limits"][0]["percent"], 100);
    let text = gateway.call(Call::get("/v1/usage").key(&key).header("accept", "text/plain")).await;
    assert!(text.text().starts_with("day 100% (0 credits left, "), "{}", text.text());
    for path in ["/v1/usage", "/api/v1/key", "/key/info", "/api/oauth/usage"] {
        assert_eq!(gateway.call(Call::get(path)).await.status(), 401, "{path}");
        assert_eq!(gateway.call(Call::json(path, &json!({})).key(&key)).await.status(), 405, "{path}");
    }
}

#[tokio::test]
async fn the_budget_of_a_week_is_counted_across_a_crash_and_refuses() {
    let setup = Setup::mocked().plans("{name: weekly, budgets: [{credits: 3, per: week}]}");
    let gateway = Gateway::start(setup.clone()).await;
    let key = gateway.account("weekly").await.key;
    for _ in 0..2 {
        gateway.call(call(Format::Chat, &key, false)).await.expect(200);
    }
    let gateway = Gateway::start_in(gateway.crash().folder, setup).await;
    let answer = gateway.call(call(Format::Chat, &key, false)).await;
    assert_eq!((answer.status(), field(&answer, "x-ratelimit-remaining")), (200, "0".to_owned()), "{}", answer.text());
    let refused = gateway.call(call(Format::Chat, &key, false)).await;
    assert_eq!(refused.status(), 429);
    assert!(refused.text().contains("the week's quota of 3 credits is used up"), "{}", refused.text());
    assert!(field(&refused, "ratelimit-policy").starts_with("\"week\";q=3;w=604800"), "{refused:?}");
}
