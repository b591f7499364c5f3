//! Mails are added with the changes that they announce, once each.

use std::time::Duration;

use access::UserId;
use billing::books::{CancelAt, CreditedLine, NewCreditNote};
use ledger::billing::{mails, parties};
use store::{Actor, NewUser};
use uuid::Uuid;

use crate::shop::Shop;

const BY: &Actor = &Actor::COMMAND;

/// Returns the kinds of a user's mails, from the oldest; those of one time by name.
async fn kinds(shop: &Shop, user: UserId) -> Vec<String> {
    let mut mails = mails::of_user(shop.store(), user, 100).await.unwrap();
    mails.sort_by(|one, other| (one.created_at, &one.kind).cmp(&(other.created_at, &other.kind)));
    mails.into_iter().map(|mail| mail.kind).collect()
}

/// Moves the clock to a day, and applies what follows from it.
async fn day_passes(shop: &Shop, day: &str) {
    shop.move_to(day);
    shop.books.dun().await.unwrap();
    shop.books.dun().await.unwrap();
}

#[tokio::test]
async fn each_change_of_money_has_one_mail() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.user("ada").await;
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    let payment = shop.begin(&shop.invoice(invoice).await, "bca", 150_000).await;
    for _ in 0..3 {
        shop.report(payment, "settlement").await;
    }
    assert_eq!(kinds(&shop, ada).await, ["invoice_opened", "payment_received"]);
    let line = CreditedLine { no: 1, amount: Some(50_000) };
    shop.books.credit_invoice(BY, invoice, NewCreditNote::new(&[line], "outage")).await.unwrap();
    shop.refund_by_hand(invoice, 50_000).await;
    assert_eq!(kinds(&shop, ada).await, ["credit_note", "invoice_opened", "payment_received", "refund"]);
    let free = shop.user("eve").await;
    assert_eq!(shop.subscribe(free, "free").await, None);
    assert_eq!(kinds(&shop, free).await, [""; 0], "nothing is to be paid");
    shop.agrees().await;
}

#[tokio::test]
async fn finance_gets_mails_about_a_service_user_that_has_no_address() {
    let shop = Shop::open("2026-12-01").await;
    let new = NewUser::service("Shop", "free");
    let service = shop.store().create_user(BY, new).await.unwrap().id;
    let invoice = shop.subscribe(service, "pro").await.unwrap();
    let payment = shop.begin(&shop.invoice(invoice).await, "card", 150_000).await;
    shop.report(payment, "capture").await;
    shop.report(payment, "chargeback").await;
    assert_eq!(kinds(&shop, service).await, ["payment_reversed"]);
    let customer = parties::of_invoice(shop.store(), invoice).await.unwrap().customer;
    assert_eq!((customer.name.as_str(), customer.email.as_str()), ("Shop", ""));
    shop.agrees().await;
}

#[tokio::test]
async fn reminders_follow_the_due_time_and_end_with_the_payment() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    let before = kinds(&shop, ada).await.len();
    let mut expected = Vec::new();
    for (day, mail) in [
        ("2027-01-08", None),
        ("2027-01-10", Some("reminder_first")),
        ("2027-01-11", None),
        ("2027-01-13", Some("reminder_second")),
        ("2027-01-15", None),
    ] {
        day_passes(&shop, day).await;
        expected.extend(mail);
        assert_eq!(kinds(&shop, ada).await[before..], expected, "{day}");
    }
    // The second week ends both with a reminder and with the limits of the fallback plan.
    day_passes(&shop, "2027-01-18").await;
    expected.extend(["access_limited", "reminder_last"]);
    assert_eq!(kinds(&shop, ada).await[before..], expected);
    let invoice = shop.invoices_of(ada).await.pop().unwrap();
    shop.pay(invoice.id).await;
    day_passes(&shop, "2027-01-31").await;
    expected.insert(expected.len() - 1, "payment_received");
    assert_eq!(kinds(&shop, ada).await[before..], expected);
}

#[tokio::test]
async fn an_invoice_that_is_found_late_gets_one_reminder() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    let before = kinds(&shop, ada).await.len();
    day_passes(&shop, "2027-01-30").await;
    assert_eq!(kinds(&shop, ada).await[before..], ["reminder_last"]);
}

#[tokio::test]
async fn no_dunning_mail_after_a_cancellation() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    day_passes(&shop, "2027-01-05").await;
    shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
    let before = kinds(&shop, ada).await;
    for day in ["2027-01-14", "2027-01-20", "2027-03-01"] {
        day_passes(&shop, day).await;
    }
    assert_eq!(kinds(&shop, ada).await, before);
}

#[tokio::test]
async fn a_payment_that_is_taken_back_is_mailed_to_finance_and_to_the_customer() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.user("ada").await;
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    let payment = shop.begin(&shop.invoice(invoice).await, "permata", 150_000).await;
    shop.report(payment, "settlement").await;
    shop.report(payment, "deny").await;
    let mails = kinds(&shop, ada).await;
    assert_eq!(mails, ["access_limited", "invoice_opened", "payment_received", "payment_reversed"]);
}

#[tokio::test]
async fn each_part_of_a_payment_that_is_taken_back_and_each_loss_of_the_plan_has_its_own_mail() {
    let shop = Shop::open("2026-12-01").await;
    let (ada, invoice, card) = shop.cardholder().await;
    let mut expected = kinds(&shop, ada).await;
    for (day, taken_back) in [("2026-12-03", 40_000), ("2026-12-05", 70_000)] {
        shop.move_to(day);
        for _ in 0..2 {
            shop.try_returned(card, "partial_chargeback", taken_back).await.unwrap();
        }
        expected.extend(["access_limited", "payment_reversed"].map(String::from));
        assert_eq!(kinds(&shop, ada).await, expected, "{day}");
        assert_eq!(shop.state_of(ada).await, "limited", "{day}");
        let open = shop.invoice(invoice).await;
        shop.clock.advance(Duration::from_hours(1));
        let again = shop.begin(&open, "permata", open.remaining).await;
        shop.report(again, "settlement").await;
        expected.push("payment_received".to_owned());
        assert_eq!(shop.state_of(ada).await, "active", "{day}");
    }
    shop.agrees().await;
}

#[tokio::test]
async fn money_of_the_wallet_that_is_taken_back_is_mailed_with_the_invoice_that_is_open_again() {
    for is_top_up in [true, false] {
        let shop = Shop::open("2026-12-01").await;
        let ada = shop.subscriber("ada", "pro").await;
        let first = shop.invoices_of(ada).await.pop().unwrap();
        let payment = if is_top_up {
            shop.begin_top_up(ada, 150_000).await
        } else {
            // The invoice is paid already, so that the money is kept in the wallet.
            shop.begin(&first, "permata", 150_000).await
        };
        shop.report(payment, "settlement").await;
        assert_eq!(shop.wallet_of(ada).await, 150_000, "top-up: {is_top_up}");
        shop.move_to("2027-01-02");
        shop.books.close_periods(None).await.unwrap();
        let second = shop.invoices_of(ada).await.pop().unwrap();
        assert_eq!(second.state.as_str(), "paid", "top-up: {is_top_up}");
        shop.report(payment, "deny").await;
        assert_eq!(shop.invoice(second.id).await.state.as_str(), "open", "top-up: {is_top_up}");
        let mut mails = mails::of_user(shop.store(), ada, 100).await.unwrap();
        mails.retain(|mail| mail.kind.as_str() == "access_limited");
        let objects: Vec<Uuid> = mails.iter().map(|mail| mail.object).collect();
        assert_eq!(objects, [second.id], "top-up: {is_top_up}");
        shop.agrees().await;
    }
}

#[tokio::test]
async fn a_void_invoice_that_is_paid_is_mailed_to_finance_and_to_the_customer() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.user("ada").await;
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    let payment = shop.begin(&shop.invoice(invoice).await, "bca", 150_000).await;
    shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
    shop.report(payment, "settlement").await;
    assert_eq!(kinds(&shop, ada).await, ["invoice_opened", "payment_received", "payment_unexpected"]);
}
