//! Usage of each route, with all requests: of users, of clients without a user, and refused ones.

use access::Day;
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use store::sql::unsigned;

use super::scope::UsageOf;
use super::scope_overview::RankedRoute;
use super::sums::{ResultTotals, ResultsRow, SumsRow, results, sums};
use crate::handle::Ledger;
use crate::usage_totals::UsageTotals;

/// Maximum number of routes; those with the fewest requests are omitted.
const ROUTES_MAX: usize = 5_000;

#[derive(sqlx_macros::FromRow)]
struct RouteRow {
    name: Option<String>,
    #[sqlx(flatten)]
    results: ResultsRow,
    #[sqlx(flatten)]
    sums: SumsRow,
    timed: i64,
    duration_us: i64,
}

/// Builds the query for the totals of days `$2` to `$3`. It reads one row per day, user and route.
fn totals(of: UsageOf) -> String {
    let of = of.condition();
    let sums = sums!();
    let results = results!();
    format!(
        "SELECT n.name, r.* FROM (SELECT route_no, {results}, {sums}, CAST(sum(timed_requests) AS BIGINT) AS timed,
            CAST(sum(duration_us) AS BIGINT) AS duration_us
            FROM daily_routes WHERE {of} AND day >= $2 AND day <= $3 GROUP BY route_no
            ORDER BY succeeded DESC, route_no LIMIT {ROUTES_MAX}) r
        LEFT JOIN names n ON n.no = r.route_no ORDER BY n.name"
    )
}

impl Ledger {
    /// Returns the usage of each route of a scope from the first to the last day, in the order of their names.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn route_totals(&self, of: UsageOf, [first, last]: [Day; 2]) -> Result<Vec<RankedRoute>, DatabaseError> {
        let query = of.bind(self.store.query(AssertSqlSafe(totals(of))));
        let rows: Vec<RouteRow> = query.bind(i64::from(first.0)).bind(i64::from(last.0)).all().await?;
        let of_row = |row: RouteRow| RankedRoute {
            name: row.name.unwrap_or_default(),
            total: UsageTotals::from(&row.sums),
            results: ResultTotals::from(&row.results),
            mean_us: unsigned(row.duration_us).checked_div(unsigned(row.timed)),
        };
        Ok(rows.into_iter().map(of_row).collect())
    }
}

/// Returns the SQL texts that this module builds.
#[cfg(test)]
pub(super) fn texts() -> Vec<String> {
    UsageOf::KINDS.into_iter().map(totals).collect()
}
