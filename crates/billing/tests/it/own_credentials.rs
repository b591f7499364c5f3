//! Calls with the user's own credential: the provider has billed them, so charges on `cost` leave them out.

use access::{BillingInterval, ChargeMetric, ChargeModel, Money, PlanCharge, PlanPrice, UnitPrice};
use billing::rules::exchange::{ExchangeRate, ExchangeRates};
use billing::{BillingSettings, Books};
use ledger::billing::invoices;

use crate::receipts;
use crate::shop::{Shop, day, settings};
use crate::traffic::{Traffic, Used, fast};

fn price() -> PlanPrice {
    let charge = |name: &str, metric, model| PlanCharge {
        name: name.to_owned(),
        metric,
        models: vec!["fast".to_owned()],
        included: 0,
        model,
    };
    let unit = UnitPrice::parse("1 IDR").unwrap();
    let cost = charge("Cost", ChargeMetric::Cost, ChargeModel::Cost { markup_ppm: 200_000 });
    PlanPrice {
        price: Money::rupiah(150_000),
        interval: BillingInterval::Month,
        trial_days: 0,
        charges: vec![
            PlanCharge { name: "Cost of all".to_owned(), models: Vec::new(), ..cost.clone() },
            cost,
            charge("Tokens", ChargeMetric::Tokens, ChargeModel::PerUnit { unit }),
        ],
    }
}

#[tokio::test]
async fn charges_on_cost_leave_out_calls_with_the_users_own_credential() {
    let mut shop = Shop::open("2026-12-01").await;
    let exchange = ExchangeRates::new(vec![ExchangeRate { from: day("2026-11-01"), micro_idr: 16_500_000_000 }]);
    shop.books = Books::new(shop.store().clone(), BillingSettings { exchange, ..settings() }, None);
    shop.sell_at(price()).await;
    let ada = shop.subscriber("ada", "pro").await;
    let mut traffic = Traffic::start(&shop, ada).await;
    let own = |tokens| Used { own_credential: true, ..fast(tokens) };
    let first = [fast(1_000), own(100_000), Used { attempts: 2, ..own(7_000) }];
    traffic.send(&shop, day("2026-12-02"), &first).await;
    traffic.send(&shop, day("2026-12-03"), &[own(1)]).await;
    let unpriced = |of| Used { cost_nano: None, ..of };
    let second = [unpriced(own(10)), unpriced(Used { attempts: 2, ..own(20) }), unpriced(fast(30))];
    traffic.send(&shop, day("2026-12-04"), &second).await;
    shop.move_to("2027-01-02");
    shop.books.close_periods(None).await.unwrap();
    let invoice = shop.invoices_of(ada).await.pop().unwrap();
    let lines = invoices::lines(shop.store(), invoice.id).await.unwrap();
    let line = |name: &str| {
        let line = lines.iter().find(|line| line.text == name).unwrap();
        (line.quantity, line.amount)
    };
    // 1 USD at 16,500 rupiah, with a markup of 20%.
    assert_eq!(line("Cost of all"), (1_000_000_000, 19_800));
    assert_eq!(line("Cost"), (1_000_000_000, 19_800));
    assert_eq!(line("Tokens").0, 3 * 115_081 + 9, "tokens are the gateway's");
    assert_eq!(line("Requests without a known cost"), (1, 0));
    assert_eq!(receipts::check(&receipts::files(&shop.books, invoice.id).await), Ok(7));
}
