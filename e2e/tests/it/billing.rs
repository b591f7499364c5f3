//! Subscriptions that are paid through the stub of Midtrans, which the demo starts.

mod books;
mod documents;
mod notifications;
mod receipts;
mod signoff;
mod time_zones;

pub(crate) use receipts::EARLIER;

use std::net::SocketAddr;

use e2e::{Answer, Call, Gateway, Setup, commands, eventually, keys_in, text};
use serde_json::{Value, json};

use crate::reconcile;
use crate::store;

/// A demo with its stub, and a user on the plan `starter`.
pub(crate) struct Shop {
    pub(crate) gateway: Gateway,
    pub(crate) stub: SocketAddr,
    pub(crate) key: String,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_with(Setup::bare().flag("--demo")).await
    }

    pub(crate) async fn open_with(setup: Setup) -> Self {
        let gateway = Gateway::start(setup).await;
        let stdout = gateway.stdout();
        let (_, rest) = stdout.split_once("stub of Midtrans (http://").unwrap();
        let stub = rest.split_once(')').unwrap().0.parse().unwrap();
        let mut starter = None;
        for key in keys_in(&stdout) {
            if gateway.validate(&key).await["user"]["plan"] == "starter" {
                starter = Some(key);
            }
        }
        Self { gateway, stub, key: starter.unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.gateway.ask(Call::get(path).key(&self.key)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.gateway.ask(Call::json(path, body).key(&self.key)).await
    }

    /// Plays the customer or the bank.
    pub(crate) async fn play(&self, path: &str) -> Value {
        Call::post(path, "").send(self.stub).await.expect(200).json()
    }

    /// Sends a notification as Midtrans does.
    async fn notify(&self, body: &Value) -> u16 {
        let call = Call::json("/midtrans/notification", body).header("user-agent", "Veritrans");
        call.send(self.gateway.control).await.status()
    }

    /// Subscribes to `pro`, and begins the payment of its invoice.
    pub(crate) async fn begin(&self, method: &Value) -> (String, Value) {
        let subscribed = self.post("/api/subscription", &json!({"plan": "pro"})).await.expect(201).json();
        assert_eq!((&subscribed["state"], &subscribed["access"]), (&json!("pending"), &json!("fallback")));
        let invoice = text(&subscribed["invoice_id"]);
        let paying = self.post(&format!("/api/invoices/{invoice}/pay"), method).await.expect(201).json();
        (invoice, paying["payment"].clone())
    }

    /// Waits until the user has a plan.
    pub(crate) async fn has_plan(&self, plan: &str) {
        eventually("the plan follows the payment", async || {
            (self.gateway.validate(&self.key).await["user"]["plan"] == plan).then_some(())
        })
        .await;
    }

    /// Changes users as the books do: with the revision, which all nodes follow.
    async fn hold(&self, change: &'static str) {
        let data = self.gateway.folder().data();
        let next = "UPDATE revision SET value = value + 1";
        let rows = store::rows(self.gateway.folder(), &data);
        rows.execute(change, change).await;
        rows.execute(next, next).await;
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        store::number(self.gateway.folder(), sql).await
    }
}

#[tokio::test]
async fn a_paid_invoice_gives_the_plan() {
    let shop = Shop::open().await;
    shop.get("/api/subscription").await.expect(404);
    let (invoice, payment) = shop.begin(&json!({"method": "qris"})).await;
    assert_eq!((&payment["state"], &payment["method"]), (&json!("pending"), &json!("qris")));
    assert!(payment["qr_text"].as_str().is_some_and(|code| code.contains("150000")), "{payment}");
    let again = shop.post(&format!("/api/invoices/{invoice}/pay"), &json!({"method": "qris"})).await.expect(200).json();
    assert_eq!(again["payment"]["id"], payment["id"]);
    shop.post("/api/subscription", &json!({"plan": "business"})).await.expect(409);

    shop.play(&format!("/_stub/pay/{}", text(&payment["order_id"]))).await;
    shop.has_plan("pro").await;
    let paid = shop.get(&format!("/api/invoices/{invoice}")).await.expect(200).json();
    assert_eq!((&paid["state"], &paid["remaining"]["amount"]), (&json!("paid"), &json!(0)), "{paid}");
    assert!(paid["number"].as_str().is_some_and(|number| number.ends_with("-000001")), "{paid}");
    assert_eq!(paid["lines"][0]["amount"], json!({"amount": 150_000, "currency": "IDR"}));
    let listed = shop.get("/api/invoices?state=paid").await.expect(200).json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    let subscription = shop.get("/api/subscription").await.expect(200).json();
    assert_eq!((&subscription["state"], &subscription["plan"]), (&json!("active"), &json!("pro")));
    shop.post(&format!("/api/invoices/{invoice}/pay"), &json!({"method": "qris"})).await.expect(409);
    reconcile::agrees(shop.gateway.folder()).await;
}

#[tokio::test]
async fn ten_notifications_and_an_altered_one_are_one_payment() {
    let shop = Shop::open().await;
    let (_, payment) = shop.begin(&json!({"method": "va", "bank": "bca"})).await;
    assert_eq!(payment["va"]["bank"], "bca");
    let order = text(&payment["order_id"]);
    shop.play(&format!("/_stub/pay/{order}")).await;
    shop.has_plan("pro").await;
    let notification = shop.play(&format!("/_stub/resend/{order}")).await;
    for _ in 0..10 {
        assert_eq!(shop.notify(&notification).await, 200);
    }
    let mut altered = notification.clone();
    altered["transaction_status"] = json!("deny");
    assert_eq!(shop.notify(&altered).await, 200, "the status is not signed, and is not believed");
    let mut forged = notification.clone();
    forged["gross_amount"] = json!("1.00");
    assert_eq!(shop.notify(&forged).await, 400);
    let unknown = json!({"order_id": "TG-0"});
    assert_eq!(shop.notify(&unknown).await, 400);
    eventually("all notifications are handled", async || {
        let waiting = shop.count("SELECT count(*) FROM payment_notifications WHERE handled_at IS NULL").await;
        (waiting == 0).then_some(())
    })
    .await;
    assert_eq!(shop.count("SELECT count(*) FROM payments WHERE state = 'paid'").await, 1);
    assert_eq!(shop.count("SELECT count(*) FROM postings WHERE reason = 'payment.received'").await, 2);
    assert_eq!(shop.count("SELECT CAST(sum(amount) AS BIGINT) FROM postings").await, 0);
    shop.has_plan("pro").await;
    reconcile::agrees(shop.gateway.folder()).await;
}

#[tokio::test]
async fn a_reversed_payment_opens_the_invoice_again_and_limits_the_plan() {
    let shop = Shop::open().await;
    let (invoice, payment) = shop.begin(&json!({"method": "va", "bank": "permata"})).await;
    let order = text(&payment["order_id"]);
    shop.play(&format!("/_stub/pay/{order}")).await;
    shop.has_plan("pro").await;
    shop.play(&format!("/_stub/reversal/{order}")).await;
    shop.has_plan("starter").await;
    let open = shop.get(&format!("/api/invoices/{invoice}")).await.expect(200).json();
    assert_eq!((&open["state"], &open["remaining"]["amount"]), (&json!("open"), &json!(150_000)), "{open}");
    let again = shop.post(&format!("/api/invoices/{invoice}/pay"), &json!({"method": "card"})).await.expect(201).json();
    assert!(again["payment"]["redirect_url"].as_str().is_some_and(|url| url.contains("/snap/")), "{again}");
    reconcile::agrees(shop.gateway.folder()).await;
}

#[tokio::test]
async fn a_payment_whose_notification_is_lost_is_found_when_its_page_asks() {
    let shop = Shop::open().await;
    let (_, payment) = shop.begin(&json!({"method": "qris"})).await;
    Call::json("/_stub/faults", &json!({"kind": "drop"})).send(shop.stub).await.expect(200);
    shop.play(&format!("/_stub/pay/{}", text(&payment["order_id"]))).await;
    let path = format!("/api/payments/{}", text(&payment["id"]));
    eventually("the status is requested", async || {
        (shop.get(&path).await.expect(200).json()["state"] == "paid").then_some(())
    })
    .await;
    shop.has_plan("pro").await;
    reconcile::agrees(shop.gateway.folder()).await;
}

#[tokio::test]
async fn a_close_that_is_repeated_makes_no_invoice() {
    let shop = Shop::open().await;
    let (_, payment) = shop.begin(&json!({"method": "qris"})).await;
    shop.play(&format!("/_stub/pay/{}", text(&payment["order_id"]))).await;
    shop.has_plan("pro").await;
    let folder = shop.gateway.stop().await.folder;
    let data = folder.data();
    let rows = store::rows(&folder, &data);
    for change in EARLIER {
        rows.execute(change, change).await;
    }
    let plans = "[{name: starter, credits_per_day: 1000, price: \"0 IDR\"}, {name: pro, credits_per_day: 10000, price: \"150000 IDR\"}]";
    let yaml = format!("plans: {plans}\nbilling: {{enabled: true, fallback_plan: starter}}\n");
    let file = folder.write("billing.yaml", &yaml).display().to_string();
    let data = folder.data().display().to_string();
    let run = async |command: &str, flags: &[&str]| {
        let words = [&["billing", command, "--config", &file, "--data", &data], flags].concat();
        let output = commands::run(&folder, &words).await;
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let close = async |last_day: &str| run("close", &["--last-day", last_day]).await;
    let (code, waiting) = run("list", &["--state", "waiting"]).await;
    assert!(code == Some(0) && waiting.contains("  waiting  pro version 1  no invoice  user "), "{waiting}");
    let yesterday = "2999-12-31";
    assert_eq!(close(yesterday).await, (Some(0), "1 new invoices of 1 periods\n".to_owned()));
    assert_eq!(close(yesterday).await, (Some(0), "0 new invoices of 0 periods\n".to_owned()));
    assert_eq!(close("tomorrow").await.0, Some(2));
    assert_eq!(run("list", &["--state", "waiting"]).await.1, "no subscription has such a period\n");
    let (_, closed) = run("list", &["--state", "closed"]).await;
    assert!(closed.contains("  closed   pro version 1  INV-") && closed.contains("-000002 (open)"), "{closed}");
    assert_eq!(run("list", &[]).await.1.lines().count(), 2, "the closed period and the current one");
    let (code, compared) = run("shadow", &["--plan", "pro", "--months", "2"]).await;
    let sums = "1 users: 300000 IDR now, 300000 IDR then, difference 0 IDR\n";
    assert!(code == Some(0) && compared.ends_with(sums), "{compared}");
    assert_ne!(run("shadow", &["--plan", "none"]).await.0, Some(0));
    assert_eq!(run("shadow", &["--plan", "pro", "--months", "4"]).await.0, Some(2));
    assert_eq!(store::number(&folder, "SELECT count(*) FROM invoices WHERE kind = 'period'").await, 2);
    reconcile::agrees(&folder).await;
}

#[tokio::test]
async fn a_running_server_closes_the_period_of_a_subscription() {
    let shop = Shop::open().await;
    let (_, payment) = shop.begin(&json!({"method": "qris"})).await;
    shop.play(&format!("/_stub/pay/{}", text(&payment["order_id"]))).await;
    shop.has_plan("pro").await;
    let admin = crate::webhooks::admin(&shop.gateway).await;
    let data = shop.gateway.folder().data();
    // The job, which runs beside this, sees all of the changes or none.
    let earlier = format!("BEGIN; {}; COMMIT", EARLIER[..2].join("; "));
    store::rows(shop.gateway.folder(), &data).execute(&earlier, &earlier).await;
    let close = Call::json("/api/billing/close", &json!({})).key(&admin);
    eventually("the period has an invoice", async || {
        shop.gateway.ask(close.clone()).await.expect(200);
        (shop.count("SELECT count(*) FROM invoices WHERE kind = 'period'").await == 2).then_some(())
    })
    .await;
    reconcile::agrees(shop.gateway.folder()).await;
}

#[tokio::test]
async fn keys_of_a_user_with_unpaid_invoices_are_refused_by_the_proxy() {
    let shop = Shop::open().await;
    let call = || Call::get("/v1/models").key(&shop.key);
    call().send(shop.gateway.proxy).await.expect(200);
    let held = "UPDATE users SET hold = TRUE";
    shop.hold(held).await;
    let refused = eventually("the proxy refuses the key", async || {
        let answer = call().send(shop.gateway.proxy).await;
        (answer.status() == 402).then_some(answer)
    })
    .await;
    assert_eq!(refused.json()["error"]["code"], "payment_required");
    shop.hold("UPDATE users SET hold = FALSE").await;
    eventually("the proxy accepts the key", async || {
        (call().send(shop.gateway.proxy).await.status() == 200).then_some(())
    })
    .await;
}
