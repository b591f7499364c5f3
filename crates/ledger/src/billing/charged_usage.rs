//! The daily totals that invoices charge.

use access::{Credits, Day, Timestamp, UserId, UserNo};
use invoicing::rules::usage::UsageDay;
use store::sql::{Transaction, micros, statements, timestamp};
use store::{DatabaseError, Store};
use uuid::Uuid;

use super::charged_requests::{SLACK, is_unpriced};
use super::parsing::{day, known, read};

statements! {
    TOTALS = "SELECT day, CAST(NULL AS TEXT) AS model, CAST(sum(requests) AS BIGINT) AS requests, CAST(sum(credits) AS BIGINT) AS credits,
        CAST(sum(input_tokens + cached_input_tokens + cache_write_short_tokens + cache_write_long_tokens + output_tokens
        + reasoning_tokens) AS BIGINT) AS tokens, CAST(sum(cost_nano - own_cost_nano) AS BIGINT) AS cost_nano,
        CAST(sum(unpriced_requests) AS BIGINT) AS unpriced_requests
        FROM daily_usage WHERE user_no = $1 AND day >= $2 AND day <= $3 GROUP BY day";
    MODELS = "SELECT d.day, n.name AS model, CAST(sum(d.requests) AS BIGINT) AS requests, CAST(sum(d.credits) AS BIGINT) AS credits,
        CAST(sum(d.input_tokens + d.cached_input_tokens + d.cache_write_short_tokens + d.cache_write_long_tokens + d.output_tokens
        + d.reasoning_tokens) AS BIGINT) AS tokens, CAST(sum(d.cost_nano - d.own_cost_nano) AS BIGINT) AS cost_nano,
        CAST(sum(d.unpriced_requests) AS BIGINT) AS unpriced_requests
        FROM daily_models d JOIN names n ON n.no = d.model_no
        WHERE d.user_no = $1 AND d.day >= $2 AND d.day <= $3 GROUP BY d.day, n.name";
    // Requests that the totals count as without a known cost, but only attempts with the user's own credential are.
    OWN_UNPRICED = concat!("SELECT e.day, n.name AS model, count(*) AS requests FROM usage_events e LEFT JOIN names n ON n.no = e.model_no
        WHERE e.user_no = $1 AND e.started_at >= $2 AND e.started_at < $3 AND e.day >= $4 AND e.day <= $5 AND e.format IS NOT NULL
        AND e.own_cost_nano IS NOT NULL AND (e.cost_nano IS NULL OR e.attempts > 1 AND EXISTS
        (SELECT 1 FROM usage_attempts t WHERE t.event_id = e.id AND t.cost_nano IS NULL)) AND NOT ", is_unpriced!(),
        " GROUP BY e.day, n.name");
    USERS = "SELECT u.id, u.no, s.plan_version_id FROM users u LEFT JOIN subscriptions s ON s.user_id = u.id AND s.state <> 'cancelled'
        WHERE u.id > $1 AND (s.id IS NOT NULL OR EXISTS (SELECT 1 FROM daily_usage d WHERE d.user_no = u.no AND d.day >= $2
        AND d.day <= $3)) ORDER BY u.id LIMIT $4";
    // A node that left with an empty spool has nothing to store; a node that stopped otherwise blocks the close.
    STORED_UNTIL = "SELECT CAST(min(CASE WHEN left_at IS NOT NULL AND ingested_until >= left_at - 1000000 THEN $1
        ELSE coalesce(ingested_until, 0) END) AS BIGINT) FROM nodes";
    BEHIND = "SELECT id FROM nodes WHERE left_at IS NULL OR ingested_until IS NULL OR ingested_until < left_at - 1000000
        ORDER BY coalesce(ingested_until, 0) LIMIT 1";
}

/// A user with a subscription or with usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChargedUser {
    /// Id of the user.
    pub user: UserId,
    /// The number of the user in rows of usage.
    pub user_no: UserNo,
    /// The plan version of the subscription; `None` without one.
    pub plan_version: Option<Uuid>,
}

#[derive(Debug, sqlx_macros::FromRow)]
struct ChargedRow {
    day: i64,
    model: Option<String>,
    requests: i64,
    credits: i64,
    tokens: i64,
    cost_nano: i64,
    unpriced_requests: i64,
}

impl TryFrom<ChargedRow> for UsageDay {
    type Error = DatabaseError;

    fn try_from(row: ChargedRow) -> Result<Self, DatabaseError> {
        let count = |stored: i64, column| known(u64::try_from(stored).ok(), "daily_usage", column);
        Ok(Self {
            day: day(row.day, "daily_usage", "day")?,
            model: row.model,
            requests: count(row.requests, "requests")?,
            credits: Credits(count(row.credits, "credits")?),
            tokens: count(row.tokens, "tokens")?,
            cost_nano: count(row.cost_nano, "cost_nano")?,
            unpriced_requests: count(row.unpriced_requests, "unpriced_requests")?,
        })
    }
}

/// Returns the usage of a user on the days from `first` to `last`, by day, and by day and model.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_days(
    tx: &mut Transaction,
    user: UserNo,
    first: Day,
    last: Day,
) -> Result<Vec<UsageDay>, DatabaseError> {
    let mut days = Vec::new();
    for sql in [TOTALS, MODELS] {
        let query = tx.query(sql).bind(user.0).bind(i64::from(first.0)).bind(i64::from(last.0));
        days.extend(read::<_, UsageDay>(query.all::<ChargedRow>().await?)?);
    }
    leave_out_own(tx, user, &mut days).await?;
    Ok(days)
}

/// Takes requests from the unpriced ones that only the user's own credentials leave without a cost. The totals do not
/// distinguish them, so the events are read, of days with unpriced requests only.
async fn leave_out_own(tx: &mut Transaction, user: UserNo, days: &mut [UsageDay]) -> Result<(), DatabaseError> {
    let unpriced = days.iter().filter(|of| of.unpriced_requests > 0).map(|of| of.day);
    let Some((first, last)) = unpriced.clone().min().zip(unpriced.max()) else { return Ok(()) };
    let from = first.start().before(SLACK);
    let until = last.next().start().after(SLACK);
    let query = tx.query(OWN_UNPRICED).bind(user.0).bind(micros(from)).bind(micros(until));
    let rows: Vec<(i64, Option<String>, i64)> = query.bind(i64::from(first.0)).bind(i64::from(last.0)).all().await?;
    for of in days {
        let is_of = |(on_day, model, _): &&(i64, Option<String>, i64)| {
            *on_day == i64::from(of.day.0) && (of.model.is_none() || *model == of.model)
        };
        let own: u64 = rows.iter().filter(is_of).map(|(.., requests)| requests.unsigned_abs()).sum();
        of.unpriced_requests = of.unpriced_requests.saturating_sub(own);
    }
    Ok(())
}

/// Returns users with a subscription, or with usage from the first to the last of `days`, in the order of their ids.
///
/// # Errors
/// Database errors of any kind.
pub async fn users(
    tx: &mut Transaction,
    days: (Day, Day),
    after: Uuid,
    limit: u32,
) -> Result<Vec<ChargedUser>, DatabaseError> {
    let (first, last) = days;
    let query = tx.query(USERS).bind(after).bind(i64::from(first.0)).bind(i64::from(last.0)).bind(i64::from(limit));
    let rows: Vec<(Uuid, i64, Option<Uuid>)> = query.all().await?;
    let user = |(id, no, plan_version)| ChargedUser { user: UserId(id), user_no: UserNo(no), plan_version };
    Ok(rows.into_iter().map(user).collect())
}

/// Returns the node whose usage is stored until the earliest time.
///
/// # Errors
/// Database errors of any kind.
pub async fn behind(store: &Store) -> Result<Option<Uuid>, DatabaseError> {
    Ok(store.query(BEHIND).find::<(Uuid,)>().await?.map(|(node,)| node))
}

/// Returns the time until which the usage of every node is stored; `None` without nodes.
///
/// # Errors
/// Database errors of any kind.
pub async fn stored_until(store: &Store) -> Result<Option<Timestamp>, DatabaseError> {
    let (until,): (Option<i64>,) = store.query(STORED_UNTIL).bind(store.now()).one().await?;
    Ok(until.map(timestamp))
}
