//! Recorded usage of providers' responses, grouped as providers report it: by day of the call, provider, and responding
//! model.

use access::{Day, NanoUsd};
use meter::usage::TokenTotal;
use sqlx::AssertSqlSafe;
use sqlx::{FromRow, Row as _};
use store::DatabaseError;
use store::sql::micros;

use super::Days;
use super::comparison::day;
use super::row::{NumberRow, summed};
use crate::handle::Ledger;
use crate::usage_columns::sum_of;

/// Usage of a provider's model on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedUsage {
    /// Day on which the requests began.
    pub day: Day,
    /// The provider's name in the configuration.
    pub provider: String,
    /// Model that responded, or the requested model if the response did not name one; empty if neither is known.
    pub model: String,
    /// Number of calls without an error response.
    pub requests: u64,
    /// Number of those calls for which no usage was reported.
    pub unreported: u64,
    /// All input: text, audio, images, read from and written to caches.
    pub input: u64,
    /// Input that was read from a cache.
    pub cached_input: u64,
    /// Input that was written to a cache of the short lifetime.
    pub cache_write_short: u64,
    /// Input that was written to a cache of the long lifetime.
    pub cache_write_long: u64,
    /// All output, including reasoning tokens.
    pub output: u64,
    /// Known part of the cost.
    pub cost: NanoUsd,
}

/// A result row of the query [`text`].
struct RecordedUsageRow {
    numbers: NumberRow,
    provider: Option<String>,
    model: Option<String>,
}

macro_rules! read {
    ($row:ty) => {
        impl FromRow<'_, $row> for RecordedUsageRow {
            fn from_row(row: &$row) -> Result<Self, sqlx::Error> {
                let first = |at| row.try_get::<Option<i64>, _>(at);
                let numbers = (2..row.len()).map(first).collect::<Result<_, _>>().map(NumberRow)?;
                Ok(Self { numbers, provider: row.try_get(0)?, model: row.try_get(1)? })
            }
        }
    };
}
read!(sqlx::sqlite::SqliteRow);
read!(sqlx::postgres::PgRow);

/// Summed columns, of an event with one attempt or of an attempt.
fn figures() -> [(&'static str, String); 8] {
    let tokens = |total| sum_of("x.", |of| of == total);
    [
        ("requests", "CASE WHEN x.upstream_status < 400 THEN 1 ELSE 0 END".to_owned()),
        ("unreported", "CASE WHEN x.upstream_status < 400 AND x.usage_source IS NULL THEN 1 ELSE 0 END".to_owned()),
        ("input", sum_of("x.", TokenTotal::is_input)),
        ("cached", tokens(TokenTotal::CachedInput)),
        ("short", tokens(TokenTotal::CacheWriteShort)),
        ("long", tokens(TokenTotal::CacheWriteLong)),
        ("output", sum_of("x.", |of| !of.is_input())),
        ("cost", "coalesce(x.cost_nano, 0)".to_owned()),
    ]
}

impl Ledger {
    /// Returns the recorded usage of LLM calls on these days, in the order of day, provider and model, without calls that users'
    /// own credentials paid: the operator's provider does not report those.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn recorded(&self, days: Days) -> Result<Vec<RecordedUsage>, DatabaseError> {
        let mut snapshot = self.store.begin_read().await?;
        let [from, end] = days.ids();
        let query = snapshot.query(AssertSqlSafe(text())).bind(from).bind(end);
        let first = micros(days.first.start());
        let last = micros(days.last.next().start());
        let rows: Vec<RecordedUsageRow> = query.bind(first).bind(last).all().await?;
        snapshot.rollback().await?;
        Ok(rows.into_iter().map(RecordedUsage::from).collect())
    }
}

impl From<RecordedUsageRow> for RecordedUsage {
    fn from(row: RecordedUsageRow) -> Self {
        let sums = row.numbers.sums(1);
        let sum = |nth: usize| sums.get(nth).map_or(0, |sum| u64::try_from(*sum).unwrap_or_default());
        let cost = sums.get(7).copied().unwrap_or_default();
        Self {
            day: day(row.numbers.number(0)),
            provider: row.provider.unwrap_or_default(),
            model: row.model.unwrap_or_default(),
            requests: sum(0),
            unreported: sum(1),
            input: sum(2),
            cached_input: sum(3),
            cache_write_short: sum(4),
            cache_write_long: sum(5),
            output: sum(6),
            cost: NanoUsd(i64::try_from(cost).unwrap_or(i64::MAX)),
        }
    }
}

/// Builds the query for the attempts of LLM calls that began from `$3` to `$4`, whose ids are from `$1` to `$2`.
fn text() -> String {
    let figures = figures();
    let columns: Vec<String> = figures.iter().map(|(name, of)| format!("{of} AS {name}")).collect();
    let columns = columns.join(", ");
    let sums: Vec<String> = figures.iter().map(|(name, _)| summed(&format!("r.{name}"))).collect();
    let sums = sums.join(", ");
    format!(
        "SELECT p.name, m.name, r.day, {sums} FROM (
            SELECT x.started_at / 86400000000 AS day, x.provider_no, coalesce(x.answered_model_no, x.provider_model_no) AS model_no,
                {columns} FROM usage_events x
            WHERE x.id >= $1 AND x.id < $2 AND x.started_at >= $3 AND x.started_at < $4 AND x.format IS NOT NULL AND x.attempts = 1
                AND x.own_cost_nano IS NULL
            UNION ALL
            SELECT e.started_at / 86400000000, x.provider_no, coalesce(x.answered_model_no, x.provider_model_no), {columns}
            FROM usage_events e JOIN usage_attempts x ON x.event_id = e.id
            WHERE e.id >= $1 AND e.id < $2 AND e.started_at >= $3 AND e.started_at < $4 AND e.format IS NOT NULL AND e.attempts > 1
                AND x.own_cost_nano IS NULL
        ) r LEFT JOIN names p ON p.no = r.provider_no LEFT JOIN names m ON m.no = r.model_no
        GROUP BY p.name, m.name, r.day ORDER BY r.day, p.name, m.name"
    )
}

/// Returns every SQL text of the audit parts.
#[cfg(test)]
pub(super) fn texts() -> Vec<String> {
    vec![text(), super::unresolved::interrupted_text()]
}
