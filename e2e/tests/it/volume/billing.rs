//! Notifications at 50 a second, lists of 100,000 invoices, and the receipt of a million requests.

use std::time::Duration;

use access::Day;
use e2e::database::on_postgres;
use e2e::setup::Folder;
use e2e::{Call, Canary, Gateway, Setup, commands, eventually, is_long, text, timed};
use serde_json::json;

use super::{Load, download, fill, percentile, verify, within};
use crate::billing::{EARLIER, Shop};
use crate::bodies::Format;
use crate::hostile::say;
use crate::store;

const NOTIFICATION_MAX: Duration = Duration::from_millis(100);
const LIST_MAX: Duration = Duration::from_millis(50);
const RECEIPT_BYTES_MAX: u64 = 100 << 20;
/// Each statement doubles the invoices. They belong to no subscription, since a period has one invoice.
const MORE_INVOICES: &str = "INSERT INTO invoices SELECT unhex(printf('%012x7000800%013x', created_at / 1000, last + rowid)), user_id, NULL,
    kind, of_invoice_id, target_version_id, first_day, last_day, state, series, last + rowid, series || '-' || (last + rowid), currency,
    subtotal, tax_name, tax_rate, tax_base, tax, total, remaining, rules_version, issued_at, due_at, digest, tax_invoice_number, seller, customer, created_at,
    updated_at, reason, usage_first_day, usage_last_day FROM invoices, (SELECT max(rowid) AS last FROM invoices)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_at_fifty_a_second_are_answered_at_once() {
    if on_postgres() {
        return;
    }
    let shop = Shop::open().await;
    let (_, payment) = shop.begin(&json!({"method": "qris"})).await;
    let body = shop.play(&format!("/_stub/resend/{}", text(&payment["order_id"]))).await.to_string();
    let request = format!(
        "POST /midtrans/notification HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let canary = Canary::new();
    let load = Load { per_second: 50, requests: if is_long() { 1_000 } else { 50 }, connections: 4 };
    let durations = load.run(shop.gateway.control, request).await;
    say(&format!("notifications, 50/s: median {:?}", percentile(&durations, 50)));
    within(&canary, "99th percentile of notifications", percentile(&durations, 99), NOTIFICATION_MAX);
}

#[tokio::test]
async fn lists_of_a_hundred_thousand_invoices_are_read_by_pages() {
    if on_postgres() {
        return;
    }
    let shop = Shop::open().await;
    let (_, payment) = shop.begin(&json!({"method": "qris"})).await;
    shop.play(&format!("/_stub/pay/{}", text(&payment["order_id"]))).await;
    shop.has_plan("pro").await;
    let key = shop.key.clone();
    let folder = shop.gateway.stop().await.folder;
    let data = folder.data();
    let doublings = if is_long() { 17 } else { 8 };
    for _ in 0..doublings {
        store::rows(&folder, &data).execute(MORE_INVOICES, "").await;
    }
    let gateway = Gateway::start_in(folder, Setup::bare().flag("--demo")).await;
    let admin = crate::webhooks::admin(&gateway).await;
    let canary = Canary::new();
    for (path, credential) in [
        ("/api/invoices?limit=50", &key),
        ("/api/invoices?limit=50&state=paid", &key),
        ("/api/billing/invoices?limit=50", &admin),
        ("/api/billing/invoices?limit=50&state=paid", &admin),
    ] {
        let mut durations = Vec::new();
        let mut next = String::new();
        for _ in 0..if is_long() { 100 } else { 3 } {
            let page = format!("{path}{next}");
            let (page, took) = timed(gateway.ask(Call::get(&page).key(credential))).await;
            let page = page.expect(200).json();
            assert_eq!(page["items"].as_array().map(Vec::len), Some(50), "{path}");
            next = page["next"].as_str().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            durations.push(took);
        }
        durations.sort_unstable();
        within(
            &canary,
            &format!("95th percentile of {path}, {} invoices", 1 << doublings),
            percentile(&durations, 95),
            LIST_MAX,
        );
    }
}

#[tokio::test]
async fn the_receipt_of_a_million_requests_needs_little_memory() {
    if on_postgres() {
        return;
    }
    let shop = Shop::open().await;
    let (_, payment) = shop.begin(&json!({"method": "qris"})).await;
    shop.play(&format!("/_stub/pay/{}", text(&payment["order_id"]))).await;
    shop.has_plan("pro").await;
    let call = Call::json("/v1/chat/completions", &Format::Chat.body("mock", false)).key(&shop.key);
    call.send(shop.gateway.proxy).await.expect(200);
    eventually("the request is stored", async || {
        (shop
            .count(
                "SELECT CAST(coalesce(sum(requests), 0) AS BIGINT) FROM daily_usage WHERE user_no IN
            (SELECT no FROM users WHERE id IN (SELECT user_id FROM subscriptions))",
            )
            .await
            == 1)
            .then_some(())
    })
    .await;
    let key = shop.key.clone();
    let folder = shop.gateway.stop().await.folder;
    fill::double(&folder, if is_long() { 20 } else { 6 }).await;
    let data = folder.data();
    for change in EARLIER {
        store::rows(&folder, &data).execute(change, "").await;
    }
    let requests = store::number(&folder, "SELECT count(*) FROM usage_events").await;
    close(&folder).await;
    let gateway = Gateway::start_in(folder, Setup::bare().flag("--demo")).await;
    let listed = gateway.ask(Call::get("/api/invoices").key(&key)).await.expect(200).json();
    let line = format!("GET /api/invoices/{}/receipt", text(&listed["items"][0]["id"]));
    let before = gateway.vitals().peak_bytes();
    let (zip, took) = timed(download(gateway.control, &line, &key)).await;
    let used = gateway.vitals().peak_bytes().saturating_sub(before);
    say(&format!("receipt of {requests} requests: {took:?}, {} bytes, {used} bytes of memory", zip.len()));
    assert!(used <= RECEIPT_BYTES_MAX, "{used} bytes");
    gateway.stop().await;
    let printed = verify(&Canary::new(), &format!("a receipt of {requests} requests"), &zip).await;
    assert!(printed.contains(&format!("{requests} of 1 days add up")), "{printed}");
}

/// Closes the period that has ended.
async fn close(folder: &Folder) {
    let plans = "[{name: starter, price: \"0 IDR\"}, {name: pro, price: \"150000 IDR\"}]";
    let yaml = format!("plans: {plans}\nbilling: {{enabled: true, fallback_plan: starter}}\n");
    let file = folder.write("billing.yaml", &yaml).display().to_string();
    let data = folder.data().display().to_string();
    let last = Day(50_000).to_string();
    let output =
        commands::run(folder, &["billing", "close", "--config", &file, "--data", &data, "--last-day", &last]).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1 new invoices of 1 periods\n");
}
