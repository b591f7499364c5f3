//! What finance does with invoices, and what customers do with their subscriptions and wallets.

use std::time::Duration;

use access::{ChargeMetric, ChargeModel, Credits, Currency, LabelSet, PlanCharge, PlanPrice, Role, UnitPrice};
use ledger::billing::NewPosting;
use ledger::billing::postings::{self, PostingSubject};
use meter::Counts;
use serde_json::{Value, json};
use spool::Record;
use uuid::Uuid;

use super::{NOTIFICATION, SUBSCRIPTION, Shop};
use crate::client::{Answer, call, get, post};
use crate::world::NOON;

const JSON: &str = "Content-Type: application/json";

/// Signs in a person with the role `finance`; returns the header with the token.
pub(super) async fn finance(shop: &Shop) -> String {
    let person = shop.world.person_with("fin", Role::Member).await;
    let root = shop.world.person_with("root", Role::Admin).await;
    let root = shop.world.sign_in(&root).await.bearer();
    let path = format!("PATCH /api/users/{}", person.user);
    let changed = call(shop.world.address, &path, &[JSON, &root], r#"{"grants":[{"role":"finance"}]}"#).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    shop.world.sign_in(&person).await.bearer()
}

pub(super) async fn send(shop: &Shop, bearer: &str, path: &str, body: Value) -> Answer {
    let body = if body == json!({}) { String::new() } else { body.to_string() };
    post(shop.world.address, path, &[bearer], &body).await
}

async fn agrees(shop: &Shop) {
    let audit = ledger::billing::postings::audit(&shop.world.store, 10).await.unwrap();
    assert!(audit.iter().all(|compared| compared.found.is_empty()), "{audit:?}");
}

/// Subscribes to `endless`, pays by a method, and returns the path of the invoice.
pub(super) async fn paid(shop: &Shop, method: Value) -> String {
    let invoice = shop.invoice().await;
    let paying = shop.post(&format!("{invoice}/pay"), &method).await.json();
    settle(shop, &paying["payment"]).await;
    assert_eq!(shop.get(&invoice).await.json()["state"], "paid");
    invoice
}

async fn settle(shop: &Shop, payment: &Value) {
    let order = payment["order_id"].as_str().unwrap();
    shop.play(&format!("/_stub/pay/{order}")).await;
    notified(shop, order).await;
}

async fn notified(shop: &Shop, order: &str) {
    let notification = shop.play(&format!("/_stub/resend/{order}")).await.to_string();
    assert_eq!(post(shop.world.address, NOTIFICATION, &[], &notification).await.status, 200);
    shop.handle().await;
}

#[tokio::test]
async fn only_finance_corrects_invoices() {
    let shop = Shop::open().await;
    let invoice = shop.invoice().await;
    let person = shop.world.person("eve").await;
    let eve = shop.world.sign_in(&person).await.bearer();
    let key = shop.ada.bearer();
    let bodies = [
        ("approve", json!({})),
        ("void", json!({})),
        ("write-off", json!({})),
        ("credit-notes", json!({"lines": [{"no": 1}], "reason": "x"})),
        ("refunds", json!({"amount": 1, "reason": "x", "by": "midtrans"})),
    ];
    for (name, body) in &bodies {
        for caller in [&eve, &key] {
            send(&shop, caller, &format!("{invoice}/{name}"), body.clone()).await.refuses(403, "forbidden");
        }
    }
    let fin = finance(&shop).await;
    for (name, body) in &bodies {
        let path = format!("/api/invoices/0199aa00-0000-7000-8000-00000000dead/{name}");
        send(&shop, &fin, &path, body.clone()).await.refuses(404, "not_found");
    }
    send(&shop, &fin, &format!("{invoice}/approve"), json!({})).await.refuses(409, "conflict");
    let voided = send(&shop, &fin, &format!("{invoice}/void"), json!({})).await.json();
    assert_eq!((&voided["state"], &voided["number"]), (&json!("void"), &json!("INV-2026-000001")));
    shop.get(SUBSCRIPTION).await.refuses(404, "not_found");
    agrees(&shop).await;
}

#[tokio::test]
async fn a_credit_note_fills_the_wallet_and_a_refund_empties_it() {
    let shop = Shop::open().await;
    let invoice = paid(&shop, json!({"method": "qris"})).await;
    let fin = finance(&shop).await;
    let notes = format!("{invoice}/credit-notes");
    let refunds = format!("{invoice}/refunds");
    let refund = |amount: i64| json!({"amount": amount, "reason": "outage", "by": "midtrans"});
    send(&shop, &fin, &refunds, refund(50_000)).await.refuses(409, "conflict");
    for bad in [json!([]), json!([{"no": 1, "amount": 0}]), json!([{"no": 1, "amount": 150_001}])] {
        send(&shop, &fin, &notes, json!({"lines": bad, "reason": "outage"})).await.refuses(422, "unprocessable");
    }
    send(&shop, &fin, &notes, json!({"lines": [{"no": 2}], "reason": "outage"})).await.refuses(409, "conflict");
    send(&shop, &fin, &notes, json!({"lines": [{"no": 1}], "reason": "a\nb"})).await.refuses(422, "unprocessable");
    let note = send(&shop, &fin, &notes, json!({"lines": [{"no": 1, "amount": 50_000}], "reason": "outage"})).await;
    assert_eq!(note.status, 201, "{note:?}");
    let note = note.json();
    assert_eq!((&note["number"], &note["kind"]), (&json!("CN-2026-000001"), &json!("credit_note")));
    assert_eq!(shop.get(&invoice).await.json()["credit_notes"][0]["total"]["amount"], 50_000);
    assert_eq!(shop.get("/api/wallet").await.json()["balance"]["amount"], 50_000);
    // A repeat after a response that was lost credits nothing.
    let again = json!({"lines": [{"no": 1, "amount": 50_000}], "reason": "outage", "credited": 0});
    send(&shop, &fin, &notes, again).await.refuses(409, "conflict");
    // No more is credited than the invoice has.
    send(&shop, &fin, &notes, json!({"lines": [{"no": 1, "amount": 100_001}], "reason": "outage"}))
        .await
        .refuses(422, "unprocessable");

    let returned = send(&shop, &fin, &refunds, refund(50_000)).await.json();
    assert_eq!((&returned["state"], &returned["by"]), (&json!("done"), &json!("midtrans")), "{returned}");
    let shown = shop.get(&invoice).await.json();
    assert_eq!(shown["payments"][0]["state"], "partly_refunded", "{shown}");
    assert_eq!(shown["payments"][0]["refunded"]["amount"], 50_000);
    let again = json!({"amount": 50_000, "reason": "outage", "by": "midtrans", "refunded": 0});
    assert!(send(&shop, &fin, &refunds, again).await.refuses(409, "conflict").contains("refunds of the invoice"));
    notified(&shop, shown["payments"][0]["order_id"].as_str().unwrap()).await;
    let wallet = shop.get("/api/wallet").await.json();
    let reasons: Vec<&Value> = wallet["entries"].as_array().unwrap().iter().map(|entry| &entry["reason"]).collect();
    assert_eq!((&wallet["balance"]["amount"], reasons.len()), (&json!(0), 2), "{wallet}");
    send(&shop, &fin, &refunds, refund(150_000)).await.refuses(422, "unprocessable");
    agrees(&shop).await;
}

#[tokio::test]
async fn a_transfer_is_returned_by_hand() {
    let shop = Shop::open().await;
    let invoice = paid(&shop, json!({"method": "va", "bank": "bca"})).await;
    let fin = finance(&shop).await;
    let note = json!({"lines": [{"no": 1}], "reason": "mistake"});
    assert_eq!(send(&shop, &fin, &format!("{invoice}/credit-notes"), note).await.status, 201);
    let refunds = format!("{invoice}/refunds");
    let body = |by: &str| json!({"amount": 150_000, "reason": "mistake", "by": by});
    send(&shop, &fin, &refunds, body("midtrans")).await.refuses(409, "conflict");
    send(&shop, &fin, &refunds, body("hand")).await.refuses(422, "unprocessable");
    send(&shop, &fin, &refunds, body("cash")).await.refuses(422, "unprocessable");
    let by_hand = json!({"amount": 150_000, "reason": "mistake", "by": "hand", "reference": "TRX-1"});
    let returned = send(&shop, &fin, &refunds, by_hand.clone()).await.json();
    assert_eq!((&returned["state"], &returned["reference"]), (&json!("done"), &json!("TRX-1")));
    assert_eq!(shop.get(&invoice).await.json()["payments"][0]["state"], "refunded");
    send(&shop, &fin, &refunds, by_hand).await.refuses(409, "conflict");
    agrees(&shop).await;
}

#[tokio::test]
async fn the_wallet_is_topped_up_and_pays_an_invoice() {
    let shop = Shop::open().await;
    let invoice = shop.invoice().await;
    let pay = format!("{invoice}/pay");
    shop.post(&pay, &json!({"method": "wallet"})).await.refuses(409, "conflict");
    let topups = "/api/wallet/topups";
    shop.post(topups, &json!({"amount": 9_999, "method": "va", "bank": "bca"})).await.refuses(422, "unprocessable");
    shop.post(topups, &json!({"amount": 0, "method": "qris"})).await.refuses(422, "unprocessable");
    let body = json!({"amount": 200_000, "method": "qris"});
    let begun = shop.post(topups, &body).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    let again = shop.post(topups, &body).await;
    assert_eq!((again.status, &again.json()["payment"]["id"]), (200, &begun.json()["payment"]["id"]));
    settle(&shop, &begun.json()["payment"]).await;
    assert_eq!(shop.get("/api/wallet").await.json()["balance"]["amount"], 200_000);
    let payment = shop.post(&pay, &json!({"method": "wallet"})).await.json();
    assert_eq!((&payment["payment"]["state"], &payment["payment"]["method"]), (&json!("paid"), &json!("wallet")));
    assert_eq!(shop.get(&invoice).await.json()["state"], "paid");
    assert_eq!(shop.get("/api/wallet").await.json()["balance"]["amount"], 50_000);
    assert_eq!(shop.get(SUBSCRIPTION).await.json()["access"], "plan");
    agrees(&shop).await;
}

#[tokio::test]
async fn the_wallet_lists_no_entries_in_dollars() {
    let shop = Shop::open().await;
    let store = &shop.world.store;
    let mut tx = store.begin_quiet().await.unwrap();
    for (currency, amount) in [(Currency::Idr, 50_000), (Currency::Usd, 12_500_000_000)] {
        let user = shop.ada.user;
        let of = PostingSubject { user, currency, invoice: None, payment: None, reason: "invoice.credited" };
        let entries = [("revenue", amount), ("wallet", -amount)];
        let entries = entries.map(|(account, amount)| NewPosting { account, amount });
        postings::add(store, &mut tx, of, &entries).await.unwrap();
    }
    tx.commit().await.unwrap();
    let wallet = shop.get("/api/wallet").await.json();
    let rupiah = json!({"amount": 50_000, "currency": "IDR"});
    assert_eq!((&wallet["balance"], &wallet["entries"][0]["amount"]), (&rupiah, &rupiah), "{wallet}");
    assert_eq!((wallet["entries"].as_array().map(Vec::len), &wallet["next"]), (Some(1), &Value::Null), "{wallet}");
}

#[tokio::test]
async fn a_first_invoice_that_is_written_off_is_void_and_its_payment_goes_to_the_wallet() {
    let shop = Shop::open().await;
    let invoice = shop.invoice().await;
    let paying = shop.post(&format!("{invoice}/pay"), &json!({"method": "qris"})).await.json();
    let fin = finance(&shop).await;
    let given_up = send(&shop, &fin, &format!("{invoice}/write-off"), json!({})).await.json();
    assert_eq!(given_up["state"], "void");
    agrees(&shop).await;
    settle(&shop, &paying["payment"]).await;
    assert_eq!(shop.get(&invoice).await.json()["state"], "void");
    assert_eq!(shop.get("/api/wallet").await.json()["balance"]["amount"], 150_000);
    let number = json!({"tax_invoice_number": "04002600123456789"});
    let path = format!("PATCH {invoice}");
    let changed = call(shop.world.address, &path, &[JSON, &fin], &number.to_string()).await.json();
    assert_eq!(changed["tax_invoice_number"], "04002600123456789");
    agrees(&shop).await;
}

#[tokio::test]
async fn a_subscription_is_changed_cancelled_and_resumed() {
    let shop = Shop::open().await;
    for (name, body) in
        [("change", json!({"plan": "endless"})), ("cancel", json!({"at": "now"})), ("resume", json!({}))]
    {
        shop.post(&format!("{SUBSCRIPTION}/{name}"), &body).await.refuses(404, "not_found");
    }
    let preview = format!("{SUBSCRIPTION}/preview");
    let change = format!("{SUBSCRIPTION}/change");
    let endless = json!({"plan": "endless"});
    assert_eq!(shop.post(&preview, &endless).await.json()["total"]["amount"], 150_000);
    shop.post(&preview, &json!({"plan": "nothing"})).await.refuses(422, "unprocessable");
    assert_eq!(shop.post(SUBSCRIPTION, &json!({"plan": "starter"})).await.status, 201);
    let previewed = shop.post(&preview, &endless).await.json();
    assert_eq!((&previewed["lines"][0]["kind"], &previewed["applies_on"]), (&json!("proration"), &json!("2026-11-20")));
    let changed = shop.post(&change, &endless).await.json();
    assert_eq!((&changed["plan"], changed["invoice_id"].is_string()), (&json!("starter"), true), "{changed}");
    let invoice = format!("/api/invoices/{}", changed["invoice_id"].as_str().unwrap());
    let paying = shop.post(&format!("{invoice}/pay"), &json!({"method": "qris"})).await.json();
    settle(&shop, &paying["payment"]).await;
    assert_eq!(shop.get(SUBSCRIPTION).await.json()["plan"], "endless");
    shop.post(&change, &endless).await.refuses(409, "conflict");
    let lower = shop.post(&change, &json!({"plan": "starter"})).await.json();
    assert_eq!((&lower["next_plan"], &lower["invoice_id"]), (&json!("starter"), &Value::Null));

    let cancel = format!("{SUBSCRIPTION}/cancel");
    shop.post(&cancel, &json!({"at": "later"})).await.refuses(422, "unprocessable");
    let ending = shop.post(&cancel, &json!({"at": "end"})).await.json();
    assert_eq!((&ending["cancel_at_end"], &ending["next_invoice_on"]), (&json!(true), &Value::Null));
    let resumed = shop.post(&format!("{SUBSCRIPTION}/resume"), &json!({})).await.json();
    assert_eq!(resumed["cancel_at_end"], false);
    let ended = shop.post(&cancel, &json!({"at": "now"})).await.json();
    assert_eq!((&ended["state"], &ended["wallet"]["amount"]), (&json!("cancelled"), &json!(145_000)), "{ended}");
    agrees(&shop).await;
}

#[tokio::test]
async fn keys_of_a_closed_subscription_are_refused_until_it_is_paid() {
    for is_paid_by_key in [false, true] {
        check_closed_subscription(is_paid_by_key).await;
    }
}

async fn check_closed_subscription(is_paid_by_key: bool) {
    let shop = Shop::open().await;
    let person = shop.world.person("paul").await;
    let session = shop.world.sign_in(&person).await.bearer();
    let secret = shop.world.key_of(person.user, "laptop", None).await;
    let key = format!("Authorization: Bearer {secret}");
    let address = shop.world.address;
    let books = shop.books();
    let invoice = books.subscribe(&store::Actor::COMMAND, person.user, "endless").await.unwrap().invoice.unwrap();
    let paying = send(&shop, &session, &format!("/api/invoices/{invoice}/pay"), json!({"method": "qris"})).await.json();
    settle(&shop, &paying["payment"]).await;
    for days in [35, 8, 8, 31] {
        shop.world.clock.advance(Duration::from_hours(24 * days));
        books.close_periods(None).await.unwrap();
        books.dun().await.unwrap();
    }
    shop.world.refresh().await;
    get(address, "/api/usage/today", &[&key]).await.refuses(402, "payment_required");
    let token = json!({"token": secret}).to_string();
    post(address, "/api/auth/validate", &[], &token).await.refuses(402, "payment_required");
    let restricted = access::ApiKey::generate("tollgate").unwrap();
    let bounds = access::KeyBounds { credits_per_day: Some(access::Credits::whole(9)), ..access::KeyBounds::default() };
    let new = store::NewKey { bounds, ..store::NewKey::unbounded(person.user, "restricted", &restricted) };
    shop.world.store.create_key(&store::Actor::COMMAND, new).await.unwrap();
    let restricted = format!("Authorization: Bearer {}", restricted.expose());
    // Sign-in, the invoices and paying work, also by a key.
    let session = shop.world.sign_in(&person).await.bearer();
    send(&shop, &key, &format!("{SUBSCRIPTION}/cancel"), json!({"at": "end"})).await.refuses(402, "payment_required");
    let payer = if is_paid_by_key { &key } else { &session };
    assert_eq!(get(address, SUBSCRIPTION, &[payer]).await.json()["access"], "none");
    let open = get(address, "/api/invoices?state=open", &[payer]).await.json();
    for invoice in open["items"].as_array().unwrap() {
        let path = format!("/api/invoices/{}/pay", invoice["id"].as_str().unwrap());
        send(&shop, &restricted, &path, json!({"method": "qris"})).await.refuses(403, "forbidden");
        let paying = send(&shop, payer, &path, json!({"method": "qris"})).await.json();
        settle(&shop, &paying["payment"]).await;
    }
    shop.world.refresh().await;
    assert_eq!(get(address, "/api/usage/today", &[&key]).await.status, 200);
    agrees(&shop).await;
}

#[tokio::test]
async fn what_does_not_fit_the_state_is_a_conflict() {
    let shop = Shop::open().await;
    let invoice = paid(&shop, json!({"method": "qris"})).await;
    let fin = finance(&shop).await;
    for name in ["void", "write-off"] {
        send(&shop, &fin, &format!("{invoice}/{name}"), json!({})).await.refuses(409, "conflict");
    }
    let patch = async |invoice: &str, body: Value| {
        call(shop.world.address, &format!("PATCH {invoice}"), &[JSON, &fin], &body.to_string()).await
    };
    let unknown = "/api/invoices/0199aa00-0000-7000-8000-00000000dead";
    patch(unknown, json!({"tax_invoice_number": "1"})).await.refuses(404, "not_found");
    patch(&invoice, json!({"tax_invoice_number": "a\nb"})).await.refuses(422, "unprocessable");
    shop.post(&format!("{SUBSCRIPTION}/preview"), &json!({"plan": "endless"})).await.refuses(409, "conflict");
    shop.post(&format!("{SUBSCRIPTION}/change"), &json!({"plan": "nothing"})).await.refuses(422, "unprocessable");
    agrees(&shop).await;
    let unpaid = Shop::open().await;
    unpaid.invoice().await;
    unpaid.post(&format!("{SUBSCRIPTION}/cancel"), &json!({"at": "end"})).await.refuses(409, "conflict");
    unpaid.post(&format!("{SUBSCRIPTION}/resume"), &json!({})).await.refuses(409, "conflict");
}

#[tokio::test]
async fn finance_approves_the_invoice_of_a_period() {
    let shop = Shop::open().await;
    paid(&shop, json!({"method": "qris"})).await;
    let settings = billing::BillingSettings { review: billing::InvoiceReview::Finance, ..super::settings() };
    let books = billing::Books::new(shop.world.store.clone(), settings, None);
    shop.world.clock.advance(Duration::from_hours(24 * 35));
    assert_eq!(books.close_periods(None).await.unwrap().closed, 1);
    let fin = finance(&shop).await;
    let listed = shop.get("/api/invoices?state=review").await.json();
    let invoice = format!("/api/invoices/{}", listed["items"][0]["id"].as_str().unwrap());
    shop.get(&format!("{invoice}/receipt")).await.refuses(409, "conflict");
    let approved = send(&shop, &fin, &format!("{invoice}/approve"), json!({})).await;
    assert_eq!((approved.status, &approved.json()["state"]), (200, &json!("open")), "{approved:?}");
    let root = shop.world.person_with("auditor", Role::Admin).await;
    let root = shop.world.sign_in(&root).await.bearer();
    let lines = get(shop.world.address, "/api/audit?action=invoice.change", &[&root]).await.json();
    assert_eq!(lines["items"].as_array().unwrap().len(), 1, "{lines}");
    agrees(&shop).await;
}

/// Sells `endless` with a charge, and stores requests of ada that it charges.
async fn charge_requests(shop: &Shop) {
    let model = ChargeModel::PerUnit { unit: UnitPrice::parse("100 IDR").unwrap() };
    let name = "Requests".to_owned();
    let models = Vec::new();
    let charge = PlanCharge { name, metric: ChargeMetric::Requests, models, included: 0, model };
    let charged = PlanPrice { charges: vec![charge], ..super::price(150_000) };
    let prices = [("starter".to_owned(), super::price(0)), ("endless".to_owned(), charged)];
    ledger::billing::plan_versions::apply(&shop.world.store, &prices).await.unwrap();
    let counts = Counts {
        subject: Some(shop.ada.caller).into(),
        route: "orders".into(),
        status_class: 2,
        minute: u32::try_from(NOON.unix_seconds() / 60).unwrap(),
        day: NOON.day(),
        requests: 5,
        credits: Credits::ZERO,
        labels: LabelSet::NONE,
    };
    shop.world.record_all(vec![Record::Counts { id: Uuid::from_u128(7), counts: vec![counts] }]).await;
    // The node of the requests ends, so that the period can be closed.
    let node = shop.world.store.join(shop.world.data(), "9.8.7").await.unwrap();
    node.leave(true).await.unwrap();
}

#[tokio::test]
async fn finance_sees_the_days_that_an_invoice_waits_for() {
    let settings = billing::BillingSettings { review: billing::InvoiceReview::Signoff, ..super::settings() };
    let shop = Shop::open_with(settings.clone()).await;
    charge_requests(&shop).await;
    paid(&shop, json!({"method": "qris"})).await;
    shop.world.clock.advance(Duration::from_hours(24 * 35));
    let fin = finance(&shop).await;
    let closed = send(&shop, &fin, "/api/billing/close", json!({"last_day": "2026-12-19"})).await.json();
    assert_eq!((&closed["new"], &closed["signed"], &closed["unsigned"]), (&json!(1), &json!(0), &json!(1)), "{closed}");
    let listed = get(shop.world.address, "/api/billing/invoices?state=review", &[&fin]).await.json();
    let listed = &listed["items"][0]["invoice"];
    assert_eq!(listed["unsigned_days"].as_array().map(Vec::len), Some(30));
    assert_eq!(listed["unsigned_days"][0], json!({"day": "2026-11-20", "state": "ready"}));
    let id = listed["id"].as_str().unwrap();
    let shown = get(shop.world.address, &format!("/api/billing/invoices/{id}"), &[&fin]).await.json();
    assert_eq!(shown["unsigned_days"], listed["unsigned_days"]);
    let own = shop.get(&format!("/api/invoices/{id}")).await.json();
    assert_eq!((&own["state"], own.get("unsigned_days")), (&json!("review"), None), "the customer sees no days");
    let approved = send(&shop, &fin, &format!("/api/invoices/{id}/approve"), json!({})).await;
    assert!(approved.refuses(409, "conflict").contains("unsigned_days"), "{approved:?}");
    let roles = billing::SignoffRoles::new(Vec::new);
    let books = billing::Books::new(shop.world.store.clone(), settings, None).with_signoff_roles(roles);
    assert_eq!(books.preview_close(None).await.unwrap().signed, 0, "days without a role are never signed off");
    agrees(&shop).await;
}

#[tokio::test]
async fn each_change_leaves_its_line_in_the_audit_log() {
    let shop = Shop::open().await;
    let invoice = paid(&shop, json!({"method": "va", "bank": "bca"})).await;
    let fin = finance(&shop).await;
    let root = shop.world.person_with("auditor", Role::Admin).await;
    let root = shop.world.sign_in(&root).await.bearer();
    let lines = async |action: &str| {
        let path = format!("/api/audit?action={action}");
        get(shop.world.address, &path, &[&root]).await.json()["items"].as_array().unwrap().len()
    };
    let mut expected = lines("invoice.change").await;
    let number = json!({"tax_invoice_number": "1"}).to_string();
    assert_eq!(call(shop.world.address, &format!("PATCH {invoice}"), &[JSON, &fin], &number).await.status, 200);
    expected += 1;
    assert_eq!(lines("invoice.change").await, expected, "PATCH");
    let note = json!({"lines": [{"no": 1}], "reason": "mistake"});
    assert_eq!(send(&shop, &fin, &format!("{invoice}/credit-notes"), note).await.status, 201);
    expected += 1;
    assert_eq!(lines("invoice.change").await, expected, "credit note");
    let refund = json!({"amount": 150_000, "reason": "mistake", "by": "hand", "reference": "TRX-1"});
    send(&shop, &fin, &format!("{invoice}/refunds"), refund).await;
    assert_eq!(lines("payment.refund").await, 1);
    let mut expected = lines("subscription.change").await;
    for (name, body) in
        [("change", json!({"plan": "starter"})), ("cancel", json!({"at": "end"})), ("resume", json!({}))]
    {
        assert_eq!(shop.post(&format!("{SUBSCRIPTION}/{name}"), &body).await.status, 200, "{name}");
        expected += 1;
        assert_eq!(lines("subscription.change").await, expected, "{name}");
    }
    shop.post(&format!("{SUBSCRIPTION}/preview"), &json!({"plan": "endless"})).await;
    assert_eq!(lines("subscription.change").await, expected, "a preview changes nothing");
}

#[tokio::test]
async fn what_finance_gives_up_leaves_its_line_in_the_audit_log() {
    for name in ["void", "write-off"] {
        let shop = Shop::open().await;
        let invoice = shop.invoice().await;
        let fin = finance(&shop).await;
        let root = shop.world.person_with("auditor", Role::Admin).await;
        let root = shop.world.sign_in(&root).await.bearer();
        assert_eq!(send(&shop, &fin, &format!("{invoice}/{name}"), json!({})).await.status, 200, "{name}");
        let lines = get(shop.world.address, "/api/audit?action=invoice.change", &[&root]).await.json();
        assert_eq!(lines["items"].as_array().unwrap().len(), 1, "{name}: {lines}");
    }
}
