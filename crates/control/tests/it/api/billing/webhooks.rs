//! Webhooks, which finance sets, and their deliveries.

use serde_json::{Value, json};

use super::Shop;
use super::finance::{finance, send};
use crate::client::{Answer, call, get};

const WEBHOOKS: &str = "/api/webhooks";
const JSON: &str = "Content-Type: application/json";
const ABSENT: &str = "0199aa00-0000-7000-8000-00000000dead";
const NOWHERE: &str = "https://hooks.example.com:9/hook?token=1";

async fn change(shop: &Shop, bearer: &str, path: &str, body: Value) -> Answer {
    call(shop.world.address, &format!("PATCH {path}"), &[bearer, JSON], &body.to_string()).await
}

async fn delete(shop: &Shop, bearer: &str, path: &str) -> Answer {
    call(shop.world.address, &format!("DELETE {path}"), &[bearer], "").await
}

async fn webhook(shop: &Shop, bearer: &str, events: Value) -> Value {
    let made = send(shop, bearer, WEBHOOKS, json!({"url": NOWHERE, "events": events})).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.json()
}

#[tokio::test]
async fn finance_sets_webhooks_whose_secret_is_shown_once() {
    let shop = Shop::open().await;
    let fin = finance(&shop).await;
    let made = webhook(&shop, &fin, json!(["invoice.*"])).await;
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{made}");
    let path = format!("{WEBHOOKS}/{}", made["id"].as_str().unwrap());
    let list = async || get(shop.world.address, WEBHOOKS, &[&fin]).await;
    let listed = list().await;
    assert!(!listed.body.contains("secret") && !listed.body.contains("whsec_"), "{listed:?}");
    let listed = listed.json();
    assert_eq!((&listed["items"][0]["url"], &listed["next"]), (&json!(NOWHERE), &Value::Null));
    assert_eq!((&listed["items"][0]["events"], &listed["items"][0]["enabled"]), (&json!(["invoice.*"]), &json!(true)));

    let changed = change(&shop, &fin, &path, json!({"events": ["payment.paid"], "enabled": false})).await.json();
    assert_eq!((&changed["events"], &changed["enabled"]), (&json!(["payment.paid"]), &json!(false)));
    assert!(changed["disabled_at"].is_string() && changed["secret"].is_null(), "{changed}");
    let enabled = change(&shop, &fin, &path, json!({"enabled": true, "url": "https://a.example/b"})).await.json();
    assert_eq!((&enabled["url"], &enabled["disabled_at"]), (&json!("https://a.example/b"), &Value::Null));
    let rotated = send(&shop, &fin, &format!("{path}/rotate"), json!({})).await.json();
    assert!(rotated["secret"].as_str().is_some_and(|new| new.starts_with("whsec_") && new != secret), "{rotated}");
    assert_eq!(rotated["previous_until"], "2026-11-21T12:00:00Z");
    assert_eq!(delete(&shop, &fin, &path).await.status, 204);
    assert_eq!(list().await.json()["items"], json!([]));
    let root = shop.world.person_with("chief", access::Role::Admin).await;
    let root = shop.world.sign_in(&root).await.bearer();
    let lines = get(shop.world.address, "/api/audit?limit=20", &[&root]).await;
    for action in ["webhook.create", "webhook.change", "webhook.rotate", "webhook.delete"] {
        assert!(lines.body.contains(action), "no {action}: {lines:?}");
    }
    assert!(!lines.body.contains("token=1"), "the path of a URL may be a secret: {lines:?}");
}

#[tokio::test]
async fn a_url_or_an_event_that_is_not_allowed_is_refused() {
    let shop = Shop::open().await;
    let fin = finance(&shop).await;
    let made = webhook(&shop, &fin, json!(["*"])).await;
    let path = format!("{WEBHOOKS}/{}", made["id"].as_str().unwrap());
    let malformed = ["", "x", "ftp://a/", "https://u:p@a/", "http://169.254.169.254/latest", "http://[fd00:ec2::254]/"];
    let internal =
        ["https://127.0.0.1:9/", "https://10.0.0.7/", "https://[fd00::7]/", "https://localhost/", "http://a.example/"];
    for url in malformed.into_iter().chain(internal) {
        send(&shop, &fin, WEBHOOKS, json!({"url": url})).await.refuses(422, "unprocessable");
        change(&shop, &fin, &path, json!({"url": url})).await.refuses(422, "unprocessable");
    }
    for events in [json!([]), json!(["invoice"]), json!(["*", "x"])] {
        send(&shop, &fin, WEBHOOKS, json!({"url": NOWHERE, "events": events})).await.refuses(422, "unprocessable");
        change(&shop, &fin, &path, json!({"events": events})).await.refuses(422, "unprocessable");
    }
    send(&shop, &fin, WEBHOOKS, json!({"url": NOWHERE, "secret": "whsec_a"})).await.refuses(400, "bad_request");
    for _ in 1..20 {
        webhook(&shop, &fin, json!(["*"])).await;
    }
    send(&shop, &fin, WEBHOOKS, json!({"url": NOWHERE})).await.refuses(409, "conflict");
}

#[tokio::test]
async fn others_than_finance_set_no_webhooks_and_absent_ones_are_not_found() {
    let shop = Shop::open().await;
    let fin = finance(&shop).await;
    let person = shop.world.person("eve").await;
    let eve = shop.world.sign_in(&person).await.bearer();
    let of = format!("{WEBHOOKS}/{ABSENT}");
    let key = shop.ada.bearer();
    let rotate = format!("{of}/rotate");
    let replay = format!("{of}/replay");
    let one = format!("{of}/deliveries/{ABSENT}/replay");
    let deliveries = format!("{of}/deliveries");
    let since = json!({"since": "2026-11-20T00:00:00Z"});
    for (caller, status, code) in [(&eve, 403, "forbidden"), (&key, 403, "forbidden"), (&fin, 404, "not_found")] {
        change(&shop, caller, &of, json!({"enabled": true})).await.refuses(status, code);
        delete(&shop, caller, &of).await.refuses(status, code);
        send(&shop, caller, &rotate, json!({})).await.refuses(status, code);
        send(&shop, caller, &one, json!({})).await.refuses(status, code);
        send(&shop, caller, &format!("{of}/test"), json!({})).await.refuses(status, code);
        send(&shop, caller, &replay, since.clone()).await.refuses(status, code);
        get(shop.world.address, &deliveries, &[caller]).await.refuses(status, code);
    }
    for caller in [&eve, &key] {
        get(shop.world.address, WEBHOOKS, &[caller]).await.refuses(403, "forbidden");
        send(&shop, caller, WEBHOOKS, json!({"url": NOWHERE})).await.refuses(403, "forbidden");
    }
}

#[tokio::test]
async fn failed_deliveries_are_listed_and_replayed() {
    let shop = Shop::open().await;
    let fin = finance(&shop).await;
    let made = webhook(&shop, &fin, json!(["*"])).await;
    let path = format!("{WEBHOOKS}/{}", made["id"].as_str().unwrap());
    shop.invoice().await;
    let list = async |query: &str| get(shop.world.address, &format!("{path}/deliveries{query}"), &[&fin]).await;
    let page = list("?limit=1").await.json();
    let next = list(&format!("?limit=1&cursor={}", page["next"].as_str().unwrap())).await.json();
    assert_eq!((&page["items"][0]["state"], &next["next"]), (&json!("waiting"), &Value::Null));
    // Events of one change have no order.
    let mut items = [page["items"][0].clone(), next["items"][0].clone()];
    items.sort_by_key(|item| item["event"].to_string());
    assert_eq!([&items[0]["event"], &items[1]["event"]], [&json!("invoice.opened"), &json!("subscription.created")]);
    assert_eq!(items[0]["body"]["data"]["total"], json!({"amount": 150_000, "currency": "IDR"}));
    list("?state=sent").await.refuses(400, "bad_request");
    list("?limit=0").await.refuses(400, "bad_request");

    let waiting = list("?state=waiting").await.json();
    assert_eq!(waiting["items"].as_array().map(Vec::len), Some(2), "{waiting}");
    assert_eq!(list("?state=failed").await.json()["items"], json!([]));
    // A webhook that is disabled gives up what waits, and replays nothing.
    change(&shop, &fin, &path, json!({"enabled": false})).await;
    let failed = list("?state=failed").await.json();
    assert_eq!((failed["items"].as_array().map(Vec::len), &failed["items"][0]["next_at"]), (Some(2), &Value::Null));
    let one = format!("{path}/deliveries/{}/replay", failed["items"][0]["id"].as_str().unwrap());
    let all = format!("{path}/replay");
    let since = json!({"since": "2026-11-20T00:00:00Z"});
    send(&shop, &fin, &one, json!({})).await.refuses(409, "conflict");
    send(&shop, &fin, &all, since.clone()).await.refuses(409, "conflict");
    change(&shop, &fin, &path, json!({"enabled": true})).await;
    assert_eq!(send(&shop, &fin, &one, json!({})).await.json()["state"], "waiting");
    send(&shop, &fin, &all, json!({"since": "yesterday"})).await.refuses(422, "unprocessable");
    assert_eq!(send(&shop, &fin, &all, since).await.json(), json!({"replayed": 1}));
}

#[tokio::test]
async fn a_test_event_is_a_delivery_and_waits_alone() {
    let shop = Shop::open().await;
    let fin = finance(&shop).await;
    let made = webhook(&shop, &fin, json!(["payment.paid"])).await;
    assert_eq!(made["failing"], Value::Null);
    let path = format!("{WEBHOOKS}/{}", made["id"].as_str().unwrap());
    let added = send(&shop, &fin, &format!("{path}/test"), json!({})).await;
    assert_eq!(added.status, 201, "{added:?}");
    let added = added.json();
    assert_eq!((&added["event"], &added["state"]), (&json!("webhook.test"), &json!("waiting")));
    assert_eq!(added["body"]["data"]["id"], made["id"]);
    send(&shop, &fin, &format!("{path}/test"), json!({})).await.refuses(409, "conflict");
    let listed = get(shop.world.address, &format!("{path}/deliveries"), &[&fin]).await.json();
    assert_eq!(listed["items"][0]["id"], added["id"]);
    change(&shop, &fin, &path, json!({"enabled": false})).await;
    send(&shop, &fin, &format!("{path}/test"), json!({})).await.refuses(409, "conflict");
}

#[tokio::test]
async fn without_billing_there_are_no_webhooks() {
    let world = crate::world::World::start().await;
    let root = world.person_with("root", access::Role::Admin).await;
    let root = world.sign_in(&root).await.bearer();
    get(world.address, WEBHOOKS, &[&root]).await.refuses(404, "not_found");
    let body = json!({"url": NOWHERE}).to_string();
    crate::client::post(world.address, WEBHOOKS, &[&root], &body).await.refuses(404, "not_found");
}
