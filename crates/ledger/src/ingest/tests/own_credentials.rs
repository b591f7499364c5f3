//! Costs of calls with the user's own credential.

use super::*;
use crate::Ledger;
use crate::reconcile::Days;

#[tokio::test]
async fn costs_of_own_credentials_are_a_part_of_each_total_and_not_of_what_a_plan_is_charged() {
    for place in Place::both().await {
        let store = place.open().await;
        let node = place.join(&store).await;
        let own = Attempt { own_credential: true, cost: Some(NanoUsd(7)), ..attempt() };
        let unknown = Attempt { cost: None, usage: None, unknown: Some(UnknownCost::NoUsage), ..own.clone() };
        let charge = Charge { pooled_money: NanoUsd(30), ..event().charge };
        let events = [vec![own.clone()], vec![own, attempt()], vec![unknown], vec![attempt()]];
        for (nth, attempts) in (1_u128..).zip(events) {
            let id = RequestId(uuid::Uuid::from_u128(event().id.0.as_u128() + nth));
            let charge = if attempts.iter().any(|attempt| attempt.own_credential) { charge } else { event().charge };
            ingest(&node, vec![UsageEvent { id, charge, attempts, ..event() }], Vec::new()).await;
        }
        let column = |rows: &[BTreeMap<String, String>], name: &str| -> Vec<String> {
            let mut values: Vec<String> = rows.iter().map(|row| row[name].clone()).collect();
            values.sort();
            values
        };
        let events = table(&store, "usage_events").await;
        assert_eq!(column(&events, "own_cost_nano"), ["-", "0", "7", "7"]);
        assert_eq!(column(&events, "cost_nano"), ["-", "46", "53", "7"]);
        assert_eq!(column(&events, "own_charged_nano"), ["-", "7", "7", "7"]);
        assert_eq!(column(&table(&store, "usage_attempts").await, "own_cost_nano"), ["-", "7"]);
        for total in ["daily_usage", "daily_models"] {
            let rows = table(&store, total).await;
            assert_eq!(
                (column(&rows, "cost_nano"), column(&rows, "own_cost_nano")),
                (vec!["106".into()], vec!["14".into()])
            );
        }
        let plans = table(&store, "daily_plans").await;
        assert_eq!((plans[0]["charged_nano"].as_str(), plans[0]["own_charged_nano"].as_str()), ("148", "21"));
        let period = Period::containing(LimitPeriod::Day, Day(34));
        let scopes = [BudgetScope::Plan(PlanId::NIL), BudgetScope::Global, BudgetScope::User(UserNo(31))];
        let cells = scopes.map(|scope| CounterId {
            budget: BudgetId { scope, measure: access::Measure::Money, per: LimitPeriod::Day },
            period,
        });
        let mut snapshot = store.begin_read().await.unwrap();
        let by_node = store::limits::charges::by_node::in_store(&mut snapshot, &cells).await.unwrap();
        snapshot.rollback().await.unwrap();
        for (cell, expected) in cells.into_iter().zip([127, 127, 148].map(Amount)) {
            let charged = store.charge_of(cell.budget.scope, period).await.unwrap();
            assert_eq!((charged.counted_by(cell.budget), by_node.all(cell)), (expected, expected), "{cell:?}");
        }
        let days = Days { first: Day(34), last: Day(34) };
        assert_eq!(Ledger::new(store.clone()).reconcile(days).await.unwrap().differences, []);
    }
}
