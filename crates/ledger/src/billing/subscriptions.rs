//! Subscriptions of users, and the days that each had a plan version.

use access::{Day, Timestamp, UserId, UserNo};
use invoicing::rules::subscription::SubscriptionState;
use store::sql::{Transaction, micros, statements, timestamp};
use store::{DatabaseError, Store};
use uuid::Uuid;

use super::parsing::{day, known, read};

macro_rules! subscription_columns {
    () => {
        "s.id, s.user_id, u.no, s.plan_version_id, s.state, s.anchor_day, s.first_day, s.last_day, s.trial_last_day,
        s.past_due_since, s.cancel_at_end, s.next_plan_version_id, s.usage_due, s.ended_at, s.created_at
        FROM subscriptions s JOIN users u ON u.id = s.user_id"
    };
}

statements! {
    ADD = "INSERT INTO subscriptions (id, user_id, plan_version_id, state, anchor_day, first_day, last_day, trial_last_day,
        cancel_at_end, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, FALSE, $9, $9)";
    FIND = concat!("SELECT ", subscription_columns!(), " WHERE s.id = $1");
    OF_USER = concat!("SELECT ", subscription_columns!(), " WHERE s.user_id = $1 AND s.state <> 'cancelled'");
    HAD_TRIAL = "SELECT EXISTS (SELECT 1 FROM subscriptions WHERE user_id = $1 AND trial_last_day IS NOT NULL)";
    IS_SUSPENDED = "SELECT EXISTS (SELECT 1 FROM users WHERE id = $1 AND status = 'suspended')";
    // Windows of quotas begin with the hour in which the subscription first became active.
    SET_STATE = "UPDATE subscriptions SET state = $2, past_due_since = $3, ended_at = $4, updated_at = $5,
        active_since = CASE WHEN $2 = 'active' THEN coalesce(active_since, $5) ELSE active_since END WHERE id = $1";
    SET_PERIOD = "UPDATE subscriptions SET plan_version_id = $2, anchor_day = $3, first_day = $4, last_day = $5,
        next_plan_version_id = NULL, updated_at = $6 WHERE id = $1";
    SET_CANCEL = "UPDATE subscriptions SET cancel_at_end = $2, updated_at = $3 WHERE id = $1";
    SET_NEXT = "UPDATE subscriptions SET next_plan_version_id = $2, updated_at = $3 WHERE id = $1";
    SET_END = "UPDATE subscriptions SET last_day = $2, usage_due = $3, updated_at = $4 WHERE id = $1";
    SET_LAST_DAY = "UPDATE subscriptions SET last_day = $2, anchor_day = $3, updated_at = $4 WHERE id = $1";
    // The day up to which the usage of subscriptions that were cancelled within a period is invoiced with them.
    LAST_CHARGED = "SELECT max(last_day) FROM subscriptions WHERE user_id = $1 AND usage_due";
    // No period begins for a suspended user. A subscription with missing payments does not end before they are made, as the end
    // would also end the consequences.
    ENDING = concat!("SELECT ", subscription_columns!(), " WHERE (s.usage_due
        OR (s.state IN ('trialing', 'active') AND (u.status = 'active' OR s.cancel_at_end))
        OR (s.state = 'past_due' AND u.status = 'active' AND NOT s.cancel_at_end)) AND s.last_day <= $1 AND s.id > $2
        AND (s.usage_due OR NOT s.cancel_at_end OR NOT EXISTS (SELECT 1 FROM invoices i WHERE i.subscription_id = s.id
        AND i.state = 'open' AND i.due_at <= $3)) ORDER BY s.id LIMIT $4");
    // The first condition on the state is that of the index by the last day.
    ENDED = concat!("SELECT ", subscription_columns!(), " WHERE s.cancel_at_end
        AND s.state <> 'cancelled' AND s.state IN ('trialing', 'active', 'past_due') AND s.last_day < $1 AND s.id > $2 ORDER BY s.id LIMIT $3");
    OWING = concat!("SELECT ", subscription_columns!(), " WHERE s.state IN ('pending', 'active', 'past_due', 'limited')
        AND (s.state <> 'active' OR EXISTS (SELECT 1 FROM invoices i WHERE i.subscription_id = s.id AND i.state = 'open'
        AND i.due_at <= $1)) AND s.id > $2 ORDER BY s.id LIMIT $3");
    IS_NEEDED = "SELECT EXISTS (SELECT 1 FROM subscriptions WHERE state <> 'cancelled' OR usage_due)
        OR EXISTS (SELECT 1 FROM invoices WHERE state IN ('draft', 'review', 'open'))";
    ADD_DAYS = "INSERT INTO subscription_days (id, subscription_id, plan_version_id, first_day, period_first, period_last,
        created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)";
    DROP_DAYS = "DELETE FROM subscription_days WHERE subscription_id = $1 AND first_day >= $2";
    // Without a gap: each entry ends where the next one begins, also an entry of a long period that was left early.
    DAYS = "SELECT plan_version_id, first_day, period_first, period_last FROM subscription_days
        WHERE subscription_id = $1 AND first_day >= (SELECT min(first_day) FROM subscription_days
        WHERE subscription_id = $1 AND period_last >= $2) ORDER BY first_day LIMIT 1000";
}

/// A subscription as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSubscription {
    /// Id of the subscription.
    pub id: Uuid,
    /// The user who subscribed.
    pub user: UserId,
    /// The number of the user in rows of usage.
    pub user_no: UserNo,
    /// The version of the plan.
    pub plan_version: Uuid,
    /// The state of the subscription.
    pub state: SubscriptionState,
    /// The day of the month on which periods begin.
    pub anchor_day: u8,
    /// The first day of the current period.
    pub first_day: Day,
    /// The last day of the current period.
    pub last_day: Day,
    /// The last day of the trial.
    pub trial_last_day: Option<Day>,
    /// The time since which an invoice is past its due time.
    pub past_due_since: Option<Timestamp>,
    /// Whether the subscription ends with the period.
    pub cancel_at_end: bool,
    /// The version of the next period, if it differs.
    pub next_plan_version: Option<Uuid>,
    /// Whether it was cancelled within a period whose usage is not invoiced yet.
    pub usage_due: bool,
    /// The time at which the subscription ended.
    pub ended_at: Option<Timestamp>,
    /// The time at which the user subscribed.
    pub created_at: Timestamp,
}

/// A subscription that is to be stored.
#[derive(Debug, Clone, Copy)]
pub struct NewSubscription {
    /// Id of the subscription.
    pub id: Uuid,
    /// The user who subscribes.
    pub user: UserId,
    /// The version of the plan.
    pub plan_version: Uuid,
    /// The state of the subscription.
    pub state: SubscriptionState,
    /// The day of the month on which periods begin.
    pub anchor_day: u8,
    /// The first day of the period.
    pub first_day: Day,
    /// The last day of the period.
    pub last_day: Day,
    /// The last day of the trial.
    pub trial_last_day: Option<Day>,
}

/// Days with one plan version, within one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaysOfVersion {
    /// The version of the plan.
    pub plan_version: Uuid,
    /// The first of the days; the last one precedes the next entry, or ends the period.
    pub first_day: Day,
    /// The first day of the whole period.
    pub period_first: Day,
    /// The last day of the whole period.
    pub period_last: Day,
}

#[derive(Debug, sqlx_macros::FromRow)]
struct SubscriptionRow {
    id: Uuid,
    user_id: Uuid,
    no: i64,
    plan_version_id: Uuid,
    state: String,
    anchor_day: i64,
    first_day: i64,
    last_day: i64,
    trial_last_day: Option<i64>,
    past_due_since: Option<i64>,
    cancel_at_end: bool,
    next_plan_version_id: Option<Uuid>,
    usage_due: bool,
    ended_at: Option<i64>,
    created_at: i64,
}

impl TryFrom<SubscriptionRow> for StoredSubscription {
    type Error = DatabaseError;

    fn try_from(row: SubscriptionRow) -> Result<Self, DatabaseError> {
        let day = |stored, column| day(stored, "subscriptions", column);
        let anchor_day = u8::try_from(row.anchor_day).ok().filter(|day| (1..=31).contains(day));
        Ok(Self {
            id: row.id,
            user: UserId(row.user_id),
            user_no: UserNo(row.no),
            plan_version: row.plan_version_id,
            state: known(SubscriptionState::of_name(&row.state), "subscriptions", "state")?,
            anchor_day: known(anchor_day, "subscriptions", "anchor_day")?,
            first_day: day(row.first_day, "first_day")?,
            last_day: day(row.last_day, "last_day")?,
            trial_last_day: row.trial_last_day.map(|stored| day(stored, "trial_last_day")).transpose()?,
            past_due_since: row.past_due_since.map(timestamp),
            cancel_at_end: row.cancel_at_end,
            next_plan_version: row.next_plan_version_id,
            usage_due: row.usage_due,
            ended_at: row.ended_at.map(timestamp),
            created_at: timestamp(row.created_at),
        })
    }
}

/// Adds a subscription.
///
/// # Errors
/// Database errors of any kind, also if the user has another one that is not cancelled.
pub async fn add(store: &Store, tx: &mut Transaction, new: NewSubscription) -> Result<(), DatabaseError> {
    let add = tx
        .query(ADD)
        .bind(new.id)
        .bind(new.user.0)
        .bind(new.plan_version)
        .bind(new.state.as_str())
        .bind(i64::from(new.anchor_day))
        .bind(i64::from(new.first_day.0))
        .bind(i64::from(new.last_day.0))
        .bind(new.trial_last_day.map(|day| i64::from(day.0)))
        .bind(store.now());
    add.run().await?;
    Ok(())
}

/// Returns a subscription by its id.
///
/// # Errors
/// Database errors of any kind.
pub async fn find(tx: &mut Transaction, id: Uuid) -> Result<Option<StoredSubscription>, DatabaseError> {
    tx.query(FIND).bind(id).find::<SubscriptionRow>().await?.map(TryInto::try_into).transpose()
}

/// Returns the subscription of a user that is not cancelled.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_user(tx: &mut Transaction, user: UserId) -> Result<Option<StoredSubscription>, DatabaseError> {
    tx.query(OF_USER).bind(user.0).find::<SubscriptionRow>().await?.map(TryInto::try_into).transpose()
}

/// Returns the subscription of a user that is not cancelled, outside of a transaction.
///
/// # Errors
/// Database errors of any kind.
pub async fn present(store: &Store, user: UserId) -> Result<Option<StoredSubscription>, DatabaseError> {
    store.query(OF_USER).bind(user.0).find::<SubscriptionRow>().await?.map(TryInto::try_into).transpose()
}

/// Whether the user has had a trial.
///
/// # Errors
/// Database errors of any kind.
pub async fn had_trial(tx: &mut Transaction, user: UserId) -> Result<bool, DatabaseError> {
    Ok(tx.query(HAD_TRIAL).bind(user.0).one::<(bool,)>().await?.0)
}

/// Whether a user is suspended.
///
/// # Errors
/// Database errors of any kind.
pub async fn is_suspended(tx: &mut Transaction, user: UserId) -> Result<bool, DatabaseError> {
    Ok(tx.query(IS_SUSPENDED).bind(user.0).one::<(bool,)>().await?.0)
}

/// Sets the state, the time since which an invoice is past due, and the time of the end.
///
/// # Errors
/// Database errors of any kind.
pub async fn set_state(
    store: &Store,
    tx: &mut Transaction,
    of: &StoredSubscription,
    state: SubscriptionState,
) -> Result<(), DatabaseError> {
    let now = store.now();
    let past_due_since = match state {
        SubscriptionState::PastDue | SubscriptionState::Limited | SubscriptionState::Closed => {
            Some(of.past_due_since.map_or(now, micros))
        }
        SubscriptionState::Pending
        | SubscriptionState::Trialing
        | SubscriptionState::Active
        | SubscriptionState::Cancelled => None,
    };
    let ended = (state == SubscriptionState::Cancelled).then_some(now);
    let set = tx.query(SET_STATE).bind(of.id).bind(state.as_str()).bind(past_due_since).bind(ended).bind(now);
    set.run().await?;
    Ok(())
}

/// Sets the plan version and the period; a planned version is forgotten.
///
/// # Errors
/// Database errors of any kind.
pub async fn set_period(
    store: &Store,
    tx: &mut Transaction,
    id: Uuid,
    of: DaysOfVersion,
    anchor_day: u8,
) -> Result<(), DatabaseError> {
    let set = tx
        .query(SET_PERIOD)
        .bind(id)
        .bind(of.plan_version)
        .bind(i64::from(anchor_day))
        .bind(i64::from(of.period_first.0))
        .bind(i64::from(of.period_last.0))
        .bind(store.now());
    set.run().await?;
    add_days(store, tx, id, of).await
}

/// Records from which day on a subscription has a plan version. Later days of the subscription are replaced.
///
/// # Errors
/// Database errors of any kind.
pub async fn add_days(store: &Store, tx: &mut Transaction, id: Uuid, of: DaysOfVersion) -> Result<(), DatabaseError> {
    tx.query(DROP_DAYS).bind(id).bind(i64::from(of.first_day.0)).run().await?;
    let add = tx
        .query(ADD_DAYS)
        .bind(store.new_id())
        .bind(id)
        .bind(of.plan_version)
        .bind(i64::from(of.first_day.0))
        .bind(i64::from(of.period_first.0))
        .bind(i64::from(of.period_last.0))
        .bind(store.now());
    add.run().await?;
    Ok(())
}

/// Returns the days with each plan version, without a gap, from the first period that ends on `from` or later.
///
/// # Errors
/// Database errors of any kind.
pub async fn days(tx: &mut Transaction, id: Uuid, from: Day) -> Result<Vec<DaysOfVersion>, DatabaseError> {
    let rows: Vec<(Uuid, i64, i64, i64)> = tx.query(DAYS).bind(id).bind(i64::from(from.0)).all().await?;
    let day = |stored, column| day(stored, "subscription_days", column);
    let of = |(plan_version, first_day, period_first, period_last)| {
        Ok(DaysOfVersion {
            plan_version,
            first_day: day(first_day, "first_day")?,
            period_first: day(period_first, "period_first")?,
            period_last: day(period_last, "period_last")?,
        })
    };
    rows.into_iter().map(of).collect()
}

/// Sets whether the subscription ends with its period.
///
/// # Errors
/// Database errors of any kind.
pub async fn set_cancel(store: &Store, tx: &mut Transaction, id: Uuid, is_set: bool) -> Result<(), DatabaseError> {
    tx.query(SET_CANCEL).bind(id).bind(is_set).bind(store.now()).run().await?;
    Ok(())
}

/// Sets the last day, and whether the usage until then is not invoiced yet.
///
/// # Errors
/// Database errors of any kind.
pub async fn set_end(
    store: &Store,
    tx: &mut Transaction,
    id: Uuid,
    last_day: Day,
    is_due: bool,
) -> Result<(), DatabaseError> {
    tx.query(SET_END).bind(id).bind(i64::from(last_day.0)).bind(is_due).bind(store.now()).run().await?;
    Ok(())
}

/// Sets the last day of the current period, and the anchor day of the periods after it.
///
/// # Errors
/// Database errors of any kind.
pub async fn set_last_day(
    store: &Store,
    tx: &mut Transaction,
    id: Uuid,
    last_day: Day,
    anchor_day: u8,
) -> Result<(), DatabaseError> {
    let set = tx.query(SET_LAST_DAY).bind(id).bind(i64::from(last_day.0)).bind(i64::from(anchor_day));
    set.bind(store.now()).run().await?;
    Ok(())
}

/// Returns the last day whose usage an ended subscription of the user will still be charged for.
///
/// # Errors
/// Database errors of any kind.
pub async fn last_charged(tx: &mut Transaction, user: UserId) -> Result<Option<Day>, DatabaseError> {
    let (last,): (Option<i64>,) = tx.query(LAST_CHARGED).bind(user.0).one().await?;
    last.map(|stored| day(stored, "subscriptions", "last_day")).transpose()
}

/// Sets the plan version of the next period.
///
/// # Errors
/// Database errors of any kind.
pub async fn set_next(store: &Store, tx: &mut Transaction, id: Uuid, next: Option<Uuid>) -> Result<(), DatabaseError> {
    tx.query(SET_NEXT).bind(id).bind(next).bind(store.now()).run().await?;
    Ok(())
}

/// Returns subscriptions whose period ends on `last_day` or earlier, in the order of ids after `after`. Those that would end
/// while payments are missing are left out.
///
/// # Errors
/// Database errors of any kind.
pub async fn ending(
    store: &Store,
    last_day: Day,
    after: Uuid,
    limit: u32,
) -> Result<Vec<StoredSubscription>, DatabaseError> {
    let query = store.query(ENDING).bind(i64::from(last_day.0)).bind(after).bind(store.now()).bind(i64::from(limit));
    read(query.all::<SubscriptionRow>().await?)
}

/// Returns subscriptions that end with a period whose last day is before `today`, in the order of ids after `after`.
///
/// # Errors
/// Database errors of any kind.
pub async fn ended(
    store: &Store,
    today: Day,
    after: Uuid,
    limit: u32,
) -> Result<Vec<StoredSubscription>, DatabaseError> {
    let query = store.query(ENDED).bind(i64::from(today.0)).bind(after).bind(i64::from(limit));
    read(query.all::<SubscriptionRow>().await?)
}

/// Returns subscriptions whose state depends on payments that are missing, in the order of ids after `after`.
///
/// # Errors
/// Database errors of any kind.
pub async fn owing(
    store: &Store,
    now: Timestamp,
    after: Uuid,
    limit: u32,
) -> Result<Vec<StoredSubscription>, DatabaseError> {
    let query = store.query(OWING).bind(micros(now)).bind(after).bind(i64::from(limit));
    read(query.all::<SubscriptionRow>().await?)
}

/// Whether a subscription has not ended, or an invoice waits for its approval or its payment.
///
/// # Errors
/// Database errors of any kind.
pub async fn is_needed(store: &Store) -> Result<bool, DatabaseError> {
    Ok(store.query(IS_NEEDED).one::<(bool,)>().await?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impossible_day_is_an_error_of_its_row() {
        let row = |anchor_day, last_day, trial_last_day| SubscriptionRow {
            id: Uuid::nil(),
            user_id: Uuid::nil(),
            no: 1,
            plan_version_id: Uuid::nil(),
            state: "active".to_owned(),
            anchor_day,
            first_day: 20_833,
            last_day,
            trial_last_day,
            past_due_since: None,
            cancel_at_end: false,
            next_plan_version_id: None,
            usage_due: false,
            ended_at: None,
            created_at: 0,
        };
        let column = |row| match StoredSubscription::try_from(row) {
            Err(DatabaseError::Unreadable { table: "subscriptions", column }) => Some(column),
            Err(_) | Ok(_) => None,
        };
        assert_eq!(column(row(31, 20_863, Some(20_840))), None);
        assert_eq!(column(row(0, 20_863, None)), Some("anchor_day"));
        assert_eq!(column(row(32, 20_863, None)), Some("anchor_day"));
        assert_eq!(column(row(300, 20_863, None)), Some("anchor_day"));
        assert_eq!(column(row(1, -1, None)), Some("last_day"));
        assert_eq!(column(row(1, 20_863, Some(i64::MAX))), Some("trial_last_day"));
    }
}
