//! Audit of usage: events and counts must equal the totals of days and hours, the charged amounts of budgets, and the
//! spent amounts of leases.
//!
//! Each query reads one snapshot, and ingest writes rows and totals in one transaction, so a running node causes no
//! difference. The database adds up; this process only handles sums and a bounded number of differences. (The log of
//! changes by users is [`audit`](store::audit).)
//!
//! Read in this order: `totals` (the compared columns), `sample` (the compared rows), `suspects` (the search for rows that may
//! differ), `comparison` (the comparison), `subjects` (charges of clients without a user), `windows`, `accounts` (leases), `unresolved` (facts
//! to report that are no differences), `repair` (correction of totals from events), `recorded` (figures for comparison
//! with a provider's).

mod accounts;
mod comparable;
mod comparison;
mod recorded;
mod repair;
mod row;
mod sample;
mod subjects;
mod suspects;
mod totals;
mod unresolved;
mod windows;

use std::time::Duration;

use access::{Amount, Day, KeyNo, PlanId, SubjectId, Timestamp, UserNo};
use meter::lease::CounterId;
use store::DatabaseError;
use store::sql::statements;
use uuid::Uuid;

use crate::handle::Ledger;
use comparable::comparable_from;
use suspects::Suspects;

pub use recorded::RecordedUsage;
pub use repair::{RepairError, RepairedTotals};
pub use sample::Sample;
pub use unresolved::{InterruptedRequests, OpenRequests, UnpricedRequests};

/// Maximum number of reported differences; beyond it, only `more` is set.
pub const DIFFERENCES_MAX: usize = 1_000;
/// The audit finds an event directly if its id was created at most this long before or after the day under which it was
/// admitted.
const SLACK: Duration = Duration::from_hours(24);

statements! {
    USAGE_FROM = "SELECT coalesce(max(usage_from), 0) FROM revision";
    NEWEST_DAY = "SELECT max(day) FROM daily_plans";
}

/// A range of days, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// First day of the range.
    pub first: Day,
    /// Last day of the range.
    pub last: Day,
}

/// Progress of an audit: the number of queries that have ended, of all queries that read events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditProgress {
    /// Number of queries that have ended.
    pub done: usize,
    /// Number of all queries.
    pub all: usize,
}

/// Result of an audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    /// The requested days that could be compared; `None` if events of all of them may have been deleted by retention.
    pub compared: Option<Days>,
    /// Differences in the order of days; at most [`DIFFERENCES_MAX`].
    pub differences: Vec<Difference>,
    /// Whether there are more differences.
    pub more: bool,
    /// Requests of those days that were in flight when a node crashed.
    pub interrupted: InterruptedRequests,
    /// LLM requests of those days whose cost is unknown or partly unknown, by reason. Bills omit the unknown cost;
    /// budgets count the reserved amount.
    pub unpriced: Vec<UnpricedRequests>,
    /// Requests that are still open, as far as the store knows; each node's spool contains further ones.
    pub open: OpenRequests,
    /// Amounts that were charged while a lease was open, but not from it: the requests were in flight when a limit was
    /// set, or began before a limit was set again.
    pub unleased: Vec<UnleasedUsage>,
}

/// Two figures that should be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Key, user, plan, day or budget of the figures.
    pub place: DifferencePlace,
    /// Measure of the figures: the column's name.
    pub measure: &'static str,
    /// Expected amount and its source.
    pub expected: (&'static str, i128),
    /// Actual amount and its location.
    pub found: (&'static str, i128),
}

/// The object that a figure belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DifferencePlace {
    /// One key on one day.
    Key {
        /// Day of the figures.
        day: Day,
        /// Number of the user, and the id if it is known.
        user: (UserNo, Option<Uuid>),
        /// Number of the key, and the id if it is known.
        key: (KeyNo, Option<Uuid>),
    },
    /// One model of one user on one day.
    Model {
        /// Day of the figures.
        day: Day,
        /// Number of the user, and the id if it is known.
        user: (UserNo, Option<Uuid>),
        /// Name of the model; `None` if the model has no name.
        model: Option<String>,
    },
    /// One hour of a user's requests with one key, for one model, on one route.
    Hour {
        /// Start of the hour.
        at: Timestamp,
        /// Number of the user, and the id if it is known.
        user: (UserNo, Option<Uuid>),
        /// Number of the key, and the id if it is known.
        key: (KeyNo, Option<Uuid>),
        /// Name of the model; `None` if the model has no name, and for requests that are no LLM requests.
        model: Option<String>,
        /// Name of the route; `None` if the store does not know it.
        route: Option<String>,
    },
    /// One route of one user on one day.
    Route {
        /// Day of the figures.
        day: Day,
        /// Number of the user, and the id if it is known.
        user: (UserNo, Option<Uuid>),
        /// Name of the route; `None` if the store does not know it.
        route: Option<String>,
    },
    /// One label set of a user on one day, for one model.
    Labels {
        /// Day of the figures.
        day: Day,
        /// Number of the user, and the id if it is known.
        user: (UserNo, Option<Uuid>),
        /// The labels; `None` without labels, and for all sets beyond the maximum number.
        labels: Option<String>,
        /// Name of the model; `None` if the model has no name, and for requests that are no LLM requests.
        model: Option<String>,
    },
    /// All users of one plan on one day.
    Plan {
        /// Day of the figures.
        day: Day,
        /// Id of the plan.
        plan: PlanId,
    },
    /// One subject without a user on one day.
    Subject {
        /// Day of the figures.
        day: Day,
        /// Id of the subject.
        subject: SubjectId,
    },
    /// A window of a user, or of a subject without a user.
    Window(CounterId),
    /// All users together on one day.
    Day(Day),
    /// A budget that nodes share, in one period.
    BudgetAccount(CounterId),
    /// A node's lease of such a budget.
    Lease {
        /// Budget and period of the lease.
        cell: CounterId,
        /// Node that has the lease.
        node: Uuid,
        /// Incarnation of the node.
        incarnation: u64,
    },
}

/// Usage that a budget's leases do not contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnleasedUsage {
    /// Budget and period of the usage.
    pub cell: CounterId,
    /// Amount of the usage.
    pub amount: Amount,
}

impl Reconciliation {
    /// Whether all figures that could be compared agree.
    #[must_use]
    pub const fn agrees(&self) -> bool {
        self.differences.is_empty() && !self.more
    }

    fn tell(&mut self, differences: Vec<Difference>) {
        for difference in differences {
            if self.differences.len() >= DIFFERENCES_MAX {
                self.more = true;
                return;
            }
            self.differences.push(difference);
        }
    }
}

impl Days {
    /// Returns the days of the range from `from` on.
    fn since(self, from: Day) -> Option<Self> {
        let first = self.first.max(from);
        (first <= self.last).then_some(Self { first, last: self.last })
    }

    fn numbers(self) -> [i64; 2] {
        [self.first, self.last].map(|day| i64::from(day.0))
    }

    /// Returns the first and last possible id of these days' events, unless a clock jumped.
    fn ids(self) -> [Uuid; 2] {
        let first = self.first.start().before(SLACK);
        [first, self.last.next().start().after(SLACK)].map(crate::row_ids::first_id)
    }
}

impl Ledger {
    /// Audits the stored usage of `days` while nodes run.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn reconcile(&self, days: Days) -> Result<Reconciliation, DatabaseError> {
        self.reconcile_sample(days, Sample::ALL, |_| ()).await
    }

    /// Like [`Self::reconcile`], for the totals in a sample and for all leases.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn reconcile_sample(
        &self,
        days: Days,
        sample: Sample,
        progress: impl Fn(AuditProgress) + Sync,
    ) -> Result<Reconciliation, DatabaseError> {
        let searched = async {
            match days.since(self.usage_kept_from().await?) {
                Some(days) => suspects::find(&self.store, days, sample, &progress).await,
                None => Ok(Suspects::default()),
            }
        };
        let (suspects, mut found) = tokio::try_join!(searched, self.compare_others(days, sample))?;
        let others = std::mem::take(&mut found.differences);
        let mut snapshot = self.store.begin_read().await?;
        // Retention may have deleted events since the search.
        if let Some(days) = days.since(comparable_from(&mut snapshot).await?) {
            comparison::compare(&mut snapshot, &suspects, days.first, &mut found).await?;
        }
        snapshot.rollback().await?;
        found.tell(others);
        Ok(found)
    }

    /// Compares everything but the totals of users, in one snapshot.
    async fn compare_others(&self, days: Days, sample: Sample) -> Result<Reconciliation, DatabaseError> {
        let mut snapshot = self.store.begin_read().await?;
        let compared = days.since(comparable_from(&mut snapshot).await?);
        let mut found = Reconciliation {
            compared,
            differences: Vec::new(),
            more: false,
            interrupted: unresolved::interrupted(&mut snapshot, days).await?,
            unpriced: unresolved::unpriced(&mut snapshot, days).await?,
            open: unresolved::open(&mut snapshot).await?,
            unleased: Vec::new(),
        };
        for days in compared.map(|days| sample.ranges(days)).unwrap_or_default() {
            comparison::compare_plans(&mut snapshot, days, &mut found).await?;
            subjects::compare(&mut snapshot, days, &mut found).await?;
            windows::compare(&mut snapshot, days, &mut found).await?;
        }
        accounts::compare(&mut snapshot, days, &mut found).await?;
        snapshot.rollback().await?;
        Ok(found)
    }

    /// Returns the last day with usage; `None` without usage. It is in the future if the clock of a node was wrong.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn newest_day(&self) -> Result<Option<Day>, DatabaseError> {
        let mut snapshot = self.store.begin_read().await?;
        let (newest,): (Option<i64>,) = snapshot.query(NEWEST_DAY).one().await?;
        snapshot.rollback().await?;
        Ok(newest.and_then(|day| u32::try_from(day).ok()).map(Day))
    }

    /// Returns the first day whose events are complete: older ones may have been deleted by retention.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn usage_kept_from(&self) -> Result<Day, DatabaseError> {
        let mut snapshot = self.store.begin_read().await?;
        let from = comparable_from(&mut snapshot).await?;
        snapshot.rollback().await?;
        Ok(from)
    }
}

/// Returns every SQL text that this module and its parts build.
#[cfg(test)]
pub(crate) fn texts() -> Vec<String> {
    let lists = [
        STATEMENTS,
        comparison::STATEMENTS,
        accounts::STATEMENTS,
        unresolved::STATEMENTS,
        repair::STATEMENTS,
        windows::STATEMENTS,
    ];
    let fixed = lists.into_iter().flatten().map(|(_, sql)| (*sql).to_owned());
    fixed.chain(totals::texts()).chain(subjects::texts()).chain(recorded::texts()).collect()
}

#[cfg(test)]
pub(crate) mod tests;
