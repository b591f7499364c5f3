//! Billing that the configuration of the API turns on and off, without a restart.

use access::Role;
use billing::LiveBooks;
use control::billing_settings;

use super::*;
use crate::person::{BrowserSession, Person};

const CONFIG: &str = "/api/config";
const SELLER: &str = "billing: {enabled: true, stub: true, seller: {name: PT Contoh}}\n";

/// A server whose billing follows its configuration, with payments by the stub.
struct LiveShop {
    world: World,
    admin: Person,
    root: BrowserSession,
    ada: Holder,
    _stub_task: JoinSet<()>,
}

impl LiveShop {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = Arc::new(MidtransClient::of_stub(client(listener.local_addr().unwrap()).settings().clone()));
        let options = mock::MidtransOptions {
            server_key: KEY.to_owned(),
            merchant_id: "M000001".to_owned(),
            notification_url: None,
            clock: access::Clock::manual(crate::world::NOON),
        };
        let mut stub_task = JoinSet::new();
        stub_task.spawn(mock::serve_midtrans(listener, options, std::future::pending::<()>()));
        let world = World::start_selling(|live, store| {
            LiveBooks::new(move || {
                let snapshot = live.load_full();
                let billing = &snapshot.traffic.billing;
                let provider = billing.is_stub.then(|| stub.clone());
                let books = || Books::new(store.clone(), billing_settings(billing, false), provider);
                billing.is_enabled.then(books)
            })
        })
        .await;
        let admin = world.person_with("root", Role::Admin).await;
        let root = world.sign_in(&admin).await;
        let prices = [("starter".to_owned(), price(0)), ("endless".to_owned(), price(150_000))];
        ledger::billing::plan_versions::apply(&world.store, &prices).await.unwrap();
        let ada = world.holder("ada", "starter").await;
        Self { world, admin, root, ada, _stub_task: stub_task }
    }

    async fn apply(&self, yaml: &str) -> Answer {
        let headers = [&*self.root.bearer(), JSON, "If-Match: *"];
        let body = json!({"yaml": yaml}).to_string();
        call(self.world.address, &format!("POST {CONFIG}"), &headers, &body).await
    }

    async fn get(&self, path: &str) -> Answer {
        get(self.world.address, path, &[&self.ada.bearer()]).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let body = if *body == json!({}) { String::new() } else { body.to_string() };
        post(self.world.address, path, &[&self.ada.bearer()], &body).await
    }

    async fn site(&self) -> (Value, Value) {
        let site = self.get("/api/site").await.json();
        (site["billing"].clone(), site["payments_stub"].clone())
    }
}

#[tokio::test]
async fn billing_is_turned_on_sells_a_plan_by_the_stub_and_is_turned_off_once_nothing_is_owed() {
    let mut shop = LiveShop::open().await;
    assert_eq!(shop.site().await, (json!(false), json!(false)));
    shop.get(SUBSCRIPTION).await.refuses(404, "not_found");
    let applied = shop.apply(SELLER).await;
    assert_eq!(applied.status, 200, "{applied:?}");
    assert_eq!(shop.site().await, (json!(true), json!(true)));

    let made = shop.post(SUBSCRIPTION, &json!({"plan": "endless"})).await.json();
    let invoice = format!("/api/invoices/{}", made["invoice_id"].as_str().unwrap());
    let begun = shop.post(&format!("{invoice}/pay"), &json!({"method": "qris"})).await.json();
    let payment = format!("/api/payments/{}", begun["payment"]["id"].as_str().unwrap());
    let root = [&*shop.root.bearer()];
    call(shop.world.address, &format!("POST {payment}/stub"), &root, "").await.refuses(404, "not_found");
    assert_eq!(shop.post(&format!("{payment}/stub"), &json!({})).await.json()["state"], "paid");
    shop.post(&format!("{payment}/stub"), &json!({})).await.refuses(409, "conflict");
    assert_eq!(shop.get(SUBSCRIPTION).await.json()["state"], "active");

    // The document keeps the seller of its day.
    assert_eq!(shop.apply(&SELLER.replace("PT Contoh", "PT Lain")).await.status, 200);
    let page = shop.get(&format!("{invoice}/html")).await.body;
    assert!(page.contains("PT Contoh") && !page.contains("PT Lain"), "{page}");

    for yaml in ["", "billing: {enabled: false}\n"] {
        let refused = shop.apply(yaml).await.refuses(409, "conflict");
        assert!(refused.contains("billing_needed"), "{refused}");
    }
    shop.post(&format!("{SUBSCRIPTION}/cancel"), &json!({"at": "now"})).await;
    shop.apply("").await.refuses(409, "conflict");
    shop.world.clock.advance(Duration::from_hours(48));
    let books = Books::new(shop.world.store.clone(), settings(), None);
    books.close_periods(None).await.unwrap();
    shop.root = shop.world.sign_in(&shop.admin).await;
    let applied = shop.apply("").await;
    assert_eq!(applied.status, 200, "its usage is invoiced: {applied:?}");
    assert_eq!(shop.site().await, (json!(false), json!(false)));
    shop.get(&invoice).await.refuses(404, "not_found");
}

#[tokio::test]
async fn a_configuration_names_the_keys_of_billing_that_need_a_restart_and_a_plan_that_exists() {
    let shop = LiveShop::open().await;
    for (yaml, text) in [
        ("billing: {enabled: true, webhooks_ca: /etc/ca.pem}\n", "billing.webhooks_ca"),
        ("midtrans: {merchant_id: M1}\n", "midtrans.merchant_id"),
        ("billing: {enabled: true, fallback_plan: gone}\n", "billing.fallback_plan is gone"),
        ("billing: {enabled: true, seller: {email: nobody}}\n", "an address: billing@example.com"),
    ] {
        let refused = shop.apply(yaml).await;
        assert!(refused.status == 422 && refused.body.contains(text), "{yaml}: {refused:?}");
    }
    assert_eq!(shop.site().await, (json!(false), json!(false)));
}

#[tokio::test]
async fn a_preview_has_the_seller_and_takes_no_number() {
    let shop = LiveShop::open().await;
    let query = "billing=%7B%22seller%22%3A%7B%22name%22%3A%22PT%20%3CContoh%3E%22%7D%2C%22number%22%3A%22TG%2F%7Byear%7D%2F%7Bseq%3A3%7D%22%7D";
    let root = [&*shop.root.bearer()];
    for (language, draft) in [("en", "Draft"), ("id", "Konsep")] {
        let path = format!("/api/billing/preview/html?{query}&language={language}");
        let page = get(shop.world.address, &path, &root).await;
        assert_eq!(page.status, 200, "{page:?}");
        let page = page.body;
        for text in ["PT &lt;Contoh&gt;", "TG/2026/000", draft] {
            assert!(page.contains(text), "{text}: {page}");
        }
    }
    let file = get(shop.world.address, &format!("/api/billing/preview/pdf?{query}"), &root).await;
    assert!(file.status == 200 && file.body.starts_with("%PDF"), "{}", file.status);
    for kind in ["html", "pdf"] {
        let path = format!("/api/billing/preview/{kind}");
        for (query, status) in [
            ("billing=x", 400),
            ("billing=%7B%7D&language=x", 400),
            ("billing=%7B%22other%22%3A1%7D", 422),
            ("billing=%7B%22seller%22%3A%7B%22name%22%3A%22%24%7BHOME%7D%22%7D%7D", 422),
        ] {
            let refused = get(shop.world.address, &format!("{path}?{query}"), &root).await;
            assert_eq!(refused.status, status, "{query}: {refused:?}");
        }
        shop.get(&format!("{path}?{query}")).await.refuses(403, "forbidden");
    }
}
