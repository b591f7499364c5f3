//! The overview of several users, or of one key: sums, the largest users, keys and routes, models, and the newest requests.
//!
//! The queries read totals: per month one row per day, key and node, one per day, user and route, and one per day, user and
//! model. None reads more events than it returns, except that the newest requests of a plan are searched among a bounded
//! number of events.

use std::cmp::Reverse;

use access::{Day, KeyId, KeyNo, NanoUsd, Timestamp, UserId, UserNo};
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use store::sql::{StoreKind, timestamp, unsigned};
use uuid::Uuid;

use super::KeyUsage;
use super::overview::{KEYS_MAX, Overview, OverviewKey, UsageByKey};
use super::scope::{KeyOwner, UsageOf};
use super::sums::{ResultTotals, ResultsRow, SumsRow, results, sums};
use crate::handle::Ledger;
use crate::usage_totals::UsageTotals;

/// Maximum number of users, and of routes, in each list.
const LISTED_MAX: usize = 10;

/// The overview of a scope, with its largest users and routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeOverview {
    /// Usage in the month and on its last day.
    pub overview: Overview,
    /// Users of the month.
    pub users: TopLists<RankedUser>,
    /// Routes of the month.
    pub routes: TopLists<RankedRoute>,
}

/// The largest of a kind in the month, in three orders. Each list has at most ten items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopLists<T> {
    /// The highest cost first.
    pub most_spent: Vec<T>,
    /// The most requests first, including refused ones.
    pub most_requests: Vec<T>,
    /// The most failed requests first; only those with failed requests.
    pub most_errors: Vec<T>,
}

/// A user with the usage of the month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankedUser {
    /// Public id of the user.
    pub id: UserId,
    /// Name that is shown to people.
    pub name: String,
    /// Name of the plan that the user has now.
    pub plan: String,
    /// Usage of the user.
    pub total: UsageTotals,
    /// All requests by result.
    pub results: ResultTotals,
}

/// A route with the usage of the month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankedRoute {
    /// Name of the route.
    pub name: String,
    /// Usage of the route by users.
    pub total: UsageTotals,
    /// All requests by result.
    pub results: ResultTotals,
    /// Mean duration in microseconds of requests that are stored one by one; `None` without them.
    pub mean_us: Option<u64>,
}

/// The usage of a user in some days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserUse {
    /// Number of the user.
    pub user: UserNo,
    /// Usage on these days.
    pub total: UsageTotals,
    /// Time of the newest request with any of the user's keys, to about a minute.
    pub used_at: Option<Timestamp>,
}

/// The groups of a ranking.
#[derive(Debug, Clone, Copy)]
enum RankedBy {
    User,
    Route,
}

#[derive(sqlx_macros::FromRow)]
struct RankedRow {
    id: Option<Uuid>,
    name: String,
    #[sqlx(default)]
    plan: Option<String>,
    #[sqlx(flatten)]
    sums: SumsRow,
    #[sqlx(flatten)]
    results: ResultsRow,
    timed: i64,
    duration_us: i64,
}

#[derive(sqlx_macros::FromRow)]
struct KeyRow {
    no: i64,
    id: Uuid,
    label: String,
    prefix: String,
    last4: String,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    created_at: i64,
    owner_id: Uuid,
    owner_name: String,
    #[sqlx(flatten)]
    sums: SumsRow,
}

/// The usage of the user or key with a number.
#[derive(sqlx_macros::FromRow)]
struct NumberedSums {
    no: i64,
    #[sqlx(flatten)]
    sums: SumsRow,
}

/// Builds the query for the users (`user_no`) or routes (`route_no`) of days `$2` to `$3` that are first in one of three
/// orders: at most three times [`LISTED_MAX`].
fn ranked(of: UsageOf, by: RankedBy) -> String {
    let of = of.condition();
    let sums = sums!();
    let results = results!();
    let (column, named, from) = match by {
        RankedBy::User => {
            ("user_no", "n.id, n.name, p.name AS plan", "users n ON n.no = u.no JOIN plans p ON p.id = n.plan_id")
        }
        RankedBy::Route => ("route_no", "n.id, n.name", "names n ON n.no = u.no"),
    };
    let first = |order: &str| {
        format!("u.no IN (SELECT no FROM (SELECT no FROM used ORDER BY {order} DESC, no LIMIT {LISTED_MAX}) f)")
    };
    format!(
        "WITH used AS MATERIALIZED (SELECT {column} AS no, {sums}, {results}, CAST(sum(timed_requests) AS BIGINT) AS timed,
            CAST(sum(duration_us) AS BIGINT) AS duration_us
            FROM daily_routes WHERE {of} AND day >= $2 AND day <= $3 GROUP BY {column})
        SELECT {named}, u.* FROM used u JOIN {from} WHERE {} OR {} OR {}",
        first(COST),
        first("succeeded + refused + errors"),
        first("errors")
    )
}

/// The cost of a row of sums, in nano-USD as far as its type covers it.
const COST: &str =
    "CASE WHEN cost_dollars < 9000000000 THEN cost_dollars * 1000000000 + cost_rest ELSE 9000000000000000000 END";

/// Builds the query for the keys of days `$2` to `$3` with the highest cost, or for the key `$4`; at most `$5`.
fn keys(of: UsageOf) -> String {
    let of = of.condition();
    let sums = sums!();
    format!(
        "WITH used AS MATERIALIZED (SELECT key_no, {sums} FROM daily_usage WHERE {of} AND day >= $2 AND day <= $3
            AND (key_no = $4 OR $4 IS NULL) GROUP BY key_no)
        SELECT k.no, k.id, k.label, k.prefix, k.last4, k.expires_at, k.revoked_at, k.created_at, o.id AS owner_id,
            o.name AS owner_name, s.* FROM (SELECT * FROM used ORDER BY {COST} DESC, requests DESC, key_no LIMIT $5) s
        JOIN api_keys k ON k.no = s.key_no JOIN users o ON o.id = k.user_id"
    )
}

/// Builds the query for the usage of some keys on the day `$2`.
fn keys_on(of: UsageOf, keys: &[i64]) -> String {
    let numbers = keys.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    let of = of.condition();
    let sums = sums!();
    format!(
        "SELECT key_no AS no, {sums} FROM daily_usage WHERE {of} AND day = $2 AND key_no IN ({numbers}) GROUP BY key_no"
    )
}

/// Builds the query for the last use of the keys of a number of users.
fn last_use(kind: StoreKind, users: usize) -> String {
    let mut text =
        "SELECT u.no, max(k.used_at) FROM users u JOIN api_keys k ON k.user_id = u.id WHERE u.no IN ".to_owned();
    kind.placeholders(users, &mut text);
    text.push_str(" GROUP BY u.no");
    text
}

/// Builds the query for the usage of a number of users, whose parameters are before those of the first and the last day. It
/// reads one row per user, day, key and node.
fn of_users(kind: StoreKind, users: usize) -> String {
    let mut text = format!("SELECT user_no AS no, {} FROM daily_usage WHERE user_no IN ", sums!());
    kind.placeholders(users, &mut text);
    text.push_str(&format!(" AND day >= ${} AND day <= ${} GROUP BY user_no", users + 1, users + 2));
    text
}

impl Ledger {
    /// Returns the usage of a scope on `today` and from `since` until `today`; with `key`, only of this key of a user.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn scope_overview(
        &self,
        of: UsageOf,
        key: Option<KeyNo>,
        [since, today]: [Day; 2],
    ) -> Result<ScopeOverview, DatabaseError> {
        let days = self.usage_of_days(of, key, (today.0 + 1).saturating_sub(since.0), today).await?;
        let mut month = UsageTotals::NOTHING;
        days.iter().for_each(|(_, used)| month.add(used));
        let of_today = days.last().map_or(UsageTotals::NOTHING, |(_, used)| *used);
        let (users, routes) = match key {
            Some(_) => (Vec::new(), Vec::new()),
            None => (
                self.ranked(of, RankedBy::User, [since, today]).await?,
                self.ranked(of, RankedBy::Route, [since, today]).await?,
            ),
        };
        let keys = self.scope_keys(of, key, [since, today]).await?;
        let used = UsageByKey { today: of_today, month, keys };
        Ok(ScopeOverview {
            overview: self.with_models(of, key, [since, today], used).await?,
            users: top_lists(users, RankedRow::user),
            routes: top_lists(routes, RankedRow::route),
        })
    }

    /// Returns the usage of a scope on a day, with the keys that cost the most, at most 100; with `key`, only of this key.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn scope_day(
        &self,
        of: UsageOf,
        key: Option<KeyNo>,
        day: Day,
    ) -> Result<(UsageTotals, Vec<(KeyUsage, KeyOwner)>), DatabaseError> {
        let total = self.usage_of_days(of, key, 1, day).await?;
        let total = total.last().map_or(UsageTotals::NOTHING, |(_, used)| *used);
        let keys = self.key_rows(of, key, [day, day]).await?.into_iter().map(|row| {
            let OverviewKey { id: key, no, label, prefix, last4, month: total, .. } = row.key();
            (KeyUsage { key, no, label, prefix, last4, total }, row.owner())
        });
        Ok((total, keys.collect()))
    }

    /// Returns the usage of users from the first to the last day, in the order of `users`.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn usage_of_users(
        &self,
        users: &[UserNo],
        [first, last]: [Day; 2],
    ) -> Result<Vec<UserUse>, DatabaseError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let kind = self.store.kind();
        let mut query = self.store.query(AssertSqlSafe(of_users(kind, users.len()))).once();
        let mut uses = self.store.query(AssertSqlSafe(last_use(kind, users.len()))).once();
        for user in users {
            query = query.bind(user.0);
            uses = uses.bind(user.0);
        }
        let uses: Vec<(i64, Option<i64>)> = uses.all().await?;
        let rows: Vec<NumberedSums> = query.bind(i64::from(first.0)).bind(i64::from(last.0)).all().await?;
        let of = |user: &UserNo| UserUse {
            user: *user,
            total: NumberedSums::find_totals(&rows, user.0),
            used_at: uses.iter().find(|(no, _)| *no == user.0).and_then(|(_, at)| at.map(timestamp)),
        };
        Ok(users.iter().map(of).collect())
    }

    async fn ranked(
        &self,
        of: UsageOf,
        by: RankedBy,
        [first, last]: [Day; 2],
    ) -> Result<Vec<RankedRow>, DatabaseError> {
        let query = of.bind(self.store.query(AssertSqlSafe(ranked(of, by))));
        query.bind(i64::from(first.0)).bind(i64::from(last.0)).all().await
    }

    async fn key_rows(
        &self,
        of: UsageOf,
        key: Option<KeyNo>,
        [first, last]: [Day; 2],
    ) -> Result<Vec<KeyRow>, DatabaseError> {
        let query = of.bind(self.store.query(AssertSqlSafe(keys(of))));
        let query = query.bind(i64::from(first.0)).bind(i64::from(last.0)).bind(key.map(|key| key.0));
        let mut rows: Vec<KeyRow> = query.bind(i64::from(KEYS_MAX)).all().await?;
        rows.sort_by_key(|row| {
            let used = UsageTotals::from(&row.sums);
            Reverse((used.cost, used.requests, row.no))
        });
        Ok(rows)
    }

    async fn scope_keys(
        &self,
        of: UsageOf,
        key: Option<KeyNo>,
        [since, today]: [Day; 2],
    ) -> Result<Vec<OverviewKey>, DatabaseError> {
        let month = self.key_rows(of, key, [since, today]).await?;
        let numbers: Vec<i64> = month.iter().map(|row| row.no).collect();
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let query = of.bind(self.store.query(AssertSqlSafe(keys_on(of, &numbers))).once());
        let on_last: Vec<NumberedSums> = query.bind(i64::from(today.0)).all().await?;
        let keys =
            month.iter().map(|row| OverviewKey { today: NumberedSums::find_totals(&on_last, row.no), ..row.key() });
        Ok(keys.collect())
    }
}

impl NumberedSums {
    /// Returns the usage of a number.
    fn find_totals(rows: &[Self], no: i64) -> UsageTotals {
        rows.iter().find(|row| row.no == no).map_or(UsageTotals::default(), |row| UsageTotals::from(&row.sums))
    }
}

impl KeyRow {
    fn owner(&self) -> KeyOwner {
        KeyOwner { id: UserId(self.owner_id), name: self.owner_name.clone() }
    }

    fn key(&self) -> OverviewKey {
        OverviewKey {
            id: KeyId(self.id),
            no: KeyNo(self.no),
            label: self.label.clone(),
            prefix: self.prefix.clone(),
            last4: self.last4.clone(),
            expires_at: self.expires_at.map(timestamp),
            revoked_at: self.revoked_at.map(timestamp),
            created_at: timestamp(self.created_at),
            owner: Some(self.owner()),
            today: UsageTotals::default(),
            month: UsageTotals::from(&self.sums),
        }
    }
}

impl RankedRow {
    fn user(&self) -> RankedUser {
        RankedUser {
            id: UserId(self.id.unwrap_or_default()),
            name: self.name.clone(),
            plan: self.plan.clone().unwrap_or_default(),
            total: UsageTotals::from(&self.sums),
            results: ResultTotals::from(&self.results),
        }
    }

    fn route(&self) -> RankedRoute {
        RankedRoute {
            name: self.name.clone(),
            total: UsageTotals::from(&self.sums),
            results: ResultTotals::from(&self.results),
            mean_us: unsigned(self.duration_us).checked_div(unsigned(self.timed)),
        }
    }

    fn cost(&self) -> NanoUsd {
        UsageTotals::from(&self.sums).cost
    }

    fn requests(&self) -> u64 {
        ResultTotals::from(&self.results).all()
    }

    fn errors(&self) -> u64 {
        ResultTotals::from(&self.results).errors
    }
}

fn top_lists<T>(mut rows: Vec<RankedRow>, of: fn(&RankedRow) -> T) -> TopLists<T> {
    let first = |rows: &[RankedRow]| rows.iter().take(LISTED_MAX).map(of).collect::<Vec<T>>();
    rows.sort_by_key(|row| Reverse((row.errors(), row.requests())));
    let most_errors = rows.iter().filter(|row| row.errors() > 0).take(LISTED_MAX).map(of).collect();
    rows.sort_by_key(|row| Reverse((row.requests(), row.cost())));
    let most_requests = first(&rows);
    rows.sort_by_key(|row| Reverse((row.cost(), row.requests())));
    TopLists { most_spent: first(&rows), most_requests, most_errors }
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(super) fn texts(kind: StoreKind) -> Vec<String> {
    let of = |of| [ranked(of, RankedBy::User), ranked(of, RankedBy::Route), keys(of), keys_on(of, &[1, 2])];
    let users = |kind| [of_users(kind, 1), last_use(kind, 1)];
    UsageOf::KINDS.into_iter().flat_map(of).chain(users(kind)).collect()
}
