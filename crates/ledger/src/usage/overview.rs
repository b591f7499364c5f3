//! The overview of a scope: sums, keys, models and the newest requests. That of a user takes four queries whose cost does not
//! depend on the number of requests.

use std::cmp::Reverse;
use std::collections::HashMap;

use access::{Day, KeyId, KeyNo, Timestamp, UserId};
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use store::accounts::users::{User, UserRow, user_columns};
use store::sql::{statements, timestamp, unsigned};
use uuid::Uuid;

use super::requests::{RequestFilter, RequestLine};
use super::scope::{KeyOwner, UsageOf};
use super::sums::{ResultTotals, ResultsRow, SumsRow, charged, charged_of_sums, results, sums, sums_of_sums};
use crate::handle::Ledger;
use crate::usage_totals::UsageTotals;

/// Maximum number of keys in the overview.
pub(super) const KEYS_MAX: u32 = 100;
/// Maximum number of models in the overview.
const MODELS_MAX: u32 = 20;
/// Maximum number of newest requests in the overview.
const REQUESTS_MAX: u32 = 50;

// KEYS joins the user with rows of three kinds. First, usage per key, today and in the month (both if the day is
// today), for the keys that used the most credits. Second, usage of all other keys together, whose number is null.
// Third, the newest keys that are not revoked, used or not.
statements! {
    KEYS = concat!("WITH used AS MATERIALIZED (SELECT key_no, CAST(CASE WHEN day = $4 THEN 1 ELSE 0 END AS BIGINT) AS day_is_last, ",
            sums!(), ", ", charged!(), " FROM daily_usage WHERE user_no = (SELECT no FROM users WHERE id = $1) AND day >= $3 AND day <= $4
            GROUP BY 1, 2),
        most AS (SELECT s.key_no AS most_no FROM used s JOIN api_keys k ON k.no = s.key_no AND k.user_id = $1 GROUP BY s.key_no
            ORDER BY sum(s.credits) DESC, sum(s.requests) DESC, s.key_no DESC LIMIT $2),
        told AS (SELECT most_no AS key_no, day_is_last, ", sums_of_sums!(), ", ", charged_of_sums!(), "
            FROM used s LEFT JOIN most ON most_no = s.key_no GROUP BY most_no, day_is_last)
        SELECT d.*, ", user_columns!(), " LEFT JOIN
        (SELECT t.*, k.id AS key_id, k.label, k.prefix, k.last4, k.expires_at, k.revoked_at, k.created_at AS made_at
            FROM told t LEFT JOIN api_keys k ON k.no = t.key_no
        UNION ALL SELECT k.no, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            k.id, k.label, k.prefix, k.last4, k.expires_at, k.revoked_at, k.created_at
        FROM (SELECT * FROM api_keys WHERE user_id = $1 AND revoked_at IS NULL ORDER BY id DESC LIMIT $2) k) d ON TRUE
        WHERE u.id = $1");
}

/// Builds the query for the totals of LLM requests per model of days `$2` to `$3`, the `$4` most used ones. It reads one row
/// per user, day and model. With a key (`$5`), only totals per hour have it, so their rows are read instead.
fn models(of: UsageOf, has_key: bool) -> String {
    let of = of.condition();
    let sums = sums!();
    let results = results!();
    let from = if has_key {
        format!(
            "hourly_usage WHERE {of} AND hour >= ($2 - 1) * 24 AND hour < ($3 + 2) * 24 AND key_no = $5 AND model_no >= 0 AND"
        )
    } else {
        format!("daily_models WHERE {of} AND")
    };
    format!(
        "SELECT n.name, m.* FROM (SELECT model_no, {results}, CAST(sum(duration_us) AS BIGINT) AS duration_us, {sums}
            FROM {from} day >= $2 AND day <= $3 GROUP BY model_no ORDER BY requests DESC, model_no LIMIT $4) m
        LEFT JOIN names n ON n.no = m.model_no ORDER BY m.requests DESC, m.model_no"
    )
}

/// Builds the query for the results of all requests of the day `$2`. It reads one row per user and route; with a key
/// (`$3`), one row per hour, model, route and result.
fn results_of_day(of: UsageOf, has_key: bool) -> String {
    let of = of.condition();
    let results = results!();
    let from = if has_key {
        format!("hourly_usage WHERE {of} AND hour >= ($2 - 1) * 24 AND hour < ($2 + 2) * 24 AND key_no = $3 AND")
    } else {
        format!("daily_routes WHERE {of} AND")
    };
    format!("SELECT {results} FROM {from} day = $2")
}

/// Usage in a month and on its last day, by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UsageByKey {
    pub(super) today: UsageTotals,
    pub(super) month: UsageTotals,
    pub(super) keys: Vec<OverviewKey>,
}

/// Usage of a scope in a month and on its last day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Usage on the last day, with all keys.
    pub today: UsageTotals,
    /// Usage in the month, including the last day.
    pub month: UsageTotals,
    /// At most 100 keys. Of a user: those that were used in the month, most credits first; then unused keys that are not
    /// revoked, newest first. Of any other scope: the keys that cost the most in the month.
    pub keys: Vec<OverviewKey>,
    /// Models of the month, most used first. At most 20.
    pub models: Vec<OverviewModel>,
    /// All requests of the last day by result.
    pub results_today: ResultTotals,
    /// The newest requests, at most 50.
    pub newest: Vec<RequestLine>,
}

/// A key with its usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverviewKey {
    /// Public id of the key.
    pub id: KeyId,
    /// Number that usage events use for the key; a later key has a greater number.
    pub no: KeyNo,
    /// Name that the owner gives the key.
    pub label: String,
    /// Part of the key before the underscore.
    pub prefix: String,
    /// Last four characters of the key.
    pub last4: String,
    /// The key is invalid from this time on.
    pub expires_at: Option<Timestamp>,
    /// Time at which the key was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Time at which the key was created.
    pub created_at: Timestamp,
    /// The user who owns the key; `None` in the overview of this user.
    pub owner: Option<KeyOwner>,
    /// Usage on the last day.
    pub today: UsageTotals,
    /// Usage in the month.
    pub month: UsageTotals,
}

/// Usage of a model in the month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverviewModel {
    /// Name that clients use for the model; `None` for requests without a known model name.
    pub name: Option<String>,
    /// Total usage of the model.
    pub total: UsageTotals,
    /// All requests by result, including those that are in no total.
    pub results: ResultTotals,
    /// Total duration of the requests in the total, in microseconds.
    pub duration_us: u64,
}

#[derive(sqlx_macros::FromRow)]
struct OverviewKeyRow {
    key_no: Option<i64>,
    day_is_last: Option<i64>,
    #[sqlx(flatten)]
    sums: SumsRow,
    key_id: Option<Uuid>,
    label: Option<String>,
    prefix: Option<String>,
    last4: Option<String>,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    made_at: Option<i64>,
    #[sqlx(flatten)]
    user: UserRow,
}

#[derive(sqlx_macros::FromRow)]
struct OverviewModelRow {
    name: Option<String>,
    #[sqlx(flatten)]
    results: ResultsRow,
    duration_us: i64,
    #[sqlx(flatten)]
    sums: SumsRow,
}

impl OverviewKeyRow {
    fn key(&self) -> Option<OverviewKey> {
        Some(OverviewKey {
            id: KeyId(self.key_id?),
            no: KeyNo(self.key_no?),
            label: self.label.clone()?,
            prefix: self.prefix.clone()?,
            last4: self.last4.clone()?,
            expires_at: self.expires_at.map(timestamp),
            revoked_at: self.revoked_at.map(timestamp),
            created_at: timestamp(self.made_at?),
            owner: None,
            today: UsageTotals::default(),
            month: UsageTotals::default(),
        })
    }
}

impl Ledger {
    /// Returns a user and the usage on `today` and from `since` until `today`; `None` if the user does not exist.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn overview(
        &self,
        user: UserId,
        [since, today]: [Day; 2],
    ) -> Result<Option<(User, Overview)>, DatabaseError> {
        let keys = self.store.query(KEYS).bind(user.0).bind(i64::from(KEYS_MAX));
        let keys: Vec<OverviewKeyRow> = keys.bind(i64::from(since.0)).bind(i64::from(today.0)).all().await?;
        let Some((user, used)) = gather(keys)? else { return Ok(None) };
        let overview = self.with_models(user.no.into(), None, [since, today], used).await?;
        Ok(Some((user, overview)))
    }

    /// Adds the models, the results and the newest requests of a scope, or of one key of it, to the usage by key.
    pub(super) async fn with_models(
        &self,
        of: UsageOf,
        key: Option<KeyNo>,
        [since, today]: [Day; 2],
        used: UsageByKey,
    ) -> Result<Overview, DatabaseError> {
        let filter = RequestFilter { key, ..RequestFilter::default() };
        Ok(Overview {
            today: used.today,
            month: used.month,
            keys: used.keys,
            models: self.models(of, key, [since, today]).await?,
            results_today: self.results_of_day(of, key, today).await?,
            newest: self.requests_page(of, &filter, None, REQUESTS_MAX).await?.lines,
        })
    }

    /// Returns the models of a scope, or of one key of it, that were used most from the first to the last day.
    async fn models(
        &self,
        of: UsageOf,
        key: Option<KeyNo>,
        [first, last]: [Day; 2],
    ) -> Result<Vec<OverviewModel>, DatabaseError> {
        let query = of.bind(self.store.query(AssertSqlSafe(models(of, key.is_some()))));
        let query = query.bind(i64::from(first.0)).bind(i64::from(last.0)).bind(i64::from(MODELS_MAX));
        let rows: Vec<OverviewModelRow> = match key {
            Some(key) => query.bind(key.0).all().await?,
            None => query.all().await?,
        };
        Ok(rows.into_iter().map(OverviewModel::from).collect())
    }

    /// Returns the results of the requests of a scope, or of one key of it, on a day.
    async fn results_of_day(&self, of: UsageOf, key: Option<KeyNo>, day: Day) -> Result<ResultTotals, DatabaseError> {
        let query = of.bind(self.store.query(AssertSqlSafe(results_of_day(of, key.is_some())))).bind(i64::from(day.0));
        let row: ResultsRow = match key {
            Some(key) => query.bind(key.0).one().await?,
            None => query.one().await?,
        };
        Ok(ResultTotals::from(&row))
    }
}

/// Returns the SQL texts that this module builds.
#[cfg(test)]
pub(super) fn texts() -> Vec<String> {
    let of = |of| [models(of, false), models(of, true), results_of_day(of, false), results_of_day(of, true)];
    UsageOf::KINDS.into_iter().flat_map(of).collect()
}

impl From<OverviewModelRow> for OverviewModel {
    fn from(row: OverviewModelRow) -> Self {
        Self {
            name: row.name,
            total: UsageTotals::from(&row.sums),
            results: ResultTotals::from(&row.results),
            duration_us: unsigned(row.duration_us),
        }
    }
}

/// Collects the user with its keys and their usage. Usage of keys past the limit, or of a missing key (the database is
/// an older copy), is only in the sums.
fn gather(rows: Vec<OverviewKeyRow>) -> Result<Option<(User, UsageByKey)>, DatabaseError> {
    let mut today = UsageTotals::NOTHING;
    let mut month = UsageTotals::NOTHING;
    let mut user = None;
    let mut keys: Vec<OverviewKey> = Vec::new();
    let mut at: HashMap<KeyId, usize> = HashMap::new();
    for row in rows {
        let used = UsageTotals::from(&row.sums);
        let is_today = row.day_is_last == Some(1);
        month.add(&used);
        if is_today {
            today.add(&used);
        }
        if let Some(key) = row.key() {
            let place = *at.entry(key.id).or_insert(keys.len());
            if place == keys.len() {
                keys.push(key);
            }
            if let Some(key) = keys.get_mut(place) {
                key.month.add(&used);
                if is_today {
                    key.today.add(&used);
                }
            }
        }
        // Every row contains the same user.
        user = Some(row.user);
    }
    let Some(user) = user else { return Ok(None) };
    keys.sort_by_key(|key| Reverse((key.month.credits, key.month.requests, key.no.0)));
    keys.truncate(usize::try_from(KEYS_MAX).unwrap_or(usize::MAX));
    Ok(Some((user.try_into()?, UsageByKey { today, month, keys })))
}
