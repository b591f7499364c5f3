//! Subscriptions, invoices and payments over time.

use std::time::Duration;

use access::UserId;
use billing::books::PaymentOutcome;
use billing::close::CloseCounts;
use billing::rules::payment::PaymentState;
use billing::rules::subscription::SubscriptionState;
use billing::{BillingError, BillingSettings, Books, InvoiceReview};
use ledger::billing::{plan_versions, subscriptions};
use store::Actor;

use crate::shop::{Shop, day, settings};

#[tokio::test]
async fn the_first_day_is_the_day_of_the_subscription_not_of_the_job() {
    let shop = Shop::open("2026-01-31").await;
    let ada = shop.user("ada").await;
    let first = shop.subscribe(ada, "pro").await.unwrap();
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("pending", "free"));
    shop.pay(first).await;
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("active", "pro"));
    // The job runs late: the periods still begin on the anchor day.
    shop.move_to("2026-04-02");
    while shop.books.close_periods(None).await.unwrap().closed > 0 {}
    let mut days: Vec<String> =
        shop.invoices_of(ada).await.iter().map(|invoice| invoice.first_day.to_string()).collect();
    days.sort();
    assert_eq!(days, ["2026-01-31", "2026-02-28", "2026-03-31"]);
    shop.agrees().await;
}

#[tokio::test]
async fn closing_twice_makes_no_second_invoice() {
    let shop = Shop::open("2026-11-01").await;
    let mut users = Vec::new();
    for nth in 0..10 {
        let user = shop.user(&format!("user-{nth}")).await;
        let invoice = shop.subscribe(user, "pro").await.unwrap();
        shop.pay(invoice).await;
        users.push(user);
    }
    assert_eq!(shop.books.close_periods(None).await.unwrap(), CloseCounts::default());
    shop.move_to("2026-12-01");
    let last = Some(day("2026-11-30"));
    // Three nodes close at once.
    let [one, two, three] = [shop.books.clone(), shop.books.clone(), shop.books.clone()];
    let counts = tokio::join!(one.close_periods(last), two.close_periods(last), three.close_periods(last));
    let made: usize = [counts.0, counts.1, counts.2].into_iter().map(|counts| counts.unwrap().made).sum();
    assert_eq!(made, 10);
    assert_eq!(shop.books.close_periods(last).await.unwrap(), CloseCounts::default());
    for user in users {
        assert_eq!(shop.invoices_of(user).await.len(), 2);
    }
    shop.agrees().await;
}

#[tokio::test]
async fn two_invoices_opened_at_once_have_two_numbers_without_a_gap() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.user("ada").await;
    let bob = shop.user("bob").await;
    let (one, other) = tokio::join!(shop.subscribe(ada, "pro"), shop.subscribe(bob, "pro"));
    // A subscription that is refused uses no number.
    let refused = shop.books.subscribe(&Actor::COMMAND, ada, "pro").await;
    assert!(matches!(refused, Err(BillingError::AlreadySubscribed)));
    let eve = shop.user("eve").await;
    let third = shop.subscribe(eve, "pro").await;
    let mut numbers = Vec::new();
    for invoice in [one, other, third] {
        numbers.extend(shop.invoice(invoice.unwrap()).await.number);
    }
    numbers.sort();
    assert_eq!(numbers, ["INV-2026-000001", "INV-2026-000002", "INV-2026-000003"]);
}

#[tokio::test]
async fn a_void_invoice_keeps_its_number() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.user("ada").await;
    let first = shop.subscribe(ada, "pro").await.unwrap();
    shop.books.dun().await.unwrap();
    assert_eq!(shop.state_of(ada).await, "pending");
    shop.move_to("2026-11-28");
    shop.books.dun().await.unwrap();
    let void = shop.invoice(first).await;
    assert_eq!((shop.state_of(ada).await.as_str(), void.state.as_str(), void.remaining), ("cancelled", "void", 0));
    assert_eq!(void.number.as_deref(), Some("INV-2026-000001"));
    let second = shop.subscribe(ada, "pro").await.unwrap();
    assert_eq!(shop.invoice(second).await.number.as_deref(), Some("INV-2026-000002"));
    shop.agrees().await;
}

#[tokio::test]
async fn a_payment_after_expiry_is_kept_for_the_customer() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.user("ada").await;
    let first = shop.subscribe(ada, "pro").await.unwrap();
    let payment = shop.begin(&shop.invoice(first).await, "qris", 150_000).await;
    shop.report(payment, "expire").await;
    shop.move_to("2026-11-28");
    shop.books.dun().await.unwrap();
    assert_eq!(shop.report(payment, "settlement").await, PaymentOutcome::Changed(PaymentState::Paid));
    assert_eq!((shop.invoice(first).await.state.as_str(), shop.wallet_of(ada).await), ("void", 150_000));
    // The wallet pays the next invoice, which gives the plan at once.
    let second = shop.subscribe(ada, "pro").await.unwrap();
    assert_eq!((shop.invoice(second).await.state.as_str(), shop.wallet_of(ada).await), ("paid", 0));
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("active", "pro"));
    shop.agrees().await;
}

#[tokio::test]
async fn a_price_change_leaves_subscribers_on_their_version() {
    let shop = Shop::open("2026-11-01").await;
    let ada = shop.user("ada").await;
    let bob = shop.user("bob").await;
    let first = shop.subscribe(ada, "pro").await.unwrap();
    shop.pay(first).await;
    assert_eq!((shop.sell(200_000).await, shop.sell(200_000).await), (1, 0));
    let other = shop.subscribe(bob, "pro").await.unwrap();
    assert_eq!(shop.invoice(other).await.total, 200_000);
    shop.move_to("2026-12-02");
    shop.books.close_periods(None).await.unwrap();
    let totals: Vec<i64> = shop.invoices_of(ada).await.iter().map(|invoice| invoice.total).collect();
    assert_eq!(totals, [150_000, 150_000]);
    assert_eq!(plan_versions::for_sale(shop.store()).await.unwrap().len(), 5);
}

#[tokio::test]
async fn missing_payments_limit_and_close_a_subscription_until_they_arrive() {
    let shop = Shop::open("2026-11-01").await;
    let ada = shop.user("ada").await;
    let first = shop.subscribe(ada, "pro").await.unwrap();
    shop.pay(first).await;
    shop.move_to("2026-12-01");
    shop.books.close_periods(None).await.unwrap();
    for (date, state, plan) in [
        ("2026-12-07", "active", "pro"),
        ("2026-12-09", "past_due", "pro"),
        ("2026-12-17", "limited", "free"),
        ("2027-01-16", "closed", "free"),
    ] {
        shop.move_to(date);
        shop.books.dun().await.unwrap();
        assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), (state, plan), "{date}");
    }
    let owed = shop.invoices_of(ada).await;
    assert!(shop.is_held(ada).await, "keys of a closed subscription are refused");
    for invoice in owed.iter().filter(|invoice| invoice.state.as_str() == "open") {
        shop.pay(invoice.id).await;
    }
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("active", "pro"));
    assert!(!shop.is_held(ada).await);
    // A new period begins on the day of the payment; the days since the last one are not charged.
    let begun = shop.invoices_of(ada).await.pop().unwrap();
    assert_eq!((begun.first_day, begun.state.as_str(), begun.total), (day("2027-01-16"), "open", 150_000));
    assert_eq!(shop.books.close_periods(None).await.unwrap(), CloseCounts::default());
    shop.agrees().await;
}

#[tokio::test]
async fn a_subscription_that_cannot_be_limited_does_not_hide_later_ones() {
    let shop = Shop::open("2026-11-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    shop.move_to("2026-11-05");
    let bob = shop.subscriber("bob", "pro").await;
    for date in ["2026-12-01", "2026-12-06"] {
        shop.move_to(date);
        shop.books.close_periods(None).await.unwrap();
    }
    shop.move_to("2026-12-09");
    shop.books.dun().await.unwrap();
    assert_eq!((shop.state_of(ada).await.as_str(), shop.state_of(bob).await.as_str()), ("past_due", "active"));
    shop.move_to("2026-12-17");
    let settings = BillingSettings { fallback_plan: "gone".to_owned(), ..settings() };
    Books::new(shop.store().clone(), settings, None).dun().await.unwrap();
    assert_eq!((shop.state_of(ada).await.as_str(), shop.state_of(bob).await.as_str()), ("past_due", "past_due"));
    shop.books.dun().await.unwrap();
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("limited", "free"));
    shop.agrees().await;
}

/// Opens a shop in which the second year of a subscription was not paid, and the subscription is closed.
async fn closed_in_its_second_year() -> (Shop, UserId) {
    let shop = Shop::open("2026-01-01").await;
    let ada = shop.subscriber("ada", "annual").await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    for date in ["2027-01-10", "2027-01-18", "2027-02-17"] {
        shop.move_to(date);
        shop.books.dun().await.unwrap();
    }
    assert_eq!(shop.state_of(ada).await, "closed");
    shop.move_to("2027-02-20");
    (shop, ada)
}

#[tokio::test]
async fn a_closed_subscription_whose_invoice_is_void_begins_a_new_period() {
    let (shop, ada) = closed_in_its_second_year().await;
    let owed = shop.invoices_of(ada).await.pop().unwrap();
    shop.books.void_invoice(&Actor::SYSTEM, owed.id).await.unwrap();
    let subscription = subscriptions::present(shop.store(), ada).await.unwrap().unwrap();
    assert_eq!((subscription.first_day, subscription.last_day), (day("2027-02-20"), day("2028-02-19")));
    assert_eq!(shop.invoices_of(ada).await.len(), 3, "the new year is charged");
    shop.agrees().await;
}

#[tokio::test]
async fn a_closed_subscription_that_left_a_year_for_a_month_begins_a_new_period() {
    let shop = Shop::open("2026-01-01").await;
    let ada = shop.subscriber("ada", "annual").await;
    let year = shop.invoices_of(ada).await.pop().unwrap();
    shop.move_to("2026-03-01");
    shop.books.change(&Actor::COMMAND, ada, "business").await.unwrap();
    // The wallet would pay the next months.
    shop.refund_by_hand(year.id, shop.wallet_of(ada).await).await;
    shop.move_to("2026-04-01");
    shop.books.close_periods(None).await.unwrap();
    let owed = shop.invoices_of(ada).await.pop().unwrap();
    for date in ["2026-04-10", "2026-04-18", "2026-05-20"] {
        shop.move_to(date);
        shop.books.dun().await.unwrap();
    }
    assert_eq!(shop.state_of(ada).await, "closed");
    shop.pay(owed.id).await;
    let begun = subscriptions::present(shop.store(), ada).await.unwrap().unwrap();
    assert_eq!(
        (begun.state.as_str(), begun.first_day, begun.last_day),
        ("active", day("2026-05-20"), day("2026-06-19"))
    );
    let invoice = shop.invoices_of(ada).await.pop().unwrap();
    assert_eq!((invoice.first_day, invoice.total), (day("2026-05-20"), 1_500_000));
    shop.agrees().await;
}

#[tokio::test]
async fn a_closed_subscription_that_is_paid_within_its_period_keeps_the_period() {
    let (shop, ada) = closed_in_its_second_year().await;
    let owed = shop.invoices_of(ada).await.pop().unwrap();
    shop.pay(owed.id).await;
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("active", "annual"));
    assert!(!shop.is_held(ada).await);
    let subscription = subscriptions::present(shop.store(), ada).await.unwrap().unwrap();
    assert_eq!((subscription.first_day, subscription.last_day), (day("2027-01-01"), day("2027-12-31")));
    assert_eq!(shop.invoices_of(ada).await.len(), 2, "the year is charged once");
    shop.agrees().await;
}

#[tokio::test]
async fn a_closed_subscription_that_pays_keeps_a_period_whose_invoice_is_not_due() {
    let days = |days: u64| Duration::from_hours(24 * days);
    for review in [InvoiceReview::None, InvoiceReview::Finance] {
        let has_review = review == InvoiceReview::Finance;
        let mut shop = Shop::open("2026-11-01").await;
        let settings = BillingSettings { review, due: days(30), grace: days(7), last: days(14), ..settings() };
        shop.books = Books::new(shop.store().clone(), settings, None);
        let ada = shop.subscriber("ada", "pro").await;
        shop.move_to("2026-12-01");
        shop.books.close_periods(None).await.unwrap();
        let owed = shop.invoices_of(ada).await.pop().unwrap();
        if has_review {
            shop.books.approve_invoice(&Actor::SYSTEM, owed.id).await.unwrap();
        }
        for date in ["2027-01-01", "2027-01-08", "2027-01-22"] {
            shop.move_to(date);
            shop.books.dun().await.unwrap();
            shop.books.close_periods(None).await.unwrap();
        }
        let january = shop.invoices_of(ada).await.pop().unwrap();
        let state = if has_review { "review" } else { "open" };
        assert_eq!((january.state.as_str(), shop.state_of(ada).await.as_str()), (state, "closed"));
        shop.pay(owed.id).await;
        assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("active", "pro"));
        let subscription = subscriptions::present(shop.store(), ada).await.unwrap().unwrap();
        assert_eq!((subscription.first_day, subscription.last_day), (day("2027-01-01"), day("2027-01-31")));
        assert_eq!(shop.invoices_of(ada).await.len(), 3, "no day is charged twice");
        shop.agrees().await;
    }
}

#[tokio::test]
async fn a_notification_out_of_order_does_not_move_a_payment_back() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.user("ada").await;
    let first = shop.subscribe(ada, "pro").await.unwrap();
    let payment = shop.begin(&shop.invoice(first).await, "bca", 150_000).await;
    for status in ["settlement", "pending", "settlement", "expire", "deny", "unheard-of"] {
        shop.report(payment, status).await;
    }
    assert_eq!((shop.invoice(first).await.state.as_str(), shop.wallet_of(ada).await), ("paid", 0));
    // A second payment of a paid invoice is a surplus.
    let second = shop.begin(&shop.invoice(first).await, "qris", 150_000).await;
    shop.report(second, "settlement").await;
    assert_eq!((shop.invoice(first).await.state.as_str(), shop.wallet_of(ada).await), ("paid", 150_000));
    shop.agrees().await;
}

#[tokio::test]
async fn a_trial_is_granted_once() {
    let shop = Shop::open("2026-11-01").await;
    let ada = shop.user("ada").await;
    assert_eq!(shop.subscribe(ada, "trial").await, None);
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("trialing", "trial"));
    shop.move_to("2026-11-15");
    assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1);
    let invoice = shop.invoices_of(ada).await.remove(0);
    assert_eq!((invoice.first_day, invoice.total), (day("2026-11-15"), 50_000));
    let subscription = subscriptions::present(shop.store(), ada).await.unwrap().unwrap();
    let mut transaction = shop.store().begin_revision().await.unwrap();
    subscriptions::set_state(shop.store(), &mut transaction, &subscription, SubscriptionState::Cancelled)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert!(shop.subscribe(ada, "trial").await.is_some(), "the second subscription has no trial");
    assert_eq!(shop.state_of(ada).await, "pending");
}

#[tokio::test]
async fn a_chargeback_limits_the_subscription() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.user("ada").await;
    let first = shop.subscribe(ada, "pro").await.unwrap();
    let payment = shop.begin(&shop.invoice(first).await, "card", 150_000).await;
    shop.report(payment, "capture").await;
    assert_eq!(shop.plan_of(ada).await, "pro");
    shop.report(payment, "chargeback").await;
    let open = shop.invoice(first).await;
    assert_eq!((open.state.as_str(), open.remaining), ("open", 150_000));
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("limited", "free"));
    shop.pay(first).await;
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("active", "pro"));
    shop.agrees().await;
}
