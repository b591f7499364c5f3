//! The audit of budget accounts and leases: valid and invalid ones, written directly to the store.

use access::{Amount, BudgetId, BudgetScope, LimitPeriod, Measure};
use ledger::{Days, Difference, DifferencePlace, Ledger, UnleasedUsage};
use meter::lease::{LeaseClose, LeaseRequest};
use spool::Record;

use super::*;
use crate::OpenLease;
use crate::fixture::Place as Database;
use crate::usage_fixture::{IngestNode, TODAY, UsageFixture, attempt, caller, id_text, number, people};

const DAYS: Days = Days { first: Day(TODAY.0 - 3), last: TODAY };
fn cell() -> CounterId {
    let scope = BudgetScope::Key(KeyNo(1));
    CounterId {
        budget: BudgetId { scope, measure: Measure::Credits, per: LimitPeriod::Day },
        period: Period::containing(LimitPeriod::Day, TODAY),
    }
}

fn ask(node: &Node, seq: u64, used: u64, spent: u64) -> Tick {
    let ask = LeaseRequest {
        counter: cell(),
        term: 0,
        seq,
        ceiling: Amount(used),
        used: Amount(used),
        spent: Amount(spent),
        want: Amount(40),
        need: Amount(40),
        need_fitting: Amount(40),
        queued: Amount(40),
        answered_recall: 0,
        limit: Amount(100),
    };
    Tick { node: node.lessee(), incarnation: node.incarnation(), requests: vec![ask], closes: Vec::new() }
}

fn close(node: &Node, spent: u64) -> Tick {
    let close = LeaseClose { counter: cell(), incarnation: node.incarnation(), spent: Amount(spent) };
    Tick { node: node.lessee(), incarnation: node.incarnation(), requests: Vec::new(), closes: vec![close] }
}

async fn differences(store: &Store) -> Vec<Difference> {
    Ledger::new(store.clone()).reconcile(DAYS).await.unwrap().differences
}

/// Creates two nodes with leases of 40 of 100 credits each.
async fn lent(database: &Database, store: &Store) -> [IngestNode; 2] {
    let folder = database.folder.path();
    people(store).await;
    let nodes = [IngestNode::join(store, &folder.join("a")).await, IngestNode::join(store, &folder.join("b")).await];
    for node in &nodes {
        lend(store, &ask(&node.node, 1, 0, 0), TTL, Some(now())).await.unwrap();
    }
    nodes
}

/// Writes four events of three credits each.
async fn charge_twelve(through: &mut IngestNode) {
    let mut made = UsageFixture::starting_on(TODAY);
    let events = [(); 4].map(|()| Record::Event(made.event(Some(caller(1, 1)), vec![attempt(1)])));
    through.write(&events).await;
}

fn now() -> Timestamp {
    TODAY.start().after(Duration::from_hours(10))
}

#[tokio::test]
async fn what_is_lent_within_its_limit_is_no_difference() {
    for database in Database::both().await {
        let store = database.open().await;
        let mut nodes = lent(&database, &store).await;
        assert_eq!(differences(&store).await, []);
        // Through a node that ends normally.
        charge_twelve(&mut nodes[0]).await;
        lend(&store, &close(&nodes[0].node, 12), TTL, Some(now())).await.unwrap();
        store.clock().advance(Duration::from_millis(1));
        nodes[0].node.leave(true).await.unwrap();
        let found = Ledger::new(store.clone()).reconcile(DAYS).await.unwrap();
        assert_eq!((found.differences, found.unleased), (vec![], vec![]));
    }
}

#[tokio::test]
async fn what_is_lent_beyond_its_limit_is_told() {
    for database in Database::both().await {
        let store = database.open().await;
        lent(&database, &store).await;
        tell(&store, "UPDATE leases SET granted = granted + 11").await;
        let expected = Difference {
            place: DifferencePlace::BudgetAccount(cell()),
            measure: "credits",
            expected: ("at most the limit", 100),
            found: ("spent and lent", 102),
        };
        assert_eq!(differences(&store).await, std::slice::from_ref(&expected));
        // A larger limit at the time of the lease allows the amount.
        tell(&store, "UPDATE lease_books SET most = 102").await;
        assert_eq!(differences(&store).await, []);
        tell(&store, "UPDATE lease_books SET carried = 90, most = 100").await;
        assert_eq!(differences(&store).await, [Difference { found: ("spent and lent", 192), ..expected }]);
        // Spent amounts may exceed the limit: no unspent lease exists any more.
        tell(&store, "UPDATE leases SET granted = 0").await;
        assert_eq!(differences(&store).await, []);
    }
}

#[tokio::test]
async fn a_lease_that_spends_more_than_it_was_granted_is_told() {
    for database in Database::both().await {
        let store = database.open().await;
        let nodes = lent(&database, &store).await;
        let of = format!("node_id = {}", id_text(&store, nodes[0].node.id()));
        let check = async |sql: &str, expected: (&'static str, i128), found: (&'static str, i128)| {
            tell(&store, &format!("UPDATE leases SET {sql} WHERE {of}")).await;
            let place = DifferencePlace::Lease { cell: cell(), node: nodes[0].node.id(), incarnation: 1 };
            let expected = Difference { place, measure: "credits", expected, found };
            assert_eq!(differences(&store).await, [expected], "{sql}");
        };
        check("used = 41", ("at most granted", 40), ("used", 41)).await;
        check("used = 5, spent = 6", ("at most used", 5), ("spent", 6)).await;
    }
}

#[tokio::test]
async fn what_a_lease_is_said_to_have_spent_was_charged() {
    for database in Database::both().await {
        let store = database.open().await;
        let mut nodes = lent(&database, &store).await;
        charge_twelve(&mut nodes[0]).await;
        // The lease was closed just now, so its spent amount may still be in the spool.
        lend(&store, &close(&nodes[0].node, 15), TTL, Some(now())).await.unwrap();
        assert_eq!(differences(&store).await, []);
        // The same applies if the node ended before it could store the amount.
        store.clock().advance(Duration::from_millis(1));
        nodes[0].node.leave(false).await.unwrap();
        assert_eq!(differences(&store).await, []);
        nodes[0].node.leave(true).await.unwrap();
        let expected = Difference {
            place: DifferencePlace::Lease { cell: cell(), node: nodes[0].node.id(), incarnation: 1 },
            measure: "credits",
            expected: ("charged in totals", 12),
            found: ("spent", 15),
        };
        assert_eq!(differences(&store).await, [expected]);
        // A smaller spent amount means usage while no limit was set; it is reported once all leases are closed.
        tell(&store, "UPDATE leases SET spent = 2 WHERE closed").await;
        lend(&store, &close(&nodes[1].node, 0), TTL, Some(now())).await.unwrap();
        let found = Ledger::new(store.clone()).reconcile(DAYS).await.unwrap();
        assert_eq!(
            (found.differences, found.unleased),
            (vec![], vec![UnleasedUsage { cell: cell(), amount: Amount(10) }])
        );
    }
}

#[tokio::test]
async fn what_a_node_that_is_gone_has_spent_is_compared_although_others_recall() {
    for database in Database::both().await {
        let store = database.open().await;
        let nodes = lent(&database, &store).await;
        lend(&store, &close(&nodes[0].node, 15), TTL, Some(now())).await.unwrap();
        store.clock().advance(Duration::from_millis(1));
        nodes[0].node.leave(true).await.unwrap();
        store.clock().advance(Duration::from_millis(1));
        // The second node finds five credits left of a hundred.
        for (seq, used) in [(2, 40), (3, 80)] {
            lend(&store, &ask(&nodes[1].node, seq, used, 0), TTL, Some(now())).await.unwrap();
        }
        assert_eq!(number(&store, "SELECT max(recalls) FROM leases").await, 1);
        let expected = Difference {
            place: DifferencePlace::Lease { cell: cell(), node: nodes[0].node.id(), incarnation: 1 },
            measure: "credits",
            expected: ("charged in totals", 0),
            found: ("spent", 15),
        };
        assert_eq!(differences(&store).await, [expected]);
    }
}

#[tokio::test]
async fn what_a_book_began_with_was_charged() {
    for database in Database::both().await {
        let store = database.open().await;
        let mut nodes = lent(&database, &store).await;
        charge_twelve(&mut nodes[0]).await;
        tell(&store, "UPDATE lease_books SET carried = 2").await;
        for (node, spent) in nodes.iter().zip([11, 0]) {
            // Until all leases are over and stored, the amount may not be charged yet.
            assert_eq!(differences(&store).await, []);
            lend(&store, &close(&node.node, spent), TTL, Some(now())).await.unwrap();
            store.clock().advance(Duration::from_millis(1));
            node.node.leave(true).await.unwrap();
        }
        let expected = Difference {
            place: DifferencePlace::BudgetAccount(cell()),
            measure: "credits",
            expected: ("charged in totals", 12),
            found: ("carried and spent", 13),
        };
        assert_eq!(differences(&store).await, [expected]);
        tell(&store, "UPDATE lease_books SET carried = 1").await;
        assert_eq!(differences(&store).await, []);
    }
}

#[tokio::test]
async fn what_a_silent_node_holds_is_unusable() {
    for database in Database::both().await {
        let store = database.open().await;
        let nodes = lent(&database, &store).await;
        let long_ago = format!(
            "UPDATE leases SET heard_at = 1, used = 10, spent = 10 WHERE node_id = {}",
            id_text(&store, nodes[0].node.id())
        );
        tell(&store, &long_ago).await;
        let unusable = Cluster::new(store.clone()).unusable_leases().await.unwrap();
        let of = |lease: &OpenLease| (NodeId(lease.node.as_u128()), lease.granted.0 - lease.spent.0);
        let unusable: Vec<_> = unusable.iter().map(of).collect();
        assert!(unusable.contains(&(nodes[0].node.lessee(), 30)), "{unusable:?}");
        assert_eq!(differences(&store).await, []);
    }
}
