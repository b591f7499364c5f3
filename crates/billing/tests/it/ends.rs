//! Subscriptions that end: their last charges, and the plan of their users meanwhile.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use access::{BillingInterval, PlanPrice, UserId};
use billing::books::CancelAt;
use billing::close::BillingClose;
use billing::{BillingError, BillingSettings, Books, InvoiceReview, LiveBooks};
use jobs::Job as _;
use ledger::billing::{InvoiceParty, invoices, parties, plan_versions};
use store::Actor;

use crate::shop::{Shop, charged, day, price, settings};
use crate::traffic::{Traffic, execute};

const BY: &Actor = &Actor::COMMAND;

/// Returns the sum of the lines of usage of all invoices of a user.
async fn charged_usage(shop: &Shop, user: UserId) -> i64 {
    let mut sum = 0;
    for invoice in shop.invoices_of(user).await {
        let lines = invoices::lines(shop.store(), invoice.id).await.unwrap();
        sum += lines
            .iter()
            .filter(|line| ["usage", "late"].contains(&line.kind.as_str()))
            .map(|line| line.amount)
            .sum::<i64>();
    }
    sum
}

/// Opens a shop in which a request at `pro` costs 100 IDR, with a subscriber who sends requests.
async fn paying_per_request(first: &str) -> (Shop, UserId, Traffic) {
    let shop = Shop::open(first).await;
    shop.sell_at(charged(price(150_000, 0))).await;
    let ada = shop.subscriber("ada", "pro").await;
    let traffic = Traffic::start(&shop, ada).await;
    (shop, ada, traffic)
}

async fn dun_on(shop: &Shop, dates: &[&str]) {
    for date in dates {
        shop.move_to(date);
        shop.books.dun().await.unwrap();
    }
}

#[tokio::test]
async fn a_closed_subscription_that_was_cancelled_begins_no_new_period() {
    let shop = Shop::open("2026-01-01").await;
    let ada = shop.subscriber("ada", "annual").await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    dun_on(&shop, &["2027-01-10", "2027-01-18", "2027-02-17"]).await;
    assert_eq!(shop.state_of(ada).await, "closed");
    shop.books.cancel(BY, ada, CancelAt::End).await.unwrap();
    shop.move_to("2027-02-20");
    shop.books.close_all(BY, None).await.unwrap();
    assert_eq!((shop.state_of(ada).await.as_str(), shop.is_held(ada).await), ("closed", true));
    let owed = shop.invoices_of(ada).await.pop().unwrap();
    shop.books.void_invoice(BY, owed.id).await.unwrap();
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("cancelled", "free"));
    assert_eq!((shop.invoices_of(ada).await.len(), shop.is_held(ada).await), (2, false));
    shop.agrees().await;
}

#[tokio::test]
async fn a_payment_that_is_taken_back_after_the_end_leaves_nothing_in_the_wallet() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.user("ada").await;
    let first = shop.subscribe(ada, "pro").await.unwrap();
    let card = shop.begin(&shop.invoice(first).await, "card", 150_000).await;
    shop.report(card, "capture").await;
    shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
    assert_eq!(shop.wallet_of(ada).await, 145_000);
    shop.report(card, "chargeback").await;
    assert_eq!((shop.invoice(first).await.remaining, shop.wallet_of(ada).await), (5_000, 0));
    let second = shop.subscribe(ada, "pro").await.unwrap();
    assert_eq!(shop.invoice(second).await.remaining, 150_000);
    shop.agrees().await;
}

#[tokio::test]
async fn the_plan_ends_with_the_last_period_before_it_is_closed() {
    let (shop, ada, _traffic) = paying_per_request("2026-12-01").await;
    shop.books.cancel(BY, ada, CancelAt::End).await.unwrap();
    dun_on(&shop, &["2026-12-31"]).await;
    assert_eq!(shop.plan_of(ada).await, "pro");
    dun_on(&shop, &["2027-01-01"]).await;
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("active", "free"));
    let revision = shop.store().revision().await.unwrap();
    shop.books.dun().await.unwrap();
    assert_eq!(shop.store().revision().await.unwrap(), revision, "nothing changed");
    shop.books.resume(BY, ada).await.unwrap();
    assert_eq!(shop.plan_of(ada).await, "pro");
    shop.books.cancel(BY, ada, CancelAt::End).await.unwrap();
    assert_eq!(shop.plan_of(ada).await, "free");
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("cancelled", "free"));
    shop.agrees().await;
}

#[tokio::test]
async fn usage_of_a_day_whose_period_is_not_begun_is_charged_at_the_end() {
    let (shop, ada, mut traffic) = paying_per_request("2026-12-01").await;
    shop.move_to("2026-12-31");
    traffic.count(&shop, day("2026-12-31"), 5).await;
    shop.move_to("2027-01-01");
    traffic.count(&shop, day("2027-01-01"), 3).await;
    shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
    assert_eq!((shop.state_of(ada).await.as_str(), shop.wallet_of(ada).await), ("cancelled", 0));
    shop.move_to("2027-01-03");
    shop.books.close_periods(None).await.unwrap();
    assert_eq!((charged_usage(&shop, ada).await, shop.invoices_of(ada).await.len()), (800, 2));
    shop.agrees().await;
}

#[tokio::test]
async fn usage_of_a_day_with_an_end_and_a_change_is_charged_once() {
    let (shop, ada, mut traffic) = paying_per_request("2026-12-01").await;
    let business = ("business".to_owned(), charged(price(1_500_000, 0)));
    let pro = ("pro".to_owned(), charged(price(150_000, 0)));
    plan_versions::apply(shop.store(), &[pro, business]).await.unwrap();
    shop.move_to("2026-12-11");
    traffic.count(&shop, day("2026-12-11"), 5).await;
    shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
    shop.pay(shop.subscribe(ada, "pro").await.unwrap()).await;
    let change = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
    shop.pay(change).await;
    assert_eq!(shop.plan_of(ada).await, "business");
    shop.move_to("2027-01-13");
    shop.books.close_all(BY, None).await.unwrap();
    assert_eq!(charged_usage(&shop, ada).await, 500);
    shop.agrees().await;
}

#[tokio::test]
async fn usage_of_a_period_that_was_never_closed_is_charged_on_return() {
    for back in ["2027-04-20", "2027-05-10"] {
        let (shop, ada, mut traffic) = paying_per_request("2026-12-01").await;
        shop.move_to("2027-01-02");
        shop.books.close_periods(None).await.unwrap();
        shop.move_to("2027-01-10");
        traffic.count(&shop, day("2027-01-10"), 5).await;
        shop.books.dun().await.unwrap();
        dun_on(&shop, &["2027-01-18", "2027-02-17"]).await;
        assert_eq!(shop.state_of(ada).await, "closed");
        shop.move_to(back);
        shop.pay(shop.invoices_of(ada).await.pop().unwrap().id).await;
        assert_eq!(shop.state_of(ada).await, "active");
        shop.move_to("2027-06-12");
        shop.books.close_all(BY, None).await.unwrap();
        assert_eq!(charged_usage(&shop, ada).await, 500, "{back}");
        shop.agrees().await;
    }
}

#[tokio::test]
async fn usage_of_a_long_period_that_was_never_closed_is_charged_once() {
    let shop = Shop::open("2026-01-01").await;
    let annual = charged(PlanPrice { interval: BillingInterval::Year, ..price(12_000_000, 0) });
    plan_versions::apply(shop.store(), &[("annual".to_owned(), annual)]).await.unwrap();
    let ada = shop.subscriber("ada", "annual").await;
    let mut traffic = Traffic::start(&shop, ada).await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    traffic.count(&shop, day("2027-01-01"), 5).await;
    dun_on(&shop, &["2027-01-10", "2027-01-18", "2027-02-17"]).await;
    shop.move_to("2027-05-10");
    let owed = shop.invoices_of(ada).await.pop().unwrap();
    shop.books.void_invoice(BY, owed.id).await.unwrap();
    assert_eq!(shop.state_of(ada).await, "active");
    shop.move_to("2028-05-12");
    shop.books.close_all(BY, None).await.unwrap();
    assert_eq!(charged_usage(&shop, ada).await, 500);
    shop.agrees().await;
}

#[tokio::test]
async fn the_paid_year_that_a_month_replaced_does_not_pay_a_later_month_back() {
    for is_void in [false, true] {
        let shop = Shop::open("2026-01-01").await;
        let ada = shop.subscriber("ada", "annual").await;
        let year = shop.invoices_of(ada).await.pop().unwrap();
        shop.move_to("2026-01-02");
        shop.books.change(BY, ada, "business").await.unwrap();
        shop.refund_by_hand(year.id, shop.wallet_of(ada).await).await;
        shop.move_to("2026-02-02");
        if is_void {
            shop.books.close_periods(None).await.unwrap();
            let month = shop.invoices_of(ada).await.pop().unwrap();
            assert_eq!((month.first_day, month.remaining), (day("2026-02-02"), 1_500_000));
            shop.books.void_invoice(BY, month.id).await.unwrap();
        }
        shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
        let wallet = shop.wallet_of(ada).await;
        assert_eq!((shop.state_of(ada).await.as_str(), wallet), ("cancelled", 0), "is void: {is_void}");
        shop.agrees().await;
    }
}

#[tokio::test]
async fn unused_days_of_an_upgrade_are_credited_as_far_as_its_payment_was_not_taken_back() {
    // Of 967,742 for 20 of 31 days, the upgrade, which costs 914,516, carries 870,968.
    for (taken_back, remaining, wallet) in [
        (10_000, 0, 957_742),
        (43_548, 0, 924_194),
        // Credited are 314,516 of the upgrade and 96,774 of the first invoice.
        (600_000, 285_484, 0),
        (900_000, 885_484, 0),
    ] {
        let shop = Shop::open("2026-12-01").await;
        let ada = shop.subscriber("ada", "pro").await;
        shop.move_to("2026-12-11");
        let upgrade = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
        let card = shop.begin(&shop.invoice(upgrade).await, "card", 914_516).await;
        shop.report(card, "capture").await;
        shop.try_returned(card, "partial_chargeback", taken_back).await.unwrap();
        shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
        let owed = shop.invoice(upgrade).await;
        assert_eq!((owed.remaining, shop.wallet_of(ada).await), (remaining, wallet), "{taken_back}");
        assert_eq!(owed.state.as_str(), if remaining == 0 { "paid" } else { "open" }, "{taken_back}");
        shop.agrees().await;
    }
}

#[tokio::test]
async fn a_period_costs_the_same_whether_it_is_paid_before_or_after_the_end() {
    for is_paid_before in [true, false] {
        let shop = Shop::open("2026-12-01").await;
        let ada = shop.subscriber("ada", "pro").await;
        shop.move_to("2027-01-02");
        shop.books.close_periods(None).await.unwrap();
        let january = shop.invoices_of(ada).await.pop().unwrap().id;
        if is_paid_before {
            shop.pay(january).await;
        }
        shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
        let notes = invoices::credit_notes(shop.store(), january).await.unwrap();
        // 29 of 31 days at 150,000.
        assert_eq!(notes.iter().map(|note| note.total).collect::<Vec<_>>(), [140_323], "{is_paid_before}");
        let (owed, kept) = if is_paid_before { (0, 140_323) } else { (9_677, 0) };
        assert_eq!((shop.invoice(january).await.remaining, shop.wallet_of(ada).await), (owed, kept));
        if !is_paid_before {
            shop.pay(january).await;
            assert_eq!((shop.invoice(january).await.state.as_str(), shop.wallet_of(ada).await), ("paid", 0));
        }
        shop.agrees().await;
    }
}

#[tokio::test]
async fn an_invoice_in_review_is_void_without_a_number_and_entries() {
    let mut shop = Shop::open("2026-12-01").await;
    shop.sell_at(charged(price(150_000, 0))).await;
    let settings = BillingSettings { review: InvoiceReview::Finance, ..settings() };
    shop.books = Books::new(shop.store().clone(), settings, None);
    let ada = shop.subscriber("ada", "pro").await;
    let mut traffic = Traffic::start(&shop, ada).await;
    traffic.count(&shop, day("2026-12-11"), 5).await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    let waiting = shop.invoices_of(ada).await.pop().unwrap();
    assert_eq!((waiting.state.as_str(), waiting.total), ("review", 150_500));
    shop.books.void_invoice(BY, waiting.id).await.unwrap();
    let void = shop.invoice(waiting.id).await;
    assert_eq!((void.state.as_str(), void.remaining, void.number), ("void", 0, None));
    for refused in [shop.books.approve_invoice(BY, void.id).await, shop.books.void_invoice(BY, void.id).await] {
        assert!(matches!(refused, Err(BillingError::Conflict(_))), "{refused:?}");
    }
    assert_eq!((shop.state_of(ada).await.as_str(), shop.wallet_of(ada).await), ("active", 0));
    shop.move_to("2027-02-02");
    shop.books.close_periods(None).await.unwrap();
    let next = shop.invoices_of(ada).await.pop().unwrap();
    assert_eq!((next.state.as_str(), next.total), ("review", 150_000), "its usage is not charged again");
    shop.books.approve_invoice(BY, next.id).await.unwrap();
    assert_eq!(shop.invoice(next.id).await.number.as_deref(), Some("INV-2027-000001"));
    shop.agrees().await;
}

#[tokio::test]
async fn a_job_follows_the_settings_in_force_and_rests_while_billing_is_off() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "business").await;
    let first = shop.invoices_of(ada).await.pop().unwrap().id;
    let current = Arc::new(Mutex::new(None));
    let read = current.clone();
    let mut job = BillingClose::new(LiveBooks::new(move || read.lock().unwrap().clone()));
    shop.move_to("2027-01-02");
    job.run().await.unwrap();
    assert_eq!(shop.invoices_of(ada).await.len(), 1, "billing is off");
    let seller = InvoiceParty { name: "PT Lain".to_owned(), ..InvoiceParty::default() };
    let settings = BillingSettings { seller, ..settings() };
    *current.lock().unwrap() = Some(Books::new(shop.store().clone(), settings, None));
    job.run().await.unwrap();
    let mut sellers = Vec::new();
    for invoice in [first, shop.invoices_of(ada).await.pop().unwrap().id] {
        sellers.push(parties::of_invoice(shop.store(), invoice).await.unwrap().seller.name);
    }
    assert_eq!(sellers, ["PT Contoh", "PT Lain"], "each invoice keeps the seller of its day");
}

#[tokio::test]
async fn days_of_a_period_that_was_never_paid_in_full_reduce_its_invoice() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "business").await;
    let first = shop.invoices_of(ada).await.pop().unwrap();
    // The invoice is paid already, so that the money is kept in the wallet, which pays a part of the next one.
    let card = shop.begin(&first, "card", 50_000).await;
    shop.report(card, "capture").await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    let second = shop.invoices_of(ada).await.pop().unwrap().id;
    assert_eq!(shop.invoice(second).await.remaining, 1_450_000);
    shop.try_returned(card, "partial_chargeback", 20_000).await.unwrap();
    assert_eq!(shop.invoice(second).await.remaining, 1_470_000);
    shop.move_to("2027-01-05");
    shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
    // 26 of 31 days at 1,500,000.
    assert_eq!((shop.invoice(second).await.remaining, shop.wallet_of(ada).await), (211_935, 0));
    shop.agrees().await;
}

#[tokio::test]
async fn a_subscription_whose_first_invoice_is_written_off_never_begins() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.user("ada").await;
    let first = shop.subscribe(ada, "pro").await.unwrap();
    let late = shop.begin(&shop.invoice(first).await, "permata", 150_000).await;
    shop.books.write_off_invoice(BY, first).await.unwrap();
    assert_eq!((shop.state_of(ada).await.as_str(), shop.invoice(first).await.state.as_str()), ("cancelled", "void"));
    shop.report(late, "settlement").await;
    assert_eq!((shop.state_of(ada).await.as_str(), shop.wallet_of(ada).await), ("cancelled", 150_000));
    assert!(shop.subscribe(ada, "pro").await.is_some());
    shop.agrees().await;
}

#[tokio::test]
async fn a_user_with_an_overdue_invoice_begins_no_other_subscription() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    let owed = shop.invoices_of(ada).await.pop().unwrap().id;
    shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
    shop.move_to("2027-01-10");
    for plan in ["free", "pro"] {
        let refused = shop.books.subscribe(BY, ada, plan).await;
        assert!(matches!(refused, Err(BillingError::Conflict(_))), "{plan}: {refused:?}");
        let refused = shop.books.preview(ada, plan).await;
        assert!(matches!(refused, Err(BillingError::Conflict(_))), "{plan}: {refused:?}");
    }
    shop.pay(owed).await;
    assert_eq!(shop.subscribe(ada, "free").await, None);
    shop.agrees().await;
}

#[tokio::test]
async fn a_subscription_with_an_overdue_invoice_cannot_be_cancelled_at_once() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    let owed = shop.invoices_of(ada).await.pop().unwrap().id;
    for (date, state) in [("2027-01-10", "past_due"), ("2027-01-18", "limited"), ("2027-02-17", "closed")] {
        dun_on(&shop, &[date]).await;
        let refused = shop.books.cancel(BY, ada, CancelAt::Now).await;
        assert!(matches!(refused, Err(BillingError::Conflict(_))), "{state}: {refused:?}");
        assert_eq!((shop.state_of(ada).await.as_str(), shop.is_held(ada).await), (state, state == "closed"));
    }
    // A write-off leaves it closed.
    shop.books.write_off_invoice(BY, owed).await.unwrap();
    let refused = shop.books.cancel(BY, ada, CancelAt::Now).await;
    assert!(matches!(refused, Err(BillingError::Conflict(_))), "{refused:?}");
    shop.pay(owed).await;
    shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
    assert_eq!((shop.state_of(ada).await.as_str(), shop.is_held(ada).await), ("cancelled", false));
    shop.agrees().await;
}

#[tokio::test]
async fn a_subscription_that_was_cancelled_at_the_end_ends_after_its_overdue_invoice_is_paid() {
    for is_closed in [false, true] {
        let (shop, ada, mut traffic) = paying_per_request("2026-12-01").await;
        shop.move_to("2027-01-02");
        shop.books.close_periods(None).await.unwrap();
        let owed = shop.invoices_of(ada).await.pop().unwrap().id;
        shop.move_to("2027-01-10");
        traffic.count(&shop, day("2027-01-10"), 5).await;
        shop.books.dun().await.unwrap();
        shop.books.cancel(BY, ada, CancelAt::End).await.unwrap();
        dun_on(&shop, &["2027-01-18", "2027-02-02"]).await;
        shop.books.close_all(BY, None).await.unwrap();
        assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("limited", "free"));
        if is_closed {
            dun_on(&shop, &["2027-02-17"]).await;
            shop.books.close_all(BY, None).await.unwrap();
            assert_eq!((shop.state_of(ada).await.as_str(), shop.is_held(ada).await), ("closed", true));
        }
        shop.pay(owed).await;
        assert_eq!((shop.plan_of(ada).await.as_str(), shop.is_held(ada).await), ("free", false));
        shop.books.close_all(BY, None).await.unwrap();
        assert_eq!(shop.state_of(ada).await, "cancelled", "is closed: {is_closed}");
        assert_eq!((charged_usage(&shop, ada).await, shop.invoices_of(ada).await.len()), (500, 3));
        shop.agrees().await;
    }
}

#[tokio::test]
async fn an_unreadable_invoice_does_not_delay_the_end_of_other_subscriptions() {
    let shop = Shop::open("2026-11-20").await;
    let mut users = Vec::new();
    // Ids of the same millisecond have any order.
    for name in ["ada", "eve"] {
        users.push(shop.user(name).await);
        shop.subscribe(users[users.len() - 1], "pro").await;
        shop.clock.advance(Duration::from_secs(1));
    }
    execute(&shop, include_str!("unreadable_currency.sql"));
    dun_on(&shop, &["2026-11-28"]).await;
    assert_eq!((shop.state_of(users[0]).await, shop.state_of(users[1]).await), ("pending".into(), "cancelled".into()));
}
