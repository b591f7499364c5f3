//! The daily quota of a user: the live meter reports the used credits. Without the proxy the store reports them, and
//! if nodes share the quota, the higher of both figures counts.

use std::time::Duration;

use access::{Credits, Day, KeyNo, Plan, UserNo};
use ledger::DayUsage;
use meter::{BudgetId, BudgetScope, Meter};
use serde::Serialize;
use tokio::time::sleep;
use utoipa::ToSchema;

use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::process::state::State;

/// Pauses before the store is read again. Usage is recorded about 100 ms after it is settled.
const RETRIES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(200)];

/// The credits of a UTC day. `limit` and `remaining` are null if there is no daily quota.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Quota {
    #[schema(value_type = Option<f64>)]
    pub(crate) limit: Option<Credits>,
    #[schema(value_type = f64)]
    pub(crate) used: Credits,
    #[schema(value_type = Option<f64>)]
    pub(crate) remaining: Option<Credits>,
    pub(crate) resets_at: String,
}

/// The credits that a user and the user's keys have used on a day.
#[derive(Debug)]
pub(crate) struct SpentCredits<'a> {
    by: SpentSource<'a>,
    day: Day,
}

#[derive(Debug)]
enum SpentSource<'a> {
    /// The live meter, which counts reserved credits of requests in flight as used.
    Meter(&'a Meter, UserNo),
    /// The store, which lacks usage that is still in spools. `part` is a live meter that counts only this node; the
    /// higher figure counts.
    Store { total: Credits, by_key: Vec<(KeyNo, Credits)>, part: Option<(&'a Meter, UserNo)> },
}

/// Returns the recorded usage of a user's day, including everything that was settled before this request. Usage
/// reaches the store about 100 ms after it is settled, so a client that reads its usage right after a request sees the
/// request.
///
/// The store is read at most three times within 300 ms. [`pending`] returns the credits that are not recorded by then.
///
/// # Errors
/// `unavailable`.
pub(crate) async fn recorded(state: &State, user: UserNo, day: Day) -> Result<DayUsage, Problem> {
    let read = || state.ledger.usage_of_day(user, day);
    Ok(until(settled(state, user, day), read, sleep).await?)
}

/// Returns the first reading with at least `settled` credits, or the last reading.
async fn until<E, R, P>(settled: Credits, read: impl Fn() -> R, pause: impl Fn(Duration) -> P) -> Result<DayUsage, E>
where
    R: Future<Output = Result<DayUsage, E>>,
    P: Future<Output = ()>,
{
    let mut usage = read().await?;
    for time in RETRIES {
        if usage.total.credits >= settled {
            break;
        }
        pause(time).await;
        usage = read().await?;
    }
    Ok(usage)
}

/// Returns the credits of a user's day that the meter of this process has settled.
pub(crate) fn settled(state: &State, user: UserNo, day: Day) -> Credits {
    let budget = BudgetId::credits_a_day(BudgetScope::User(user));
    let counter = state.meter.as_ref().and_then(|meter| meter.counter(budget));
    counter.filter(|counter| counter.period().first() == day).map_or(Credits::ZERO, |counter| counter.spent().credits())
}

/// Returns the credits that are used but not recorded: of requests in flight, and of requests that ended a moment ago.
pub(crate) const fn pending(quota: &Quota, recorded: Credits) -> Credits {
    quota.used.saturating_sub(recorded)
}

impl Quota {
    /// Creates the quota of `day` with `used` of `limit` credits.
    pub(crate) fn new(limit: Option<Credits>, used: Credits, day: Day) -> Self {
        let remaining = limit.map(|limit| limit.saturating_sub(used));
        Self { limit, used, remaining, resets_at: rfc3339(day.next().start()) }
    }
}

impl<'a> SpentCredits<'a> {
    /// Reads the used credits from the meter, or from the store if no live meter counts all usage.
    pub(crate) async fn load(state: &'a State, user: UserNo, day: Day) -> Result<Self, Problem> {
        match &state.meter {
            Some(meter) if !meter.is_leased() => Ok(Self { by: SpentSource::Meter(meter, user), day }),
            part => {
                let recorded = state.ledger.usage_of_day(user, day).await?;
                Ok(Self::recorded(&recorded, part.as_deref().map(|meter| (meter, user)), day))
            }
        }
    }

    /// Uses a recorded day that was read for all of the user's keys. The result is never lower than the recorded
    /// usage, so that one response does not contradict itself.
    pub(crate) fn or(state: &'a State, user: UserNo, recorded: &DayUsage, day: Day) -> Self {
        Self::recorded(recorded, state.meter.as_deref().map(|meter| (meter, user)), day)
    }

    fn recorded(usage: &DayUsage, part: Option<(&'a Meter, UserNo)>, day: Day) -> Self {
        let by_key = usage.by_key.iter().map(|key| (key.no, key.total.credits)).collect();
        Self { by: SpentSource::Store { total: usage.total.credits, by_key, part }, day }
    }

    /// Returns the quota of the user.
    pub(crate) fn of_user(&self, plan: &Plan) -> Quota {
        let used = match &self.by {
            SpentSource::Meter(meter, user) => self.live(meter, BudgetScope::User(*user)),
            SpentSource::Store { total, part, .. } => {
                part.map_or(*total, |(meter, user)| self.live(meter, BudgetScope::User(user)).max(*total))
            }
        };
        Quota::new(plan.credits_per_day, used, self.day)
    }

    /// Returns the quota of one of the user's keys; `limit` is the key's own quota.
    pub(crate) fn of_key(&self, key: KeyNo, limit: Credits) -> Quota {
        let used = match &self.by {
            SpentSource::Meter(meter, _) => self.live(meter, BudgetScope::Key(key)),
            SpentSource::Store { by_key, part, .. } => {
                let recorded = by_key.iter().find(|(no, _)| *no == key).map_or(Credits::ZERO, |(_, credits)| *credits);
                part.map_or(recorded, |(meter, _)| self.live(meter, BudgetScope::Key(key)).max(recorded))
            }
        };
        Quota::new(Some(limit), used, self.day)
    }

    fn live(&self, meter: &Meter, scope: BudgetScope) -> Credits {
        meter.used(BudgetId::credits_a_day(scope), self.day).credits()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::future::ready;

    use ledger::UsageTotals;

    use super::*;

    /// Checks that the recorded credits reach the settled ones at reading number `at`: the number of readings, and the
    /// sum of the pauses in ms.
    async fn check(at: u32, readings: u32, ms: u128) {
        let read = Cell::new(0);
        let paused = Cell::new(0);
        let next = || {
            read.set(read.get() + 1);
            let total = UsageTotals {
                credits: if read.get() >= at { Credits::whole(7) } else { Credits::whole(6) },
                ..UsageTotals::default()
            };
            ready(Ok::<_, Infallible>(DayUsage { total, by_key: Vec::new() }))
        };
        let pause = |time: Duration| {
            paused.set(paused.get() + time.as_millis());
            ready(())
        };
        let usage = until(Credits::whole(7), next, pause).await.unwrap();
        assert_eq!((read.get(), paused.get()), (readings, ms), "recorded at reading {at}");
        assert_eq!(usage.total.credits, if at <= readings { Credits::whole(7) } else { Credits::whole(6) });
    }

    #[tokio::test]
    async fn the_store_is_read_at_most_three_times() {
        check(1, 1, 0).await;
        check(2, 2, 100).await;
        check(3, 3, 300).await;
        check(100, 3, 300).await;
    }
}
