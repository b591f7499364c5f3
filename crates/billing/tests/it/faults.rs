//! The n-th write of a change fails, for every n: nothing of the change is stored, and a repeat ends as if nothing had
//! failed.

use std::path::PathBuf;

use access::{Fingerprint, SealedCredential, UserId};
use billing::BillingError;
use billing::books::{CancelAt, CreditedLine, NewCreditNote, NewRefund, RefundWay};
use ledger::billing::webhook_endpoints::StoredWebhook;
use ledger::billing::{StoredInvoice, webhook_deliveries, webhook_endpoints};
use rusqlite::Connection;
use store::Actor;
use uuid::Uuid;

use crate::shop::Shop;

const BY: &Actor = &Actor::COMMAND;
const TABLES: [&str; 15] = [
    "subscriptions",
    "subscription_days",
    "invoices",
    "invoice_lines",
    "invoice_terms",
    "number_series",
    "payments",
    "wallets",
    "postings",
    "refunds",
    "mails",
    "webhook_deliveries",
    "users",
    "audit_log",
    "revision",
];

/// Makes writes to a store fail.
struct Faults(Connection);

/// Everything that a failed change must not change.
#[derive(Debug, PartialEq, Eq)]
struct Figures {
    state: String,
    plan: String,
    wallet: i64,
    invoices: Vec<StoredInvoice>,
    events: usize,
}

impl Faults {
    fn install(shop: &Shop) -> Self {
        let faults = Self(database(shop));
        faults.after(i64::MAX);
        for table in TABLES {
            faults.0.execute_batch(&include_str!("faults.sql").replace("{table}", table)).unwrap();
        }
        faults
    }

    /// Lets this number of writes succeed.
    fn after(&self, writes: i64) {
        self.0.execute_batch(&include_str!("fault.sql").replace("{remaining}", &writes.to_string())).unwrap();
    }

    /// Repeats a change until no write of it fails. Returns the number of its writes.
    async fn each(&self, shop: &Shop, user: UserId, change: impl AsyncFn() -> Result<bool, BillingError>) -> i64 {
        for writes in 0..500 {
            self.after(writes);
            let before = figures(shop, user).await;
            match change().await {
                Ok(true) => {
                    self.after(i64::MAX);
                    shop.agrees().await;
                    return writes;
                }
                Ok(false) | Err(BillingError::Database(_) | BillingError::User(_)) => {
                    assert_eq!(figures(shop, user).await, before, "after {writes} writes");
                    shop.agrees().await;
                }
                Err(error) => panic!("after {writes} writes: {error}"),
            }
        }
        panic!("the change never succeeded");
    }
}

/// Opens the SQLite file of a shop.
fn database(shop: &Shop) -> Connection {
    let is_sqlite = |path: &PathBuf| std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0"));
    let mut files = std::fs::read_dir(shop.folder()).unwrap().map(|entry| entry.unwrap().path());
    Connection::open(files.find(is_sqlite).unwrap()).unwrap()
}

async fn figures(shop: &Shop, user: UserId) -> Figures {
    Figures {
        state: shop.state_of(user).await,
        plan: shop.plan_of(user).await,
        wallet: shop.wallet_of(user).await,
        invoices: shop.invoices_of(user).await,
        events: events(shop).await,
    }
}

/// Returns the number of events for the webhook.
async fn events(shop: &Shop) -> usize {
    let mut count = 0;
    for endpoint in webhook_endpoints::list(shop.store()).await.unwrap() {
        let found = webhook_deliveries::of_endpoint(shop.store(), endpoint.id, None, Uuid::max(), 100).await.unwrap();
        count += found.len();
    }
    count
}

/// Adds a webhook that receives all events. Its secret is not used.
async fn add_webhook(shop: &Shop) {
    let now = shop.clock.now();
    let endpoint = StoredWebhook {
        id: shop.store().new_id(),
        url: "https://hooks.example.com".to_owned(),
        events: "*".to_owned(),
        sealed: SealedCredential { master: Fingerprint([0; 16]), bytes: vec![0] },
        previous_until: None,
        delivered_at: None,
        disabled_at: None,
        created_at: now,
        updated_at: now,
    };
    let mut tx = shop.store().begin_quiet().await.unwrap();
    webhook_endpoints::add(shop.store(), &mut tx, &endpoint).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_change_whose_nth_write_fails_changes_nothing_and_is_repeated() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.user("ada").await;
    add_webhook(&shop).await;
    let faults = Faults::install(&shop);
    let mut writes = Vec::new();

    let open = async || shop.books.subscribe(BY, ada, "pro").await.map(|_| true);
    writes.push(faults.each(&shop, ada, open).await);
    let first = shop.invoices_of(ada).await.remove(0);
    let payment = shop.begin(&first, "card", 150_000).await;
    let notify = async || shop.try_report(payment, "settlement").await.map(|_| true);
    writes.push(faults.each(&shop, ada, notify).await);
    shop.move_to("2026-12-11");
    let change = async || shop.books.change(BY, ada, "business").await.map(|_| true);
    writes.push(faults.each(&shop, ada, change).await);
    let upgrade = shop.invoices_of(ada).await.pop().unwrap();
    let payment = shop.begin(&upgrade, "card", 914_516).await;
    let notify = async || shop.try_report(payment, "settlement").await.map(|_| true);
    writes.push(faults.each(&shop, ada, notify).await);

    let line = [CreditedLine { no: 1, amount: Some(50_000) }];
    let credit =
        async || shop.books.credit_invoice(BY, first.id, NewCreditNote::new(&line, "outage")).await.map(|_| true);
    writes.push(faults.each(&shop, ada, credit).await);
    let way = RefundWay::Hand;
    let reference = "TRX-1";
    let new = NewRefund { invoice: first.id, amount: 50_000, reason: "outage", way, reference, expected: None };
    let refund = async || shop.books.refund(BY, new).await.map(|_| true);
    writes.push(faults.each(&shop, ada, refund).await);

    shop.move_to("2027-01-02");
    let close = async || shop.books.close_periods(None).await.map(|counts| counts.failed == 0 && counts.closed == 1);
    writes.push(faults.each(&shop, ada, close).await);
    let cancel = async || shop.books.cancel(BY, ada, CancelAt::Now).await.map(|_| true);
    writes.push(faults.each(&shop, ada, cancel).await);

    assert!(writes.iter().all(|writes| *writes > 3), "each change has several writes: {writes:?}");
    assert_eq!(events(&shop).await, 14, "each change is announced once");
    let invoices = shop.invoices_of(ada).await;
    let numbers: std::collections::BTreeSet<_> = invoices.into_iter().filter_map(|invoice| invoice.number).collect();
    let expected = ["CN-2026-000001", "CN-2027-000001", "INV-2026-000001", "INV-2026-000002", "INV-2027-000001"];
    assert!(numbers.iter().eq(expected), "{numbers:?}");
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("cancelled", "free"));
}

/// Only a spent credit note leaves an invoice due that should be void.
#[tokio::test]
async fn nothing_changes_while_the_open_invoice_of_an_upgrade_cannot_be_voided() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    let first = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
    let database = database(&shop);
    database.execute_batch(include_str!("fault_of_void.sql")).unwrap();
    let before = figures(&shop, ada).await;
    for result in [
        shop.books.change(BY, ada, "annual").await.map(drop),
        shop.books.change(BY, ada, "free").await.map(drop),
        shop.books.cancel(BY, ada, CancelAt::Now).await.map(drop),
    ] {
        assert!(matches!(result, Err(BillingError::Database(_))), "{result:?}");
    }
    assert_eq!(figures(&shop, ada).await, before);
    shop.agrees().await;

    database.execute_batch("DROP TRIGGER fault_of_void").unwrap();
    let second = shop.books.change(BY, ada, "annual").await.unwrap().unwrap();
    assert_eq!((shop.invoice(first).await.state.as_str(), shop.invoice(second).await.state.as_str()), ("void", "open"));
    shop.agrees().await;
}
