//! Subscriptions, invoices and payments, beside a stub of the payment provider.

mod bad_input;
mod close;
mod finance;
mod lists;
mod live;
mod receipts;
mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::{BillingInterval, Money, PlanPrice, Role, Secret, SeriesForm};
use billing::channel::PaymentChannel;
use billing::midtrans::{MidtransClient, MidtransSettings, ProviderEndpoint};
use billing::rules::exchange::ExchangeRates;
use billing::{BillingSettings, Books, InvoiceReview};
use ledger::billing::InvoiceParty;
use serde_json::{Value, json};
use store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::client::{Answer, call, get, post};
use crate::world::{Holder, World};

const SUBSCRIPTION: &str = "/api/subscription";
const NOTIFICATION: &str = "/midtrans/notification";
const JSON: &str = "Content-Type: application/json";
const KEY: &str = "SB-Mid-server-test";

/// A server with books, and the stub to which its client sends payments.
struct Shop {
    world: World,
    ada: Holder,
    stub: SocketAddr,
    _stub_task: JoinSet<()>,
}

fn settings() -> BillingSettings {
    let days = |days: u64| Duration::from_hours(24 * days);
    BillingSettings {
        number: SeriesForm::usual(),
        zone: access::TimeZone::UTC,
        close_after: Duration::from_hours(1),
        review: InvoiceReview::None,
        due: days(7),
        grace: days(7),
        last: days(30),
        fallback_plan: "starter".to_owned(),
        seller: InvoiceParty { name: "PT Contoh".to_owned(), ..InvoiceParty::default() },
        tax: None,
        has_mail: false,
        exchange: ExchangeRates::default(),
    }
}

fn client(address: SocketAddr) -> MidtransClient {
    let endpoint = |path: &str| ProviderEndpoint {
        has_tls: false,
        host: address.ip().to_string(),
        port: address.port(),
        authority: address.to_string(),
        path: path.to_owned(),
    };
    MidtransClient::new(MidtransSettings {
        core: endpoint(""),
        snap: endpoint("/snap/v1"),
        server_key: Secret::new(KEY.to_owned()),
        merchant_id: "M000001".to_owned(),
        channels: PaymentChannel::ALL.to_vec(),
        qris_expiry: Duration::from_mins(15),
        va_expiry: Duration::from_hours(24),
        card_expiry: Duration::from_hours(1),
    })
}

fn price(rupiah: i64) -> PlanPrice {
    let price = Money::rupiah(rupiah);
    PlanPrice { price, interval: BillingInterval::Month, trial_days: 0, charges: Vec::new() }
}

impl Shop {
    async fn open() -> Self {
        Self::open_with(settings()).await
    }

    async fn open_with(settings: BillingSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = listener.local_addr().unwrap();
        let options = mock::MidtransOptions {
            server_key: KEY.to_owned(),
            merchant_id: "M000001".to_owned(),
            notification_url: None,
            clock: access::Clock::manual(crate::world::NOON),
        };
        let mut stub_task = JoinSet::new();
        stub_task.spawn(mock::serve_midtrans(listener, options, std::future::pending::<()>()));
        Self::beside(stub, stub_task, settings).await
    }

    async fn beside(stub: SocketAddr, stub_task: JoinSet<()>, settings: BillingSettings) -> Self {
        let books = |store: Store| Books::new(store, settings, Some(Arc::new(client(stub))));
        let world = World::start_with_books(books).await;
        let prices = [("starter".to_owned(), price(0)), ("endless".to_owned(), price(150_000))];
        ledger::billing::plan_versions::apply(&world.store, &prices).await.unwrap();
        let ada = world.holder("ada", "starter").await;
        Self { world, ada, stub, _stub_task: stub_task }
    }

    async fn get(&self, path: &str) -> Answer {
        get(self.world.address, path, &[&self.ada.bearer()]).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let body = if *body == json!({}) { String::new() } else { body.to_string() };
        post(self.world.address, path, &[&self.ada.bearer()], &body).await
    }

    /// Subscribes to `endless`, and returns the path of the invoice.
    async fn invoice(&self) -> String {
        let made = self.post(SUBSCRIPTION, &json!({"plan": "endless"})).await;
        assert_eq!(made.status, 201, "{made:?}");
        format!("/api/invoices/{}", made.json()["invoice_id"].as_str().unwrap())
    }

    /// Plays the customer; the response is that of the stub.
    async fn play(&self, path: &str) -> Value {
        call(self.stub, &format!("POST {path}"), &[], "").await.json()
    }

    /// Returns the books as the jobs have them.
    fn books(&self) -> Books {
        Books::new(self.world.store.clone(), settings(), Some(Arc::new(client(self.stub))))
    }

    /// Handles the notifications that are stored, as the job does.
    async fn handle(&self) {
        let books = self.books();
        for notification in ledger::billing::payments::notifications(&self.world.store, 100).await.unwrap() {
            books.handle(&notification).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_subscription_waits_for_its_first_invoice() {
    let shop = Shop::open().await;
    shop.get(SUBSCRIPTION).await.refuses(404, "not_found");
    shop.post(SUBSCRIPTION, &json!({"plan": "nothing"})).await.refuses(422, "unprocessable");
    shop.post(SUBSCRIPTION, &json!({"plan": "endless", "more": 1})).await.refuses(400, "bad_request");
    let made = shop.post(SUBSCRIPTION, &json!({"plan": "endless"})).await.json();
    let invoice = made["invoice_id"].clone();
    let zero = json!({"amount": 0, "currency": "IDR"});
    let mut expected = json!({"id": made["id"], "state": "pending", "access": "fallback", "plan": "endless", "version": 1,
        "price": {"amount": 150_000, "currency": "IDR"}, "interval": "month",
        "period": {"first_day": "2026-11-20", "last_day": "2026-12-19"}, "next_invoice_on": "2026-12-20",
        "trial_last_day": null, "cancel_at_end": false, "next_plan": null, "wallet": zero, "invoice_id": invoice});
    assert_eq!(made, expected);
    expected.as_object_mut().unwrap().remove("invoice_id");
    assert_eq!(shop.get(SUBSCRIPTION).await.json(), expected);
    shop.post(SUBSCRIPTION, &json!({"plan": "starter"})).await.refuses(409, "conflict");
    let root = shop.world.person_with("root", Role::Admin).await;
    let root = shop.world.sign_in(&root).await;
    let lines = get(shop.world.address, "/api/audit?action=subscription.create", &[&root.bearer()]).await.json();
    assert_eq!(lines["items"].as_array().map(Vec::len), Some(1), "{lines}");
}

#[tokio::test]
async fn an_admin_gives_a_subscriber_no_other_plan() {
    let shop = Shop::open().await;
    let root = shop.world.person_with("root", Role::Admin).await;
    let root = shop.world.sign_in(&root).await.bearer();
    let patch = async |body: Value| {
        let line = format!("PATCH /api/users/{}", shop.ada.user);
        call(shop.world.address, &line, &[JSON, &root], &body.to_string()).await
    };
    assert_eq!(patch(json!({"plan": "endless"})).await.status, 200, "a user without a subscription");
    assert_eq!(patch(json!({"plan": "starter"})).await.status, 200);
    assert_eq!(shop.post(SUBSCRIPTION, &json!({"plan": "endless"})).await.status, 201);
    let refused = patch(json!({"plan": "endless"})).await.refuses(409, "conflict");
    assert!(refused.contains("subscription"), "{refused}");
    assert_eq!(patch(json!({"plan": "starter", "name": "Ada"})).await.status, 200, "the plan of the subscription");
    shop.post(&format!("{SUBSCRIPTION}/cancel"), &json!({"at": "now"})).await;
    assert_eq!(patch(json!({"plan": "endless"})).await.status, 200, "the subscription is cancelled");
}

#[tokio::test]
async fn only_finance_subscribes_another_user() {
    let shop = Shop::open().await;
    let bob = shop.world.holder("bob", "starter").await;
    let body = json!({"plan": "starter", "user_id": bob.user});
    shop.post(SUBSCRIPTION, &body).await.refuses(403, "forbidden");
    let fin = finance::finance(&shop).await;
    let made = post(shop.world.address, SUBSCRIPTION, &[&fin], &body.to_string()).await.json();
    assert_eq!((&made["state"], &made["invoice_id"]), (&json!("active"), &Value::Null));
    assert_eq!(get(shop.world.address, SUBSCRIPTION, &[&bob.bearer()]).await.json()["plan"], "starter");
}

#[tokio::test]
async fn an_invoice_is_paid_once_and_gives_the_plan() {
    let shop = Shop::open().await;
    let invoice = shop.invoice().await;
    let shown = shop.get(&invoice).await.json();
    assert_eq!((&shown["number"], &shown["state"]), (&json!("INV-2026-000001"), &json!("open")));
    assert_eq!((&shown["total"]["amount"], &shown["tax"]), (&json!(150_000), &Value::Null));
    assert_eq!(shown["lines"][0]["text"], "endless");
    let pay = format!("{invoice}/pay");
    let paying = shop.post(&pay, &json!({"method": "qris"})).await;
    assert_eq!(paying.status, 201, "{paying:?}");
    let payment = paying.json()["payment"].clone();
    let again = shop.post(&pay, &json!({"method": "qris"})).await;
    assert_eq!((again.status, &again.json()["payment"]["id"]), (200, &payment["id"]));
    let paths = [format!("/api/payments/{}", payment["id"].as_str().unwrap()), "/api/invoices?state=open".to_owned()];
    assert_eq!(shop.get(&paths[0]).await.json()["state"], "pending");
    let listed = shop.get(&paths[1]).await.json();
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["next"]), (1, &Value::Null));

    let order = payment["order_id"].as_str().unwrap();
    shop.play(&format!("/_stub/pay/{order}")).await;
    let notification = shop.play(&format!("/_stub/resend/{order}")).await.to_string();
    for _ in 0..10 {
        assert_eq!(post(shop.world.address, NOTIFICATION, &[], &notification).await.status, 200);
        shop.handle().await;
    }
    assert_eq!(shop.get(&invoice).await.json()["state"], "paid");
    assert_eq!(shop.get(SUBSCRIPTION).await.json()["access"], "plan");
    let user = shop.world.store.find_user(&store::UserRef::Id(shop.ada.user)).await.unwrap().unwrap();
    assert_eq!(user.plan.name, "endless");
    shop.post(&pay, &json!({"method": "qris"})).await.refuses(409, "conflict");
    let audit = ledger::billing::postings::audit(&shop.world.store, 10).await.unwrap();
    assert!(audit.iter().all(|compared| compared.found.is_empty()), "{audit:?}");
}

#[tokio::test]
async fn a_page_that_asks_learns_the_status_after_five_seconds() {
    let shop = Shop::open().await;
    let invoice = shop.invoice().await;
    let paying = shop.post(&format!("{invoice}/pay"), &json!({"method": "va", "bank": "bca"})).await.json();
    let payment = &paying["payment"];
    assert_eq!(payment["va"]["bank"], "bca");
    shop.play(&format!("/_stub/pay/{}", payment["order_id"].as_str().unwrap())).await;
    let path = format!("/api/payments/{}", payment["id"].as_str().unwrap());
    assert_eq!(shop.get(&path).await.json()["state"], "pending");
    shop.world.clock.advance(Duration::from_secs(6));
    assert_eq!(shop.get(&path).await.json()["state"], "paid");
}

#[tokio::test]
async fn invoices_of_others_and_payments_that_do_not_fit_are_refused() {
    let shop = Shop::open().await;
    let invoice = shop.invoice().await;
    let bob = shop.world.holder("bob", "starter").await;
    let address = shop.world.address;
    let pay = format!("{invoice}/pay");
    let qris = json!({"method": "qris"}).to_string();
    get(address, &invoice, &[&bob.bearer()]).await.refuses(404, "not_found");
    post(address, &pay, &[&bob.bearer()], &qris).await.refuses(404, "not_found");
    for id in ["x", "0199aa00-0000-7000-8000-00000000dead"] {
        shop.get(&format!("/api/invoices/{id}")).await.refuses(404, "not_found");
        shop.get(&format!("/api/payments/{id}")).await.refuses(404, "not_found");
    }
    for body in [json!({"method": "gopay"}), json!({"method": "va"}), json!({"method": "qris", "bank": "bca"})] {
        shop.post(&pay, &body).await.refuses(422, "unprocessable");
    }
    shop.get("/api/invoices?state=draft").await.refuses(400, "bad_request");
    shop.get("/api/billing/methods?amount=0").await.refuses(400, "bad_request");
    let methods = shop.get("/api/billing/methods?amount=10000001").await.json();
    let allowed: Vec<bool> =
        methods["items"].as_array().unwrap().iter().map(|of| of["allowed"].as_bool().unwrap()).collect();
    assert_eq!(allowed, [false, true, true, true, true, true, true, true, false]);
    assert_eq!(methods["items"][0]["reason"], "the amount is too large");
    let bni = &methods["items"][2];
    let wallet = &methods["items"][8];
    assert_eq!((&bni["bank"], &bni["max"]), (&json!("bni"), &Value::Null));
    assert_eq!((&wallet["method"], &wallet["max"]["amount"]), (&json!("wallet"), &json!(0)));
    let key = shop.world.key(&shop.ada, "restricted").await;
    let change = store::KeyChange { models: Some(Some(vec!["fast".to_owned()])), ..store::KeyChange::default() };
    shop.world
        .store
        .change_key(&store::Actor::COMMAND, store::KeyRef::owned_by(shop.ada.user, key.key), change)
        .await
        .unwrap();
    shop.world.refresh().await;
    post(address, SUBSCRIPTION, &[&key.bearer()], r#"{"plan":"starter"}"#).await.refuses(403, "forbidden");
}

#[tokio::test]
async fn notifications_that_are_not_genuine_are_refused() {
    let shop = Shop::open().await;
    let invoice = shop.invoice().await;
    let paying = shop.post(&format!("{invoice}/pay"), &json!({"method": "qris"})).await.json();
    let order = paying["payment"]["order_id"].as_str().unwrap().to_owned();
    let genuine = shop.play(&format!("/_stub/resend/{order}")).await;
    let address = shop.world.address;
    let send = async |body: String| post(address, NOTIFICATION, &[], &body).await;
    for (name, value) in [("gross_amount", "1e3"), ("order_id", "TG-0"), ("status_code", "202"), ("merchant_id", "M2")]
    {
        let mut forged = genuine.clone();
        forged[name] = json!(value);
        send(forged.to_string()).await.refuses(400, "bad_request");
    }
    send("{".to_owned()).await.refuses(400, "bad_request");
    send(format!("\"{}\"", "x".repeat(70_000))).await.refuses(413, "payload_too_large");
    // A pending notification that claims a settlement: its signature is right, and its status is not believed.
    let mut altered = genuine.clone();
    altered["transaction_status"] = json!("settlement");
    assert_eq!(send(altered.to_string()).await.status, 200);
    shop.handle().await;
    assert_eq!(shop.get(&invoice).await.json()["state"], "open");
    let mut last = send(genuine.to_string()).await;
    while last.status == 200 {
        last = send(genuine.to_string()).await;
    }
    last.refuses(503, "overloaded");
}

#[tokio::test]
async fn slow_bodies_hold_no_turn_of_notifications() {
    let shop = Shop::open().await;
    let invoice = shop.invoice().await;
    let paying = shop.post(&format!("{invoice}/pay"), &json!({"method": "qris"})).await.json();
    let order = paying["payment"]["order_id"].as_str().unwrap();
    let genuine = shop.play(&format!("/_stub/resend/{order}")).await.to_string();
    let head = format!(
        "POST {NOTIFICATION} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    let mut slow = Vec::new();
    for _ in 0..9 {
        let mut stream = TcpStream::connect(shop.world.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // The interim response says that the server waits for the body.
        let mut interim = [0; 12];
        stream.read_exact(&mut interim).await.unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100");
        slow.push(stream);
    }
    assert_eq!(post(shop.world.address, NOTIFICATION, &[], &genuine).await.status, 200);
}

#[tokio::test]
async fn a_provider_that_does_not_respond_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let shop = Shop::beside(closed, JoinSet::new(), settings()).await;
    let invoice = shop.invoice().await;
    shop.post(&format!("{invoice}/pay"), &json!({"method": "qris"})).await.refuses(503, "payment_unavailable");
    assert_eq!(shop.get(&invoice).await.json()["state"], "open");
}

#[tokio::test]
async fn an_open_invoice_has_a_receipt() {
    let shop = Shop::open().await;
    let path = format!("{}/receipt", shop.invoice().await);
    let receipt = shop.get(&path).await;
    assert_eq!((receipt.status, receipt.headers["content-type"].as_str()), (200, "application/zip"));
    assert!(receipt.body.contains("invoice.json"), "{}", receipt.body);
}

#[tokio::test]
async fn an_invoice_is_a_page_with_its_customer_as_it_was_issued() {
    let shop = Shop::open().await;
    let rename = async |to: &str| {
        let body = json!({"name": to, "language": "id"}).to_string();
        call(shop.world.address, "PATCH /api/billing/profile", &[&shop.ada.bearer(), JSON], &body).await.json();
    };
    rename("Ada & <Co>").await;
    let path = format!("{}/html", shop.invoice().await);
    rename("Someone else").await;
    let page = shop.get(&path).await;
    assert_eq!((page.status, page.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"));
    for text in ["<html lang=\"id\">", "Faktur INV-", "PT Contoh", "Ada &amp; &lt;Co&gt;", "Rp"] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert!(!page.body.contains("Someone else") && !page.body.contains("<script"), "{}", page.body);
    assert!(page.headers["content-security-policy"].starts_with("default-src 'none'; style-src 'sha256-"));
    assert!(shop.get(&format!("{path}?language=en")).await.body.contains("<html lang=\"en\">"));
    shop.get(&format!("{path}?language=fr")).await.refuses(400, "bad_request");

    let pdf = path.replace("/html", "/pdf");
    let file = shop.get(&pdf).await;
    assert_eq!((file.status, file.headers["content-type"].as_str()), (200, "application/pdf"));
    let name = file.headers["content-disposition"].as_str();
    assert!(name.starts_with("attachment; filename=\"tollgate-INV-") && name.ends_with("-000001.pdf\""), "{name}");
    assert!(file.body.starts_with("%PDF-1.7"), "{}", &file.body[..20]);
    shop.get(&format!("{pdf}?language=fr")).await.refuses(400, "bad_request");
    let eve = shop.world.holder("eve", "starter").await.bearer();
    for path in [path, pdf] {
        get(shop.world.address, &path, &[&eve]).await.refuses(404, "not_found");
    }
}

#[tokio::test]
async fn without_billing_nothing_is_sold() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let headers = [ada.bearer()];
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    for path in [SUBSCRIPTION, "/api/invoices", "/api/wallet", "/api/billing/methods?amount=5"] {
        get(world.address, path, &headers).await.refuses(404, "not_found");
    }
    let root = world.person_with("root", Role::Admin).await;
    let root = world.sign_in(&root).await.bearer();
    for list in ["invoices", "payments", "postings", "periods", "profile"] {
        let path = format!("/api/billing/{list}");
        let path = path.as_str();
        get(world.address, path, &[&root]).await.refuses(404, "not_found");
    }
    call(world.address, "PATCH /api/billing/profile", &[&root, JSON], "{}").await.refuses(404, "not_found");
    post(world.address, "/api/billing/close", &[&root], "{}").await.refuses(404, "not_found");
    let plan = r#"{"plan":"pro"}"#;
    post(world.address, "/api/subscription/preview", &headers, plan).await.refuses(404, "not_found");
    let top_up = r#"{"amount":20000,"method":"qris"}"#;
    post(world.address, "/api/wallet/topups", &headers, top_up).await.refuses(404, "not_found");
    post(world.address, SUBSCRIPTION, &headers, r#"{"plan":"pro"}"#).await.refuses(404, "not_found");
    post(world.address, NOTIFICATION, &[], "{}").await.refuses(404, "not_found");
}

#[tokio::test]
async fn a_profile_is_changed_by_its_user_with_a_line_of_the_audit_log() {
    const PROFILE: &str = "/api/billing/profile";
    let shop = Shop::open().await;
    let before = json!({"name": "", "address": "", "tax_number": "", "language": "en"});
    assert_eq!(shop.get(PROFILE).await.json(), before);
    let patch = async |body: Value| {
        call(shop.world.address, &format!("PATCH {PROFILE}"), &[&shop.ada.bearer(), JSON], &body.to_string()).await
    };
    let changed = patch(json!({"address": "Jalan Merdeka 1\nJakarta", "language": "id"})).await.json();
    let expected = json!({"name": "", "address": "Jalan Merdeka 1\nJakarta", "tax_number": "", "language": "id"});
    assert_eq!(changed, expected);
    assert_eq!(patch(json!({"language": "id"})).await.json(), expected);
    for invalid in [
        json!({"name": "A\r\nBcc: eve@example.com"}),
        json!({"name": "x".repeat(201)}),
        json!({"address": "1\n2\n3\n4\n5\n6\n7"}),
        json!({"tax_number": "1\n2"}),
        json!({"language": "fr"}),
    ] {
        patch(invalid).await.refuses(422, "unprocessable");
    }
    patch(json!({"email": "a"})).await.refuses(400, "bad_request");
    assert_eq!(shop.get(PROFILE).await.json(), expected);
    let root = shop.world.person_with("root", Role::Admin).await;
    let root = shop.world.sign_in(&root).await;
    let lines = get(shop.world.address, "/api/audit?action=billing_profile.change", &[&root.bearer()]).await.json();
    assert_eq!(lines["items"].as_array().map(Vec::len), Some(1), "{lines}");
    assert_eq!(lines["items"][0]["detail"], json!({"changed": ["address", "language"]}), "{lines}");
}
