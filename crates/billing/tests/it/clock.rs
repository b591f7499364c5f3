//! A clock that jumps a month forward and back: no invoice is made twice, no number is lost, and usage is billed once.

use std::time::Duration;

use access::{ChargeMetric, ChargeModel, Day, PlanCharge, PlanPrice, UnitPrice, UserId};
use billing::close::CloseCounts;
use ledger::billing::invoices;

use crate::shop::{Shop, day, price};
use crate::traffic::{Traffic, execute};

/// A plan whose requests cost 1 rupiah each.
pub(crate) fn charged() -> PlanPrice {
    let unit = UnitPrice::parse("1 IDR").unwrap();
    let name = "Requests".to_owned();
    let models = Vec::new();
    let model = ChargeModel::PerUnit { unit };
    let charge = PlanCharge { name, metric: ChargeMetric::Requests, models, included: 0, model };
    PlanPrice { charges: vec![charge], ..price(150_000, 0) }
}

/// Sets the clock to noon of a day, forward or back.
fn jump(shop: &Shop, text: &str) {
    shop.clock.jump(day(text).start().after(Duration::from_hours(12)));
}

/// Closes periods and duns on three nodes at once, as their jobs do. Returns the number of invoices.
async fn close(shop: &Shop) -> usize {
    let [one, two, three] = [shop.books.clone(), shop.books.clone(), shop.books.clone()];
    let closing = async { tokio::join!(one.close_periods(None), two.close_periods(None), three.close_periods(None)) };
    let counts = Box::pin(closing).await;
    let counts = [counts.0, counts.1, counts.2].map(Result::unwrap);
    assert!(counts.iter().all(|counts| counts.failed == 0 && counts.waiting == 0), "{counts:?}");
    shop.books.dun().await.unwrap();
    shop.agrees().await;
    counts.iter().map(|counts| counts.made).sum()
}

/// Returns the first day, the lines and the amounts of each invoice of a user.
async fn lines_of(shop: &Shop, user: UserId) -> Vec<(String, Vec<(String, i64)>)> {
    let mut found = Vec::new();
    for invoice in shop.invoices_of(user).await {
        let lines = invoices::lines(shop.store(), invoice.id).await.unwrap();
        let lines = lines.into_iter().map(|line| (line.kind.as_str().to_owned(), line.amount)).collect();
        found.push((invoice.first_day.to_string(), lines));
    }
    found.sort();
    found
}

fn lines(first_day: &str, of: &[(&str, i64)]) -> (String, Vec<(String, i64)>) {
    (first_day.to_owned(), of.iter().map(|(kind, amount)| ((*kind).to_owned(), *amount)).collect())
}

#[tokio::test]
async fn a_clock_that_jumps_a_month_and_back_makes_no_second_invoice_and_loses_no_number() {
    let shop = Shop::open("2026-11-20").await;
    shop.sell_at(charged()).await;
    let ada = shop.subscriber("ada", "pro").await;
    let bob = shop.subscriber("bob", "pro").await;
    let mut traffic = Traffic::start(&shop, ada).await;
    let mut use_on = async |on: &str, requests: u64| traffic.count(&shop, day(on), requests).await;
    use_on("2026-11-21", 10).await;
    // The clock jumps for a minute, twice: the first jump closes the periods before they have ended.
    for made in [2, 0] {
        jump(&shop, "2026-12-21");
        assert_eq!(close(&shop).await, made);
        jump(&shop, "2026-11-22");
        assert_eq!(close(&shop).await, 0);
    }
    // Afterwards, a user subscribes, and requests belong to the period that is closed.
    let eve = shop.subscriber("eve", "pro").await;
    use_on("2026-11-25", 7).await;
    let on_demand = shop.books.close_periods(Some(Day(u32::MAX))).await.unwrap();
    assert_eq!(on_demand, CloseCounts::default());
    // The days of the jump arrive in their turn.
    shop.move_to("2026-12-23");
    assert_eq!(close(&shop).await, 1, "the period of eve alone has ended");
    shop.move_to("2027-01-23");
    assert_eq!(close(&shop).await, 3);
    assert_eq!(close(&shop).await, 0);

    let plan = ("plan", 150_000);
    let expected = [
        lines("2026-11-20", &[plan]),
        lines("2026-12-20", &[plan, ("usage", 10)]),
        lines("2027-01-20", &[plan, ("late", 7)]),
    ];
    assert_eq!(lines_of(&shop, ada).await, expected);
    let plan_days = async |user| lines_of(&shop, user).await.into_iter().map(|(first, _)| first).collect::<Vec<_>>();
    assert_eq!(plan_days(bob).await, ["2026-11-20", "2026-12-20", "2027-01-20"]);
    assert_eq!(plan_days(eve).await, ["2026-11-22", "2026-12-22", "2027-01-22"]);
    let mut numbers = Vec::new();
    for user in [ada, bob, eve] {
        numbers.extend(shop.invoices_of(user).await.into_iter().filter_map(|invoice| invoice.number));
    }
    numbers.sort();
    let expected = (1..=6).map(|nth| format!("INV-2026-{nth:06}"));
    let expected: Vec<String> = expected.chain((1..=3).map(|nth| format!("INV-2027-{nth:06}"))).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn a_node_whose_clock_jumped_closes_no_period_before_the_other_nodes_stored_its_usage() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.subscriber("ada", "pro").await;
    let _node = Traffic::start(&shop, ada).await;
    let stored_until =
        |on: &str| include_str!("stored_until.sql").replace("= MICROS", &format!("= {}", day(on).start().0));
    execute(&shop, &stored_until("2026-11-20"));
    jump(&shop, "2026-12-21");
    let waits = shop.books.close_periods(None).await.unwrap();
    assert_eq!((waits.made, waits.closed, waits.waiting), (0, 0, 1), "{waits:?}");
    jump(&shop, "2026-11-21");
    assert_eq!(shop.books.close_periods(None).await.unwrap(), CloseCounts::default());
    jump(&shop, "2026-12-21");
    execute(&shop, &stored_until("2026-12-20"));
    assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1);
}
