//! Requests to the payment provider: charges without a response, payments and notifications that wait.

use std::time::Duration;

use access::{Money, PlanPrice};
use billing::BillingError;
use billing::books::{CreditedLine, NewCreditNote, NewRefund, PaymentOutcome, RefundWay};
use billing::channel::PaymentChannel;
use billing::collect::{NotificationHandling, PaymentReconciliation};
use billing::midtrans::MidtransError;
use billing::rules::payment::PaymentState;
use jobs::Job as _;
use ledger::billing::payments::{self, LookUpTimes};
use ledger::billing::{NewNotification, StoredPayment, refunds};
use serde_json::json;
use store::Actor;
use uuid::Uuid;

use crate::provider::{Provider, status};
use crate::shop::{Shop, price};
use crate::traffic::execute;

const BY: &Actor = &Actor::COMMAND;

async fn payment(shop: &Shop, id: Uuid) -> StoredPayment {
    payments::present(shop.store(), id).await.unwrap().unwrap()
}

async fn notify(shop: &Shop, digest: &str, of: &StoredPayment) -> bool {
    let transaction = format!("t-{}", of.order);
    let new = NewNotification { digest, order: &of.order, transaction: &transaction, status: "settlement", body: "{}" };
    payments::add_notification(shop.store(), new).await.unwrap()
}

/// Payments of one invoice, by these methods.
async fn begun<const N: usize>(shop: &Shop, methods: [&str; N]) -> [StoredPayment; N] {
    let ada = shop.user("ada").await;
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    let mut payments = Vec::new();
    for method in methods {
        let id = shop.begin(&shop.invoice(invoice).await, method, 150_000).await;
        payments.push(payment(shop, id).await);
    }
    payments.try_into().unwrap()
}

#[tokio::test]
async fn an_order_that_exists_is_not_a_failed_payment() {
    let shop = Shop::open("2026-11-20").await;
    let provider = Provider::start(&shop).await;
    let ada = shop.user("ada").await;
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    provider.respond("POST /v2/charge", 200, json!({"status_code": "406", "status_message": "duplicate order id"}));
    // The status is not known either: the payment stays.
    let refused = provider.books.pay(ada, invoice, PaymentChannel::Permata, None).await;
    assert!(matches!(refused, Err(BillingError::Provider(_))), "{refused:?}");
    let [stored] = payments::of_invoice(shop.store(), invoice).await.unwrap().try_into().unwrap();
    assert_eq!(stored.state.as_str(), "created");
    let mut known = status(&stored.order, "pending", "201");
    known["permata_va_number"] = json!("8562");
    provider.respond("GET /v2/", 200, known);
    let paying = provider.books.pay(ada, invoice, PaymentChannel::Permata, None).await.unwrap();
    assert_eq!((paying.payment.id, paying.payment.state.as_str()), (stored.id, "pending"));
    assert!(paying.payment.instructions.contains("8562"), "{paying:?}");
}

#[tokio::test]
async fn an_order_whose_instructions_are_lost_is_replaced() {
    let shop = Shop::open("2026-11-20").await;
    let provider = Provider::start(&shop).await;
    let ada = shop.user("ada").await;
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    provider.respond("POST /v2/charge", 200, json!({"status_code": "406"}));
    provider.respond("GET /v2/", 200, status("TG-1", "pending", "201"));
    let refused = provider.books.pay(ada, invoice, PaymentChannel::Qris, None).await;
    assert!(matches!(refused, Err(BillingError::Provider(_))), "{refused:?}");
    assert_eq!(payments::of_invoice(shop.store(), invoice).await.unwrap().len(), 2, "both orders have no code");
    let mut charged = status("TG-2", "pending", "201");
    charged["qr_string"] = json!("0002");
    provider.respond("POST /v2/charge", 200, charged);
    let paying = provider.books.pay(ada, invoice, PaymentChannel::Qris, None).await.unwrap();
    assert!(paying.payment.instructions.contains("0002"), "{paying:?}");
}

#[tokio::test]
async fn a_charge_without_a_code_fails_and_is_still_paid_if_its_money_arrives() {
    let shop = Shop::open("2026-11-20").await;
    let provider = Provider::start(&shop).await;
    let ada = shop.user("ada").await;
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    let mut picture = status("TG-1", "pending", "201");
    picture["actions"] = json!([{"name": "generate-qr-code", "method": "GET", "url": "https://api.example/qr-code"}]);
    provider.respond("POST /v2/charge", 200, picture);
    let refused = provider.books.pay(ada, invoice, PaymentChannel::Qris, None).await;
    assert!(matches!(refused, Err(BillingError::Provider(MidtransError::NotPayable))), "{refused:?}");
    let [failed] = payments::of_invoice(shop.store(), invoice).await.unwrap().try_into().unwrap();
    assert_eq!((failed.state.as_str(), failed.error.is_empty()), ("failed", false), "{failed:?}");
    let mut charged = status("TG-2", "pending", "201");
    charged["va_numbers"] = json!([{"bank": "bca", "va_number": "12"}]);
    provider.respond("POST /v2/charge", 200, charged);
    let other = provider.books.pay(ada, invoice, PaymentChannel::Bca, None).await.unwrap();
    assert_eq!((other.is_new, other.payment.state.as_str()), (true, "pending"));
    assert_eq!(shop.report(failed.id, "settlement").await, PaymentOutcome::Changed(PaymentState::Paid));
    assert_eq!(shop.invoice(invoice).await.state.as_str(), "paid");
    shop.agrees().await;
}

#[tokio::test]
async fn an_invoice_in_dollars_is_paid_outside_and_closed_by_a_credit_note() {
    let shop = Shop::open("2026-11-20").await;
    let provider = Provider::start(&shop).await;
    shop.sell_at(PlanPrice { price: Money::parse("12.50 USD").unwrap(), ..price(0, 0) }).await;
    let ada = shop.user("ada").await;
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    for refused in [
        provider.books.pay(ada, invoice, PaymentChannel::Bni, None).await.map(drop),
        provider.books.pay_from_wallet(BY, ada, invoice).await.map(drop),
    ] {
        let error = refused.unwrap_err().to_string();
        assert!(error.starts_with("no payment method takes USD"), "{error}");
    }
    assert_eq!(payments::of_invoice(shop.store(), invoice).await.unwrap(), []);
    let line = [CreditedLine { no: 1, amount: None }];
    shop.books.credit_invoice(BY, invoice, NewCreditNote::new(&line, "paid by a transfer")).await.unwrap();
    assert_eq!((shop.invoice(invoice).await.state.as_str(), shop.plan_of(ada).await.as_str()), ("paid", "pro"));
    shop.agrees().await;
}

#[tokio::test]
async fn a_payment_that_cannot_be_looked_up_does_not_stop_the_others() {
    let shop = Shop::open("2026-11-20").await;
    let provider = Provider::start(&shop).await;
    let [bad, other, denied] = begun(&shop, ["bca", "bni", "bri"]).await;
    shop.clock.advance(Duration::from_mins(10));
    provider.respond(&bad.order, 200, json!({"status_code": "200"}));
    provider.respond(&other.order, 200, status(&other.order, "settlement", "200"));
    // HTTP 202 with a status is a result.
    provider.respond(&denied.order, 202, status(&denied.order, "deny", "202"));
    let mut job = PaymentReconciliation::new(provider.books.clone());
    job.run().await.unwrap();
    assert_eq!(payment(&shop, other.id).await.state.as_str(), "paid");
    assert_eq!(payment(&shop, denied.id).await.state.as_str(), "failed");
    assert_eq!(payment(&shop, bad.id).await.checked_at, Some(shop.clock.now()));
    job.run().await.unwrap();
    assert_eq!(provider.count(&bad.order), 1, "it is not requested again at once");
    shop.agrees().await;
}

#[tokio::test]
async fn a_notification_that_cannot_be_handled_waits_and_is_given_up() {
    let shop = Shop::open("2026-11-20").await;
    let provider = Provider::start(&shop).await;
    let [bad, other] = begun(&shop, ["bca", "bni"]).await;
    notify(&shop, "1", &bad).await;
    notify(&shop, "2", &other).await;
    provider.respond(&bad.order, 200, json!({"status_code": "500"}));
    provider.respond(&other.order, 200, status(&other.order, "settlement", "200"));
    let mut job = NotificationHandling::new(provider.books.clone());
    for _ in 0..3 {
        job.run().await.unwrap();
    }
    assert_eq!(payment(&shop, other.id).await.state.as_str(), "paid");
    assert_eq!(provider.count(&bad.order), 1, "the pause has not passed");
    let mut attempts = 1;
    while attempts < 100 {
        shop.clock.advance(Duration::from_hours(1));
        if payments::notifications(shop.store(), 100).await.unwrap().is_empty() {
            break;
        }
        job.run().await.unwrap();
        attempts += 1;
    }
    assert_eq!((attempts, provider.count(&bad.order)), (24, 24));
}

/// Begins a payment of the first invoice of another user.
async fn begun_by(shop: &Shop, name: &str) -> StoredPayment {
    let user = shop.user(name).await;
    let invoice = shop.subscribe(user, "pro").await.unwrap();
    let id = shop.begin(&shop.invoice(invoice).await, "bni", 150_000).await;
    payment(shop, id).await
}

#[tokio::test]
async fn payments_of_an_unreadable_invoice_do_not_delay_others() {
    let shop = Shop::open("2026-11-20").await;
    let provider = Provider::start(&shop).await;
    let [bad] = begun(&shop, ["bca"]).await;
    shop.clock.advance(Duration::from_secs(1));
    let notified = begun_by(&shop, "eve").await;
    let silent = begun_by(&shop, "bob").await;
    for of in [&bad, &notified, &silent] {
        provider.respond(&of.order, 200, status(&of.order, "settlement", "200"));
    }
    execute(&shop, include_str!("unreadable_currency.sql"));
    for (digest, of) in [("1", &bad), ("2", &notified)] {
        notify(&shop, digest, of).await;
        shop.clock.advance(Duration::from_secs(1));
    }
    NotificationHandling::new(provider.books.clone()).run().await.unwrap();
    assert_eq!(payment(&shop, notified.id).await.state.as_str(), "paid");
    shop.clock.advance(Duration::from_mins(10));
    let [waiting] = payments::notifications(shop.store(), 10).await.unwrap().try_into().unwrap();
    assert_eq!((waiting.order_id, waiting.attempts), (bad.order, 1));
    PaymentReconciliation::new(provider.books.clone()).run().await.unwrap();
    assert_eq!(payment(&shop, silent.id).await.state.as_str(), "paid");
    assert_eq!(payment(&shop, bad.id).await.state.as_str(), "created");
}

#[tokio::test]
async fn a_refund_that_cannot_be_recorded_does_not_delay_look_ups() {
    let shop = Shop::open("2026-11-20").await;
    let provider = Provider::start(&shop).await;
    let (_, invoice, _) = shop.cardholder().await;
    let line = [CreditedLine { no: 1, amount: None }];
    shop.books.credit_invoice(BY, invoice, NewCreditNote::new(&line, "outage")).await.unwrap();
    provider.respond("/refund", 500, json!({"status_code": "500"}));
    let reason = "outage";
    let reference = "";
    let way = RefundWay::Midtrans;
    let new = NewRefund { invoice, amount: 150_000, reason, way, reference, expected: None };
    assert_eq!(provider.books.refund(BY, new).await.unwrap().state.as_str(), "requested");
    let other = begun_by(&shop, "eve").await;
    provider.respond(&other.order, 200, status(&other.order, "settlement", "200"));
    provider.respond("/refund", 200, json!({"status_code": "200"}));
    shop.clock.advance(Duration::from_mins(10));
    execute(&shop, include_str!("fault_of_refund.sql"));
    let mut job = PaymentReconciliation::new(provider.books.clone());
    job.run().await.unwrap();
    assert_eq!(payment(&shop, other.id).await.state.as_str(), "paid");
    assert_eq!(refunds::requested(shop.store(), 10).await.unwrap().len(), 1);
    execute(&shop, "DROP TRIGGER fault_of_refund");
    job.run().await.unwrap();
    assert_eq!(refunds::requested(shop.store(), 10).await.unwrap(), []);
    shop.agrees().await;
}

#[tokio::test]
async fn an_account_number_expires_when_its_invoice_becomes_void() {
    let shop = Shop::open("2026-12-01").await;
    let provider = Provider::start(&shop).await;
    let mut charged = status("TG-1", "pending", "201");
    charged["va_numbers"] = json!([{"bank": "bca", "va_number": "12"}]);
    provider.respond("POST /v2/charge", 200, charged);
    let ada = shop.user("ada").await;
    let first = shop.subscribe(ada, "pro").await.unwrap();
    let first_due = shop.invoice(first).await.due_at.unwrap();
    let pay = async |invoice, channel| {
        let user = shop.invoice(invoice).await.user;
        provider.books.pay(user, invoice, channel, None).await
    };
    let expires_at = async |invoice| pay(invoice, PaymentChannel::Bca).await.unwrap().payment.expires_at;
    let in_a_day = || shop.clock.now().after(Duration::from_hours(24));
    assert_eq!(expires_at(first).await, in_a_day());
    shop.move_to("2026-12-07");
    shop.clock.advance(Duration::from_hours(1));
    assert_eq!(expires_at(first).await, first_due);
    shop.pay(first).await;

    let upgrade = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
    let due = shop.invoice(upgrade).await.due_at.unwrap();
    shop.clock.advance(Duration::from_hours(23));
    assert_eq!(expires_at(upgrade).await, due);
    let card = shop.begin(&shop.invoice(upgrade).await, "card", shop.invoice(upgrade).await.remaining).await;
    // Banks refuse shorter times to pay.
    shop.clock.advance(Duration::from_secs(3_570));
    let refused = pay(upgrade, PaymentChannel::Bni).await;
    assert!(matches!(refused, Err(BillingError::Conflict(_))), "{refused:?}");

    // An upgrade whose payment was taken back stays due.
    shop.report(card, "capture").await;
    shop.clock.advance(Duration::from_hours(1));
    shop.report(card, "chargeback").await;
    assert_eq!(shop.invoice(upgrade).await.state.as_str(), "open");
    assert_eq!(expires_at(upgrade).await, in_a_day());

    // It stays due also before its due time. Any other one cannot be paid after that time, also before the job voids it.
    for is_taken_back in [true, false] {
        let user = shop.subscriber(&format!("taken-back-{is_taken_back}"), "pro").await;
        let upgrade = shop.books.change(BY, user, "business").await.unwrap().unwrap();
        let due = shop.invoice(upgrade).await.due_at.unwrap();
        if is_taken_back {
            let card = shop.begin(&shop.invoice(upgrade).await, "card", 1_350_000).await;
            shop.report(card, "capture").await;
            shop.report(card, "chargeback").await;
            shop.clock.advance(Duration::from_hours(12));
            assert_eq!(expires_at(upgrade).await, in_a_day());
        } else {
            shop.clock.jump(due.after(Duration::from_mins(2)));
            let refused = pay(upgrade, PaymentChannel::Bca).await;
            assert!(matches!(refused, Err(BillingError::Conflict(_))), "{refused:?}");
        }
    }
    shop.agrees().await;
}

/// As of DANA: <https://github.com/Midtrans/midtrans-php/issues/113>.
#[tokio::test]
async fn a_transaction_is_found_by_its_id_when_the_order_id_differs() {
    let shop = Shop::open("2026-11-20").await;
    let provider = Provider::start(&shop).await;
    let [of, other] = begun(&shop, ["bca", "bni"]).await;
    provider.respond(&of.order, 200, status(&of.order, "pending", "201"));
    provider.books.refresh(&of).await.unwrap();
    let transaction = payment(&shop, of.id).await.transaction.unwrap();
    let mut paid = status(&of.order, "settlement", "200");
    paid["order_id"] = json!("DANA-1");
    provider.respond(&transaction, 200, paid);
    for (digest, transaction) in [("1", transaction.as_str()), ("2", "t-unknown")] {
        let new = NewNotification { digest, order: "DANA-1", transaction, status: "settlement", body: "{}" };
        payments::add_notification(shop.store(), new).await.unwrap();
    }
    NotificationHandling::new(provider.books.clone()).run().await.unwrap();
    assert_eq!(payment(&shop, of.id).await.state.as_str(), "paid");
    assert_eq!(payment(&shop, other.id).await.state.as_str(), "created");
    assert_eq!(provider.count("t-unknown"), 0, "no payment has this transaction");
    shop.agrees().await;
}

#[tokio::test]
async fn a_status_of_another_amount_currency_or_order_moves_no_money() {
    let shop = Shop::open("2026-11-20").await;
    let provider = Provider::start(&shop).await;
    let [of] = begun(&shop, ["bca"]).await;
    for (nth, name, value) in [
        (1, "gross_amount", json!("150001.00")),
        (2, "gross_amount", json!("0.00")),
        (3, "gross_amount", json!("1.00")),
        (4, "gross_amount", json!("9223372036854775807.00")),
        (5, "gross_amount", json!("1e3")),
        (6, "currency", json!("USD")),
        (7, "order_id", json!("TG-1")),
    ] {
        let mut other = status(&of.order, "settlement", "200");
        other[name] = value.clone();
        provider.respond(&of.order, 200, other);
        let result = provider.books.refresh(&of).await;
        assert!(matches!(result, Ok(PaymentOutcome::Mismatch) | Err(BillingError::Provider(_))), "{name}: {result:?}");
        assert!(notify(&shop, &nth.to_string(), &of).await);
        NotificationHandling::new(provider.books.clone()).run().await.unwrap();
        assert_eq!(payment(&shop, of.id).await.state.as_str(), "created", "{name} {value}");
    }
    shop.agrees().await;
}

#[tokio::test]
async fn a_repeated_notification_that_changed_nothing_is_handled_again() {
    let shop = Shop::open("2026-11-20").await;
    let provider = Provider::start(&shop).await;
    let [of] = begun(&shop, ["bca"]).await;
    provider.respond(&of.order, 200, status(&of.order, "pending", "201"));
    let mut job = NotificationHandling::new(provider.books.clone());
    assert!(notify(&shop, "1", &of).await);
    job.run().await.unwrap();
    assert!(!notify(&shop, "1", &of).await, "its result is a change");
    assert!(notify(&shop, "2", &of).await);
    job.run().await.unwrap();
    assert!(!notify(&shop, "2", &of).await, "it was handled a moment ago");
    // The status of the provider follows its notification.
    provider.respond(&of.order, 200, status(&of.order, "settlement", "200"));
    shop.clock.advance(Duration::from_secs(33));
    assert!(notify(&shop, "2", &of).await);
    job.run().await.unwrap();
    assert_eq!(payment(&shop, of.id).await.state.as_str(), "paid");
    shop.clock.advance(Duration::from_secs(33));
    assert!(!notify(&shop, "2", &of).await);
}

#[tokio::test]
async fn paid_and_failed_payments_are_looked_up_for_a_time() {
    let shop = Shop::open("2026-11-20").await;
    let provider = Provider::start(&shop).await;
    let [paid, taken, failed, final_one] = begun(&shop, ["bca", "permata", "qris", "bni"]).await;
    for (of, status) in [(&paid, "settlement"), (&taken, "settlement"), (&failed, "expire"), (&final_one, "expire")] {
        shop.report(of.id, status).await;
    }
    let waiting = async |minutes: u64| {
        shop.clock.advance(Duration::from_mins(minutes));
        let now = shop.clock.now();
        let times = LookUpTimes {
            checked_before: now.before(Duration::from_mins(5)),
            paid_after: now.before(Duration::from_hours(1)),
            failed_after: now.before(Duration::from_hours(24)),
        };
        let found = payments::waiting(shop.store(), times, 10).await.unwrap();
        // Ids of the same millisecond have any order.
        let mut methods: Vec<String> = found.into_iter().map(|of| of.method).collect();
        methods.sort();
        methods.join(" ")
    };
    assert_eq!(waiting(6).await, "permata qris");
    PaymentReconciliation::new(provider.books.clone()).run().await.unwrap();
    assert_eq!(waiting(0).await, "");
    assert_eq!(waiting(6).await, "permata qris", "a look-up does not prolong the time");
    assert_eq!(waiting(60).await, "qris");
    assert_eq!(waiting(24 * 60).await, "");
    // A code that was paid late, without a notification.
    let at = format!("/v2/t-{}/", failed.id);
    assert_eq!(provider.count(&at), 1);
}

#[tokio::test]
async fn one_of_several_requests_may_look_a_payment_up() {
    let shop = Shop::open("2026-11-20").await;
    let [of] = begun(&shop, ["bca"]).await;
    let before = shop.clock.now().before(Duration::from_secs(5));
    assert!(payments::claim(shop.store(), of.id, before).await.unwrap());
    assert!(!payments::claim(shop.store(), of.id, before).await.unwrap());
    shop.clock.advance(Duration::from_secs(6));
    let before = shop.clock.now().before(Duration::from_secs(5));
    assert!(payments::claim(shop.store(), of.id, before).await.unwrap());
}
