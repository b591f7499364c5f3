//! Plans and days that cannot be billed: nothing is half-written, and other users are billed.

use access::{ChargeMetric, ChargeModel, Plan, PlanCharge, PlanPrice};
use billing::close::BillingClose;
use billing::rules::exchange::{ExchangeRate, ExchangeRates};
use billing::{BillingError, BillingSettings, Books};
use jobs::Job;
use ledger::billing::subscriptions;
use store::Actor;

use crate::shop::{Shop, day, price, settings};
use crate::traffic::{Traffic, fast};

const BY: &Actor = &Actor::COMMAND;

#[tokio::test]
async fn a_day_without_a_rate_delays_its_period_and_no_other() {
    let mut shop = Shop::open("2026-11-01").await;
    let name = "Cost".to_owned();
    let model = ChargeModel::Cost { markup_ppm: 0 };
    let cost = PlanCharge { name, metric: ChargeMetric::Cost, models: Vec::new(), included: 0, model };
    shop.sell_at(PlanPrice { charges: vec![cost], ..price(150_000, 0) }).await;
    let ada = shop.subscriber("ada", "pro").await;
    let bob = shop.subscriber("bob", "pro").await;
    // One dollar.
    Traffic::start(&shop, ada).await.send(&shop, day("2026-11-02"), &[fast(1_000)]).await;
    shop.move_to("2026-12-01");
    for made in [1, 0] {
        let counts = shop.books.close_periods(None).await.unwrap();
        assert_eq!((counts.made, counts.failed), (made, 1), "{counts:?}");
        let [failure] = counts.failures.try_into().unwrap();
        let subscription = subscriptions::present(shop.store(), ada).await.unwrap().unwrap();
        assert_eq!(failure.subscription, subscription.id);
        assert!(failure.cause.contains("2026-11-02"), "{failure:?}");
        assert_eq!((shop.invoices_of(ada).await.len(), shop.invoices_of(bob).await.len()), (1, 2));
        shop.agrees().await;
    }
    let failed = BillingClose::new(shop.books.clone()).run().await.unwrap_err();
    assert!(failed.to_string().starts_with("1 billing periods could not be closed"), "{failed}");
    let from = day("2026-11-01");
    let exchange = ExchangeRates::new(vec![ExchangeRate { from, micro_idr: 16_000_000_000 }]);
    shop.books = Books::new(shop.store().clone(), BillingSettings { exchange, ..settings() }, None);
    BillingClose::new(shop.books.clone()).run().await.unwrap();
    let billed = shop.invoices_of(ada).await.into_iter().find(|invoice| invoice.state.as_str() == "open").unwrap();
    assert_eq!((billed.first_day, billed.total), (day("2026-12-01"), 166_000));
    shop.agrees().await;
}

#[tokio::test]
async fn a_plan_without_a_price_is_not_for_sale() {
    let shop = Shop::open("2026-11-01").await;
    let ada = shop.user("ada").await;
    shop.store().ensure_plans(&[Plan::unlimited("plain")]).await.unwrap();
    for plan in ["plain", "absent", ""] {
        let refused = shop.books.subscribe(BY, ada, plan).await;
        assert!(matches!(refused, Err(BillingError::NotForSale { .. })), "{plan}: {refused:?}");
    }
    assert_eq!(shop.invoices_of(ada).await.len(), 0);
    shop.subscribe(ada, "free").await;
    let refused = shop.books.change(BY, ada, "plain").await;
    assert!(matches!(refused, Err(BillingError::NotForSale { .. })), "{refused:?}");
    assert_eq!(shop.plan_of(ada).await, "free");
}
