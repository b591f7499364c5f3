//! Counts of requests that reached no upstream, and requests without a user.

use meter::Counts;
use uuid::Uuid;

use super::*;
use crate::usage_fixture::number;

#[tokio::test]
async fn unsent_requests_and_those_without_a_user_are_in_the_results_of_routes_and_in_no_charge() {
    for database in Database::both().await {
        let store = database.open().await;
        people(&store).await;
        let mut node = IngestNode::join(&store, database.folder.path()).await;
        let mut made = UsageFixture::starting_on(TODAY);
        let of = |made: &mut UsageFixture, user, status_class| {
            let counts = made.counts(user, TODAY);
            let credits = if status_class < 10 { counts.credits } else { Credits(0) };
            Counts { status_class, credits, ..counts }
        };
        let classes = [2, 5, 12, 15, 24];
        let counts = [Some(caller(1, 1)), None].into_iter().flat_map(|user| classes.map(|class| (user, class)));
        let counts = counts.map(|(user, class)| of(&mut made, user, class)).collect();
        let anonymous = Record::Event(made.event(None, vec![attempt(1)]));
        node.write(&[Record::Counts { id: Uuid::from_u128(7), counts }, anonymous]).await;
        assert_eq!(differences(&store).await, []);
        let sum = async |column: &str, from: &str| {
            number(&store, &format!("SELECT CAST(coalesce(sum({column}), 0) AS BIGINT) FROM {from}")).await
        };
        assert_eq!(sum("requests", "daily_usage").await, 14);
        for table in ["hourly_usage", "daily_routes"] {
            for (user, found) in [(1, [14, 14, 7, 14]), (0, [15, 15, 7, 14])] {
                for (column, found) in ["requests", "succeeded", "refused", "errors"].into_iter().zip(found) {
                    let from = format!("{table} WHERE user_no = {user}");
                    assert_eq!(sum(column, &from).await, found, "{column} of {from}");
                }
            }
            tell(&store, &format!("UPDATE {table} SET refused = refused + 1 WHERE user_no = 0 AND refused > 0")).await;
            assert_eq!(differences(&store).await.len(), 1, "{table}");
            Ledger::new(store.clone()).repair_totals(&store::Actor::COMMAND, DAYS).await.unwrap();
            tell(&store, &format!("DELETE FROM {table} WHERE user_no = 0")).await;
            assert!(differences(&store).await.len() > 3, "{table}");
            Ledger::new(store.clone()).repair_totals(&store::Actor::COMMAND, DAYS).await.unwrap();
            assert_eq!(differences(&store).await, [], "{table}");
        }
    }
}
