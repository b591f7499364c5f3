//! Totals of days and of the models of a day.

use access::{Day, NanoUsd};
use sqlx::AssertSqlSafe;
use store::DatabaseError;

use super::scope::DayUsageOf;
use crate::handle::Ledger;
use crate::usage::sums::{OwnCostRow, ResultTotals, ResultsRow, SumsRow, own_cost, results, sums};
use crate::usage_totals::UsageTotals;

/// Maximum number of models of a day; those with the lowest cost are omitted.
const MODELS_MAX: usize = 5_000;

/// All requests of one day, with their sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayTotals {
    /// The day in UTC that the totals belong to.
    pub day: Day,
    /// The sums of the requests that count.
    pub totals: UsageTotals,
    /// All requests by result.
    pub results: ResultTotals,
    /// The part of the cost that users' own credentials paid.
    pub own_cost: NanoUsd,
}

/// The LLM requests for one model on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelDayUsage {
    /// The name that clients use for the model; `None` for requests without a known name.
    pub name: Option<String>,
    /// The sums of the requests that count.
    pub totals: UsageTotals,
    /// The part of the cost that users' own credentials paid.
    pub own_cost: NanoUsd,
}

#[derive(sqlx_macros::FromRow)]
struct DayRow {
    day: i64,
    #[sqlx(flatten)]
    results: ResultsRow,
    #[sqlx(flatten)]
    sums: SumsRow,
    #[sqlx(flatten)]
    own: OwnCostRow,
}

#[derive(sqlx_macros::FromRow)]
struct ModelRow {
    name: Option<String>,
    #[sqlx(flatten)]
    sums: SumsRow,
    #[sqlx(flatten)]
    own: OwnCostRow,
}

/// Builds the query for the totals of days `$2` to `$3`. It reads one row per user and route, and one per user and model: only
/// totals of models tell whose credential paid.
fn days(of: DayUsageOf) -> String {
    let condition = of.condition();
    let sums = sums!();
    let results = results!();
    let own = own_cost!();
    let table = of.totals();
    let [of_models, _] = of.models();
    format!(
        "SELECT t.*, o.own_dollars, o.own_rest FROM (SELECT day, {results}, {sums} FROM {table}
            WHERE {condition} AND day >= $2 AND day <= $3 GROUP BY day) t
        LEFT JOIN (SELECT day AS own_day, {own} FROM {of_models}
            WHERE {condition} AND day >= $2 AND day <= $3 AND own_cost_nano <> 0 GROUP BY day) o ON o.own_day = t.day
        ORDER BY t.day"
    )
}

/// Builds the query for the models of the day `$2`. It reads one row per user and model.
fn models(of: DayUsageOf) -> String {
    let condition = of.condition();
    let sums = sums!();
    let own = own_cost!();
    let [table, of_models] = of.models();
    format!(
        "SELECT n.name, m.* FROM (SELECT model_no, {sums}, {own} FROM {table} WHERE {condition} AND day = $2{of_models}
        GROUP BY model_no ORDER BY sum(cost_nano / 1000) DESC, model_no LIMIT {MODELS_MAX}) m
        LEFT JOIN names n ON n.no = m.model_no ORDER BY m.model_no"
    )
}

impl Ledger {
    /// Returns the totals of a scope for each day with requests from the first to the last day, oldest first.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn day_totals(
        &self,
        of: impl Into<DayUsageOf>,
        [first, last]: [Day; 2],
    ) -> Result<Vec<DayTotals>, DatabaseError> {
        let of = of.into();
        let query = of.bind(self.store.query(AssertSqlSafe(days(of))));
        let rows: Vec<DayRow> = query.bind(i64::from(first.0)).bind(i64::from(last.0)).all().await?;
        let totals = rows.into_iter().map(|row| DayTotals {
            day: Day(u32::try_from(row.day).unwrap_or(0)),
            totals: UsageTotals::from(&row.sums),
            results: ResultTotals::from(&row.results),
            own_cost: NanoUsd::from(&row.own),
        });
        Ok(totals.collect())
    }

    /// Returns the models of a scope on one day.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn models_of_day(
        &self,
        of: impl Into<DayUsageOf>,
        day: Day,
    ) -> Result<Vec<ModelDayUsage>, DatabaseError> {
        let of = of.into();
        let query = of.bind(self.store.query(AssertSqlSafe(models(of))));
        let rows: Vec<ModelRow> = query.bind(i64::from(day.0)).all().await?;
        let usage =
            |row: ModelRow| ModelDayUsage { name: row.name, totals: (&row.sums).into(), own_cost: (&row.own).into() };
        Ok(rows.into_iter().map(usage).collect())
    }
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(super) fn texts() -> Vec<String> {
    DayUsageOf::kinds().into_iter().flat_map(|of| [days(of), models(of)]).collect()
}
