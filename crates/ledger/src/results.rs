//! The result of a request in SQL texts, as [`meter::result`] defines it.

use std::sync::LazyLock;

use meter::RequestResult;
use meter::result::{CALLER_GONE, refusals_of_clients};

static OF_EVENT: LazyLock<String> = LazyLock::new(|| {
    let codes: Vec<String> = refusals_of_clients().map(|refusal| format!("'{}'", refusal.code())).collect();
    let [succeeded, refused, failed] = RequestResult::ALL.map(RequestResult::number);
    format!(
        "CASE WHEN outcome = 'budget_cut' OR refusal IN ({}) THEN {refused}
            WHEN outcome = 'caller_gone' AND status = {CALLER_GONE} THEN {succeeded}
            WHEN status >= 400 OR refusal IS NOT NULL
                OR outcome IN ('upstream_cut', 'timed_out', 'drained', 'interrupted') THEN {failed}
            ELSE {succeeded} END",
        codes.join(", ")
    )
});

/// Returns the expression for the number of an event's result.
pub(crate) fn of_event() -> &'static str {
    &OF_EVENT
}

/// The expression for the number of the result of a row of counts.
pub(crate) const OF_COUNTS: &str = "CASE WHEN status_class >= 20 THEN 1 WHEN status_class % 10 >= 4 THEN 2 ELSE 0 END";

/// The expression for the number of a row's requests that reached an upstream.
pub(crate) const SENT_OF_COUNTS: &str = "CASE WHEN status_class < 10 THEN requests ELSE 0 END";

/// Returns the expression for the number of a row's requests, if they have this result, and 0 otherwise.
pub(crate) fn of_counts(result: RequestResult) -> String {
    format!("CASE WHEN ({OF_COUNTS}) = {} THEN requests ELSE 0 END", result.number())
}

/// Returns the expression that is 1 for an event with this result, and 0 for others.
pub(crate) fn is(result: RequestResult) -> String {
    format!("CASE WHEN {} = {} THEN 1 ELSE 0 END", of_event(), result.number())
}

#[cfg(test)]
mod tests {
    use meter::Outcome;
    use meter::result::UNSENT_CLASS;
    use sqlx::AssertSqlSafe;

    use super::*;
    use crate::fixture::Place;

    /// The SQL texts and the function agree for each status, outcome and code.
    #[tokio::test]
    async fn results_in_sql_are_those_of_the_function() {
        for place in Place::both().await {
            let store = place.open().await;
            let codes = access::Refusal::ALL.iter().map(|refusal| Some(refusal.code()));
            for refusal in codes.chain([None, Some("code_of_a_later_version")]) {
                for outcome in Outcome::ALL {
                    let of = |status: u16| {
                        let refusal = refusal.map_or("CAST(NULL AS TEXT)".to_owned(), |code| format!("'{code}'"));
                        format!("SELECT {status} AS status, '{}' AS outcome, {refusal} AS refusal", outcome.as_str())
                    };
                    let statuses = [0, 200, 304, 404, 429, 499, 502];
                    let rows = statuses.map(of).join(" UNION ALL ");
                    let text = format!("SELECT CAST({} AS BIGINT) FROM ({rows}) e ORDER BY status", of_event());
                    let found: Vec<(i64,)> = store.query(AssertSqlSafe(text)).once().all().await.unwrap();
                    let expected =
                        statuses.map(|status| (RequestResult::from_outcome(status, outcome, refusal).number(),));
                    assert_eq!(found, expected, "{outcome:?} {refusal:?}");
                }
            }
            let classes = [0, 10, 20].into_iter().flat_map(|tens| (0..=5).map(move |class| tens + class));
            for status_class in classes {
                let text = format!(
                    "SELECT CAST({OF_COUNTS} AS BIGINT), CAST({SENT_OF_COUNTS} AS BIGINT)
                    FROM (SELECT {status_class} AS status_class, 7 AS requests) c"
                );
                let found: (i64, i64) = store.query(AssertSqlSafe(text)).once().one().await.unwrap();
                let sent = if status_class < UNSENT_CLASS { 7 } else { 0 };
                assert_eq!(found, (RequestResult::of_class(status_class).number(), sent), "{status_class}");
            }
        }
    }
}
