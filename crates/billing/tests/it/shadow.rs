//! Shadow billing: the usage of past months at present prices and at the price of a draft.

use access::{BillingInterval, ChargeMetric, ChargeModel, Currency, Money, PlanCharge, PlanPrice, UnitPrice};
use billing::BillingError;
use billing::books::{ShadowBills, ShadowDraft};
use uuid::Uuid;

use crate::shop::{Shop, day, price};
use crate::traffic::{Traffic, Used};

const REQUEST: Used<'_> = Used { model: None, tokens: 0, cost_nano: None, attempts: 1, own_credential: false };

/// A price with packages of four requests, of which the first ten are included.
fn with_packages(rupiah: i64) -> PlanPrice {
    let unit = UnitPrice::parse("250 IDR").unwrap();
    let charge = PlanCharge {
        name: "Requests".to_owned(),
        metric: ChargeMetric::Requests,
        models: Vec::new(),
        included: 10,
        model: ChargeModel::Package { size: 4, unit },
    };
    PlanPrice { charges: vec![charge], ..price(rupiah, 0) }
}

async fn shadow(shop: &Shop, price: &PlanPrice, after: Uuid, limit: u32) -> Result<ShadowBills, BillingError> {
    shop.books.shadow(&ShadowDraft { price, months: 2, after, limit }).await
}

#[tokio::test]
async fn past_usage_is_charged_by_month_at_both_prices() {
    let shop = Shop::open("2026-10-05").await;
    shop.sell_at(with_packages(150_000)).await;
    let ada = shop.subscriber("ada", "pro").await;
    let mut traffic = Traffic::start(&shop, ada).await;
    // 15 requests are two packages beyond the included ones, in October only; September and December are not compared.
    for (on, requests) in [("2026-09-30", 100), ("2026-10-06", 9), ("2026-10-31", 6), ("2026-11-01", 10)] {
        traffic.send(&shop, day(on), &vec![REQUEST; requests]).await;
    }
    shop.move_to("2026-12-03");
    traffic.send(&shop, day("2026-12-01"), &[REQUEST; 50]).await;
    // A subscriber without usage, and a user without anything.
    let eve = shop.subscriber("eve", "business").await;
    shop.user("bob").await;
    let draft = PlanPrice { charges: with_packages(0).charges, ..price(100_000, 0) };
    let found = shadow(&shop, &draft, Uuid::nil(), 10).await.unwrap();
    assert_eq!((found.days.first_day, found.days.last_day), (day("2026-10-01"), day("2026-11-30")));
    assert_eq!(found.currency, Currency::Idr);
    let amounts: Vec<_> = found.users.iter().map(|of| (of.user, of.now, of.then)).collect();
    assert_eq!(amounts, [(ada, 300_500, 200_500), (eve, 3_000_000, 200_000)]);

    // A page begins after a user, and a yearly price counts by a twelfth.
    let yearly = PlanPrice { interval: BillingInterval::Year, ..price(1_200_000, 0) };
    let first = shadow(&shop, &yearly, Uuid::nil(), 1).await.unwrap();
    assert_eq!(first.users.iter().map(|of| (of.user, of.then)).collect::<Vec<_>>(), [(ada, 200_000)]);
    let second = shadow(&shop, &yearly, ada.0, 1).await.unwrap();
    assert_eq!(second.users.iter().map(|of| of.user).collect::<Vec<_>>(), [eve]);
    assert_eq!(shadow(&shop, &yearly, eve.0, 1).await.unwrap().users, []);
}

#[tokio::test]
async fn usage_without_an_amount_and_another_currency_are_refused() {
    let shop = Shop::open("2026-10-05").await;
    let ada = shop.subscriber("ada", "pro").await;
    let mut traffic = Traffic::start(&shop, ada).await;
    traffic
        .send(&shop, day("2026-10-06"), &[Used { model: Some("fast"), tokens: 1, cost_nano: Some(7), ..REQUEST }])
        .await;
    shop.move_to("2026-11-03");
    let cost = PlanCharge {
        name: "Cost".to_owned(),
        metric: ChargeMetric::Cost,
        models: Vec::new(),
        included: 0,
        model: ChargeModel::Cost { markup_ppm: 0 },
    };
    // No exchange rate is configured.
    let refused = shadow(&shop, &PlanPrice { charges: vec![cost], ..price(1, 0) }, Uuid::nil(), 10).await;
    assert!(matches!(refused, Err(BillingError::Rating(_))), "{refused:?}");
    let dollars = PlanPrice { price: Money { amount: 1, currency: Currency::Usd }, ..price(1, 0) };
    let refused = shadow(&shop, &dollars, Uuid::nil(), 10).await;
    assert!(matches!(refused, Err(BillingError::Change(_))), "{refused:?}");
    let vast = shadow(&shop, &price(i64::MAX, 0), Uuid::nil(), 10).await;
    assert!(matches!(vast, Err(BillingError::Overflow(_))), "{vast:?}");
}
