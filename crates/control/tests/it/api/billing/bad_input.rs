//! Values that billing refuses, with their codes. Nothing is written before the refusal.

use access::Role;
use serde_json::{Value, json};

use super::finance::{finance, send};
use super::{JSON, NOTIFICATION, SUBSCRIPTION, Shop};
use crate::client::{call, get, post};

const TOPUPS: &str = "/api/wallet/topups";

/// Returns all that billing stores about ada.
async fn stored(shop: &Shop, fin: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for path in [SUBSCRIPTION, "/api/invoices", "/api/wallet", "/api/billing/profile"] {
        all.push(shop.get(path).await.json());
    }
    for path in ["/api/billing/invoices", "/api/webhooks"] {
        all.push(get(shop.world.address, path, &[fin]).await.json());
    }
    all
}

#[tokio::test]
async fn values_that_customers_send_are_refused_and_nothing_is_written() {
    let shop = Shop::open().await;
    let fin = finance(&shop).await;
    let invoice = shop.invoice().await;
    let before = stored(&shop, &fin).await;
    let pay = format!("{invoice}/pay");
    let unknown = "/api/invoices/0199aa00-0000-7000-8000-00000000dead/pay";
    let mut wrong = Vec::new();
    let top_up = |amount: Value| json!({"amount": amount, "method": "qris"});
    for (path, body, status, code) in [
        (SUBSCRIPTION, json!({"plan": "endless"}), 409, "conflict"),
        (SUBSCRIPTION, json!({"plan": 7}), 400, "bad_request"),
        (SUBSCRIPTION, json!({"plan": "endless", "price": 1}), 400, "bad_request"),
        (&pay, json!({"method": "QRIS"}), 422, "unprocessable"),
        (&pay, json!({"method": "va", "bank": "none"}), 422, "unprocessable"),
        (&pay, json!({"method": "qris", "amount": 1}), 400, "bad_request"),
        (unknown, json!({"method": "qris"}), 404, "not_found"),
        (TOPUPS, top_up(json!(0)), 422, "unprocessable"),
        (TOPUPS, top_up(json!(-1)), 422, "unprocessable"),
        (TOPUPS, top_up(json!(10_000_001)), 422, "unprocessable"),
        (TOPUPS, top_up(json!(i64::MAX)), 422, "unprocessable"),
        (TOPUPS, top_up(json!(1.5)), 400, "bad_request"),
        (TOPUPS, top_up(json!("1e3")), 400, "bad_request"),
    ] {
        let answer = shop.post(path, &body).await;
        if (answer.status, answer.json()["error"]["code"].as_str()) != (status, Some(code)) {
            wrong.push(format!("{path} {body}: {} {}", answer.status, answer.body));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for name in ["A\nB", "A\r\nBcc: eve@example.com", "A\u{2028}B"] {
        let body = json!({"name": name}).to_string();
        let headers = [shop.ada.bearer(), JSON.to_owned()];
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = call(shop.world.address, "PATCH /api/billing/profile", &headers, &body).await;
        assert_eq!(answer.status, 422, "{name:?}: {answer:?}");
    }
    assert_eq!(stored(&shop, &fin).await, before);
}

#[tokio::test]
async fn values_that_finance_sends_are_refused_and_nothing_is_written() {
    let shop = Shop::open().await;
    let fin = finance(&shop).await;
    let invoice = shop.invoice().await;
    let before = stored(&shop, &fin).await;
    let mut wrong = Vec::new();
    let credit = |no: i64, amount: Value| json!({"lines": [{"no": no, "amount": amount}], "reason": "outage"});
    let refund = |amount: Value| json!({"amount": amount, "reason": "outage", "by": "midtrans"});
    let notes = format!("{invoice}/credit-notes");
    let refunds = format!("{invoice}/refunds");
    for (path, body, allowed) in [
        (&*notes, credit(1, json!(0)), [422, 422]),
        (&*notes, credit(1, json!(-1)), [422, 422]),
        (&*notes, credit(1, json!(150_001)), [422, 409]),
        (&*notes, credit(1, json!(i64::MAX)), [422, 409]),
        (&*notes, credit(1, json!(0.5)), [400, 400]),
        (&*notes, credit(0, json!(1)), [409, 422]),
        (&*notes, credit(2, json!(1)), [409, 409]),
        (&*notes, credit(i64::MAX, json!(1)), [409, 409]),
        (&*notes, json!({"lines": [], "reason": "outage"}), [422, 422]),
        (&*notes, json!({"lines": [{"no": 1}], "reason": "a\nb"}), [422, 422]),
        (&*refunds, refund(json!(0)), [422, 409]),
        (&*refunds, refund(json!(-1)), [422, 409]),
        (&*refunds, refund(json!(1)), [422, 409]),
        (&*refunds, refund(json!(i64::MAX)), [422, 409]),
        ("/api/webhooks", json!({"url": "http://169.254.169.254/latest/meta-data"}), [422, 422]),
        ("/api/webhooks", json!({"url": "http://[fd00:ec2::254]/"}), [422, 422]),
        ("/api/webhooks", json!({"url": "file:///etc/passwd"}), [422, 422]),
    ] {
        let answer = send(&shop, &fin, path, body.clone()).await;
        if !allowed.contains(&answer.status) {
            wrong.push(format!("{path} {body}: {} {}", answer.status, answer.body));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(stored(&shop, &fin).await, before);
}

#[tokio::test]
async fn a_subscription_of_an_unknown_user_is_not_found() {
    let shop = Shop::open().await;
    let root = shop.world.person_with("root", Role::Admin).await;
    let root = shop.world.sign_in(&root).await.bearer();
    for plan in ["starter", "endless"] {
        let body = json!({"plan": plan, "user_id": "0199aa00-0000-7000-8000-00000000dead"});
        send(&shop, &root, SUBSCRIPTION, body).await.refuses(404, "not_found");
    }
}

#[tokio::test]
async fn a_genuine_notification_of_an_unknown_order_is_not_found() {
    let shop = Shop::open().await;
    // A vector of Midtrans's documents, whose server key is the one of this test.
    let signature = "a51d1bd2aa8b1dca9228f3827cd641b6dadf52ebb9ed40fb45db6a06dbb33de7cde8e80caa93dfb5e6beeaaf44f698dc7f6f56\
                     edd46556eddaa2a774ff7692c6";
    let genuine = json!({"order_id": "ORDER-sandbox-0003", "status_code": "202", "gross_amount": "50000.00",
        "signature_key": signature, "transaction_id": "t-1", "transaction_status": "deny", "merchant_id": "M000001"});
    post(shop.world.address, NOTIFICATION, &[], &genuine.to_string()).await.refuses(404, "not_found");
    let waiting = ledger::billing::payments::notifications(&shop.world.store, 10).await.unwrap();
    assert!(waiting.is_empty(), "{waiting:?}");
}

#[tokio::test]
async fn a_void_invoice_is_neither_paid_nor_corrected() {
    let shop = Shop::open().await;
    let fin = finance(&shop).await;
    let invoice = shop.invoice().await;
    assert_eq!(send(&shop, &fin, &format!("{invoice}/void"), json!({})).await.status, 200);
    let before = shop.get(&invoice).await.json();
    shop.post(&format!("{invoice}/pay"), &json!({"method": "qris"})).await.refuses(409, "conflict");
    shop.post(&format!("{invoice}/pay"), &json!({"method": "wallet"})).await.refuses(409, "conflict");
    for (name, body) in [
        ("void", json!({})),
        ("write-off", json!({})),
        ("approve", json!({})),
        ("credit-notes", json!({"lines": [{"no": 1}], "reason": "outage"})),
        ("refunds", json!({"amount": 1, "reason": "outage", "by": "midtrans"})),
    ] {
        send(&shop, &fin, &format!("{invoice}/{name}"), body).await.refuses(409, "conflict");
    }
    assert_eq!(shop.get(&invoice).await.json(), before);
}
