//! The windows of quotas that begin with a subscription: they keep their identity over payments, renewals and upgrades.

use std::time::Duration;

use access::{Minute, SubscriptionDates, UserId};
use store::Actor;

use crate::shop::{Shop, day};

async fn dates(shop: &Shop, user: UserId) -> SubscriptionDates {
    shop.store().subscription_dates(&[user]).await.unwrap()[&user]
}

async fn period(shop: &Shop, user: UserId) -> String {
    dates(shop, user).await.period.to_string()
}

/// Returns the first minute of an hour of a day.
fn hour(on: &str, hours: u64) -> Minute {
    Minute::containing(day(on).start().after(Duration::from_hours(hours)))
}

#[tokio::test]
async fn windows_begin_with_the_hour_of_the_first_payment_and_stay_over_renewals_and_upgrades() {
    let shop = Shop::open("2026-11-30").await;
    let ada = shop.user("ada").await;
    assert_eq!(dates(&shop, ada).await.since, hour("2026-11-30", 12), "without a subscription, the hour of the user");
    assert_eq!(period(&shop, ada).await, "period/30");
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    shop.clock.advance(Duration::from_mins(150));
    shop.pay(invoice).await;
    assert_eq!(dates(&shop, ada).await.since, hour("2026-11-30", 14));
    assert_eq!(period(&shop, ada).await, "period/30", "one budget from November 30 to December 29");

    shop.move_to("2026-12-10");
    let upgrade = shop.books.change(&Actor::COMMAND, ada, "business").await.unwrap().unwrap();
    shop.pay(upgrade).await;
    assert_eq!(shop.plan_of(ada).await, "business");
    assert_eq!(period(&shop, ada).await, "period/30", "an upgrade keeps the budget");
    shop.move_to("2026-12-30");
    assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1);
    assert_eq!(period(&shop, ada).await, "period/30", "a renewal opens the next window of the same budget");
    assert_eq!(dates(&shop, ada).await.since, hour("2026-11-30", 14), "the first payment counts");
}

#[tokio::test]
async fn a_trial_is_a_period_of_its_own_and_a_year_is_one_period() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.user("ada").await;
    shop.subscribe(ada, "trial").await;
    assert_eq!(period(&shop, ada).await, "period/4/2026-11-20..2026-12-03");
    shop.move_to("2026-12-04");
    shop.books.close_periods(None).await.unwrap();
    assert_eq!(period(&shop, ada).await, "period/4/2026-11-20..2026-12-03", "the paid periods follow the trial");
    let bob = shop.subscriber("bob", "annual").await;
    assert_eq!(period(&shop, bob).await, "period/12-04");
}
