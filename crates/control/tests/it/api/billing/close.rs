//! `POST /api/billing/close`.

use std::time::Duration;

use access::Role;
use serde_json::{Value, json};

use super::Shop;
use super::finance::{finance, paid, send};
use crate::client::{get, post};

const CLOSE: &str = "/api/billing/close";
const INVOICES: &str = "/api/billing/invoices";

#[tokio::test]
async fn finance_closes_ended_periods_once() {
    let shop = Shop::open().await;
    paid(&shop, json!({"method": "qris"})).await;
    // Two periods have ended: on 2026-12-19 and on 2027-01-19.
    shop.world.clock.advance(Duration::from_hours(24 * 70));
    let fin = finance(&shop).await;
    let close = async |body: Value| {
        let answer = send(&shop, &fin, CLOSE, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let counts = |dry_run: bool, new: u32| json!({"dry_run": dry_run, "new": new, "closed": new, "waiting": 0, "failed": 0, "signed": 0, "unsigned": 0});
    let invoices = async || get(shop.world.address, INVOICES, &[&fin]).await.json();
    let before = invoices().await;

    assert_eq!(close(json!({"last_day": "2026-12-18"})).await, counts(false, 0));
    for _ in 0..2 {
        assert_eq!(close(json!({"last_day": "2026-12-19", "dry_run": true})).await, counts(true, 1));
    }
    assert_eq!(invoices().await, before, "a dry run stores nothing");
    assert_eq!(close(json!({"last_day": "2026-12-19", "dry_run": false})).await, counts(false, 1));
    assert_eq!(close(json!({"last_day": "2026-12-19"})).await, counts(false, 0), "a repeat");
    // A day of the future closes nothing that has not ended.
    assert_eq!(close(json!({"last_day": "2999-12-31"})).await, counts(false, 1));
    assert_eq!(close(json!({"last_day": "2999-12-31"})).await, counts(false, 0));
    let items = invoices().await["items"].clone();
    let numbers: Vec<&str> =
        items.as_array().unwrap().iter().map(|of| of["invoice"]["number"].as_str().unwrap()).collect();
    assert_eq!(numbers, ["INV-2027-000002", "INV-2027-000001", "INV-2026-000001"]);

    let root = shop.world.person_with("auditor", Role::Admin).await;
    let root = shop.world.sign_in(&root).await.bearer();
    let lines = get(shop.world.address, "/api/audit?action=billing.close", &[&root]).await.json();
    let details: Vec<&Value> = lines["items"].as_array().unwrap().iter().map(|line| &line["detail"]).collect();
    assert_eq!(details, [&json!({"invoices": 1, "periods": 1}); 2], "{lines}");
}

#[tokio::test]
async fn only_finance_closes_periods_and_only_by_a_day() {
    let shop = Shop::open().await;
    paid(&shop, json!({"method": "qris"})).await;
    shop.world.clock.advance(Duration::from_hours(24 * 35));
    let eve = shop.world.person("eve").await;
    let eve = shop.world.sign_in(&eve).await.bearer();
    let body = json!({"last_day": "2026-12-19"});
    for caller in [&eve, &shop.ada.bearer()] {
        send(&shop, caller, CLOSE, body.clone()).await.refuses(403, "forbidden");
    }
    post(shop.world.address, CLOSE, &[], &body.to_string()).await.refuses(401, "unauthorized");
    let fin = finance(&shop).await;
    for day in [json!("2026-11-31"), json!("tomorrow"), json!(""), json!("2026-12-19\u{0}"), json!(20_000)] {
        send(&shop, &fin, CLOSE, json!({"last_day": day})).await.refuses(400, "bad_request");
    }
    send(&shop, &fin, CLOSE, json!({"last_day": "2026-12-19", "users": []})).await.refuses(400, "bad_request");
    send(&shop, &fin, CLOSE, json!({})).await.refuses(400, "bad_request");
    let dry = send(&shop, &fin, CLOSE, json!({"dry_run": true})).await.json();
    assert_eq!(dry["new"], 1, "nothing was closed: {dry}");
}
