//! Receipts of invoices, and the amounts of a draft plan.

use std::time::Duration;

use billing::books::CancelAt;
use billing::rules::tax::{Fraction, TaxRule};
use serde_json::{Value, json};

use super::Shop;
use super::finance::{finance, send};
use crate::client::{Answer, call, get};

const SHADOW: &str = "/api/billing/shadow";

#[tokio::test]
async fn a_customer_gets_the_own_receipt_and_finance_any() {
    let shop = Shop::open().await;
    let invoice = shop.invoice().await;
    let path = format!("{invoice}/receipt");
    let own = shop.get(&path).await;
    assert_eq!((own.status, own.headers["content-type"].as_str()), (200, "application/zip"));
    let name = own.headers["content-disposition"].clone();
    assert!(name.starts_with("attachment; filename=\"tollgate-INV-") && name.ends_with("-000001.zip\""), "{name}");
    assert!(own.body.contains("terms.json") && own.body.contains("tollgate-signature-1:"));
    let fin = finance(&shop).await;
    assert_eq!(get(shop.world.address, &path, &[&fin]).await.status, 200);

    let bob = shop.world.holder("bob", "starter").await;
    let foreign = get(shop.world.address, &path, &[&bob.bearer()]).await;
    foreign.refuses(404, "not_found");
    let absent = "/api/invoices/0199aa00-0000-7000-8000-00000000dead/receipt";
    let absent = get(shop.world.address, absent, &[&bob.bearer()]).await;
    assert_eq!(
        (absent.status, absent.json()["error"]["message"].clone()),
        (404, foreign.json()["error"]["message"].clone())
    );
    get(shop.world.address, "/api/invoices/x/receipt", &[&bob.bearer()]).await.refuses(404, "not_found");
}

#[tokio::test]
async fn a_paid_invoice_has_the_time_and_the_method_of_its_payment() {
    let shop = Shop::open().await;
    let invoice = shop.invoice().await;
    let open = shop.get(&invoice).await.json();
    assert_eq!((&open["paid_at"], &open["paid_by"]), (&Value::Null, &json!([])));
    let paying = shop.post(&format!("{invoice}/pay"), &json!({"method": "va", "bank": "bca"})).await.json();
    let order = paying["payment"]["order_id"].as_str().unwrap().to_owned();
    shop.play(&format!("/_stub/pay/{order}")).await;
    let notification = shop.play(&format!("/_stub/resend/{order}")).await.to_string();
    shop.world.clock.advance(Duration::from_mins(5));
    assert_eq!(crate::client::post(shop.world.address, super::NOTIFICATION, &[], &notification).await.status, 200);
    shop.handle().await;
    let paid = shop.get(&invoice).await.json();
    let received_at = "2026-11-20T12:05:00Z";
    assert_eq!((&paid["state"], &paid["paid_at"]), (&json!("paid"), &json!(received_at)));
    let expected = json!([{
        "payment_id": paying["payment"]["id"], "method": "va", "bank": "bca",
        "amount": {"amount": 150_000, "currency": "IDR"}, "received_at": received_at
    }]);
    assert_eq!(paid["paid_by"], expected);
    let page = shop.get(&format!("{invoice}/html")).await;
    for text in ["Paid on", "20 November 2026, 12:05 UTC", "virtual account BCA, IDR 150,000"] {
        assert!(page.body.contains(text), "{text}: {page:?}");
    }
    // The store's own rows of a list have no payments.
    let listed = shop.get("/api/invoices").await.json();
    assert_eq!(listed["items"][0].get("paid_at"), None);
}

#[tokio::test]
async fn money_that_was_taken_back_has_not_paid_an_invoice() {
    let shop = Shop::open().await;
    let invoice = shop.invoice().await;
    let pay = async |method: &Value| shop.post(&format!("{invoice}/pay"), method).await.json();
    let order = |begun: &Value| begun["payment"]["order_id"].as_str().unwrap().to_owned();
    let play = async |action: &str, order: &str| {
        shop.play(&format!("/_stub/{action}/{order}")).await;
        let payment = ledger::billing::payments::of_order(&shop.world.store, order, "").await.unwrap().unwrap();
        shop.books().refresh(&payment).await.unwrap();
        shop.get(&invoice).await.json()
    };
    let methods = |invoice: &Value| -> Vec<String> {
        let paid_by = invoice["paid_by"].as_array().unwrap().iter();
        paid_by.map(|money| money["method"].as_str().unwrap().to_owned()).collect()
    };
    let first = order(&pay(&json!({"method": "va", "bank": "permata"})).await);
    assert_eq!(methods(&play("pay", &first).await), ["va"]);
    let reversed = play("reversal", &first).await;
    assert_eq!((&reversed["state"], reversed.get("paid_at")), (&json!("open"), None));
    assert_eq!(methods(&reversed), [""; 0]);
    shop.world.clock.advance(Duration::from_mins(1));
    let second = order(&pay(&json!({"method": "qris"})).await);
    assert_eq!(methods(&play("pay", &second).await), ["qris"]);
}

#[tokio::test]
async fn an_invoice_in_review_has_no_receipt_and_no_document() {
    let shop = Shop::open().await;
    let first = shop.invoice().await;
    let paying = shop.post(&format!("{first}/pay"), &json!({"method": "qris"})).await.json();
    let order = paying["payment"]["order_id"].as_str().unwrap().to_owned();
    shop.play(&format!("/_stub/pay/{order}")).await;
    let notification = shop.play(&format!("/_stub/resend/{order}")).await.to_string();
    let sent = crate::client::post(shop.world.address, super::NOTIFICATION, &[], &notification).await;
    assert_eq!(sent.status, 200);
    shop.handle().await;
    let settings = billing::BillingSettings { review: billing::InvoiceReview::Finance, ..super::settings() };
    let books = billing::Books::new(shop.world.store.clone(), settings, None);
    shop.world.clock.advance(Duration::from_hours(24 * 35));
    assert_eq!(books.close_periods(None).await.unwrap().closed, 1);
    let listed = shop.get("/api/invoices?state=review").await.json();
    let invoice = format!("/api/invoices/{}", listed["items"][0]["id"].as_str().unwrap());
    for document in ["receipt", "html", "pdf"] {
        shop.get(&format!("{invoice}/{document}")).await.refuses(409, "conflict");
    }
}

/// Returns the lines of a table without the sizes of the chunks in which it is sent.
fn rows_of(table: &Answer) -> Vec<&str> {
    table.body.lines().filter(|line| line.contains(',')).collect()
}

#[tokio::test]
async fn a_month_is_exported_in_the_form_of_focus() {
    let shop = Shop::open().await;
    shop.invoice().await;
    let fin = finance(&shop).await;
    let export = async |query: &str| get(shop.world.address, &format!("/api/billing/export?{query}"), &[&fin]).await;
    let month = shop.world.clock.now().day().to_string();
    let month = month.rsplit_once('-').unwrap().0;
    let table = export(&format!("month={month}&format=focus")).await;
    assert_eq!((table.status, table.headers["content-type"].starts_with("text/csv")), (200, true), "{table:?}");
    let rows = rows_of(&table);
    assert_eq!(rows.len(), 2, "{table:?}");
    let named = |name: &str| {
        let nth = rows[0].split(',').position(|column| column == name).unwrap();
        rows[1].split(',').nth(nth).unwrap()
    };
    assert_eq!(
        [named("BilledCost"), named("ChargeCategory"), named("ChargeDescription")],
        ["150000.0", "Purchase", "endless"]
    );
    assert_eq!([named("PricingQuantity"), named("ListUnitPrice"), named("ConsumedQuantity")], ["1.0", "150000.0", ""]);
    assert_eq!(named("BillingPeriodStart"), format!("{month}-01T00:00:00Z"));
    assert_eq!([named("InvoiceIssuerName"), named("ProviderName")], ["PT Contoh", "Tollgate"]);
    assert_eq!(rows_of(&export("month=2000-12&format=focus").await).len(), 1);
    for query in ["month=2026-13&format=focus", "month=x&format=focus", "month=2026-11&format=xml", "month=2026-11"] {
        export(query).await.refuses(400, "bad_request");
    }
    let path = format!("/api/billing/export?month={month}&format=focus");
    shop.get(&path).await.refuses(403, "forbidden");
}

#[tokio::test]
async fn the_postings_of_a_month_are_exported_and_each_transaction_sums_to_zero() {
    let shop = Shop::open().await;
    let invoice = shop.invoice().await;
    let paying = shop.post(&format!("{invoice}/pay"), &json!({"method": "va", "bank": "bca"})).await.json();
    let order = paying["payment"]["order_id"].as_str().unwrap();
    shop.play(&format!("/_stub/pay/{order}")).await;
    let notification = shop.play(&format!("/_stub/resend/{order}")).await.to_string();
    assert_eq!(crate::client::post(shop.world.address, super::NOTIFICATION, &[], &notification).await.status, 200);
    shop.handle().await;
    let fin = finance(&shop).await;
    let month = shop.world.clock.now().day().to_string();
    let path = format!("/api/billing/export?month={}&format=postings", month.rsplit_once('-').unwrap().0);
    let table = get(shop.world.address, &path, &[&fin]).await;
    assert!(table.headers["content-disposition"].contains("postings-2026-11.csv"), "{table:?}");
    let rows = rows_of(&table);
    assert_eq!(rows[0], "at,transaction_id,no,reason,account,user_id,currency,amount,invoice,payment_id");
    let mut sums = std::collections::BTreeMap::new();
    let mut accounts = std::collections::BTreeMap::new();
    for row in &rows[1..] {
        let cells: Vec<&str> = row.split(',').collect();
        let amount: i64 = cells[7].strip_suffix(".0").unwrap().parse().unwrap();
        assert_eq!((cells.len(), cells[6]), (10, "IDR"), "{row}");
        *sums.entry(cells[1].to_owned()).or_insert(0) += amount;
        *accounts.entry(cells[4].to_owned()).or_insert(0) += amount;
    }
    assert!(sums.len() == 2 && sums.values().all(|sum| *sum == 0), "{table:?}");
    let expected = [("clearing", 150_000), ("receivable", 0), ("revenue", -150_000)];
    assert_eq!(accounts.into_iter().collect::<Vec<_>>(), expected.map(|(name, sum)| (name.to_owned(), sum)));
    shop.get(&path).await.refuses(403, "forbidden");
    let other = get(shop.world.address, "/api/billing/export?month=2026-10&format=postings", &[&fin]).await;
    assert_eq!(rows_of(&other).len(), 1, "{other:?}");
}

#[tokio::test]
async fn the_tax_of_a_month_is_exported_with_its_customers() {
    let shop = Shop::open().await;
    let headers = [shop.ada.bearer(), super::JSON.to_owned()];
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let profile = json!({"name": "PT Ada, Tbk", "address": "=Jalan 1", "tax_number": "01.234"}).to_string();
    assert_eq!(call(shop.world.address, "PATCH /api/billing/profile", &headers, &profile).await.status, 200);
    let tax = TaxRule {
        name: "PPN".to_owned(),
        base: Fraction { numerator: 11, denominator: 12 },
        rate: Fraction { numerator: 12, denominator: 100 },
        from: access::Day(0),
    };
    let settings = billing::BillingSettings { tax: Some(tax), ..super::settings() };
    let books = billing::Books::new(shop.world.store.clone(), settings, None);
    let actor = store::Actor::COMMAND;
    let invoice = books.subscribe(&actor, shop.ada.user, "endless").await.unwrap().invoice.unwrap();
    let path = format!("/api/invoices/{invoice}");
    assert_eq!(shop.get(&path).await.json()["tax"]["rate"], "12%");
    let fin = finance(&shop).await;
    let number = json!({"tax_invoice_number": "04002600123456789"}).to_string();
    assert_eq!(call(shop.world.address, &format!("PATCH {path}"), &[&fin, super::JSON], &number).await.status, 200);
    let note = json!({"lines": [{"no": 1, "amount": 50_000}], "reason": "outage"});
    assert_eq!(send(&shop, &fin, &format!("{path}/credit-notes"), note).await.status, 201);
    let bob = shop.world.holder("bob", "starter").await;
    let void = books.subscribe(&actor, bob.user, "endless").await.unwrap().invoice.unwrap();
    assert_eq!(send(&shop, &fin, &format!("/api/invoices/{void}/void"), json!({})).await.status, 200);

    let export = "/api/billing/export?month=2026-11&format=tax";
    let table = get(shop.world.address, export, &[&fin]).await;
    assert!(table.headers["content-disposition"].contains("tax-2026-11.csv"), "{table:?}");
    let ada = shop.ada.user.0;
    let of = format!("{ada},\"PT Ada, Tbk\",'=Jalan 1,01.234,IDR");
    let expected = [
        "invoice,kind,issued_on,corrects,customer_id,customer_name,customer_address,customer_tax_number,currency,subtotal,\
         tax_name,tax_base,tax_rate,tax,total,tax_invoice_number"
            .to_owned(),
        format!("INV-2026-000001,period,2026-11-20,,{of},150000.0,PPN,137500.0,12%,16500.0,166500.0,04002600123456789"),
        format!("CN-2026-000001,credit_note,2026-11-20,INV-2026-000001,{of},-50000.0,PPN,-45833.0,12%,-5500.0,-55500.0,"),
    ];
    assert_eq!(rows_of(&table), expected, "{table:?}");
    books.cancel(&actor, shop.ada.user, CancelAt::Now).await.unwrap();
    let table = get(shop.world.address, export, &[&fin]).await;
    assert_eq!(rows_of(&table), expected[..1], "the invoice is void: {table:?}");
    shop.get(export).await.refuses(403, "forbidden");
}

#[tokio::test]
async fn without_billing_nothing_is_exported_or_compared() {
    let world = crate::world::World::start().await;
    let root = world.person_with("root", access::Role::Admin).await;
    let root = world.sign_in(&root).await.bearer();
    get(world.address, "/api/billing/export?month=2026-11&format=focus", &[&root]).await.refuses(404, "not_found");
    let body = json!({"plan": {"price": "1 IDR"}, "months": 1}).to_string();
    crate::client::post(world.address, SHADOW, &[&root], &body).await.refuses(404, "not_found");
}

#[tokio::test]
async fn a_draft_plan_is_compared_with_present_prices() {
    let shop = Shop::open().await;
    shop.invoice().await;
    let fin = finance(&shop).await;
    let draft = |plan: Value| json!({"plan": plan, "months": 3});
    let found = send(&shop, &fin, SHADOW, draft(json!({"price": "175000 IDR"}))).await;
    assert_eq!(found.status, 200, "{found:?}");
    let found = found.json();
    let rupiah = |amount: i64| json!({"amount": amount, "currency": "IDR"});
    assert_eq!(found["users"].as_array().map(Vec::len), Some(1), "only ada has a subscription: {found}");
    let expected = json!({"now": rupiah(450_000), "then": rupiah(525_000), "difference": rupiah(75_000)});
    assert_eq!((&found["totals"], &found["next"]), (&expected, &Value::Null));
    let yearly = send(&shop, &fin, SHADOW, draft(json!({"price": "1200000 IDR", "interval": "year"}))).await.json();
    assert_eq!(yearly["totals"]["then"], rupiah(300_000));

    for plan in [
        json!({}),
        json!({"price": "x"}),
        json!({"price": "1 IDR", "credits_per_day": 3}),
        json!({"price": "1 USD"}),
        json!({"price": "1 IDR", "charges": [{"name": "a", "metric": "requests"}]}),
    ] {
        send(&shop, &fin, SHADOW, draft(plan)).await.refuses(422, "unprocessable");
    }
    for months in [0, 4] {
        let body = json!({"plan": {"price": "1 IDR"}, "months": months});
        send(&shop, &fin, SHADOW, body).await.refuses(422, "unprocessable");
    }
    send(&shop, &shop.ada.bearer(), SHADOW, draft(json!({"price": "1 IDR"}))).await.refuses(403, "forbidden");
}
