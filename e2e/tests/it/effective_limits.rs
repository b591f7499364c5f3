//! `tollgate limits` reports limits as servers enforce them.

use e2e::database::{Database, Rows};
use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, commands};
use serde_json::{Value, json};

use crate::audit::must;
use crate::bodies::{CHAT, Format};

async fn limits(folder: &Folder, words: &[&str]) -> Value {
    let words = [&["limits", "--data", "data", "--json"], words].concat();
    let output = commands::run(folder, &words).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the limit with this text and these subjects.
fn find<'a>(reported: &'a Value, limit: &str, whose: &str) -> &'a Value {
    let found =
        reported["limits"].as_array().unwrap().iter().find(|line| line["limit"] == limit && line["whose"] == whose);
    found.unwrap_or_else(|| panic!("{limit}, {whose}: {reported:#}"))
}

#[tokio::test]
async fn every_limit_is_listed_with_overshoot_and_stranded_amount() {
    let setup = Setup::mocked()
        .plans("{name: paid, credits_per_day: 100, requests_per_minute: 60, budgets: [{money: \"5 USD\", per: month}]}")
        .section("budgets", "{limits: [{dimension: global, money: \"50 USD\", per: day}]}")
        .section("rate_limits", "[{dimension: ip, limit: 7, window: 10s}, {dimension: key, unit: concurrent, limit: 3}]")
        .section("routes", "[{name: r, path: /r, respond: {}, auth: {type: none}, rate_limits: [{dimension: {header: X-T}, limit: 5, window: 1m}]}]")
        .section("workers", "2");
    let gateway = Gateway::start_in(Folder::on_sqlite(), setup).await;
    let folder = gateway.folder();
    let account = gateway.account("paid").await;
    must(folder, &["budgets", "set", "--user", &account.email, "--tokens", "1000", "--per", "day"]).await;
    must(folder, &["keys", "create", "--user", &account.email, "--label", "small", "--credits-per-day", "7"]).await;
    let small = must(folder, &["keys", "list", "--user", &account.email]).await;
    let small = small.lines().find(|line| line.ends_with("  small")).unwrap();
    let (id, last4) = (small.split_whitespace().next().unwrap(), &small[small.find('…').unwrap()..][..7]);
    must(folder, &["budgets", "set", "--key", id, "--tokens", "9", "--per", "day"]).await;
    let reported = limits(folder, &["--config", "tollgate.yaml", "--workers", "3"]).await;
    let topology = &reported["topology"];
    assert_eq!(
        (&topology["store"], &topology["servers"], &topology["workers"]),
        (&json!("sqlite"), &json!(1), &json!(3))
    );
    assert_eq!(limits(folder, &["--config", "tollgate.yaml"]).await["topology"]["workers"], 2);
    let quota = find(&reported, "100 credits a day", "each user on plan paid");
    let none = |side: &str, exact: bool| {
        assert_eq!((&quota[side]["amount"], &quota[side]["exact"]), (&json!(0), &json!(exact)));
    };
    none("overshoot", true);
    none("stranded", true);
    assert_eq!(find(&reported, "60 requests a minute", "each key on plan paid")["overshoot"]["amount"], 60);
    for (limit, whose) in [
        ("5 USD a month", "each user on plan paid".to_owned()),
        ("50 USD a day", "all users together".to_owned()),
        ("1000 tokens a day", format!("user {}", account.email)),
        ("9 tokens a day", format!("key {id} ({last4}) small")),
    ] {
        let line = find(&reported, limit, &whose);
        // Usage that a provider reports beyond the bound is known only afterwards.
        assert_eq!((&line["overshoot"]["amount"], &line["overshoot"]["exact"]), (&json!(0), &json!(false)), "{line}");
    }
    for (limit, whose, overshoot) in [
        ("7 requests in 10 s", "each ip, all routes", 7),
        ("3 requests in flight", "each key, all routes", 0),
        ("5 requests in 60 s", "each header x-t, route r", 5),
    ] {
        assert_eq!(find(&reported, limit, whose)["overshoot"]["amount"], overshoot, "{limit}");
    }
    find(&reported, "7 credits a day", "the largest of 1 keys with their own");
    let text = must(folder, &["limits", "--config", "tollgate.yaml"]).await;
    let row = text.lines().find(|line| line.starts_with("100 credits a day ")).unwrap_or_else(|| panic!("{text}"));
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let [_, overshoot, stranded, notes, whose] = cells[..] else { panic!("{cells:?}") };
    assert_eq!((overshoot, stranded, whose), ("0 credits", "0 credits", "each user on plan paid"));
    let note = notes.split(',').next().unwrap();
    assert!(
        text.contains(&format!("\n{note:>2}  the credits of a request are charged before it is forwarded\n")),
        "{text}"
    );
    let header = text.lines().find(|line| line.starts_with("LIMIT ")).unwrap();
    assert_eq!(header.find("APPLIES TO"), row.find("each user"), "{text}");
}

#[tokio::test]
async fn a_dead_server_strands_at_most_the_reported_amount() {
    let folder = Folder::on_postgres(Database::new());
    let (second, third) = (folder.beside(), folder.beside());
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
    assert_eq!((&reported["topology"]["store"], &reported["topology"]["servers"]), (&json!("postgres"), &json!(3)));
    let quota = find(&reported, "100 credits a day", "each user on plan hundred");
    let most = quota["stranded"]["amount"].as_i64().unwrap();
    assert_eq!((most, &quota["overshoot"]["amount"]), (8, &json!(0)));
    for node in nodes {
        let folder = node.crash().folder;
        let data = folder.data();
        let rows = Rows { data: &data, database: folder.database() };
        // The credits that each server had leased at the crash.
        assert!(rows.number("SELECT max(granted - used) FROM leases WHERE NOT closed").await <= most);
    }
}
