//! Changes and the end of subscriptions.

use std::time::Duration;

use access::{BillingInterval, PlanPrice, UserId};
use billing::books::{CancelAt, CreditedLine, NewCreditNote};
use billing::{BillingError, BillingSettings, Books, InvoiceReview};
use ledger::billing::{
    PeriodFilter, PeriodState, StoredSubscription, billed_periods, invoices, plan_versions, subscriptions,
};
use store::Actor;
use uuid::Uuid;

use crate::shop::{Shop, charged, day, price, settings};
use crate::traffic::{Traffic, execute};

const BY: &Actor = &Actor::COMMAND;

async fn subscription(shop: &Shop, user: UserId) -> StoredSubscription {
    subscriptions::present(shop.store(), user).await.unwrap().unwrap()
}

fn is_conflict<T>(result: &Result<T, BillingError>) -> bool {
    matches!(result, Err(BillingError::Conflict(_)))
}

#[tokio::test]
async fn an_upgrade_applies_when_its_invoice_is_paid() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    shop.move_to("2026-12-11");
    let preview = shop.books.preview(ada, "business").await.unwrap();
    let amounts: Vec<i64> = preview.lines.iter().map(|line| line.amount).collect();
    assert_eq!((amounts.as_slice(), preview.total), ([-101_613, 1_016_129].as_slice(), 914_516));
    assert_eq!(preview.applies_on, day("2026-12-11"));
    let invoice = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
    assert_eq!(
        shop.books.change(BY, ada, "business").await.unwrap(),
        Some(invoice),
        "a repeat opens no second invoice"
    );
    assert_eq!((shop.invoice(invoice).await.total, shop.plan_of(ada).await.as_str()), (914_516, "pro"));
    shop.pay(invoice).await;
    assert_eq!((shop.plan_of(ada).await.as_str(), shop.wallet_of(ada).await), ("business", 0));
    let moved = subscription(&shop, ada).await;
    assert_eq!((moved.first_day, moved.last_day), (day("2026-12-01"), day("2026-12-31")));
    // The whole price of the new plan is due for the next period.
    shop.move_to("2027-01-02");
    assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1);
    assert_eq!(shop.invoices_of(ada).await.pop().unwrap().total, 1_500_000);
    shop.agrees().await;
}

#[tokio::test]
async fn an_upgrade_that_is_not_paid_within_a_day_is_void() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    let invoice = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
    let late = shop.begin(&shop.invoice(invoice).await, "bca", 1_350_000).await;
    shop.move_to("2026-12-03");
    shop.books.dun().await.unwrap();
    assert_eq!(shop.invoice(invoice).await.state.as_str(), "void");
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("active", "pro"));
    shop.report(late, "settlement").await;
    assert_eq!((shop.wallet_of(ada).await, shop.plan_of(ada).await.as_str()), (1_350_000, "pro"));
    // The wallet pays the next upgrade, whose invoice is smaller, at once.
    let paid = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
    assert_eq!((shop.invoice(paid).await.state.as_str(), shop.plan_of(ada).await.as_str()), ("paid", "business"));
    shop.agrees().await;
}

#[tokio::test]
async fn another_choice_replaces_an_upgrade_that_is_not_paid() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    let first = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
    let second = shop.books.change(BY, ada, "annual").await.unwrap().unwrap();
    assert_eq!((shop.invoice(first).await.state.as_str(), shop.invoice(second).await.state.as_str()), ("void", "open"));
    assert_eq!(shop.books.change(BY, ada, "free").await.unwrap(), None);
    assert_eq!(shop.invoice(second).await.state.as_str(), "void");
    shop.agrees().await;
}

#[tokio::test]
async fn a_downgrade_applies_at_the_end_of_the_period() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "business").await;
    let preview = shop.books.preview(ada, "pro").await.unwrap();
    assert_eq!((preview.total, preview.applies_on), (150_000, day("2027-01-01")));
    assert_eq!(shop.books.change(BY, ada, "pro").await.unwrap(), None);
    assert!(subscription(&shop, ada).await.next_plan_version.is_some());
    assert_eq!(shop.books.change(BY, ada, "business").await.unwrap(), None, "the present plan takes it back");
    assert_eq!(subscription(&shop, ada).await.next_plan_version, None);
    assert!(is_conflict(&shop.books.change(BY, ada, "business").await));
    shop.books.change(BY, ada, "pro").await.unwrap();
    assert_eq!(shop.plan_of(ada).await, "business");
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    assert_eq!((shop.plan_of(ada).await.as_str(), shop.invoices_of(ada).await.pop().unwrap().total), ("pro", 150_000));
    shop.agrees().await;
}

#[tokio::test]
async fn a_downgrade_is_taken_back_also_when_the_present_version_is_not_for_sale() {
    for is_retired in [false, true] {
        let shop = Shop::open("2026-12-01").await;
        let ada = shop.subscriber("ada", "pro").await;
        let present = subscription(&shop, ada).await.plan_version;
        assert_eq!(shop.books.change(BY, ada, "free").await.unwrap(), None);
        if is_retired {
            plan_versions::apply(shop.store(), &[("free".to_owned(), price(0, 0))]).await.unwrap();
        } else {
            shop.sell_at(price(200_000, 0)).await;
        }
        assert_eq!(shop.books.change(BY, ada, "pro").await.unwrap(), None, "is retired: {is_retired}");
        let after = subscription(&shop, ada).await;
        assert_eq!((after.plan_version, after.next_plan_version), (present, None), "is retired: {is_retired}");
        assert!(
            shop.invoices_of(ada).await.iter().all(|invoice| invoice.state.as_str() == "paid"),
            "is retired: {is_retired}"
        );
        shop.agrees().await;
    }
}

#[tokio::test]
async fn a_repeated_change_to_a_cheaper_version_of_the_plan_stays_planned() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    let present = subscription(&shop, ada).await.plan_version;
    shop.sell_at(price(100_000, 0)).await;
    for _ in 0..2 {
        assert_eq!(shop.books.change(BY, ada, "pro").await.unwrap(), None);
        let planned = subscription(&shop, ada).await.next_plan_version;
        assert!(planned.is_some_and(|planned| planned != present), "{planned:?}");
    }
}

#[tokio::test]
async fn the_surplus_of_a_year_is_kept_when_a_month_replaces_it() {
    let shop = Shop::open("2026-01-01").await;
    let ada = shop.subscriber("ada", "annual").await;
    shop.move_to("2026-12-01");
    // 31 of 365 days remain: 1,019,178 of 12,000,000.
    let invoice = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
    assert_eq!(shop.invoice(invoice).await.total, 480_822);
    shop.pay(invoice).await;
    let moved = subscription(&shop, ada).await;
    assert_eq!((moved.first_day, moved.last_day), (day("2026-12-01"), day("2026-12-31")));
    let bob = shop.subscriber("bob", "annual").await;
    shop.move_to("2026-12-02");
    let invoice = shop.books.change(BY, bob, "business").await.unwrap().unwrap();
    // 364 of 365 days remain: 11,967,123, of which the first month uses 1,500,000.
    assert_eq!((shop.invoice(invoice).await.state.as_str(), shop.wallet_of(bob).await), ("paid", 10_467_123));
    let notes =
        shop.invoices_of(bob).await.into_iter().filter(|of| of.kind.as_str() == "credit_note").collect::<Vec<_>>();
    assert_eq!((notes.len(), notes[0].total, notes[0].number.as_deref()), (1, 10_467_123, Some("CN-2026-000001")));
    shop.agrees().await;
}

#[tokio::test]
async fn a_month_replaces_a_year_after_the_year_is_paid() {
    for review in [InvoiceReview::None, InvoiceReview::Finance] {
        let has_review = review == InvoiceReview::Finance;
        let mut shop = Shop::open("2026-01-01").await;
        let settings = BillingSettings { review, ..settings() };
        shop.books = Books::new(shop.store().clone(), settings, None);
        let ada = shop.subscriber("ada", "annual").await;
        shop.move_to("2027-01-02");
        assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1);
        let year = shop.invoices_of(ada).await.pop().unwrap();
        assert!(is_conflict(&shop.books.change(BY, ada, "business").await), "{:?}", year.state);
        assert!(is_conflict(&shop.books.preview(ada, "business").await), "{:?}", year.state);
        if has_review {
            shop.books.approve_invoice(BY, year.id).await.unwrap();
            assert!(is_conflict(&shop.books.change(BY, ada, "business").await));
        }
        assert_eq!((shop.invoices_of(ada).await.len(), shop.plan_of(ada).await.as_str()), (2, "annual"));
        shop.pay(year.id).await;
        shop.books.change(BY, ada, "business").await.unwrap();
        assert_eq!((shop.plan_of(ada).await.as_str(), shop.wallet_of(ada).await), ("business", 10_467_123));
        shop.agrees().await;
    }
}

#[tokio::test]
async fn a_subscription_ends_with_its_period_unless_it_is_resumed() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    let bob = shop.subscriber("bob", "pro").await;
    for user in [ada, bob] {
        shop.books.cancel(BY, user, CancelAt::End).await.unwrap();
        shop.books.cancel(BY, user, CancelAt::End).await.unwrap();
        assert!(is_conflict(&shop.books.change(BY, user, "business").await));
    }
    shop.books.resume(BY, bob).await.unwrap();
    shop.move_to("2027-01-02");
    assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1);
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("cancelled", "free"));
    assert_eq!((shop.state_of(bob).await.as_str(), shop.plan_of(bob).await.as_str()), ("active", "pro"));
    assert!(matches!(shop.books.resume(BY, ada).await, Err(BillingError::NoSubscription)));
    shop.agrees().await;
}

#[tokio::test]
async fn days_that_were_paid_and_not_used_are_credited() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    shop.move_to("2026-12-11");
    let upgrade = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
    shop.pay(upgrade).await;
    shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("cancelled", "free"));
    // 20 of 31 days at 1,500,000: the invoice of the change carries 870,968, the first one the rest.
    assert_eq!(shop.wallet_of(ada).await, 967_742);
    let notes = invoices::credit_notes(shop.store(), upgrade).await.unwrap();
    assert_eq!(notes.iter().map(|note| note.total).collect::<Vec<_>>(), [870_968]);
    // A subscription that begins on the same day charges usage from the next day on.
    let second = shop.subscribe(ada, "pro").await.unwrap();
    assert_eq!(shop.invoice(second).await.state.as_str(), "paid", "the wallet pays it");
    let mut tx = shop.store().begin_read().await.unwrap();
    let id = subscription(&shop, ada).await.id;
    let days = subscriptions::days(&mut tx, id, day("2026-12-01")).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!((days[0].first_day, days[0].period_first), (day("2026-12-12"), day("2026-12-11")));
    shop.agrees().await;
}

#[tokio::test]
async fn days_whose_price_an_unpaid_upgrade_took_over_are_not_credited() {
    // Without the upgrade, 20 of 31 days at 150,000 remain.
    for (is_void, credited) in [(false, 0), (true, 96_774)] {
        let shop = Shop::open("2026-12-01").await;
        let ada = shop.subscriber("ada", "pro").await;
        shop.move_to("2026-12-11");
        let upgrade = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
        let card = shop.begin(&shop.invoice(upgrade).await, "card", 914_516).await;
        shop.report(card, "capture").await;
        shop.report(card, "chargeback").await;
        if is_void {
            shop.books.void_invoice(BY, upgrade).await.unwrap();
        }
        shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
        assert_eq!(shop.wallet_of(ada).await, credited, "is void: {is_void}");
        shop.agrees().await;
    }
}

#[tokio::test]
async fn usage_that_was_paid_is_not_credited_as_unused_days() {
    let shop = Shop::open("2026-11-01").await;
    shop.sell_at(charged(price(1_500_000, 0))).await;
    let ada = shop.subscriber("ada", "pro").await;
    Traffic::start(&shop, ada).await.count(&shop, day("2026-11-03"), 8_000).await;
    shop.move_to("2026-12-02");
    assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1);
    let invoice = shop.invoices_of(ada).await.pop().unwrap();
    assert_eq!(invoice.total, 2_300_000);
    shop.pay(invoice.id).await;
    let plan = [CreditedLine { no: 1, amount: None }];
    shop.books.credit_invoice(BY, invoice.id, NewCreditNote::new(&plan, "outage")).await.unwrap();
    shop.move_to("2026-12-03");
    shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
    assert_eq!(shop.wallet_of(ada).await, 1_500_000, "the credit note is all");
    shop.agrees().await;
}

#[tokio::test]
async fn a_credit_note_has_the_days_of_the_lines_that_it_takes_back() {
    let shop = Shop::open("2026-11-01").await;
    shop.sell_at(charged(price(1_500_000, 0))).await;
    let ada = shop.subscriber("ada", "pro").await;
    Traffic::start(&shop, ada).await.count(&shop, day("2026-11-03"), 8_000).await;
    shop.move_to("2026-12-02");
    assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1);
    let invoice = shop.invoices_of(ada).await.pop().unwrap().id;
    let lines = invoices::lines(shop.store(), invoice).await.unwrap();
    let usage = lines.iter().find(|line| line.kind.as_str() == "usage").unwrap();
    let credited = [CreditedLine { no: usage.no, amount: Some(1_000) }];
    let note = shop.books.credit_invoice(BY, invoice, NewCreditNote::new(&credited, "goodwill")).await.unwrap();
    let noted = invoices::lines(shop.store(), note).await.unwrap().pop().unwrap();
    assert_eq!((noted.first_day, noted.last_day), (usage.first_day, usage.last_day));
    assert_eq!(usage.last_day, i64::from(day("2026-11-30").0));
}

#[tokio::test]
async fn a_pending_subscription_is_cancelled_with_its_invoice() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.user("ada").await;
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    assert!(is_conflict(&shop.books.cancel(BY, ada, CancelAt::End).await));
    assert!(is_conflict(&shop.books.change(BY, ada, "business").await));
    shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
    assert_eq!((shop.invoice(invoice).await.state.as_str(), shop.wallet_of(ada).await), ("void", 0));
    shop.agrees().await;
}

#[tokio::test]
async fn lapsed_upgrades_are_read_in_pages_so_that_one_that_stays_due_hides_no_other() {
    let shop = Shop::open("2026-12-01").await;
    let mut changes = Vec::new();
    for name in ["ada", "bob"] {
        let user = shop.subscriber(name, "pro").await;
        changes.push(shop.books.change(BY, user, "business").await.unwrap().unwrap());
    }
    let line = [CreditedLine { no: 2, amount: Some(50_000) }];
    shop.books.credit_invoice(BY, changes[0], NewCreditNote::new(&line, "outage")).await.unwrap();
    shop.move_to("2026-12-03");
    let now = shop.store().clock().now();
    let mut after = Uuid::nil();
    let mut read = Vec::new();
    while let [invoice] = invoices::lapsed_changes(shop.store(), now, after, 1).await.unwrap().as_slice() {
        after = *invoice;
        read.push(*invoice);
    }
    assert_eq!(read, changes);
    shop.books.dun().await.unwrap();
    let mut states = Vec::new();
    for change in &changes {
        states.push(shop.invoice(*change).await.state.as_str());
    }
    assert_eq!(states, ["open", "void"]);
    shop.agrees().await;
}

#[tokio::test]
async fn an_unreadable_upgrade_does_not_stop_the_end_of_others() {
    let shop = Shop::open("2026-12-01").await;
    let mut changes = Vec::new();
    for name in ["ada", "bob"] {
        let user = shop.subscriber(name, "pro").await;
        changes.push(shop.books.change(BY, user, "business").await.unwrap().unwrap());
        // Ids of the same millisecond have any order.
        shop.clock.advance(Duration::from_secs(1));
    }
    execute(&shop, &include_str!("unreadable_currency.sql").replace("number = 1", "number = 2"));
    assert!(invoices::present(shop.store(), changes[0]).await.is_err());
    shop.move_to("2026-12-03");
    shop.books.dun().await.unwrap();
    assert_eq!(shop.invoice(changes[1]).await.state.as_str(), "void");
}

#[tokio::test]
async fn an_upgrade_whose_payment_is_taken_back_stays_due() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    let invoice = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
    let payment = shop.begin(&shop.invoice(invoice).await, "card", 1_350_000).await;
    shop.report(payment, "capture").await;
    assert_eq!(shop.plan_of(ada).await, "business");
    shop.report(payment, "chargeback").await;
    shop.move_to("2026-12-05");
    shop.books.dun().await.unwrap();
    assert_eq!((shop.invoice(invoice).await.state.as_str(), shop.state_of(ada).await.as_str()), ("open", "limited"));
    shop.pay(invoice).await;
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("active", "business"));
    shop.agrees().await;
}

#[tokio::test]
async fn an_upgrade_that_was_paid_once_stays_due_after_a_later_change() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    let upgrade = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
    let card = shop.begin(&shop.invoice(upgrade).await, "card", 1_350_000).await;
    shop.report(card, "capture").await;
    shop.books.change(BY, ada, "pro").await.unwrap();
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    shop.pay(shop.invoices_of(ada).await.pop().unwrap().id).await;
    assert_eq!(shop.plan_of(ada).await, "pro");
    shop.report(card, "chargeback").await;
    shop.move_to("2027-01-05");
    shop.books.dun().await.unwrap();
    assert_eq!((shop.invoice(upgrade).await.state.as_str(), shop.state_of(ada).await.as_str()), ("open", "limited"));
    assert!(is_conflict(&shop.books.cancel(BY, ada, CancelAt::Now).await));
    assert_eq!(shop.invoice(upgrade).await.remaining, 1_350_000);
    shop.pay(upgrade).await;
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("active", "pro"));
    shop.agrees().await;
}

#[tokio::test]
async fn the_rest_of_an_earlier_upgrade_is_paid_without_a_change_of_the_plan() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    shop.sell_at(price(400_000, 0)).await;
    let first = shop.books.change(BY, ada, "pro").await.unwrap().unwrap();
    let card = shop.begin(&shop.invoice(first).await, "card", 250_000).await;
    shop.report(card, "capture").await;
    let second = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
    shop.pay(second).await;
    shop.try_returned(card, "partial_chargeback", 40_000).await.unwrap();
    assert_eq!((shop.invoice(first).await.remaining, shop.state_of(ada).await.as_str()), (40_000, "limited"));
    shop.pay(first).await;
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("active", "business"));
    shop.agrees().await;
}

/// Subscribes to `pro` on the first day, sends 5 requests on the third, and moves to `business` on the day `change`.
/// Returns the totals of the invoices that are made on the dates.
async fn totals_after_change(of: PlanPrice, first: &str, change: &str, dates: &[&str]) -> Vec<i64> {
    let shop = Shop::open(first).await;
    shop.sell_at(charged(of)).await;
    let ada = shop.subscriber("ada", "pro").await;
    let third = day(first).next().next();
    Traffic::start(&shop, ada).await.count(&shop, third, 5).await;
    shop.move_to(change);
    let invoice = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
    shop.pay(invoice).await;
    let mut totals = Vec::new();
    for date in dates {
        shop.move_to(date);
        assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1, "{date}");
        totals.push(shop.invoices_of(ada).await.pop().unwrap().total);
    }
    shop.agrees().await;
    totals
}

#[tokio::test]
async fn the_usage_before_an_upgrade_is_charged_once() {
    // The last day before the upgrade leaves the days of late usage before the last day of its period does.
    let dates = ["2026-12-02", "2027-01-02", "2027-02-02", "2027-03-02", "2027-04-02", "2027-05-02"];
    let totals = totals_after_change(price(150_000, 0), "2026-11-01", "2026-11-10", &dates).await;
    assert_eq!(totals, [1_500_500, 1_500_000, 1_500_000, 1_500_000, 1_500_000, 1_500_000]);
}

#[tokio::test]
async fn the_usage_of_a_year_that_a_month_replaced_is_charged_once() {
    let year = PlanPrice { interval: BillingInterval::Year, ..price(1_200_000, 0) };
    let dates = ["2026-04-11", "2026-05-11", "2026-06-11", "2026-07-11", "2026-08-11", "2026-09-11"];
    let totals = totals_after_change(year, "2026-01-01", "2026-03-10", &dates).await;
    assert_eq!(totals, [1_500_500, 1_500_000, 1_500_000, 1_500_000, 1_500_000, 1_500_000]);
}

#[tokio::test]
async fn the_period_of_an_upgrade_that_is_paid_on_a_later_day_is_listed() {
    let shop = Shop::open("2026-01-01").await;
    shop.sell_at(PlanPrice { interval: BillingInterval::Year, ..price(1_200_000, 0) }).await;
    let ada = shop.subscriber("ada", "pro").await;
    shop.move_to("2026-03-10");
    let invoice = shop.books.change(BY, ada, "business").await.unwrap().unwrap();
    shop.clock.advance(Duration::from_hours(13));
    shop.pay(invoice).await;
    let all = PeriodFilter::default();
    let current = Some(PeriodState::Current);
    for (filter, count) in [
        (all, 2),
        (PeriodFilter { user: Some(ada), state: None }, 2),
        (PeriodFilter { user: None, state: current }, 1),
        (PeriodFilter { user: Some(ada), state: current }, 1),
    ] {
        let found = billed_periods::page(shop.store(), filter, day("2026-03-11"), Uuid::max(), 10).await.unwrap();
        let days: Vec<_> = found.iter().map(|of| (of.first_day, of.last_day, of.state)).collect();
        let year = (day("2026-01-01"), day("2026-03-09"), PeriodState::Closed);
        let month = (day("2026-03-10"), day("2026-04-09"), PeriodState::Current);
        assert_eq!(days, [month, year][..count], "{filter:?}");
    }
}
