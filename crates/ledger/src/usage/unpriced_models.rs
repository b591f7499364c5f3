//! The models whose calls have no known cost, because no price applies to them.

use access::Timestamp;
use store::DatabaseError;
use store::sql::{statements, unsigned};

use crate::handle::Ledger;
use crate::row_ids::first_id;

statements! {
    // A call with several attempts has a row for each attempt.
    MODELS = "SELECT p.name AS provider, m.name AS model, a.name AS answered, r.reason, r.requests FROM
        (SELECT provider_no, provider_model_no, answered_model_no, cost_unknown AS reason, count(*) AS requests FROM
            (SELECT provider_no, provider_model_no, answered_model_no, cost_unknown FROM usage_events
                WHERE id >= $1 AND attempts = 1 AND cost_unknown IN ('no_price', 'no_rate')
            UNION ALL SELECT t.provider_no, t.provider_model_no, t.answered_model_no, t.cost_unknown
                FROM usage_events e JOIN usage_attempts t ON t.event_id = e.id
                WHERE e.id >= $1 AND e.attempts > 1 AND e.cost_unknown IS NOT NULL
                AND t.cost_unknown IN ('no_price', 'no_rate')) calls
            GROUP BY provider_no, provider_model_no, answered_model_no, cost_unknown
            ORDER BY requests DESC, provider_no, provider_model_no, answered_model_no, reason LIMIT $2) r
        LEFT JOIN names p ON p.no = r.provider_no LEFT JOIN names m ON m.no = r.provider_model_no
        LEFT JOIN names a ON a.no = r.answered_model_no
        ORDER BY r.requests DESC, provider, model, answered, reason";
}

/// Maximum number of models; those with the fewest calls are omitted.
const MODELS_MAX: i64 = 1_000;

/// A model whose calls have no known cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpricedModel {
    /// The provider's name in the configuration.
    pub provider: Option<String>,
    /// The provider's own name of the model.
    pub model: Option<String>,
    /// The name in the responses.
    pub answered: Option<String>,
    /// The reason, a word of [`meter::UnknownCost`].
    pub reason: String,
    /// The number of calls, that is of attempts.
    pub requests: u64,
}

#[derive(sqlx_macros::FromRow)]
struct ModelRow {
    provider: Option<String>,
    model: Option<String>,
    answered: Option<String>,
    reason: String,
    requests: i64,
}

impl Ledger {
    /// Returns the models whose calls since `since` have usage but no known cost for lack of a price or a rate, the most called
    /// first.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn unpriced_models(&self, since: Timestamp) -> Result<Vec<UnpricedModel>, DatabaseError> {
        // Ids are in the order of their requests (UUIDv7).
        let rows: Vec<ModelRow> = self.store.query(MODELS).bind(first_id(since)).bind(MODELS_MAX).all().await?;
        let of_row = |row: ModelRow| UnpricedModel {
            provider: row.provider,
            model: row.model,
            answered: row.answered,
            reason: row.reason,
            requests: unsigned(row.requests),
        };
        Ok(rows.into_iter().map(of_row).collect())
    }
}

#[cfg(test)]
mod tests {
    use access::Day;
    use meter::{Attempt, UnknownCost};
    use spool::Record;

    use super::*;
    use crate::fixture::Place;
    use crate::usage_fixture::{IngestNode, TODAY, UsageFixture, attempt, caller, people};

    fn unpriced(model: &str, reason: UnknownCost) -> Attempt {
        Attempt { model: Some(model.into()), cost: None, unknown: Some(reason), ..attempt(5) }
    }

    #[tokio::test]
    async fn models_without_a_price_are_counted_by_their_calls() {
        for place in Place::both().await {
            let store = place.open().await;
            people(&store).await;
            let mut node = IngestNode::join(&store, &place.folder.path().join("a")).await;
            for day in [Day(TODAY.0 - 9), Day(TODAY.0 - 1)] {
                let mut made = UsageFixture::starting_on(day);
                let calls = [
                    vec![attempt(1)],
                    vec![unpriced("new", UnknownCost::NoPrice)],
                    vec![unpriced("new", UnknownCost::NoPrice)],
                    vec![unpriced("half", UnknownCost::NoRate)],
                    vec![unpriced("silent", UnknownCost::NoUsage)],
                    vec![unpriced("silent", UnknownCost::NoUsage), unpriced("new", UnknownCost::NoPrice)],
                ];
                let records: Vec<Record> =
                    calls.into_iter().map(|attempts| Record::Event(made.event(Some(caller(1, 1)), attempts))).collect();
                node.write(&records).await;
            }
            let found = async |days: u32| {
                let models = Ledger::new(store.clone()).unpriced_models(Day(TODAY.0 - days).start()).await.unwrap();
                models.into_iter().map(|of| (of.model.unwrap(), of.reason, of.requests)).collect::<Vec<_>>()
            };
            let row = |model: &str, reason: &str, requests| (model.to_owned(), reason.to_owned(), requests);
            assert_eq!(found(7).await, [row("new", "no_price", 3), row("half", "no_rate", 1)]);
            assert_eq!(found(10).await, [row("new", "no_price", 6), row("half", "no_rate", 2)]);
            assert_eq!(found(0).await, []);
        }
    }
}
