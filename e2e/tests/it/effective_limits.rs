//! `tollgate limits` prints what `GET /api/limits` responds: limits as servers enforce them.

use e2e::database::{Database, Rows};
use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, commands, eventually};
use serde_json::{Value, json};

use crate::audit::{admin, must};
use crate::bodies::{CHAT, Format};

async fn limits(folder: &Folder, words: &[&str]) -> Value {
    let words = [&["limits", "--data", "data", "--json"], words].concat();
    let output = commands::run(folder, &words).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the limit of this kind that counts this dimension.
fn find<'a>(reported: &'a Value, kind: &str, dimension: &str) -> &'a Value {
    let mut items = reported["items"].as_array().unwrap().iter();
    let found = items.find(|limit| limit["kind"] == kind && limit["dimensions"] == json!([dimension]));
    found.unwrap_or_else(|| panic!("{kind}, {dimension}: {reported:#}"))
}

/// Removes what only the running server knows: its counts of requests and refusals.
fn of_store(mut reported: Value) -> Value {
    reported["is_live"] = Value::Null;
    for limit in reported["items"].as_array_mut().unwrap() {
        limit["refused"] = Value::Null;
        // The server was started with another path of the file.
        limit["place"] = Value::Null;
        if limit["kind"] != "credits_per_day" {
            (limit["keys"], limit["busy_keys"]) = (Value::Null, Value::Null);
        }
    }
    reported
}

#[tokio::test]
async fn every_limit_is_listed_with_overshoot_and_unusable_amount() {
    let setup = Setup::mocked()
        .limited()
        .plans("{name: paid, credits_per_day: 3, requests_per_minute: 60}")
        .section("signup", "open")
        .section("signup_plan", "open")
        .section("control", "{rate_limits: []}")
        .section("rate_limits", "[{dimension: ip, limit: 1000, window: 10s}, {dimension: key, unit: concurrent, limit: 3}]")
        .section("routes", "[{name: r, path: /r, respond: {}, auth: {type: none}, rate_limits: [{dimension: {header: X-T}, limit: 5, window: 1m}]}]");
    let gateway = Gateway::start_in(Folder::on_sqlite(), setup).await;
    let folder = gateway.folder();
    let token = admin(&gateway).await;
    let account = gateway.account("paid").await;
    must(folder, &["keys", "create", "--user", &account.email, "--label", "small", "--credits-per-day", "7"]).await;
    for _ in 0..2 {
        let call = Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false));
        gateway.call(call.key(&account.key)).await.expect(200);
    }
    let reported = eventually("the command prints what the API responds", async || {
        let printed = limits(folder, &["--config", "tollgate.yaml"]).await;
        let responded = gateway.ask(Call::get("/api/limits").key(&token)).await.expect(200).json();
        let is_stored = find(&printed, "credits_per_day", "user")["keys"][0]["used"] == 2;
        (is_stored && of_store(printed.clone()) == of_store(responded)).then_some(printed)
    })
    .await;
    for (kind, dimension, overshoot) in [
        ("rate_limit", "ip", 0),
        ("rate_limit", "key", 0),
        ("rate_limit", "header x-t", 0),
        ("requests_per_minute", "user", 60),
        ("credits_per_day", "user", 0),
    ] {
        let limit = find(&reported, kind, dimension);
        assert_eq!((&limit["overshoot"], &limit["unusable"]), (&json!(overshoot), &json!(0)), "{limit}");
    }
    let own = "the largest of 1 key with its own";
    let expected = json!([{"name": own, "policy": "\"credits_per_day\";q=7;w=86400"}]);
    assert_eq!(find(&reported, "credits_per_day", "key")["tiers"], expected);
    let text = must(folder, &["limits", "--config", "tollgate.yaml"]).await;
    assert!(text.lines().any(|line| line.starts_with("7 credits a day ") && line.ends_with(own)), "{text}");
    let row = text.lines().find(|line| line.starts_with("3 credits a day ")).unwrap_or_else(|| panic!("{text}"));
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(cells, ["3 credits a day", "0", "0", "1", "each user on plan paid"], "{text}");
    let header = text.lines().find(|line| line.starts_with("LIMIT ")).unwrap();
    assert_eq!(header.find("APPLIES TO"), row.find("each user"), "{text}");
    assert!(text.contains(&format!("{}: 2 of 3, 1 left", account.email)), "{text}");
}

#[tokio::test]
async fn a_dead_server_makes_at_most_the_reported_amount_unusable() {
    let folder = Folder::on_postgres(Database::new());
    let second = folder.beside();
    let third = folder.beside();
    let setup = || Setup::mocked().plans("{name: hundred, credits_per_day: 100}");
    let nodes = [
        Gateway::start_in(folder, setup()).await,
        Gateway::start_in(second, setup()).await,
        Gateway::start_in(third, setup()).await,
    ];
    let key = nodes[0].account("hundred").await.key;
    for node in nodes.iter().cycle().take(12) {
        node.call(Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(&key)).await.expect(200);
    }
    let reported = limits(nodes[0].folder(), &[]).await;
    let quota = find(&reported, "credits_per_day", "user");
    assert_eq!((&quota["is_shared"], &quota["overshoot"]), (&json!(true), &json!(0)), "{quota}");
    let most = quota["unusable"].as_i64().unwrap();
    assert_eq!(most, 8);
    for node in nodes {
        let folder = node.crash().folder;
        let data = folder.data();
        let rows = Rows { data: &data, database: folder.database() };
        // The credits that each server had leased at the crash.
        assert!(rows.number("SELECT max((granted - used) / 1000000) FROM leases WHERE NOT closed").await <= most);
    }
}
