//! When the subscriptions of users began, for the windows of quotas that begin with them.

use std::collections::HashMap;

use access::{BillingInterval, Day, Minute, SubscriptionDates, SubscriptionPeriod, UserId};
use uuid::Uuid;

use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sql::{ASKED_MAX, StoreKind, Texts, padded, timestamp, unsigned};

const MINUTES_PER_HOUR: u32 = 60;
/// The subscription that is not cancelled, and the term of its plan.
const READ: &str =
    "SELECT u.id, u.created_at AS user_created_at, s.created_at AS subscribed_at, s.active_since, s.anchor_day,
    s.first_day, s.trial_last_day, v.term
    FROM users u LEFT JOIN subscriptions s ON s.user_id = u.id AND s.state <> 'cancelled'
    LEFT JOIN plan_versions v ON v.id = s.plan_version_id WHERE u.id IN ";

pub(crate) static TEXTS: Texts = Texts::new(text);

#[derive(sqlx_macros::FromRow)]
struct DatesRow {
    id: Uuid,
    user_created_at: i64,
    subscribed_at: Option<i64>,
    active_since: Option<i64>,
    anchor_day: Option<i64>,
    first_day: Option<i64>,
    trial_last_day: Option<i64>,
    term: Option<String>,
}

impl DatesRow {
    fn dates(self) -> Result<SubscriptionDates, DatabaseError> {
        let unreadable = |column| DatabaseError::Unreadable { table: "subscriptions", column };
        let day = |stored: i64, column| u32::try_from(unsigned(stored)).map(Day).map_err(|_| unreadable(column));
        let since = timestamp(self.active_since.or(self.subscribed_at).unwrap_or(self.user_created_at));
        let minute = Minute::containing(since);
        let since = Minute(minute.0 - minute.0 % MINUTES_PER_HOUR);
        let Some((anchor_day, first_day)) = self.anchor_day.zip(self.first_day) else {
            let created = timestamp(self.user_created_at).day();
            return Ok(SubscriptionDates { since, period: SubscriptionPeriod::monthly_since(created) });
        };
        let interval = match self.term.as_deref() {
            Some("month") => BillingInterval::Month,
            Some("year") => BillingInterval::Year,
            _ => return Err(DatabaseError::Unreadable { table: "plan_versions", column: "term" }),
        };
        let anchor_day = u8::try_from(anchor_day).map_err(|_| unreadable("anchor_day"))?;
        let mut period = SubscriptionPeriod::new(interval, anchor_day, day(first_day, "first_day")?);
        if let Some(last) = self.trial_last_day
            && let Some(begun) = self.subscribed_at
        {
            // A trial begins on the day of the subscription.
            period = period.after_trial(timestamp(begun).day(), day(last, "trial_last_day")?);
        }
        Ok(SubscriptionDates { since, period })
    }
}

impl Store {
    /// Returns when the subscriptions of these users began, and their periods. A user without a subscription has those of the
    /// user; an unknown user is absent.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn subscription_dates(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, SubscriptionDates>, DatabaseError> {
        let mut found = HashMap::with_capacity(users.len());
        for asked in users.chunks(ASKED_MAX) {
            let asked = padded(asked);
            let query = self.look_up(TEXTS.text_for(self.kind(), asked.len()));
            let rows: Vec<DatesRow> = asked.iter().fold(query, |query, user| query.bind(user.0)).all().await?;
            for row in rows {
                found.insert(UserId(row.id), row.dates()?);
            }
        }
        Ok(found)
    }
}

/// Builds the query for a number of users.
fn text(kind: StoreKind, users: usize) -> String {
    let mut text = READ.to_owned();
    kind.placeholders_from(1, users, &mut text);
    text
}
