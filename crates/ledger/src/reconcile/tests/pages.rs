//! Comparisons and corrections that need more than one page.

use super::*;

/// Returns an expression for a new id in SQL.
fn new_id(store: &Store) -> &'static str {
    if store.kind() == StoreKind::Sqlite { "randomblob(16)" } else { "gen_random_uuid()" }
}

/// A page has 256 budget accounts.
#[tokio::test]
async fn every_budget_account_of_several_pages_is_compared() {
    for database in Database::both().await {
        let store = database.open().await;
        let id = new_id(&store);
        let end = u64::from(TODAY.next().0) * 86_400_000_000;
        let accounts = format!(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 300)
            INSERT INTO lease_books (id, scope, scope_no, measure, per, first_day, ends_at, most, recall, created_at, updated_at)
            SELECT {id}, 'key', n, 'credits', 'day', {}, {end}, 10, 0, 1, 1 FROM n",
            TODAY.0
        );
        tell(&store, &accounts).await;
        assert_eq!(differences(&store).await, []);
        // Each account has granted more than its limit.
        let leases = format!(
            "INSERT INTO leases (id, book_id, node_id, incarnation, seq, term, granted, used, spent, ceded, round, recalls,
                recalled, heard_at, closed, told, base, created_at, updated_at)
            SELECT {id}, id, id, 1, 1, 1, 11, 0, 0, 0, 0, 0, 0, 1, FALSE, FALSE, 0, 1, 1 FROM lease_books"
        );
        tell(&store, &leases).await;
        let found = differences(&store).await;
        assert_eq!(found.len(), 300, "{:?}", store.kind());
        for Difference { place, expected, found, .. } in found {
            assert!(matches!(place, DifferencePlace::BudgetAccount(_)), "{place:?}");
            assert_eq!((expected.1, found.1), (10, 11), "{place:?}");
        }
    }
}

/// A transaction stops after 500 rows and those of one further user.
#[tokio::test]
async fn a_user_with_more_rows_than_a_transaction_is_repaired() {
    for database in Database::both().await {
        let store = database.open().await;
        let sql = format!(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 600)
            INSERT INTO daily_models (id, user_no, model_no, day, requests, refused, errors, credits, input_tokens,
                cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens,
                cost_nano, unpriced_requests, duration_us, created_at, updated_at)
            SELECT {}, 1, n, {}, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1 FROM n",
            new_id(&store),
            TODAY.0
        );
        tell(&store, &sql).await;
        let repaired = Ledger::new(store.clone()).repair_totals(&store::Actor::COMMAND, DAYS).await.unwrap();
        assert_eq!(repaired, RepairedTotals { models: 600, ..RepairedTotals::default() });
        assert_eq!(differences(&store).await, []);
    }
}

/// Events whose clock jumped make their users suspects. A transaction reads 200 of these first.
#[tokio::test]
async fn a_difference_behind_many_users_without_one_is_repaired() {
    for database in Database::both().await {
        let store = database.open().await;
        let mut node = IngestNode::join(&store, database.folder.path()).await;
        let mut made = UsageFixture::starting_on(Day(TODAY.0 - 40));
        let users = 1..=250;
        let events =
            users.map(|user| UsageEvent { day: TODAY, ..made.event(Some(caller(user, user)), vec![attempt(1)]) });
        let records: Vec<Record> = events.map(Record::Event).collect();
        node.write(&records).await;
        assert_eq!(differences(&store).await, []);
        tell(&store, "UPDATE daily_usage SET requests = requests + 1 WHERE user_no = 250").await;
        let repaired = Ledger::new(store.clone()).repair_totals(&store::Actor::COMMAND, DAYS).await.unwrap();
        assert!(repaired.is_any(), "{:?}", store.kind());
        assert_eq!(differences(&store).await, []);
    }
}
