//! Webhooks: events are added with the changes that they announce, and delivered until they are accepted or given up.

mod state;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use access::network::outbound::OutboundRules;
use access::{MasterKey, ProviderKeyId, Vault};
use billing::BillingError;
use billing::books::{CancelAt, CreditedLine, NewCreditNote, NewRefund, RefundWay, WebhookChange};
use billing::rules::webhook_event::WebhookEvents;
use billing::webhook::{DeliveryBounds, ReceiverTrust, WebhookDelivery, WebhookUrl};
use jobs::{Job, NextRun};
use ledger::billing::payments;
use ledger::billing::webhook_deliveries::{self as deliveries, StoredDelivery};
use ledger::billing::webhook_endpoints::{self as endpoints, StoredWebhook};
use serde_json::{Value, json};
use store::{Actor, AuditFilter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use crate::provider::{Provider, status};
use crate::shop::Shop;

const BOUNDS: DeliveryBounds = DeliveryBounds { timeout: Duration::from_secs(10), retry_for: Duration::from_hours(24) };

const BY: &Actor = &Actor::COMMAND;
const HOUR: Duration = Duration::from_hours(1);

/// A server that records requests and responds with one status.
struct Receiver {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    requests: mpsc::UnboundedReceiver<String>,
    _task: JoinSet<()>,
}

impl Receiver {
    async fn start(status: u16) -> Self {
        Self::slow(status, Duration::ZERO).await
    }

    /// Starts a server that responds after this time.
    async fn slow(status: u16, after: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let status = Arc::new(AtomicU16::new(status));
        let (sender, requests) = mpsc::unbounded_channel();
        let mut task = JoinSet::new();
        let answer = status.clone();
        task.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = Vec::new();
                let mut part = [0; 4096];
                while !is_whole(&bytes) {
                    let count = stream.read(&mut part).await.unwrap();
                    assert!(count > 0, "the request ended early");
                    bytes.extend_from_slice(&part[..count]);
                }
                sender.send(String::from_utf8(bytes).unwrap()).unwrap();
                sleep(after).await;
                let response = format!(
                    "HTTP/1.1 {} x\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
                    answer.load(Ordering::SeqCst)
                );
                stream.write_all(response.as_bytes()).await.unwrap();
            }
        });
        Self { address, status, requests, _task: task }
    }

    fn responds(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Returns the requests that arrived since the last call.
    fn taken(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).collect()
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    body.len() >= length.parse().unwrap()
}

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap()
}

/// Trusts receivers on loopback, and these certification authorities.
fn trust(ca: &str) -> ReceiverTrust<'_> {
    let networks = ["127.0.0.0/8", "::1/128"].map(|network| network.parse().unwrap());
    ReceiverTrust { ca: ca.as_bytes(), rules: OutboundRules::new(networks.to_vec(), Vec::new()) }
}

/// A shop with a vault.
struct Announcing {
    shop: Shop,
    vault: Arc<Vault>,
    job: WebhookDelivery,
}

impl Announcing {
    async fn open() -> Self {
        let shop = Shop::open("2026-12-01").await;
        let key = MasterKey::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        let vault = Arc::new(Vault::new(&key, None));
        shop.store().admit_master_key(BY, &vault).await.unwrap();
        let job = WebhookDelivery::new(shop.store().clone(), vault.clone(), trust(""), BOUNDS).unwrap();
        Self { shop, vault, job }
    }

    async fn webhook(&self, address: SocketAddr, events: &[&str]) -> Uuid {
        let url = WebhookUrl::parse(&format!("http://{address}/hook")).unwrap();
        let events: Vec<String> = events.iter().map(|event| (*event).to_owned()).collect();
        let events = WebhookEvents::parse(&events).unwrap();
        self.shop.books.create_webhook(BY, &self.vault, &url, &events).await.unwrap().0.id
    }

    /// Returns the deliveries of a webhook, from the oldest.
    async fn deliveries(&self, webhook: Uuid) -> Vec<StoredDelivery> {
        let mut found = deliveries::of_endpoint(self.shop.store(), webhook, None, Uuid::max(), 100).await.unwrap();
        found.reverse();
        found
    }

    /// Asserts that a webhook has deliveries of these events. Those of one change have one time, and no order.
    async fn has(&self, webhook: Uuid, expected: &[&str]) {
        let mut events: Vec<String> = self.deliveries(webhook).await.into_iter().map(|of| of.event).collect();
        let mut expected = expected.to_vec();
        events.sort();
        expected.sort_unstable();
        assert_eq!(events, expected);
    }

    async fn run(&mut self) {
        while self.job.run().await.unwrap() == NextRun::Now {}
    }

    async fn endpoint(&self, id: Uuid) -> StoredWebhook {
        endpoints::present(self.shop.store(), id).await.unwrap().unwrap()
    }

    async fn actions(&self) -> Vec<String> {
        let filter = AuditFilter::default();
        let page = self.shop.store().audit_page(&filter, None, 200).await.unwrap();
        page.lines.into_iter().map(|line| line.action).filter(|action| action.starts_with("webhook.")).collect()
    }
}

#[tokio::test]
async fn each_change_is_announced_once_to_the_webhooks_that_receive_it() {
    let all = Announcing::open().await;
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let every = all.webhook(nowhere, &["*"]).await;
    let invoices = all.webhook(nowhere, &["invoice.*"]).await;
    let disabled = all.webhook(nowhere, &["*"]).await;
    let off = WebhookChange { is_enabled: Some(false), ..WebhookChange::default() };
    all.shop.books.change_webhook(BY, disabled, off).await.unwrap();
    let shop = &all.shop;
    let ada = shop.user("ada").await;
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    let payment = shop.begin(&shop.invoice(invoice).await, "permata", 150_000).await;
    for _ in 0..3 {
        shop.report(payment, "settlement").await;
    }
    let mut expected =
        vec!["subscription.created", "invoice.opened", "payment.paid", "invoice.paid", "subscription.changed"];
    all.has(every, &expected).await;
    let of_invoices = all.deliveries(invoices).await;
    let opened = of_invoices.iter().find(|of| of.event == "invoice.opened").unwrap();
    let body: serde_json::Value = serde_json::from_str(&opened.body).unwrap();
    assert_eq!((&body["type"], &body["data"]["state"]), (&"invoice.opened".into(), &"open".into()), "{body}");
    assert_eq!((opened.object, &body["data"]["remaining"]["amount"]), (invoice, &150_000.into()));
    assert_eq!(body["timestamp"], "2026-12-01T12:00:00Z");

    let line = CreditedLine { no: 1, amount: Some(50_000) };
    shop.books.credit_invoice(BY, invoice, NewCreditNote::new(&[line], "outage")).await.unwrap();
    shop.refund_by_hand(invoice, 50_000).await;
    expected.extend(["invoice.credited", "payment.refunded"]);
    all.has(every, &expected).await;
    shop.books.change(BY, ada, "business").await.unwrap();
    let upgrade = shop.invoices_of(ada).await.into_iter().find(|invoice| invoice.kind.as_str() == "change").unwrap();
    let refused = shop.begin(&upgrade, "bca", upgrade.remaining).await;
    shop.report(refused, "expire").await;
    shop.books.void_invoice(BY, upgrade.id).await.unwrap();
    shop.books.change(BY, ada, "free").await.unwrap();
    expected.extend(["invoice.opened", "payment.failed", "invoice.void", "subscription.changed"]);
    all.has(every, &expected).await;
    let bob = shop.user("bob").await;
    let invoice = shop.subscribe(bob, "pro").await.unwrap();
    let payment = shop.begin(&shop.invoice(invoice).await, "permata", 150_000).await;
    shop.report(payment, "settlement").await;
    shop.report(payment, "deny").await;
    expected.extend(["subscription.created", "invoice.opened", "payment.paid", "invoice.paid", "subscription.changed"]);
    expected.extend(["payment.reversed", "invoice.reopened", "subscription.changed"]);
    all.has(every, &expected).await;
    let of_invoices: Vec<&str> = expected.into_iter().filter(|event| event.starts_with("invoice.")).collect();
    all.has(invoices, &of_invoices).await;
    all.has(disabled, &[]).await;
    shop.agrees().await;
}

#[tokio::test]
async fn the_event_of_a_cancellation_shows_the_last_day() {
    let all = Announcing::open().await;
    let webhook = all.webhook("127.0.0.1:9".parse().unwrap(), &["subscription.changed"]).await;
    let ada = all.shop.subscriber("ada", "pro").await;
    all.shop.move_to("2026-12-10");
    all.shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
    let last = all.deliveries(webhook).await.pop().unwrap();
    let body: Value = serde_json::from_str(&last.body).unwrap();
    assert_eq!(
        (&body["data"]["state"], &body["data"]["period"]["last_day"]),
        (&json!("cancelled"), &json!("2026-12-10"))
    );
    all.shop.agrees().await;
}

#[tokio::test]
async fn each_partial_refund_is_announced_once() {
    let all = Announcing::open().await;
    let webhook = all.webhook("127.0.0.1:9".parse().unwrap(), &["payment.refunded"]).await;
    let shop = &all.shop;
    let provider = Provider::start(shop).await;
    let ada = shop.user("ada").await;
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    let card = shop.begin(&shop.invoice(invoice).await, "card", 150_000).await;
    shop.report(card, "settlement").await;
    let line = CreditedLine { no: 1, amount: Some(80_000) };
    shop.books.credit_invoice(BY, invoice, NewCreditNote::new(&[line], "outage")).await.unwrap();
    let order = payments::present(shop.store(), card).await.unwrap().unwrap().order;
    provider.respond("/refund", 200, json!({"status_code": "200"}));
    let mut expected = Vec::new();
    for (amount, sum) in [(50_000, 50_000), (30_000, 80_000)] {
        let mut returned = status(&order, "partial_refund", "200");
        returned["refund_amount"] = json!(sum);
        // The first time, the provider does not show the state.
        provider.respond("/status", if amount == 50_000 { 500 } else { 200 }, returned);
        let new =
            NewRefund { invoice, amount, reason: "outage", way: RefundWay::Midtrans, reference: "", expected: None };
        assert_eq!(provider.books.refund(BY, new).await.unwrap().state.as_str(), "done");
        // The provider also sends a notification.
        shop.try_returned(card, "partial_refund", sum).await.unwrap();
        expected.push(sum);
        assert_eq!(refunded(&all, webhook).await, expected);
    }
    // A refund in the dashboard of the provider.
    shop.try_returned(card, "partial_refund", 100_000).await.unwrap();
    expected.push(100_000);
    assert_eq!(refunded(&all, webhook).await, expected);
    shop.agrees().await;
}

/// Returns the refunded amounts of a webhook's messages, from the smallest.
async fn refunded(all: &Announcing, webhook: Uuid) -> Vec<i64> {
    let bodies = all.deliveries(webhook).await.into_iter().map(|of| of.body);
    let payments = bodies.map(|body| serde_json::from_str::<Value>(&body).unwrap()["data"].clone());
    let partly = payments.inspect(|payment| assert_eq!(payment["state"], "partly_refunded", "{payment}"));
    let mut amounts: Vec<i64> = partly.map(|payment| payment["refunded"]["amount"].as_i64().unwrap()).collect();
    amounts.sort_unstable();
    amounts
}

#[tokio::test]
async fn a_delivery_is_signed_and_sent_once_if_it_is_accepted() {
    let mut all = Announcing::open().await;
    let mut receiver = Receiver::start(204).await;
    let webhook = all.webhook(receiver.address, &["invoice.opened"]).await;
    let ada = all.shop.user("ada").await;
    all.shop.subscribe(ada, "pro").await;
    all.run().await;
    all.run().await;
    let [request] = <[String; 1]>::try_from(receiver.taken()).unwrap();
    let delivery = all.deliveries(webhook).await.remove(0);
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
    assert_eq!(header(&request, "webhook-id"), delivery.id.to_string());
    assert_eq!(header(&request, "webhook-timestamp"), all.shop.clock.now().unix_seconds().to_string());
    assert!(header(&request, "webhook-signature").starts_with("v1,"));
    assert!(request.ends_with(&delivery.body));
    assert_eq!((delivery.state.as_str(), delivery.attempts, delivery.status), ("delivered", 1, Some(204)));
    assert!(all.endpoint(webhook).await.delivered_at.is_some());
    // Ended deliveries are deleted after 30 days.
    all.shop.clock.advance(HOUR * 24 * 31);
    all.run().await;
    assert_eq!(all.deliveries(webhook).await, []);
}

#[tokio::test]
async fn a_delivery_is_repeated_for_a_day_and_then_the_webhook_is_disabled() {
    let mut all = Announcing::open().await;
    let mut receiver = Receiver::start(500).await;
    let webhook = all.webhook(receiver.address, &["invoice.opened"]).await;
    let ada = all.shop.user("ada").await;
    all.shop.subscribe(ada, "pro").await;
    let begin = all.shop.clock.now();
    let mut pauses = Vec::new();
    while all.endpoint(webhook).await.disabled_at.is_none() {
        all.run().await;
        let delivery = all.deliveries(webhook).await.remove(0);
        assert_eq!((receiver.taken().len(), delivery.status), (1, Some(500)));
        if delivery.state.as_str() == "waiting" {
            all.run().await;
            assert_eq!(receiver.taken().len(), 0, "it is not due");
            let pause = Duration::from_micros(delivery.next_at.0 - all.shop.clock.now().0);
            pauses.push(pause);
            all.shop.clock.advance(pause);
        }
    }
    assert_eq!(all.shop.clock.now(), begin.after(HOUR * 24), "the last attempt is made after a day");
    assert!((3..=5).contains(&pauses[0].as_secs()) && pauses.iter().all(|pause| *pause <= HOUR * 2), "{pauses:?}");
    assert!((20..=40).contains(&pauses.len()), "{pauses:?}");
    let delivery = all.deliveries(webhook).await.remove(0);
    assert_eq!((delivery.state.as_str(), delivery.error.as_str()), ("failed", "it responded with 500"));
    assert_eq!(all.actions().await, ["webhook.change", "webhook.create"]);

    // Events of a disabled webhook are not stored, and nothing of it can be replayed.
    let eve = all.shop.user("eve").await;
    all.shop.subscribe(eve, "pro").await;
    assert_eq!(all.deliveries(webhook).await.len(), 1);
    let replayed = all.shop.books.replay_failed(BY, webhook, begin).await;
    assert!(matches!(replayed, Err(BillingError::Conflict(_))), "{replayed:?}");
    let on = WebhookChange { is_enabled: Some(true), ..WebhookChange::default() };
    all.shop.books.change_webhook(BY, webhook, on).await.unwrap();
    receiver.responds(200);
    assert_eq!(all.shop.books.replay_failed(BY, webhook, begin.after(HOUR)).await.unwrap(), 0);
    assert_eq!(all.shop.books.replay_failed(BY, webhook, begin).await.unwrap(), 1);
    all.run().await;
    let again = all.deliveries(webhook).await.remove(0);
    assert_eq!((again.state.as_str(), again.id, again.attempts), ("delivered", delivery.id, 1));
    let one = all.shop.books.replay_delivery(BY, webhook, delivery.id).await.unwrap();
    assert_eq!(one.state.as_str(), "waiting");
    all.run().await;
    assert_eq!(receiver.taken().len(), 2);
    let other = all.shop.books.replay_delivery(BY, webhook, Uuid::nil()).await;
    assert!(matches!(other, Err(BillingError::NoDelivery)), "{other:?}");
}

#[tokio::test]
async fn a_webhook_that_accepts_other_deliveries_stays_enabled() {
    let mut all = Announcing::open().await;
    let receiver = Receiver::start(400).await;
    let webhook = all.webhook(receiver.address, &["invoice.opened"]).await;
    let ada = all.shop.user("ada").await;
    all.shop.subscribe(ada, "pro").await;
    all.run().await;
    all.shop.clock.advance(HOUR);
    receiver.responds(200);
    let eve = all.shop.user("eve").await;
    let mut tx = all.shop.store().begin_quiet().await.unwrap();
    // The first delivery is not due before its last attempt.
    let first = all.deliveries(webhook).await.remove(0);
    let failed = deliveries::FailedAttempt { status: None, error: "a" };
    let last_at = first.queued_at.after(HOUR * 24);
    deliveries::postpone(all.shop.store(), &mut tx, first.id, last_at, failed).await.unwrap();
    tx.commit().await.unwrap();
    all.shop.subscribe(eve, "pro").await;
    all.run().await;
    receiver.responds(400);
    all.shop.clock.advance(HOUR * 23);
    all.run().await;
    let states: Vec<String> = all.deliveries(webhook).await.into_iter().map(|of| of.state).collect();
    assert_eq!(states, ["failed", "delivered"]);
    assert_eq!(all.endpoint(webhook).await.disabled_at, None);
}

#[tokio::test]
async fn a_slow_receiver_does_not_hold_up_the_others() {
    let mut all = Announcing::open().await;
    let mut slow = Receiver::slow(200, Duration::from_millis(400)).await;
    let webhook = all.webhook(slow.address, &["*"]).await;
    for name in ["ada", "eve", "joe", "sam"] {
        let user = all.shop.user(name).await;
        all.shop.subscribe(user, "pro").await;
    }
    let waiting = all.deliveries(webhook).await.len();
    assert_eq!(all.job.run().await.unwrap(), NextRun::Now);
    let sent = slow.taken().len();
    assert!(sent < waiting, "all of {waiting} deliveries were sent in one run");
    all.run().await;
    assert_eq!(sent + slow.taken().len(), waiting);
}

#[tokio::test]
async fn a_receiver_that_is_gone_or_redirects_gets_no_more() {
    let mut all = Announcing::open().await;
    let mut gone = Receiver::start(410).await;
    let mut elsewhere = Receiver::start(307).await;
    let webhook = all.webhook(gone.address, &["*"]).await;
    let redirecting = all.webhook(elsewhere.address, &["invoice.opened"]).await;
    let ada = all.shop.user("ada").await;
    all.shop.subscribe(ada, "pro").await;
    all.run().await;
    assert!(all.endpoint(webhook).await.disabled_at.is_some());
    let states: Vec<String> = all.deliveries(webhook).await.into_iter().map(|of| of.state).collect();
    assert_eq!(states, ["failed", "failed"]);
    let waiting = all.deliveries(redirecting).await.remove(0);
    assert_eq!((waiting.status, waiting.error.as_str()), (Some(307), "it redirects, which is not followed"));
    assert_eq!((gone.taken().len(), elsewhere.taken().len()), (1, 1));
}

#[tokio::test]
async fn secrets_are_sealed_rotated_and_sealed_again_with_the_next_master_key() {
    let mut all = Announcing::open().await;
    let mut receiver = Receiver::start(200).await;
    let webhook = all.webhook(receiver.address, &["invoice.opened"]).await;
    let before = all.vault.open(ProviderKeyId(webhook), None, &all.endpoint(webhook).await.sealed).unwrap();
    let (rotated, secret) = all.shop.books.rotate_webhook(BY, &all.vault, webhook).await.unwrap();
    let text = all.vault.open(ProviderKeyId(webhook), None, &rotated.sealed).unwrap();
    assert_eq!(text.expose(), format!("{} {}", secret.expose(), before.expose()));
    assert!(all.shop.store().has_credentials().await.unwrap());
    let ada = all.shop.user("ada").await;
    all.shop.subscribe(ada, "pro").await;
    all.run().await;
    assert_eq!(header(&receiver.taken()[0], "webhook-signature").split(' ').count(), 2);

    let next = MasterKey::parse("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap();
    let key = MasterKey::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
    let both = Vault::new(&next, Some(&key));
    let alone = Vault::new(&next, None);
    all.shop.clock.advance(HOUR);
    let store = all.shop.store().clone();
    store.admit_master_key(BY, &both).await.unwrap();
    assert_eq!(store.lost_provider_keys(&alone).await.unwrap(), 1);
    assert_eq!(store.reseal(&both, None).await.unwrap().done, 1);
    let resealed = alone.open(ProviderKeyId(webhook), None, &all.endpoint(webhook).await.sealed).unwrap();
    assert_eq!(resealed, text);
    assert_eq!(store.retire_master_keys(BY, next.fingerprint()).await.unwrap(), [key.fingerprint()]);
    // The old node cannot decrypt the secret, and says so.
    all.shop.books.replay_delivery(BY, webhook, all.deliveries(webhook).await[0].id).await.unwrap();
    all.run().await;
    let waiting = all.deliveries(webhook).await.remove(0);
    assert_eq!(waiting.error, "its secret cannot be decrypted; rotate it");
    let sealing = all.shop.books.rotate_webhook(BY, &all.vault, webhook).await;
    assert!(matches!(sealing, Err(BillingError::MasterKeyRetired(_))), "{sealing:?}");
    // A reset of the vault deletes the webhook with its deliveries.
    store.admit_master_key(BY, &alone).await.unwrap();
    let third = Vault::new(&MasterKey::parse("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=").unwrap(), None);
    assert_eq!(store.reset_vault(BY, &third).await.unwrap(), 1);
    assert_eq!(endpoints::list(&store).await.unwrap(), []);
}

#[tokio::test]
async fn a_deleted_webhook_takes_its_deliveries_and_20_are_the_maximum() {
    let all = Announcing::open().await;
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let webhook = all.webhook(nowhere, &["*"]).await;
    let ada = all.shop.user("ada").await;
    all.shop.subscribe(ada, "pro").await;
    all.shop.books.delete_webhook(BY, webhook).await.unwrap();
    assert_eq!(all.deliveries(webhook).await, []);
    let again = all.shop.books.delete_webhook(BY, webhook).await;
    assert!(matches!(again, Err(BillingError::NoWebhook)), "{again:?}");
    for _ in 0..20 {
        all.webhook(nowhere, &["*"]).await;
    }
    let url = WebhookUrl::parse("https://a.example/").unwrap();
    let more = all.shop.books.create_webhook(BY, &all.vault, &url, &WebhookEvents::all()).await;
    assert!(matches!(more, Err(BillingError::Conflict(_))), "{more:?}");
}

#[tokio::test]
async fn a_receiver_at_an_internal_address_or_an_own_port_receives_nothing() {
    let mut receiver = Receiver::start(204).await;
    for rules in [
        OutboundRules::default(),
        OutboundRules::new(vec!["10.0.0.0/8".parse().unwrap()], Vec::new()),
        OutboundRules::new(vec!["127.0.0.0/8".parse().unwrap()], vec![receiver.address.port()]),
    ] {
        let mut all = Announcing::open().await;
        let store = all.shop.store().clone();
        let trust = ReceiverTrust { rules, ..ReceiverTrust::default() };
        all.job = WebhookDelivery::new(store, all.vault.clone(), trust, BOUNDS).unwrap();
        let webhook = all.webhook(receiver.address, &["*"]).await;
        let ada = all.shop.user("ada").await;
        all.shop.books.subscribe(BY, ada, "pro").await.unwrap();
        all.run().await;
        let first = all.deliveries(webhook).await.remove(0);
        assert_eq!((first.state.as_str(), first.attempts), ("waiting", 1), "{}", first.error);
        assert!(first.error.starts_with("the receiver may not receive requests: "), "{}", first.error);
        assert_eq!(receiver.taken(), Vec::<String>::new());
    }
}
