//! Receipts of invoices: their documents and requests give the invoice again, and later receipts have the same bytes.

use std::collections::BTreeMap;

use access::{BillingInterval, ChargeMetric, ChargeModel, ChargeTier, Money, PlanCharge, PlanPrice, UnitPrice, UserId};
use billing::books::{CreditedLine, NewCreditNote, ReceiptListing};
use billing::receipt::{ListedDay, ReceiptCheck, ReceiptDifference, ReceiptDocuments};
use billing::rules::exchange::{ExchangeRate, ExchangeRates};
use billing::rules::invoice::LineKind;
use billing::rules::tax::{Fraction, TaxRule};
use billing::rules::terms::InvoiceBasis;
use billing::{BillingError, BillingSettings, Books, InvoiceReview, PriceBook};
use jobs::Job;
use ledger::billing::{ChargedPrice, invoices, receipts};
use store::Actor;
use uuid::Uuid;

use crate::shop::{Shop, day, settings};
use crate::traffic::{Traffic, Used, execute, fast, rates};

const BY: &Actor = &Actor::COMMAND;
const PLAIN: Used<'_> = Used { model: None, tokens: 0, cost_nano: None, attempts: 1, own_credential: false };
const UNPRICED: Used<'_> = Used { model: Some("slow"), tokens: 7, ..PLAIN };

fn ppn() -> TaxRule {
    let rate = Fraction { numerator: 12, denominator: 100 };
    let base = Fraction { numerator: 11, denominator: 12 };
    TaxRule { name: "PPN".to_owned(), rate, base, from: day("2025-01-01") }
}

fn charged() -> PlanPrice {
    let unit = |text: &str| UnitPrice::parse(text).unwrap();
    let charge = |name: &str, metric, included, model| PlanCharge {
        name: name.to_owned(),
        metric,
        models: Vec::new(),
        included,
        model,
    };
    let tiers =
        vec![ChargeTier { up_to: Some(10), unit: unit("5 IDR") }, ChargeTier { up_to: None, unit: unit("0.3 IDR") }];
    let fast = charge("Fast", ChargeMetric::Tokens, 0, ChargeModel::PerUnit { unit: unit("0.02 IDR") });
    PlanPrice {
        price: Money::rupiah(150_000),
        interval: BillingInterval::Month,
        trial_days: 0,
        charges: vec![
            charge("Requests", ChargeMetric::Requests, 1, ChargeModel::Package { size: 4, unit: unit("250 IDR") }),
            charge("Credits", ChargeMetric::Credits, 0, ChargeModel::Tiered { tiers }),
            PlanCharge { models: vec!["fast".to_owned()], ..fast },
            charge("Cost", ChargeMetric::Cost, 1_000, ChargeModel::Cost { markup_ppm: 200_000 }),
        ],
    }
}

/// A shop with tax, exchange rates and charges, and a subscriber of `pro` since December 1st.
async fn shop() -> (Shop, UserId, Traffic) {
    let mut shop = Shop::open("2026-12-01").await;
    let rate = |from: &str, idr: u64| ExchangeRate { from: day(from), micro_idr: idr * 1_000_000 };
    let exchange = ExchangeRates::new(vec![rate("2026-11-01", 16_500), rate("2026-12-10", 16_700)]);
    let settings = BillingSettings { tax: Some(ppn()), exchange, ..settings() };
    shop.books = Books::new(shop.store().clone(), settings, None);
    shop.sell_at(charged()).await;
    let ada = shop.subscriber("ada", "pro").await;
    let traffic = Traffic::start(&shop, ada).await;
    (shop, ada, traffic)
}

/// Returns the files of a receipt, as control writes them into the zip.
pub(crate) async fn files(books: &Books, invoice: Uuid) -> BTreeMap<String, Vec<u8>> {
    let first = books.receipt_head(invoice).await.unwrap().first_files().unwrap();
    let mut source = books.begin_receipt(invoice).await.unwrap();
    let documents = first.into_iter().chain([source.documents().terms_file().unwrap()]);
    let mut files: BTreeMap<String, Vec<u8>> = documents.map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    for day in source.days() {
        let mut bytes = Vec::new();
        let mut written = source.begin_day(day);
        while let Some(mut lines) = source.next_lines(&mut written).await.unwrap() {
            bytes.append(&mut lines);
        }
        if source.end_day(written) {
            files.insert(ListedDay::file_name(day), bytes);
        }
    }
    books.end_receipt(&source).await.unwrap();
    let (name, bytes) = source.documents().days_file().unwrap();
    files.insert(name.to_owned(), bytes);
    files
}

/// Computes a receipt again from its files, and returns the number of requests that were added up.
pub(crate) fn check(files: &BTreeMap<String, Vec<u8>>) -> Result<u64, ReceiptDifference> {
    let documents: Result<ReceiptDocuments, serde_json::Error> =
        ReceiptDocuments::read(|name| Ok(files.get(name).cloned().unwrap_or_default()));
    let documents = documents.unwrap();
    let mut check = ReceiptCheck::begin(&documents)?;
    for listed in &documents.days {
        if let Some(bytes) = files.get(&ListedDay::file_name(listed.day)) {
            let mut of_day = check.day(listed);
            // Lines are split anywhere.
            bytes.chunks(7).for_each(|part| of_day.push(part));
            check.end(of_day)?;
        }
    }
    Ok(check.requests())
}

/// Replaces a text in one file, and returns the first figure that differs then.
fn altered(files: &BTreeMap<String, Vec<u8>>, name: &str, text: &str, by: &str) -> String {
    let mut files = files.clone();
    let of = String::from_utf8(files.remove(name).unwrap()).unwrap();
    assert!(of.contains(text), "{name} has no {text}: {of}");
    files.insert(name.to_owned(), of.replacen(text, by, 1).into_bytes());
    let Err(found) = check(&files) else { panic!("{name}: nothing differs if {text} is {by}") };
    found.to_string()
}

#[tokio::test]
async fn a_receipt_gives_its_invoice_again() {
    let (shop, ada, mut traffic) = shop().await;
    traffic.send(&shop, day("2026-12-02"), &[fast(1_000), fast(3), PLAIN]).await;
    traffic.send(&shop, day("2026-12-10"), &[fast(500), UNPRICED]).await;
    traffic.count(&shop, day("2026-12-10"), 40).await;
    shop.move_to("2027-01-02");
    assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1);
    let invoice = shop.invoices_of(ada).await.pop().unwrap();
    let files = files(&shop.books, invoice.id).await;
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let days = ["requests/2026-12-02.jsonl", "requests/2026-12-10.jsonl"];
    assert_eq!(names, ["days.json", "invoice.json", "plans.json", days[0], days[1], "terms.json"]);
    assert_eq!(check(&files), Ok(45));

    for (name, text, by, named) in [
        (
            "requests/2026-12-02.jsonl",
            "\"credits\":3",
            "\"credits\":4",
            "credits on 2026-12-02: the receipt has 9, and",
        ),
        ("requests/2026-12-02.jsonl", "\"input\":1000", "\"input\":999", "tokens on 2026-12-02: the receipt has 3012,"),
        ("requests/2026-12-02.jsonl", "\"model\":\"fast\"", "\"model\":\"fasc\"", "of the model fasc on 2026-12-02"),
        (
            "requests/2026-12-10.jsonl",
            "\"requests\":40",
            "\"requests\":41",
            "requests on 2026-12-10: the receipt has 42",
        ),
        ("requests/2026-12-10.jsonl", "\"unpriced\":true", "\"unpriced\":false", "unpriced_requests on 2026-12-10"),
        ("requests/2026-12-02.jsonl", "\"status\":200", "\"status\":201", "the digest of requests/2026-12-02.jsonl"),
        (
            "requests/2026-12-02.jsonl",
            "{",
            "[",
            "requests/2026-12-02.jsonl, line 1: the receipt has a line that is not",
        ),
        ("terms.json", "16700000000", "16600000000", "line 5 (Cost), the amount"),
        ("terms.json", "\"whole_days\": 31", "\"whole_days\": 62", "line 2 (Requests), the quantity"),
        ("plans.json", "\"size\": 4", "\"size\": 5", "line 2 (Requests), the amount"),
        ("plans.json", "\"amount\": 150000", "\"amount\": 150001", "line 1 (pro), the amount: the receipt has 150000,"),
        ("invoice.json", &format!("\"total\": {}", invoice.total), "\"total\": 1", "the total: the receipt has 1, and"),
        ("terms.json", "\"denominator\": 12\n", "\"denominator\": 13\n", "the base of the tax"),
        ("terms.json", "\"denominator\": 100", "\"denominator\": 90", "the tax: the receipt has"),
        ("days.json", "\"rows\": 3", "\"rows\": 4", "the rows of requests/2026-12-02.jsonl: the receipt has 4, and"),
        ("days.json", "2026-12-02", "2026-12-03", "a day with usage: the receipt has 2026-12-03, and"),
    ] {
        let found = altered(&files, name, text, by);
        assert!(found.contains(named), "{name}, {text}: {found}");
    }
}

#[tokio::test]
async fn a_request_has_the_rates_by_which_it_was_priced() {
    let (mut shop, ada, mut traffic) = shop().await;
    let price = |of: &ChargedPrice| (of.version == "p1" && of.sent_model == "fast").then(rates);
    shop.books = shop.books.clone().with_prices(PriceBook::new(price));
    let several = Used { attempts: 3, ..fast(5) };
    traffic.send(&shop, day("2026-12-02"), &[fast(1_000), several, UNPRICED, PLAIN]).await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    let invoice = shop.invoices_of(ada).await.pop().unwrap();
    ReceiptListing::new(shop.books.clone()).run().await.unwrap();
    let before = files(&shop.books, invoice.id).await;
    assert_eq!(check(&before), Ok(4));
    let name = "requests/2026-12-02.jsonl";
    let lines = r#""cost_nano":1000000000,"lines":[{"class":"input","quantity":1000,"rate_pico":400000000},"#;
    assert!(String::from_utf8_lossy(&before[name]).contains(lines), "{}", String::from_utf8_lossy(&before[name]));
    for (text, by, named) in [
        ("\"rate_pico\":400000000", "\"rate_pico\":400000001", "line 1, the rate of input: the receipt has 400000001,"),
        (
            "\"quantity\":1000,",
            "\"quantity\":1001,",
            "line 1, the cost at the price p1: the receipt has 1000000000, and",
        ),
        ("\"quantity\":5,", "\"quantity\":6,", "line 2, the cost at the price p1: the receipt has 5000000, and"),
        ("\"quantity\":1,", "\"quantity\":2,", "line 1, the tokens of the class cached_input: the receipt has 1, and"),
        (
            "\"cost_nano\":15000000",
            "\"cost_nano\":15000001",
            "line 2, the cost of all attempts: the receipt has 15000001,",
        ),
    ] {
        let found = altered(&before, name, text, by);
        assert!(found.contains(named), "{text}: {found}");
    }
    let found = altered(&before, "terms.json", "\"input\": 400000000", "\"input\": 500000000");
    assert!(found.contains("line 1, the rate of input"), "{found}");
    // The prices of the configuration change later.
    shop.books = shop.books.clone().with_prices(PriceBook::default());
    assert!(files(&shop.books, invoice.id).await == before, "the bytes are the same");
}

#[tokio::test]
async fn late_usage_has_the_exchange_rates_of_the_invoice_that_charged_its_days() {
    let (mut shop, ada, mut traffic) = shop().await;
    traffic.send(&shop, day("2026-12-02"), &[fast(1_000)]).await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    let cost_of = async |shop: &Shop| {
        let invoice = shop.invoices_of(ada).await.pop().unwrap();
        let lines = invoices::lines(shop.store(), invoice.id).await.unwrap();
        let cost = lines.into_iter().find(|line| line.text == "Cost").map(|line| (line.kind, line.amount));
        (invoice.id, cost)
    };
    // 1 USD at 16,500 rupiah, with a markup of 20%.
    assert_eq!(cost_of(&shop).await.1, Some((LineKind::Usage, 19_800)));
    // The operator doubles the rate of the days that were charged.
    let exchange = ExchangeRates::new(vec![ExchangeRate { from: day("2026-11-01"), micro_idr: 33_000_000_000 }]);
    shop.books = Books::new(shop.store().clone(), BillingSettings { tax: Some(ppn()), exchange, ..settings() }, None);
    shop.move_to("2027-01-04");
    traffic.send(&shop, day("2026-12-02"), &[fast(500)]).await;
    shop.move_to("2027-02-02");
    shop.books.close_periods(None).await.unwrap();
    let (invoice, late) = cost_of(&shop).await;
    assert_eq!(late, Some((LineKind::Late, 9_900)));
    assert_eq!(check(&files(&shop.books, invoice).await), Ok(2));
}

#[tokio::test]
async fn a_later_receipt_has_the_same_bytes() {
    let (mut shop, ada, mut traffic) = shop().await;
    traffic.send(&shop, day("2026-12-02"), &[fast(1_000)]).await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    let first = shop.invoices_of(ada).await.pop().unwrap();
    ReceiptListing::new(shop.books.clone()).run().await.unwrap();
    let before = files(&shop.books, first.id).await;
    assert_eq!(check(&before), Ok(1));

    shop.move_to("2027-01-04");
    // Late usage, another price, a payment, a credit note, and other settings.
    traffic.send(&shop, day("2026-12-02"), &[fast(77)]).await;
    traffic.send(&shop, day("2027-01-04"), &[fast(5)]).await;
    shop.sell(200_000).await;
    shop.pay(first.id).await;
    let line = [CreditedLine { no: 1, amount: Some(50_000) }];
    let note = shop.books.credit_invoice(BY, first.id, NewCreditNote::new(&line, "outage")).await.unwrap();
    assert!(files(&shop.books, first.id).await == before, "the bytes are the same");
    shop.move_to("2027-02-02");
    assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1);
    let next = shop.invoices_of(ada).await.pop().unwrap();
    let settings = BillingSettings { tax: None, exchange: ExchangeRates::default(), ..settings() };
    shop.books = Books::new(shop.store().clone(), settings, None);
    assert!(files(&shop.books, first.id).await == before, "the bytes are the same");

    // The next invoice charges the late usage, and the requests of that day are all in its receipt.
    let late = files(&shop.books, next.id).await;
    assert_eq!(check(&late), Ok(3));
    let text = String::from_utf8(late["invoice.json"].clone()).unwrap();
    assert!(text.contains("\"late\"") && late.contains_key("requests/2026-12-02.jsonl"), "{text}");
    let found = altered(&late, "terms.json", "\"text\": \"Cost\"", "\"text\": \"Other\"");
    assert!(found.contains("(Cost), the"), "{found}");
    let note = files(&shop.books, note).await;
    assert_eq!(check(&note), Ok(0));
    let found = altered(&note, "invoice.json", "\"subtotal\": 50000", "\"subtotal\": 50001");
    assert!(found.contains("the subtotal: the receipt has 50001, and the computation gives 50000"), "{found}");
}

#[tokio::test]
async fn the_receipt_of_a_change_gives_its_prorated_lines() {
    let (shop, ada, mut traffic) = shop().await;
    traffic.send(&shop, day("2026-12-02"), &[fast(1_000)]).await;
    shop.move_to("2026-12-11");
    let change = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
    shop.pay(change).await;
    traffic.send(&shop, day("2026-12-20"), &[fast(2)]).await;
    let of_change = files(&shop.books, change).await;
    assert_eq!(check(&of_change), Ok(0));
    let found = altered(&of_change, "terms.json", "2026-12-11", "2026-12-12");
    assert!(
        found.contains("line 1 (pro), the amount: the receipt has -101613, and the computation gives -96774"),
        "{found}"
    );
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    let period = shop.invoices_of(ada).await.pop().unwrap();
    let of_period = files(&shop.books, period.id).await;
    assert_eq!(check(&of_period), Ok(2), "usage of both versions");
    let first = shop.invoices_of(ada).await.remove(0);
    assert_eq!(check(&files(&shop.books, first.id).await), Ok(0));
}

#[tokio::test]
async fn digests_and_sums_remain_when_the_requests_are_deleted() {
    let (shop, ada, mut traffic) = shop().await;
    traffic.send(&shop, day("2026-12-02"), &[fast(1_000)]).await;
    traffic.send(&shop, day("2026-12-20"), &[fast(10)]).await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    let invoice = shop.invoices_of(ada).await.pop().unwrap();
    let before = files(&shop.books, invoice.id).await;
    // Retention has not deleted the rows of the day yet.
    let from = day("2026-12-10").start().0.to_string();
    execute(&shop, &include_str!("deletion_begun.sql").replace("{from}", &from));
    let after = files(&shop.books, invoice.id).await;
    let missing = "requests/2026-12-02.jsonl";
    let kept = "requests/2026-12-20.jsonl";
    assert!(!after.contains_key(missing) && after[kept] == before[kept]);
    assert_eq!((after["days.json"].clone(), check(&after)), (before["days.json"].clone(), Ok(1)));
    // A row that another program deleted.
    execute(&shop, include_str!("no_events.sql"));
    assert_eq!(check(&files(&shop.books, invoice.id).await), Ok(0));
}

#[tokio::test]
async fn requests_that_do_not_add_up_are_not_listed() {
    let (shop, ada, mut traffic) = shop().await;
    traffic.send(&shop, day("2026-12-02"), &[fast(1_000), fast(1)]).await;
    execute(&shop, include_str!("lost_event.sql"));
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    let invoice = shop.invoices_of(ada).await.pop().unwrap();
    let before = files(&shop.books, invoice.id).await;
    assert_eq!((check(&before), before.contains_key("requests/2026-12-02.jsonl")), (Ok(0), false));
    let source = shop.books.begin_receipt(invoice.id).await.unwrap();
    let listed = &source.documents().days[0];
    assert!((listed.rows, listed.sha256.as_str()) == (0, "") && source.begin_day(listed.day).is_missing());
    assert_eq!(files(&shop.books, invoice.id).await, before);
}

#[tokio::test]
async fn only_opened_invoices_of_this_release_have_receipts() {
    let (mut shop, ada, mut traffic) = shop().await;
    traffic.send(&shop, day("2026-12-02"), &[fast(1_000)]).await;
    let unknown = shop.books.begin_receipt(Uuid::from_u128(7)).await.unwrap_err();
    assert!(matches!(unknown, BillingError::NoInvoice), "{unknown}");
    shop.books = Books::new(
        shop.store().clone(),
        BillingSettings { review: InvoiceReview::Finance, ..shop.books.settings().clone() },
        None,
    );
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    let waiting = shop.invoices_of(ada).await.pop().unwrap();
    ReceiptListing::new(shop.books.clone()).run().await.unwrap();
    let refused = shop.books.begin_receipt(waiting.id).await.unwrap_err();
    assert!(matches!(refused, BillingError::Conflict(_)), "{refused}");
    shop.books.approve_invoice(BY, waiting.id).await.unwrap();
    assert_eq!(check(&files(&shop.books, waiting.id).await), Ok(1));
    execute(&shop, include_str!("no_terms.sql"));
    let refused = shop.books.begin_receipt(waiting.id).await.unwrap_err();
    assert!(matches!(refused, BillingError::Conflict(_)), "{refused}");
}

#[tokio::test]
async fn a_period_without_usage_has_a_receipt_without_days() {
    let (shop, ada, _traffic) = shop().await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    let invoice = shop.invoices_of(ada).await.pop().unwrap();
    let source = shop.books.begin_receipt(invoice.id).await.unwrap();
    let parts = matches!(&source.documents().terms.basis, InvoiceBasis::Period { parts, .. } if parts.is_empty());
    assert!(parts && source.documents().days.is_empty());
    assert_eq!(check(&files(&shop.books, invoice.id).await), Ok(0));
}

#[tokio::test]
async fn an_invoice_with_unreadable_terms_does_not_delay_later_ones() {
    let (shop, ada, _traffic) = shop().await;
    let eve = shop.subscriber("eve", "pro").await;
    execute(&shop, include_str!("unreadable_terms.sql"));
    let failed = ReceiptListing::new(shop.books.clone()).run().await.unwrap_err();
    assert_eq!(failed.to_string(), "the requests of 1 invoices cannot be listed");
    for (user, is_listed) in [(ada, false), (eve, true)] {
        let invoice = shop.invoices_of(user).await.remove(0);
        let terms = receipts::find(shop.store(), invoice.id).await.unwrap().unwrap();
        assert_eq!(terms.is_listed, is_listed, "{}", invoice.number.unwrap());
    }
}

#[tokio::test]
async fn an_invoice_with_an_unreadable_row_does_not_delay_later_ones() {
    let (shop, _ada, _traffic) = shop().await;
    let eve = shop.subscriber("eve", "pro").await;
    execute(&shop, include_str!("unreadable_currency.sql"));
    let failed = ReceiptListing::new(shop.books.clone()).run().await.unwrap_err();
    assert_eq!(failed.to_string(), "the requests of 1 invoices cannot be listed");
    let invoice = shop.invoices_of(eve).await.remove(0);
    assert!(receipts::find(shop.store(), invoice.id).await.unwrap().unwrap().is_listed);
}

#[tokio::test]
async fn the_requests_of_an_invoice_in_review_are_listed_while_they_are_stored() {
    let (mut shop, ada, mut traffic) = shop().await;
    traffic.send(&shop, day("2026-12-03"), &[PLAIN, fast(10)]).await;
    let exchange = shop.books.settings().exchange.clone();
    let settings = BillingSettings { review: InvoiceReview::Finance, exchange, ..settings() };
    shop.books = Books::new(shop.store().clone(), settings, None);
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    let invoice = shop.invoices_of(ada).await.pop().unwrap();
    assert_eq!(invoice.state.as_str(), "review");
    ReceiptListing::new(shop.books.clone()).run().await.unwrap();
    assert!(matches!(shop.books.receipt_head(invoice.id).await, Err(BillingError::Conflict(_))));
    let listed = receipts::days(shop.store(), invoice.id).await.unwrap();
    assert!(listed.len() == 1 && listed[0].rows == 2 && !listed[0].digest.is_empty(), "{listed:?}");
    shop.books.approve_invoice(BY, invoice.id).await.unwrap();
    let opened = shop.books.begin_receipt(invoice.id).await.unwrap();
    assert_eq!(opened.documents().days.iter().map(|of| &of.sha256).collect::<Vec<_>>(), [&listed[0].digest]);
    shop.agrees().await;
}
