//! Periods that end while their user is suspended.

use access::{Day, UserId, UserStatus};
use billing::close::CloseCounts;
use ledger::billing::{StoredSubscription, subscriptions};
use store::{Actor, UserChange, UserRef};

use crate::shop::{Shop, charged, day, price};
use crate::traffic::Traffic;

async fn set(shop: &Shop, user: UserId, status: UserStatus) {
    let change = UserChange { status: Some(status), ..UserChange::default() };
    shop.store().change_user(&Actor::COMMAND, &UserRef::Id(user), change).await.unwrap();
}

async fn subscription(shop: &Shop, user: UserId) -> StoredSubscription {
    subscriptions::present(shop.store(), user).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_period_after_a_suspension_begins_on_the_day_on_which_it_ended() {
    let shop = Shop::open("2026-11-01").await;
    shop.sell_at(charged(price(150_000, 0))).await;
    let ada = shop.subscriber("ada", "pro").await;
    let bob = shop.subscriber("bob", "pro").await;
    let mut traffic = Traffic::start(&shop, ada).await;
    traffic.count(&shop, day("2026-11-03"), 5).await;
    shop.move_to("2026-11-15");
    set(&shop, ada, UserStatus::Suspended).await;
    for date in ["2026-12-02", "2027-01-02", "2027-02-02", "2027-03-02"] {
        shop.move_to(date);
        assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1, "{date}");
    }
    shop.move_to("2027-03-10");
    set(&shop, ada, UserStatus::Active).await;
    // The job runs later.
    shop.move_to("2027-03-12");
    let counts = shop.books.close_periods(None).await.unwrap();
    assert_eq!(counts, CloseCounts { made: 2, closed: 1, ..CloseCounts::default() });
    assert_eq!(shop.books.close_periods(None).await.unwrap(), CloseCounts::default());
    let [_, usage, begun] = shop.invoices_of(ada).await.try_into().unwrap();
    assert_eq!((usage.first_day, usage.last_day, usage.total), (day("2026-12-01"), day("2026-12-01"), 500));
    assert_eq!((begun.first_day, begun.last_day, begun.total), (day("2027-03-10"), day("2027-04-09"), 150_000));
    let moved = subscription(&shop, ada).await;
    assert_eq!((moved.first_day, moved.last_day, moved.anchor_day), (day("2027-03-10"), day("2027-04-09"), 10));
    // The next close charges nothing of the time before again.
    shop.move_to("2027-04-10");
    assert_eq!(shop.books.close_periods(None).await.unwrap().made, 2);
    let next = shop.invoices_of(ada).await.pop().unwrap();
    assert_eq!((next.first_day, next.last_day, next.total), (day("2027-04-10"), day("2027-05-09"), 150_000));
    assert_eq!(shop.invoices_of(bob).await.len(), 6, "each month is charged");
    shop.agrees().await;
}

#[tokio::test]
async fn a_suspension_within_a_period_or_after_its_end_changes_no_period() {
    let shop = Shop::open("2026-11-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    let bob = shop.subscriber("bob", "pro").await;
    shop.move_to("2026-11-10");
    set(&shop, ada, UserStatus::Suspended).await;
    shop.move_to("2026-11-20");
    set(&shop, ada, UserStatus::Active).await;
    // The close was late: the user was active when the period ended.
    shop.move_to("2026-12-02");
    set(&shop, bob, UserStatus::Suspended).await;
    shop.move_to("2026-12-20");
    set(&shop, bob, UserStatus::Active).await;
    assert_eq!(shop.books.close_periods(None).await.unwrap().made, 2);
    for user in [ada, bob] {
        let moved = subscription(&shop, user).await;
        assert_eq!((moved.first_day, moved.last_day), (day("2026-12-01"), day("2026-12-31")));
    }
    shop.agrees().await;
}

#[tokio::test]
async fn the_period_after_a_payment_of_a_suspended_user_begins_with_the_end_of_the_suspension() {
    // The suspension begins before the end of the last period, or later. It ends on the day of the payment, or later.
    for (suspended, active, first_day, next_day) in [
        ("2026-12-20", "2027-02-09", "2027-02-09", "2027-03-09"),
        ("2027-01-18", "2027-02-09", "2027-02-09", "2027-03-09"),
        ("2027-01-18", "2027-01-20", "2027-01-21", "2027-02-21"),
        ("2027-01-18", "2027-01-21", "2027-01-21", "2027-02-21"),
    ] {
        let shop = Shop::open("2026-11-01").await;
        shop.sell_at(charged(price(150_000, 0))).await;
        let ada = shop.subscriber("ada", "pro").await;
        shop.move_to("2026-12-01");
        shop.books.close_periods(None).await.unwrap();
        let mut traffic = Traffic::start(&shop, ada).await;
        traffic.count(&shop, day("2026-12-03"), 5).await;
        for date in ["2026-12-09", "2026-12-17", "2026-12-20", "2027-01-16", "2027-01-18"] {
            shop.move_to(date);
            shop.books.dun().await.unwrap();
            if date == suspended {
                set(&shop, ada, UserStatus::Suspended).await;
            }
        }
        assert_eq!(shop.state_of(ada).await, "closed");
        shop.move_to("2027-01-20");
        shop.pay(shop.invoices_of(ada).await.pop().unwrap().id).await;
        assert_eq!((shop.state_of(ada).await.as_str(), shop.invoices_of(ada).await.len()), ("active", 2));
        if active != "2027-01-20" {
            shop.move_to(active);
            assert_eq!(shop.books.close_periods(None).await.unwrap(), CloseCounts::default());
        }
        set(&shop, ada, UserStatus::Active).await;
        let mut charged = 150_500;
        if active == "2027-01-20" {
            // The rest of the day of the payment belongs to no other period.
            traffic.count(&shop, day(active), 3).await;
            charged += 300;
        }
        shop.move_to(&day(active).next().to_string());
        shop.books.close_periods(None).await.unwrap();
        let made = shop.invoices_of(ada).await.split_off(2);
        // One invoice has both, unless days between them are not charged.
        assert_eq!(made.iter().map(|invoice| invoice.total).sum::<i64>(), charged, "{suspended} {active}");
        let begun = made.iter().max_by_key(|invoice| invoice.first_day).unwrap();
        let last_day = Day(day(next_day).0 - 1);
        assert_eq!((begun.first_day, begun.last_day), (day(first_day), last_day), "{suspended} {active}");
        // The next close charges nothing of the time before again.
        shop.move_to(next_day);
        assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1);
        let next = shop.invoices_of(ada).await.pop().unwrap();
        assert_eq!((next.first_day, next.total), (day(next_day), 150_000), "{suspended} {active}");
        shop.agrees().await;
    }
}

#[tokio::test]
async fn a_period_that_is_not_charged_ends_while_its_user_is_suspended() {
    let shop = Shop::open("2026-01-01").await;
    let ada = shop.subscriber("ada", "annual").await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    for date in ["2027-01-10", "2027-01-18", "2027-02-17"] {
        shop.move_to(date);
        shop.books.dun().await.unwrap();
    }
    set(&shop, ada, UserStatus::Suspended).await;
    let year = shop.invoices_of(ada).await.pop().unwrap();
    shop.books.void_invoice(&Actor::COMMAND, year.id).await.unwrap();
    assert_eq!((shop.state_of(ada).await.as_str(), shop.invoices_of(ada).await.len()), ("active", 2));
    shop.move_to("2027-03-10");
    set(&shop, ada, UserStatus::Active).await;
    assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1);
    let begun = shop.invoices_of(ada).await.pop().unwrap();
    assert_eq!((begun.first_day, begun.last_day), (day("2027-03-10"), day("2028-03-09")));
    shop.agrees().await;
}

#[tokio::test]
async fn the_first_period_after_a_trial_waits_for_the_end_of_a_suspension() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.user("ada").await;
    shop.subscribe(ada, "trial").await;
    set(&shop, ada, UserStatus::Suspended).await;
    shop.move_to("2026-12-24");
    set(&shop, ada, UserStatus::Active).await;
    assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1);
    let invoice = shop.invoices_of(ada).await.remove(0);
    assert_eq!((invoice.first_day, invoice.last_day), (day("2026-12-24"), day("2027-01-23")));
    assert_eq!(shop.state_of(ada).await, "active");
    shop.agrees().await;
}
