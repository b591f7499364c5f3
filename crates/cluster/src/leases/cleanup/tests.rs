use access::{Amount, Credits, NanoUsd, Tokens, UserNo};
use meter::Period;
use meter::budgets::budget::{BudgetId, BudgetScope, LimitPeriod};
use meter::lease::{CounterId, LeaseRequest, NodeId, Tick};
use uuid::Uuid;

use super::*;
use crate::fixture::Place;
use crate::lease_server::tests::lend;

const TTL: Duration = Duration::from_secs(2);
const JOINS: &str =
    "INSERT INTO nodes (id, version, incarnation, seen_at, created_at, updated_at) VALUES ($1, '1', 1, 1, 1, 1)";

fn ask(cell: CounterId, need: u64) -> LeaseRequest {
    let need = Amount(need);
    LeaseRequest {
        counter: cell,
        term: 0,
        seq: 1,
        ceiling: Amount::ZERO,
        used: Amount::ZERO,
        spent: Amount::ZERO,
        want: need,
        need,
        need_fitting: need,
        queued: need,
        answered_recall: 0,
        limit: Amount(10_000),
    }
}

#[tokio::test]
async fn what_silent_nodes_hold_is_summed_by_measure_and_what_living_ones_hold_is_not() {
    for place in Place::both().await {
        let store = place.open().await;
        let mut transaction = store.begin().await.unwrap();
        let now = lease_server::now(&store, &mut transaction).await.unwrap();
        transaction.rollback().await.unwrap();
        let cell = |scope, measure| {
            let per = LimitPeriod::Day;
            CounterId { budget: BudgetId { scope, measure, per }, period: Period::containing(per, now.day()) }
        };
        let user = BudgetScope::User(UserNo(1));
        let other = BudgetScope::User(UserNo(2));
        let requests = vec![
            ask(cell(user, Measure::Credits), 30),
            ask(cell(user, Measure::Money), 500),
            ask(cell(other, Measure::Money), 70),
        ];
        let living = vec![ask(cell(user, Measure::Tokens), 9)];
        for (node, requests, at) in [(1, requests, now.before(10 * TTL)), (2, living, now)] {
            let mut transaction = store.begin().await.unwrap();
            transaction.query(JOINS).bind(Uuid::from_u128(node)).run().await.unwrap();
            transaction.commit().await.unwrap();
            let tick = Tick { node: NodeId(node), incarnation: 1, requests, closes: Vec::new() };
            lend(&store, &tick, TTL, Some(at)).await.unwrap();
        }
        let unusable = Cluster::new(store.clone()).unreturned_leases(TTL).await.unwrap();
        assert_eq!(
            unusable,
            UnreturnedLeases {
                leases: 3,
                left: Charge { credits: Credits(30), tokens: Tokens(0), ..Charge::money(NanoUsd(570)) }
            }
        );
        let stats = super::super::LeaseStats::default();
        stats.note(&unusable);
        let left = stats.unusable_left.each_ref().map(|left| left.load(std::sync::atomic::Ordering::Relaxed));
        assert_eq!(left, [30, 0, 570]);
    }
}

#[tokio::test]
async fn what_is_over_for_long_goes_some_at_a_time_and_no_book_before_its_leases() {
    const MORE: i64 = 20;
    for place in Place::both().await {
        let store = place.open().await;
        let mut transaction = store.begin().await.unwrap();
        let now = lease_server::now(&store, &mut transaction).await.unwrap();
        transaction.query(JOINS).bind(Uuid::from_u128(1)).run().await.unwrap();
        transaction.commit().await.unwrap();
        let old = now.before(KEPT + Duration::from_hours(48));
        let book = |user| {
            let budget =
                BudgetId { scope: BudgetScope::User(UserNo(user)), measure: Measure::Credits, per: LimitPeriod::Day };
            CounterId { budget, period: Period::containing(LimitPeriod::Day, old.day()) }
        };
        for users in (0..AT_ONCE + MORE).collect::<Vec<_>>().chunks(200) {
            let requests = users.iter().map(|user| ask(book(*user), 1)).collect();
            let tick = Tick { node: NodeId(1), incarnation: 1, requests, closes: Vec::new() };
            lend(&store, &tick, TTL, Some(old)).await.unwrap();
        }
        let kept = async || {
            let mut transaction = store.begin_read().await.unwrap();
            let count = "SELECT (SELECT count(*) FROM lease_books), (SELECT count(*) FROM leases)";
            transaction.query(count).one::<(i64, i64)>().await.unwrap()
        };
        assert_eq!(kept().await, (AT_ONCE + MORE, AT_ONCE + MORE));
        for left in [MORE, 0] {
            LeaseCleanup::new(Cluster::new(store.clone())).run().await.unwrap();
            assert_eq!(kept().await, (left, left));
        }
    }
}
