//! Exported postings, added by Beancount.

use std::process::Stdio;

use e2e::python::python;
use e2e::{Call, eventually, text};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::Shop;

/// Adds exported postings with Beancount.
async fn added(table: &str) -> Value {
    let mut command = python("billing", "check_books.py");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(table.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test]
async fn beancount_adds_exported_postings_to_the_same_balances() {
    let shop = Shop::open().await;
    let admin = crate::webhooks::admin(&shop.gateway).await;
    let (invoice, payment) = shop.begin(&json!({"method": "qris"})).await;
    shop.play(&format!("/_stub/pay/{}", text(&payment["order_id"]))).await;
    shop.has_plan("pro").await;
    let post = async |path: String, body: Value| shop.gateway.ask(Call::json(&path, &body).key(&admin)).await;
    let note = json!({"lines": [{"no": 1, "amount": 50_000}], "reason": "outage"});
    post(format!("/api/invoices/{invoice}/credit-notes"), note).await.expect(201);
    let refund = json!({"amount": 20_000, "reason": "outage", "by": "hand", "reference": "BCA 1"});
    post(format!("/api/invoices/{invoice}/refunds"), refund).await;
    eventually("the refund is posted", async || {
        let refunded = shop.count("SELECT count(*) FROM postings WHERE reason LIKE '%refund%'").await;
        (refunded > 0).then_some(())
    })
    .await;
    let month: Value = shop.get(&format!("/api/invoices/{invoice}")).await.expect(200).json();
    let path = format!("/api/billing/export?format=postings&month={}", &text(&month["issued_at"])[..7]);
    let table = shop.gateway.ask(Call::get(&path).key(&admin)).await.expect(200).text();
    let added_up = added(&table).await;
    let count = shop.count("SELECT count(DISTINCT transaction_id) FROM postings").await;
    let transactions = &added_up["transactions"];
    assert_eq!((&added_up["errors"], transactions), (&json!([]), &json!(count)), "{added_up} {table}");
    for (account, query) in [
        ("Assets:Clearing", "SELECT CAST(sum(amount) AS BIGINT) FROM postings WHERE account = 'clearing'"),
        ("Income:Revenue", "SELECT CAST(sum(amount) AS BIGINT) FROM postings WHERE account = 'revenue'"),
        ("Liabilities:Wallet", "SELECT CAST(sum(amount) AS BIGINT) FROM postings WHERE account = 'wallet'"),
    ] {
        let balance: f64 = text(&added_up["balances"][account]).parse().unwrap();
        let stored = shop.count(query).await;
        assert!((balance - f64::from(i32::try_from(stored).unwrap())).abs() < 0.5, "{account}: {balance}, {stored}");
    }
    // One changed amount is found.
    let changed = added(&table.replacen("150000.0", "150001.0", 1)).await;
    assert_eq!(changed["errors"].as_array().map(Vec::len), Some(1), "{changed}");
}
